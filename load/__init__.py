"""Act: planned changes become writes, through the write-intent protocol (design section 6). Never decides.

Imports ``domain``, ``clients`` and ``storage``; nothing of ``extract`` or ``transform``.
"""
