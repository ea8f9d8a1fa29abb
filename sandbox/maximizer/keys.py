"""Key strings of Address Book entries: base64 of type, Client ID, Contact Number and the session's salt.

"Key strings are not stable across sessions": a key of another session stands for nothing (fact sheet section 4.2).
Without a salt the strings look exactly like the vendor's.
"""

from typing import NamedTuple

from sandbox.maximizer.book import Entry, Key
from sandbox.maximizer.fields import decode, encode

_TYPES = {"Company", "Individual", "Contact", "AbEntry"}


class Keys(NamedTuple):
    """The key strings of one session."""

    salt: str

    def write(self, entry: Entry) -> str:
        return self.of(entry.type, entry.key)

    def of(self, entry_type: str, key: Key) -> str:
        return encode(entry_type, *key, *((self.salt,) if self.salt else ()))

    def read(self, text: object) -> Key | None:
        """Client ID and Contact Number; None for what is no key of this session."""
        parts = decode(text) if isinstance(text, str) else []
        salt = parts[3] if len(parts) == 4 else ""
        if len(parts) not in (3, 4) or parts[0] not in _TYPES or salt != self.salt or not parts[2].isdigit():
            return None
        return parts[1], int(parts[2])
