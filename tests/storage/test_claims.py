"""Which list and which Address Book a connection has for itself (R36), on both databases."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, select

from domain.errors import Misconfigured
from storage import claims, connections, schema
from storage.claims import Wanted
from storage.connections import Connection
from storage.engine import begin, open_store, reading
from storage.tables import claim, connection

LIST = Wanted("list", "Letter", frozenset({"a1/l1"}))
BOOK = Wanted("book", "Lantern", frozenset({"crm:443 lantern", "id=0f8fad5b-d9cb-469f lantern"}), "lantern")


def other(store: Engine) -> Connection:
    return connections.create(store, "twin", 2.0)


def take(store: Engine, who: Connection, wanted: Wanted, now: float = 1.0) -> list[str]:
    """Names of those in the way; nothing is taken then."""
    try:
        with begin(store) as db:
            met = claims.take(db, who.id, wanted, now)
            if met:
                raise Misconfigured("taken")
    except Misconfigured:
        return [one.connection for one in met]
    return []


def kept(store: Engine) -> set[tuple[str, str, int]]:
    with reading(store) as db:
        return {(row.kind, row.key, row.connection_id) for row in db.execute(select(claim))}


@pytest.mark.parametrize("wanted", [LIST, BOOK])
def test_r36_it_goes_with_one_connection(store: Engine, ours: Connection, wanted: Wanted) -> None:
    twin = other(store)
    assert take(store, ours, wanted) == []
    assert set(take(store, twin, wanted)) == {"default"}
    assert take(store, ours, wanted) == []
    assert {owner for _, _, owner in kept(store)} == {ours.id}
    with reading(store) as db:
        assert {one.connection for one in claims.rivals(db, None, wanted)} == {"default"}
        assert claims.rivals(db, ours.id, wanted) == []


def test_r36_one_key_of_an_address_book_is_enough(store: Engine, ours: Connection) -> None:
    twin = other(store)
    take(store, ours, BOOK)
    elsewhere = Wanted("book", "Lantern", frozenset({"crm.far:443 lantern", max(BOOK.keys)}), "lantern")
    assert take(store, twin, elsewhere) == ["default"]
    assert {owner for _, _, owner in kept(store)} == {ours.id}


def test_r36_another_choice_frees_the_former_one(store: Engine, ours: Connection) -> None:
    twin = other(store)
    take(store, ours, LIST)
    take(store, ours, BOOK)
    take(store, ours, Wanted("list", "Other", frozenset({"a1/l2"})))
    assert take(store, twin, LIST) == []
    assert set(take(store, twin, BOOK)) == {"default"}


def test_r36_removing_a_connection_frees_its_pair(store: Engine, ours: Connection) -> None:
    twin = other(store)
    take(store, ours, LIST)
    with begin(store) as db:
        connections.remove(db, ours.id)
    assert take(store, twin, LIST) == []


@pytest.mark.parametrize("wanted", [LIST, BOOK])
def test_r36_of_many_at_the_same_moment_one_gets_it(
    store: Engine, store_url: str, ours: Connection, wanted: Wanted
) -> None:
    many = [ours, *(connections.create(store, f"c{n}", 1.0) for n in range(5))]
    start, told = threading.Barrier(len(many)), {}

    def run(who: Connection) -> None:
        engine = open_store(store_url)
        start.wait(60)
        told[who.name] = take(engine, who, wanted)
        engine.dispose()

    threads = [threading.Thread(target=run, args=(who,)) for who in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = [name for name, met in told.items() if not met]
    assert all(set(met) == {first} for name, met in told.items() if name != first)
    assert len(told) == len(many)
    assert len({owner for _, _, owner in kept(store)}) == 1


def test_r36_whose_server_is_not_known_may_be_the_one(store: Engine, ours: Connection) -> None:
    """As an older version left it; the first one's next run notes its server."""
    twin = other(store)
    with begin(store) as db:
        values = {"kind": "book", "key": claims.unplaced("lantern"), "connection_id": ours.id, "since_at": 1.0}
        db.execute(claim.insert().values(values))
    far = Wanted("book", "Lantern", frozenset({"far:443 lantern"}), "lantern")
    assert take(store, twin, far) == ["default"]
    assert take(store, twin, Wanted("book", "Harbour", frozenset({"far:443 harbour"}), "harbour")) == []
    assert take(store, ours, BOOK) == []
    assert take(store, twin, far) == []
    with reading(store) as db:
        assert {one.connection for one in claims.namesakes(db, None, far)} == {"default", "twin"}
        assert claims.namesakes(db, ours.id, BOOK) == []


def test_r36_an_older_store_gives_the_pair_to_the_first(empty_url: str) -> None:
    """Of two of one pair the one at work goes on, of two at work the older one; a third one keeps what is its own."""
    engine = open_store(empty_url)
    schema.migrate(engine, "0004")
    columns = ("name", "list_id", "address_book", "synced")
    rows = [
        ("added", "", "", False),
        ("idle", "l1", "Lantern", False),
        ("first", "l1", "Lantern", True),
        ("second", "l1", "LANTERN", True),
        ("third", "l2", "lantern", True),
        ("harbour", "l3", "Harbour", False),
    ]
    common = {"account_id": "a1", "traits": {}, "settings": {}, "created_at": 5.0}
    with begin(engine) as db:
        db.execute(connection.insert(), [dict(zip(columns, row, strict=True)) | common for row in rows])
    schema.migrate(engine)
    with reading(engine) as db:
        found = select(claim.c.kind, claim.c.key, connection.c.name, claim.c.since_at).join(connection)
        given = {tuple(row) for row in db.execute(found)}
    engine.dispose()
    assert given == {
        ("list", "a1/l1", "first", 5.0),
        ("book", "* lantern", "first", 5.0),
        ("list", "a1/l2", "third", 5.0),
        ("list", "a1/l3", "harbour", 5.0),
        ("book", "* harbour", "harbour", 5.0),
    }
