"""One Address Book database: entries, definitions, and the ways in which its server behaves."""

from collections import Counter

from sandbox.clock import Clock
from sandbox.maximizer.book import Book
from sandbox.maximizer.quirks import Quirks
from sandbox.maximizer.schema import Schema
from sandbox.maximizer.values import Stored


class Database:
    """What both profiles of the API and the people at the screens work on.

    ``workspace``: the id that a session tells; what real servers tell is not known.
    """

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock = clock
        self.name = name
        self.workspace: int | str = 1
        self.book = Book(clock)
        self.schema = Schema()
        self.quirks = Quirks()
        self.deletes = 0
        self.reads: Counter[int] = Counter()

    def keeps_date(self, stored: Stored) -> bool:
        """Whether such a write leaves LastModifyDate as it is."""
        return "udf-edits-keep-date" in self.quirks and all(isinstance(name, int) for name in stored)

    def forget_items(self, typeid: int, keys: set[str]) -> None:
        """Items of a table field are gone, and with them every value that used them (fact sheet section 5.5)."""
        for entry in self.book.rows.values():
            held = entry.values.get(typeid)
            if held and not keys.isdisjoint(held):
                kept = tuple(key for key in held if key not in keys)
                if kept:
                    entry.values[typeid] = kept
                else:
                    del entry.values[typeid]
        self.book.forget_indexes()

    def forget_field(self, typeid: int) -> None:
        """A user-defined field is gone with its values."""
        for entry in self.book.rows.values():
            entry.values.pop(typeid, None)
        self.book.forget_indexes()
