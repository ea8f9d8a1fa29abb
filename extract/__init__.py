"""Read one side into its snapshot table. Imports ``domain``, ``clients`` and ``storage``; decides nothing."""
