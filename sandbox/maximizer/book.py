"""The Address Book itself: entries, who may see them, and indexes that make 300,000 entries quick to search.

An entry is kept under Client ID and Contact Number; `seq` counts entries in order of creation and is what indexes hold.
An index is built when a search first asks for it and kept up to date from then on.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import Clock, whole_second

Key = tuple[str, int]
Terms = Callable[["Entry"], Iterable[Hashable]]
_SEQ_BITS = 24


@dataclass(slots=True)
class Entry:
    """`values`: see `sandbox.maximizer.fields`. `created` and `modified` in whole seconds, UTC."""

    seq: int
    client_id: str
    number: int
    type: str
    parent: Key | None
    created: int
    modified: int
    creator: str
    modified_by: str
    values: dict[str | int, Any]

    @property
    def key(self) -> Key:
        return self.client_id, self.number


class Index:
    """Which entries carry a term. Entries without any term stand under None."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._rows: dict[Hashable, set[int]] = {}

    def add(self, entry: Entry) -> None:
        for term in tuple(self._terms(entry)) or (None,):
            self._rows.setdefault(term, set()).add(entry.seq)

    def discard(self, entry: Entry) -> None:
        for term in tuple(self._terms(entry)) or (None,):
            rows = self._rows.get(term)
            if rows is not None:
                rows.discard(entry.seq)

    def get(self, term: Hashable) -> set[int]:
        return self._rows.get(term, set())


class Book:
    """`version` grows with every change; `notes` counts the audit notes, one per changed field (fact sheet 2.3)."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[int, Entry] = {}
        self.keys: dict[Key, Entry] = {}
        self.hidden: set[int] = set()
        self.hidden_from: dict[str, set[int]] = {}
        self.protected: set[int] = set()
        self.notes: Counter[Key] = Counter()
        self.version = 0
        self._next_seq = 1
        self._serial = 0
        self._by_date: list[int] = []
        self._by_client: dict[str, dict[int, Entry]] = {}
        self._indexes: dict[str, Index] = {}

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, key: Key) -> Entry | None:
        return self.keys.get(key)

    def family(self, client_id: str) -> list[Entry]:
        """A parent and its contacts."""
        return list(self._by_client.get(client_id, {}).values())

    def index(self, name: str, terms: Terms) -> Index:
        """`name` says which terms; the first call builds the index."""
        index = self._indexes.get(name)
        if index is None:
            index = self._indexes[name] = Index(terms)
            for entry in self.rows.values():
                index.add(entry)
        return index

    def forget_indexes(self) -> None:
        """After a change of definitions."""
        self._indexes.clear()
        self.version += 1

    def modified_between(self, low: float, high: float) -> Iterator[int]:
        """Entries with low <= LastModifyDate <= high, the oldest first."""
        start = 0 if low == float("-inf") else bisect_left(self._by_date, int(low) << _SEQ_BITS)
        stop = len(self._by_date) if high == float("inf") else bisect_left(self._by_date, (int(high) + 1) << _SEQ_BITS)
        mask = (1 << _SEQ_BITS) - 1
        return (code & mask for code in self._by_date[start:stop])

    # --- changing ---------------------------------------------------------------------------------------------------

    def new_client_id(self) -> str:
        """Looks like a generated one: YYMMDD, 25, HHMMSSmmm, a serial of four digits, C (fact sheet section 4.2)."""
        self._serial += 1
        moment = datetime.fromtimestamp(whole_second(self.clock), UTC)
        milliseconds, serial = divmod(self._serial, 10_000)
        return f"{moment:%y%m%d}25{moment:%H%M%S}{milliseconds % 1000:03}{serial:04}C"

    def new_number(self, client_id: str) -> int:
        return max(self._by_client.get(client_id, {0: None}), default=0) + 1

    def add(self, key: Key, entry_type: str, parent: Key | None, values: Mapping[str | int, Any], by: str) -> Entry:
        now = whole_second(self.clock)
        filled = {name: value for name, value in values.items() if not empty(value)}
        entry = Entry(self._next_seq, *key, entry_type, parent, now, now, by, by, filled)
        self._next_seq += 1
        self.version += 1
        self.rows[entry.seq] = entry
        self.keys[key] = entry
        self._by_client.setdefault(key[0], {})[key[1]] = entry
        insort(self._by_date, _code(entry))
        for index in self._indexes.values():
            index.add(entry)
        return entry

    def write(self, entry: Entry, changes: Mapping[str | int, Any], by: str, keep_date: bool = False) -> None:
        """Takes over `changes`; an empty value clears. Moves the date even when nothing differs, unless `keep_date`."""
        differing = {name: value for name, value in changes.items() if _differs(entry.values.get(name), value)}
        self.notes[entry.key] += len(differing)
        self.version += 1
        for index in self._indexes.values():
            index.discard(entry)
        for name, value in differing.items():
            if empty(value):
                entry.values.pop(name, None)
            else:
                entry.values[name] = value
        for index in self._indexes.values():
            index.add(entry)
        entry.modified_by = by
        if not keep_date:
            self._date(entry)

    def remove(self, entry: Entry) -> None:
        """An entry and, for a parent, its contacts."""
        for gone in self.family(entry.client_id) if entry.number == 0 else [entry]:
            self.version += 1
            for index in self._indexes.values():
                index.discard(gone)
            del self.rows[gone.seq], self.keys[gone.key], self._by_client[gone.client_id][gone.number]
            del self._by_date[bisect_left(self._by_date, _code(gone))]
            self.hidden.discard(gone.seq)
            for hidden in self.hidden_from.values():
                hidden.discard(gone.seq)
            self.protected.discard(gone.seq)

    def _date(self, entry: Entry) -> None:
        now = whole_second(self.clock)
        if now != entry.modified:
            del self._by_date[bisect_left(self._by_date, _code(entry))]
            entry.modified = now
            insort(self._by_date, _code(entry))


def empty(value: object) -> bool:
    return value is None or value in ("", ())


def _differs(old: object, new: object) -> bool:
    return old != new and not (empty(old) and empty(new))


def _code(entry: Entry) -> int:
    return entry.modified << _SEQ_BITS | entry.seq
