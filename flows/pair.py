"""One Address Book goes with one list, and one list with one Address Book (R5, R36).

Flag, marker and stamp are one per record: two connections that share either would make everybody twice. Whoever was
set up first keeps both; the other is refused by set-up, by ``check`` and before a run, whatever it would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import Connection as Database
from sqlalchemy import Engine

from domain import records
from domain.errors import Blocked, Refused
from domain.facts import about
from domain.quoting import quoted
from flows.services import Services
from storage import claims, connections, leases
from storage.claims import Claim, Wanted
from storage.connections import Connection
from storage.engine import begin, reading
from storage.leases import Clock

Met = tuple[Wanted, Claim]
TAKEN = "pair-taken"
NOUNS = {"list": "the list", "book": "the Address Book"}
_LOOKED_AT = 3  # entries of another connection


def a_list(account_id: str, list_id: str, name: str) -> Wanted:
    return Wanted("list", name or list_id, frozenset({claims.list_key(account_id, list_id)}))


def a_book(services: Services, session: Mapping[str, str]) -> Wanted:
    """The Address Book of a session, as the service names it: on this server, and by its own id where it has one."""
    name = session["database"].strip()
    places = {services.maximizer.server, *([f"id={session['id']}"] if session["id"] else [])}
    folded = name.casefold()
    return Wanted("book", name, frozenset(claims.book_key(place, folded) for place in places), folded)


def both(connection: Connection, services: Services, session: Mapping[str, str]) -> list[Wanted]:
    """What a connection that is set up works on, once ``check_identity`` has compared its account and Address Book."""
    chosen = a_list(connection.account_id, connection.list_id, connection.list_name)
    return [chosen, a_book(services, session)]


def look(engine: Engine, name: str, services: Services, wanted: Sequence[Wanted], now: Clock) -> None:
    """Blocked when the list or the Address Book is another connection's; nothing is stored."""
    found = connections.find(engine, name)
    own = found.id if found else None
    with reading(engine) as db:
        met = [(one, claim) for one in wanted for claim in claims.rivals(db, own, one)[:1]]
        alike = [(one, claim) for one in wanted if one.kind == "book" for claim in claims.namesakes(db, own, one)]
    if met:
        raise _taken(engine, name, met, now())
    for one, claim in alike:
        if _shows_people_of(engine, claim, services):
            way = _leave(engine, name, [(one, claim)])
            raise _blocked(
                name,
                f"the Address Book {quoted(one.name)} holds the people of the connection {quoted(claim.connection)}: "
                f"it is the same one under another address, or a copy",
                f"a copy needs a store of its own (MAXCHIMP_DATABASE_URL); {way}",
            )


def take(db: Database, connection: Connection, wanted: Sequence[Wanted], now: float) -> None:
    """Have them for this connection from now on, in the caller's transaction; Blocked when another was quicker."""
    for one in wanted:
        for claim in claims.take(db, connection.id, one, now)[:1]:
            raise _taken(db.engine, connection.name, [(one, claim)], now)


def choose_book(engine: Engine, connection: Connection, book: Wanted, *, another: bool, now: Clock) -> None:
    """Have this Address Book; all links end when it is ``another`` one than before (R39)."""
    with reading(engine) as db:
        had = claims.keys_of(db, connection.id, "book")
    with _choosing(engine, connection, another or bool(had and had.isdisjoint(book.keys)), now) as db:
        take(db, connection, [book], now())
        if another:
            connections.end_links(db, connection.id, "another Address Book was chosen")
        connections.update(db, connection.id, address_book=book.name)


def choose_list(
    engine: Engine, connection: Connection, chosen: Wanted, columns: Mapping[str, str], *, another: bool, now: Clock
) -> None:
    """Have this list; mappings are dropped and all links end when it is ``another`` one than before (R39)."""
    with _choosing(engine, connection, another, now) as db:
        take(db, connection, [chosen], now())
        if another:
            connections.drop_mappings(db, connection.id)
            connections.end_links(db, connection.id, "another list was chosen")
        connections.update(db, connection.id, **columns)


@contextmanager
def _choosing(engine: Engine, connection: Connection, given_up: bool, now: Clock) -> Iterator[Database]:
    """One transaction; LeaseHeld while a run still works on the list or Address Book that is given up."""
    if not given_up:
        with begin(engine) as db:
            yield db
        return
    lease = leases.acquire(engine, connection.id, leases.holder_name("maxchimp setup"), now=now)
    try:
        with lease.begin() as db:
            yield db
    finally:
        lease.release()


def _shows_people_of(engine: Engine, claim: Claim, services: Services) -> bool:
    """Whether the other's people are in our Address Book, with the other's markers: one server under two names."""
    other = next((c for c in connections.every(engine) if c.id == claim.connection_id), None)
    if other is None or not other.marker_ref:
        return False
    with reading(engine) as db:
        people = claims.marked(db, other.id, _LOOKED_AT)
    with suppress(Refused):  # our Address Book has no such field
        for entry_id, marker in people:
            row = services.maximizer.entry([other.marker_ref], *records.split_entry_id(entry_id))
            if row is not None and row.get(other.marker_ref) == marker:
                return True
    return False


# ---------------------------------------------------------------- in words


def _taken(engine: Engine, name: str, met: Sequence[Met], now: float) -> Blocked:
    """``met``: what is wanted, and the claim of another connection that stands in the way."""
    known = [(one, claim) for one, claim in met if claim.key in one.keys]
    if not known:
        (one, claim), *_ = met
        return _blocked(
            name,
            f"the Address Book {quoted(one.name)} may be that of the connection {quoted(claim.connection)}, "
            f"whose server an older version did not note",
            f"run once: maxchimp setup --connection {claim.connection}; or: {_removal(engine, name, met)}",
        )
    whose: dict[str, list[Wanted]] = {}
    for one, claim in known:
        whose.setdefault(claim.connection, []).append(one)
    told = []
    for other, what in whose.items():
        names = " and ".join(f"{NOUNS[one.kind]} {quoted(one.name)}" for one in what)
        go = "goes with the connection" if len(what) == 1 else "go with the connection"
        told.append(f"{names} {go} {quoted(other)} already{_in_use(engine, other, now)}")
    message = f"{', '.join(told)}; two connections of one pair make everybody twice"
    return _blocked(name, message, _leave(engine, name, known))


def _blocked(name: str, message: str, remedy: str) -> Blocked:
    """What is advised is for this connection, also where it is not at work yet."""
    with about(connection=name):
        return Blocked(TAKEN, message, remedy=remedy)


def _leave(engine: Engine, name: str, met: Sequence[Met]) -> str:
    """What the connection can do instead."""
    is_there = connections.find(engine, name) is not None
    ways = {
        "list": "choose another list: maxchimp setup --list LIST_ID",
        "book": "sign in to another Address Book (MAXCHIMP_MAXIMIZER_DATABASE), "
        f"then: maxchimp setup{' --new-address-book --yes' if is_there else ''}",
    }
    return f"{'; '.join(ways[one.kind] for one, _ in met)}; or: {_removal(engine, name, met)}"


def _removal(engine: Engine, name: str, met: Sequence[Met]) -> str:
    """Of this connection, or of the other one where this one was refused before it was made."""
    is_there = connections.find(engine, name) is not None
    return f"maxchimp connections remove {name if is_there else met[0][1].connection}"


def _in_use(engine: Engine, name: str, now: float) -> str:
    found = connections.find(engine, name)
    held = leases.held_by(engine, found.id, lambda: now) if found else None
    return f" (in use now by {held[0]})" if held else ""
