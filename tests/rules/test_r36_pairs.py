"""R5, R36: one Address Book goes with one list and one list with one Address Book; a second connection is refused."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import Office
from sqlalchemy import delete

from domain.errors import Blocked, LeaseHeld
from flows import foresee
from flows.check import Check, Finding
from flows.survey import Survey
from storage import connections, leases, runs, schema
from storage.connections import Connection
from storage.engine import begin
from storage.tables import claim

NewOffice = Callable[..., Office]
COLUMNS = (
    "account_id", "account_name", "list_id", "list_name", "address_book", "dialect", "traits", "flag_ref", "marker_ref",
)  # fmt: skip


def in_step(made: Office) -> Office:
    for n in range(3):
        made.subscribe(f"p{n}@lantern.test", "Ann", f"Reed{n}")
    made.sync()
    return made


@pytest.fixture
def first(new_office: NewOffice) -> Office:
    """The first connection, in step, with three members."""
    return in_step(new_office())


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, new_office: NewOffice) -> Iterator[Office]:
    """The same, its store on each database in turn."""
    made = new_office() if request.param == "sqlite" else Office(request.getfixturevalue("new_database")(True))
    yield in_step(made)
    made.sound()
    made.engine.dispose()


def second(first: Office, name: str = "twin", **settings: Any) -> Office:
    """Another connection, not set up yet, on the same services."""
    made = copy.copy(first)
    made.name, made.settings = name, first.settings.model_copy(update={"connection": name, **settings})
    return made


def elsewhere(first: Office, *, list_too: bool = False) -> Office:
    """Another connection, not set up yet: another Address Book, and the same Mailchimp account unless ``list_too``."""
    url = first.engine.url.render_as_string(hide_password=False)
    made = Office(url, seed=7, ready=False, name="twin")
    made.engine.dispose()
    made.engine = first.engine
    if not list_too:
        made.mailchimp, made.list_id = first.mailchimp, first.list_id
        made.doors["mailchimp"] = first.doors["mailchimp"]
        key = first.settings.mailchimp_api_key
        made.settings = made.settings.model_copy(update={"mailchimp_api_key": key})
    return made


def as_made_before(first: Office, twin: Office) -> Connection:
    """The twin as an older version let it be set up, in a store of that version, which is then brought up to date."""
    row = connections.create(first.engine, twin.name, 1.0)
    columns = {name: getattr(first.connection, name) for name in COLUMNS}
    connections.update(first.engine, row.id, **columns, synced=True)
    for mapping in connections.mappings(first.engine, first.connection.id):
        connections.put_mapping(first.engine, row.id, mapping)
    with begin(first.engine) as db:
        db.exec_driver_sql("DROP TABLE claim")
        db.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0006'")
    schema.migrate(first.engine)
    return twin.connection


def pair(office: Office) -> Finding:
    found = Check(office.settings, office.engine, opener=office._open, now=office.clock.now).run()
    return next(finding for finding in found if finding.name in ("pair", "identity") and finding.state != "ok")


def refused(act: Callable[[], Any], *words: str) -> Blocked:
    with pytest.raises(Blocked) as told:
        act()
    assert told.value.reason == "pair-taken"
    assert [word for word in words if word not in told.value.message] == []
    assert "maxchimp" in told.value.remedy
    return told.value


def entries(office: Office) -> int:
    return len(office.entries())


# --- set-up ---------------------------------------------------------------------------------------------------------


def test_r36_set_up_refuses_the_same_pair_before_it_makes_anything(first: Office) -> None:
    twin = second(first)
    writes = sum(len(door.mutations()) for door in first.doors.values())
    told = refused(twin.setup, "'default'", "the list 'Lantern Street Letter' and the Address Book 'EsconaDemo'")
    assert "maxchimp setup --connection twin --list" in told.remedy
    assert "MAXCHIMP_TWIN__MAXIMIZER_DATABASE" in told.remedy
    assert "maxchimp connections remove default" in told.remedy
    assert connections.find(first.engine, "twin") is None
    assert sum(len(door.mutations()) for door in first.doors.values()) == writes
    connections.create(first.engine, "twin", 1.0)  # connections add
    assert "maxchimp connections remove twin" in refused(twin.setup, "'default'").remedy
    assert twin.connection.address_book == ""
    first.setup()
    first.quiet()


def test_r36_set_up_refuses_another_list_with_the_same_address_book(first: Office) -> None:
    other = first.mailchimp.add_list("Harbour Letter")
    twin = second(first)
    told = refused(lambda: twin.setup(list_id=other), "the Address Book 'EsconaDemo' goes with", "'default'")
    assert "--list" not in told.remedy


@pytest.mark.parametrize(
    "url",
    ["http://localhost:2{path}", "http://127.0.0.1:2{path}/", "http://[::1]:2/MAXIMIZERWEBDATA/Data.svc/JSON"],
)
def test_r36_the_same_address_book_under_another_address(new_office: NewOffice, url: str) -> None:
    first = new_office()
    other = first.mailchimp.add_list("Harbour Letter")
    path = first.maximizer.base_path
    twin = second(first, maximizer_url=url.format(path=path))
    refused(lambda: twin.setup(list_id=other), "the Address Book 'EsconaDemo' goes with", "'default'")


def test_r36_an_address_book_is_known_by_its_own_id(new_office: NewOffice) -> None:
    first = new_office(ready=False)
    first.maximizer.database.workspace = "0f8fad5b-d9cb-469f-a165-70867728950e"
    first.setup()
    other = first.mailchimp.add_list("Harbour Letter")
    twin = second(first, maximizer_url=f"http://127.0.0.1:3{first.maximizer.base_path}")
    refused(lambda: twin.setup(list_id=other), "the Address Book 'EsconaDemo' goes with", "'default'")


@pytest.mark.parametrize("profile", ["on-premise", "cloud"])
def test_r36_an_address_book_is_known_by_its_people(new_office: NewOffice, profile: str) -> None:
    """A server of two names, which gives no id: the first one's people are there, with their markers."""
    first = new_office(profile=profile)
    other = first.mailchimp.add_list("Harbour Letter")
    twin = second(first, maximizer_url=f"http://127.0.0.1:3{first.maximizer.base_path}")
    first.subscribe("ann@lantern.test", "Ann", "Reed")
    first.sync()
    told = refused(lambda: twin.setup(list_id=other), "holds the people of the connection 'default'", "a copy")
    assert "MAXCHIMP_DATABASE_URL" in told.remedy
    first.quiet()


def test_r36_before_the_first_has_people_the_second_is_found_out_by_its_next_run(new_office: NewOffice) -> None:
    first = new_office()
    other = first.mailchimp.add_list("Harbour Letter")
    first.mailchimp.add_group(other, "Topics", ["News"])
    twin = second(first, maximizer_url=f"http://127.0.0.1:3{first.maximizer.base_path}")
    twin.setup(list_id=other)
    first.subscribe("ann@lantern.test", "Ann", "Reed")
    first.sync()
    refused(twin.sync, "holds the people of the connection 'default'")
    assert "holds the people" in pair(twin).message
    first.quiet()


def test_r36_set_up_refuses_the_same_list_with_another_address_book(first: Office) -> None:
    twin = elsewhere(first)
    told = refused(twin.setup, "the list 'Lantern Street Letter' goes with", "'default'")
    assert "MAXIMIZER_DATABASE" not in told.remedy
    assert twin.doors["maximizer"].mutations() == []


def test_r5_two_servers_may_have_address_books_of_one_name(first: Office) -> None:
    other = elsewhere(first, list_too=True)
    other.setup()
    assert other.connection.address_book == first.connection.address_book
    other.subscribe("bea@lantern.test", "Bea", "Moor")
    other.sync()
    assert (entries(first), entries(other)) == (3, 1)
    first.quiet()
    other.quiet()


def test_r36_of_two_set_ups_at_the_same_moment_one_gets_the_list(either: Office) -> None:
    """Both have looked before either has it: the store decides."""
    list_id = either.mailchimp.add_list("Harbour Letter")
    either.mailchimp.add_group(list_id, "Topics", ["News"])
    slow, quick = elsewhere(either), elsewhere(either)
    own = {"connection": "quick", "maximizer_url": f"http://127.0.0.1:11{quick.maximizer.base_path}"}
    quick.name, quick.settings = "quick", quick.settings.model_copy(update=own)
    services = slow.services()
    make, waiting = services.maximizer.create_udf, [lambda: quick.setup(list_id=list_id)]

    def overtaken(*given: Any, **more: Any) -> str:
        if waiting:
            waiting.pop()()
        return make(*given, **more)

    services.maximizer.create_udf = overtaken  # type: ignore[method-assign]
    slow.services = lambda: services  # type: ignore[method-assign]
    refused(lambda: slow.setup(list_id=list_id), "the list 'Harbour Letter' goes with the connection 'quick' already")
    assert {c.name: c.list_id for c in connections.every(either.engine)} == {
        "default": either.list_id,
        "quick": list_id,
        "twin": "",
    }


# --- check and every kind of run ------------------------------------------------------------------------------------


def test_r36_a_twin_of_an_older_store_is_refused_and_the_first_goes_on(either: Office) -> None:
    twin = second(either)
    as_made_before(either, twin)
    before = either.maximizer.entries()
    either.subscribe("new@lantern.test", "Bea", "Moor")
    for asked in ({}, {"kind": "backfill"}, {"kind": "plan", "yes": False}):
        told = refused(lambda asked=asked: twin.sync(**asked), "'default'", "Lantern Street Letter")  # type: ignore[misc]
        assert "maxchimp connections remove twin" in told.remedy
        (run,) = runs.latest(twin.engine, twin.connection.id, limit=1)
        assert (run.state, run.reason) == ("blocked", told.message)
    assert either.maximizer.entries() == before
    finding = pair(twin)
    assert (finding.name, finding.state, finding.message) == ("pair", "error", told.message)
    assert isinstance(finding.problem, Blocked)
    either.sync()
    either.quiet()
    assert entries(either) == 4
    refused(twin.sync, "the list 'Lantern Street Letter' and the Address Book 'EsconaDemo' go with")


def test_r36_report_and_explain_of_a_twin_are_refused_too(first: Office) -> None:
    """Both say what the next run would do: it would be refused."""
    twin = second(first)
    as_made_before(first, twin)
    cycle = Survey(twin.engine, twin.connection, twin.services(), now=twin.clock.now)
    refused(cycle.tell, "'default'")
    refused(
        lambda: foresee.explain(twin.engine, twin.connection, twin.services(), "p0@lantern.test"),
        "'default'",
    )


def test_r36_the_refusal_says_who_is_at_work(first: Office) -> None:
    twin = second(first)
    as_made_before(first, twin)
    with first.cycle().leased():
        refused(twin.sync, leases.holder_name())


def test_r36_a_twin_may_leave_for_another_list_and_address_book(first: Office) -> None:
    twin = second(first)
    as_made_before(first, twin)
    far = elsewhere(first, list_too=True)
    far.maximizer.database.name = far.maximizer.sessions.database = "Harbour"
    far.settings = far.settings.model_copy(update={"maximizer_database": "Harbour"})
    assert far.connection.address_book == "EsconaDemo"
    far.setup(new_address_book=True, list_id=far.list_id)
    assert (far.connection.address_book, far.connection.list_id) == ("Harbour", far.list_id)
    far.subscribe("bea@lantern.test", "Bea", "Moor")
    far.sync()
    far.quiet()
    first.quiet()


def test_r36_removing_the_first_frees_the_pair(either: Office) -> None:
    twin = second(either)
    as_made_before(either, twin)
    refused(twin.sync, "'default'")
    with begin(either.engine) as db:
        connections.remove(db, either.connection.id)
    twin.sync()
    twin.quiet()
    assert entries(twin) == 3
    either.name = "twin"
    refused(second(either, "default").setup, "'twin'")


def test_r36_an_older_store_does_not_know_the_servers(first: Office) -> None:
    """Two pairs with Address Books of one name: the second waits until the first has noted its server."""
    far = elsewhere(first, list_too=True)
    far.setup()
    with begin(first.engine) as db:
        db.exec_driver_sql("DROP TABLE claim")
        db.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0006'")
    schema.migrate(first.engine)
    told = refused(far.sync, "may be that of the connection 'default'")
    assert "maxchimp setup --connection default;" in told.remedy
    first.setup()
    far.sync()
    far.quiet()
    first.quiet()


# --- changes --------------------------------------------------------------------------------------------------------


def test_r36_credentials_of_the_first_one_are_found_out(first: Office) -> None:
    """A connection of its own pair gets the settings of another one's Address Book, which has the same name."""
    far = elsewhere(first, list_too=True)
    far.setup()
    lost = second(far, "twin", **{
        name: getattr(first.settings, name)
        for name in ("maximizer_url", "maximizer_database", "maximizer_user", "maximizer_password")
    })  # fmt: skip
    lost.maximizer, lost.doors = first.maximizer, {**far.doors, "maximizer": first.doors["maximizer"]}
    refused(lost.sync, "the Address Book 'EsconaDemo' goes with the connection 'default'")
    refused(lost.setup, "'default'")
    assert "'default'" in pair(lost).message
    account = second(lost, "twin", mailchimp_api_key=first.settings.mailchimp_api_key)
    account.doors = first.doors
    with pytest.raises(Blocked, match="another Mailchimp account"):
        account.sync()
    refused(lambda: account.setup(list_id=first.list_id), "the list 'Lantern Street Letter'", "'default'")
    assert (far.connection.list_id, far.connection.address_book) == (far.list_id, "EsconaDemo")
    far.sync()
    far.quiet()
    first.quiet()


def test_r39_a_server_that_moved_keeps_its_connection(first: Office) -> None:
    first.settings = first.settings.model_copy(
        update={"maximizer_url": f"http://127.0.0.1:9{first.maximizer.base_path}"}
    )
    first.quiet()
    refused(second(first).setup, "'default'")


def test_r36_another_list_frees_the_former_one(either: Office) -> None:
    harbour = either.mailchimp.add_list("Harbour Letter")
    either.mailchimp.add_group(harbour, "Topics", ["News"])
    twin = elsewhere(either)
    refused(lambda: twin.setup(list_id=either.list_id), "'default'")
    either.setup(list_id=harbour)
    twin.setup(list_id=either.list_id)
    assert twin.connection.list_id == either.list_id
    refused(lambda: either.setup(list_id=twin.list_id), "'twin'")


def test_r36_a_list_is_not_given_up_while_a_run_works_on_it(first: Office) -> None:
    harbour = first.mailchimp.add_list("Harbour Letter")
    cycle = first.cycle()
    first.witnessing = False  # set-up makes fields while the run is open
    with cycle.leased():
        first.setup()  # nothing changes
        with pytest.raises(LeaseHeld, match="process"):
            first.setup(list_id=harbour)
        assert first.connection.list_id == first.list_id
    first.setup(list_id=harbour)
    assert first.connection.list_id == harbour


def test_r36_two_at_once_without_claims_make_nobody_twice(either: Office) -> None:
    """However the twins came about: whichever run is first has the pair, the other one is refused."""
    twin = second(either)
    as_made_before(either, twin)
    with begin(either.engine) as db:
        db.execute(delete(claim))
    for n in range(3):
        either.subscribe(f"new{n}@lantern.test", "Bea", f"Moor{n}")
    told: dict[str, Blocked] = {}
    cycles = {office.name: office.cycle() for office in (either, twin)}

    def run(name: str) -> None:
        try:
            cycles[name].tell()
        except Blocked as refusal:
            told[name] = refusal

    threads = [threading.Thread(target=run, args=(name,)) for name in cycles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((loser, refusal),) = told.items()
    (winner,) = set(cycles) - {loser}
    assert f"'{winner}'" in refusal.message
    assert entries(either) == 6


def test_r36_an_address_book_of_the_same_name_elsewhere_is_taken_under_the_lease_too(first: Office) -> None:
    """The server that is left is free for another connection: not while a run works there."""
    far = elsewhere(first)
    far.name, far.witnessing = first.name, False
    far.settings = far.settings.model_copy(update={"connection": first.name})
    cycle = first.cycle()
    with cycle.leased(), pytest.raises(LeaseHeld):
        far.setup()
    far.setup()
