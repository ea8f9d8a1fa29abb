"""The Maximizer client against the sandbox, on-premise and cloud: every call, quirk and fault."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from clients.maximizer import any_of, by_email, by_id, by_key, by_udf, flagged_without_marker, id_of, key_of
from domain.errors import (
    Ambiguous,
    BrokenAnswer,
    CredentialsRefused,
    MaxchimpError,
    Misconfigured,
    NotFound,
    Refused,
)

FLAG, MARKER = r"MailChimp\Sync with MailChimp", r"MailChimp\MailChimp ID"
SCOPE = ["FirstName", "LastName", "Email1", "Address/City", "Phone1"]


def people(world: SimpleNamespace, count: int) -> list[tuple[str, int]]:
    made = []
    for n in range(count):
        made.append(world.box.add_person(f"Anna{n}", f"Invented{n}", f"anna{n}@escona.test"))
        world.clock.advance(1)
    return made


def read(world: SimpleNamespace, **options: Any) -> list[dict[str, Any]]:
    return [row for page in world.client.people(SCOPE, **options) for row in page]


def test_r38_signing_in_finds_out_about_the_server(maximizer: SimpleNamespace) -> None:
    dialect = maximizer.client.discover()
    assert dialect.name == maximizer.profile
    info = maximizer.client.session_info()
    assert (info["database"], info["user"]) == ("EsconaDemo", "MCSYNC")


def test_r38_wrong_credentials(maximizer: SimpleNamespace) -> None:
    for wrong in ({"password": "wrong", "token": ""}, {"token": "wrong", "password": ""}):
        with pytest.raises(CredentialsRefused):
            maximizer.make(**wrong).client.discover()


def test_fields_are_told_alike_by_both_profiles(maximizer: SimpleNamespace) -> None:
    typeid = maximizer.box.add_udf(r"Shop\Taste", "multi", options=("Red", "White"))
    fields = {field["ref"]: field for field in maximizer.client.fields()}
    taste = fields[f"Udf/$TYPEID({typeid})"]
    assert (taste["name"], taste["folder"], taste["type"]) == (r"Shop\Taste", "Shop", "EnumField<StringItem>")
    assert taste["attributes"]["MultiSelect"] is True
    assert set(taste["applies_to"]) >= {"Individual", "Contact"}
    assert fields["LastName"]["type"] == "StringField"
    assert not any(ref.startswith("/AbEntry") for ref in fields)


def test_options(maximizer: SimpleNamespace) -> None:
    refs = [
        f"Udf/$TYPEID({maximizer.box.add_udf(path, kind, options=options)})"
        for path, kind, options in (
            (r"Shop\Taste", "multi", ("Red", "White")),
            (r"Shop\Size", "single", ("S", "M")),
            (r"Shop\Empty", "single", ()),
        )
    ]
    found = maximizer.client.options(refs)
    assert list(found) == refs
    assert [[label for _, label in found[ref]] for ref in refs] == [["Red", "White"], ["S", "M"], []]
    assert maximizer.client.options([]) == {}


def test_r40_udfs_are_made_once_with_their_folder(maximizer: SimpleNamespace) -> None:
    client = maximizer.client
    flag, marker = client.create_udf(FLAG, "yesno"), client.create_udf(MARKER, "text", max_length=29)
    assert (client.create_udf(FLAG.upper(), "yesno"), client.create_udf(MARKER, "text")) == (flag, marker)
    fields = {field["ref"]: field for field in client.fields()}
    assert (fields[flag]["name"], fields[flag]["attributes"]["YesNo"]) == (FLAG, True)
    assert (fields[marker]["name"], fields[marker]["attributes"]["MaxLength"]) == (MARKER, 29)
    assert dict(client.options([flag])[flag])["2"] == "Yes"


@pytest.mark.parametrize("quirk", ["old-folders", "per-object"])
def test_r40_udfs_are_for_individuals_and_contacts_where_the_server_can_limit_them(
    maximizer: SimpleNamespace, quirk: str
) -> None:
    client = maximizer.make(frozenset({quirk})).client
    flag = client.create_udf(FLAG, "yesno")
    assert client.create_udf(MARKER, "text") != flag
    fields = {field["ref"]: field for field in client.fields()}
    assert set(fields[flag]["applies_to"]) == {"Individual", "Contact"}
    assert fields[flag]["name"] == FLAG


def test_people_in_pages(maximizer: SimpleNamespace) -> None:
    ids = people(maximizer, 23)
    company = maximizer.box.add_company("Escona Vineyards")
    maximizer.box.add_person("Con", "Tact", "con@escona.test", type="Contact", parent=company)
    pages = list(maximizer.client.people(SCOPE, page_size=10))
    rows = [row for page in pages for row in page]
    assert [id_of(row) for row in rows[:23]] == ids
    assert [row["Type"] for row in rows[22:]] == ["Individual", "Contact"]
    first = rows[0]
    assert (first["LastName"], first["Email1"], first["Phone1"]) == (
        "Invented0",
        {"Address": "anna0@escona.test"},
        {"Number": None},
    )
    assert {"AddressLine1", "City", "ZipCode", "Country"} <= set(first["Address"])
    assert set(first) == {"Key", "Type", "LastModifyDate", *(name.partition("/")[0] for name in SCOPE)}


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
def test_pages_end(maximizer: SimpleNamespace, count: int) -> None:
    people(maximizer, count)
    assert len(read(maximizer, page_size=10)) == count


def test_since_and_where(maximizer: SimpleNamespace) -> None:
    ids = people(maximizer, 5)
    moment = read(maximizer)[3]["LastModifyDate"]
    assert [id_of(row) for row in read(maximizer, since=moment)] == ids[3:]
    assert [id_of(row) for row in read(maximizer, where=by_email(["anna2@escona.test"]))] == ids[2:3]
    assert read(maximizer, since="2099-01-01T00:00:00Z") == []


def test_finding(maximizer: SimpleNamespace) -> None:
    client, box = maximizer.client, maximizer.box
    flag, marker = client.create_udf(FLAG, "yesno"), client.create_udf(MARKER, "text")
    ids = people(maximizer, 4)
    box.edit(ids[0], {FLAG: "Yes", MARKER: "abc"})
    box.edit(ids[1], {FLAG: "Yes"})
    box.edit(ids[2], {FLAG: "No"})
    scope = [*SCOPE, flag, marker]

    def found(query: dict[str, Any]) -> list[tuple[str, int]]:
        return sorted(id_of(row) for row in client.find(scope, query))

    assert found(by_id(*ids[2])) == [ids[2]]
    assert found(any_of([by_id(*who) for who in ids[:3]])) == sorted(ids[:3])
    assert found(by_email(["ANNA3@escona.test", "nobody@escona.test"])) == [ids[3]]
    assert found(by_udf(marker, "abc")) == [ids[0]]
    assert found(flagged_without_marker(flag, "2", marker)) == [ids[1]]
    key = key_of(client.find(scope, by_id(*ids[1]))[0])
    assert found(by_key(key)) == [ids[1]]
    assert found(by_id("270101250000000000001C", 0)) == []
    row = client.entry(scope, *ids[0])
    assert (row[flag], row[marker]) == (["2"], "abc")
    assert client.entry(scope, "270101250000000000001C", 0) is None


def test_create_and_update(maximizer: SimpleNamespace) -> None:
    client = maximizer.client
    flag, marker = client.create_udf(FLAG, "yesno"), client.create_udf(MARKER, "text")
    data = {"Type": "Individual", "LastName": "Künstler", "Email1": "k@escona.test", flag: ["2"], marker: "m1"}
    key = client.create_entry(data)
    (row,) = client.find([*SCOPE, flag, marker], by_udf(marker, "m1"))
    assert key_of(row) == key
    client.update_entry(key, {"LastName": "Neu", "Address": {"City": "Basel"}, marker: ""})
    row = client.entry([*SCOPE, flag, marker], *id_of(row))
    assert (row["LastName"], row["Address"]["City"], row[marker] or "") == ("Neu", "Basel", "")


def test_refusals_by_name(maximizer: SimpleNamespace) -> None:
    client = maximizer.client
    flag = client.create_udf(FLAG, "yesno")
    key = client.create_entry({"Type": "Individual", "LastName": "Someone"})
    for data, code in (
        ({"Type": "Individual"}, "mandatory"),
        ({"Type": "Individual", "LastName": "x", flag: ["77"]}, "option"),
        ({"Type": "Individual", "LastName": "x", "Nonsense": "x"}, "property"),
    ):
        with pytest.raises(Refused) as caught:
            client.create_entry(data)
        assert caught.value.code == code
        assert "Nonsense" not in str(caught.value)
    with pytest.raises(NotFound):
        client.update_entry("SW5kaXZpZHVhbAlub2JvZHkJMA==", {"LastName": "x"})
    maximizer.box.set_required("Position")
    with pytest.raises(Refused) as caught:
        client.create_entry({"Type": "Individual", "LastName": "x"})
    assert caught.value.code == "mandatory"
    assert "Position" in caught.value.fields[0][0]
    client.update_entry(key, {"LastName": "Still there"})


# Faults

ONCE = [
    ("429", 2, 2, 2, None),
    ("403-bare", 2, 2, 1, Ambiguous),
    ("500-before", 2, 2, 1, Ambiguous),
    ("500-after", 2, 2, 1, Ambiguous),
    ("502-html-before", 2, 2, 1, Ambiguous),
    ("timeout-before", 2, 2, 1, Ambiguous),
    ("timeout-after", 2, 2, 1, Ambiguous),
    ("drop-after", 2, 2, 1, Ambiguous),
    ("refused", 2, 2, 2, None),
    ("truncated", 2, 2, 1, Ambiguous),
    ("html", 2, 2, 1, Ambiguous),
]


@pytest.mark.parametrize(("fault", "reads", "updates", "creates", "outcome"), ONCE, ids=[row[0] for row in ONCE])
def test_d6_one_fault_once(
    maximizer: SimpleNamespace, fault: str, reads: int, updates: int, creates: int, outcome: type[MaxchimpError] | None
) -> None:
    client, faults = maximizer.client, maximizer.door.faults
    key = client.create_entry({"Type": "Individual", "LastName": "First"})
    client.find(SCOPE, by_key(key))

    def sends(call: Any) -> int:
        before = maximizer.session.sends
        faults.next("maximizer", fault)
        call()
        return int(maximizer.session.sends - before)

    assert sends(lambda: client.find(SCOPE, by_key(key))) == reads
    assert sends(lambda: client.update_entry(key, {"LastName": fault})) == updates
    before = maximizer.session.sends
    faults.next("maximizer", fault)
    data = {"Type": "Individual", "LastName": "Second"}
    if outcome:
        with pytest.raises(outcome):
            client.create_entry(data)
    else:
        client.create_entry(data)
    assert maximizer.session.sends - before == creates
    assert len(maximizer.box.entries()) <= 2


def test_a9_a_token_may_run_out_before_any_request(maximizer: SimpleNamespace) -> None:
    people(maximizer, 25)
    before = maximizer.session.sends
    assert len(read(maximizer, page_size=10)) == 25
    requests = maximizer.session.sends - before
    for n in range(1, requests + 2):
        maximizer.door.faults.at("maximizer", n, "token-expired")
        assert len(read(maximizer, page_size=10)) == 25
        maximizer.door.faults.clear()
    maximizer.door.faults.next("maximizer", "token-expired", operation="Create")
    maximizer.client.create_entry({"Type": "Individual", "LastName": "Once"})
    assert len(maximizer.box.entries()) == 26


def test_a9_a_token_that_never_works_ends_it(maximizer: SimpleNamespace) -> None:
    maximizer.door.faults.next("maximizer", "token-expired", times=50)
    with pytest.raises(CredentialsRefused):
        read(maximizer)
    assert maximizer.session.sends <= 4


def test_a9_a_token_unused_for_long(maximizer: SimpleNamespace) -> None:
    people(maximizer, 1)
    assert len(read(maximizer)) == 1
    maximizer.clock.advance(3 * 86400)
    assert len(read(maximizer)) == 1


def test_a8_code_minus_one_is_no_empty_list(maximizer: SimpleNamespace) -> None:
    people(maximizer, 3)
    read(maximizer)
    maximizer.door.faults.next("maximizer", "code-minus-1", times=50)
    with pytest.raises(Refused):
        read(maximizer)


def test_a1_an_unknown_field_never_empties_the_book(maximizer: SimpleNamespace) -> None:
    people(maximizer, 3)
    for ask in (
        lambda: list(maximizer.client.people([*SCOPE, "Udf/$TYPEID(99999)"])),
        lambda: maximizer.client.find([*SCOPE, "Udf/$TYPEID(99999)"], by_email(["anna1@escona.test"])),
    ):
        try:
            found = ask()
        except (BrokenAnswer, Refused):
            continue
        assert found, "no rows were believed"


# Servers that differ

ODD = [
    "beta-note",
    "date-not-searchable",
    "flaky-address",
    "keys-stable",
    "msg-objects",
    "msg-texts",
    "no-drivers",
    "no-next-page-key",
    "no-or",
    "old-folders",
    "page-cap=3",
    "per-object",
    "schema-0x",
    "udf-edits-keep-date",
    "udf-not-searchable",
    "email-not-searchable",
    "unknown-scope-empty",
]
COMBINED = ["schema-0x,per-object,no-drivers,no-bearer,no-next-page-key,no-or,date-not-searchable,msg-texts,page-cap=4"]


OLD = {"schema-0x", "per-object", "no-bearer", "no-drivers"}  # an age that only on-premise servers have
SERVERS = [("on-premise", quirks) for quirks in ("", *ODD, *COMBINED)]
SERVERS += [("cloud", quirks) for quirks in ("", *ODD) if quirks not in OLD]


@pytest.mark.parametrize(("maximizer", "quirks"), SERVERS, indirect=["maximizer"])
def test_one_story_on_every_kind_of_server(maximizer: SimpleNamespace, quirks: str) -> None:
    world = maximizer.make(frozenset(filter(None, quirks.split(","))))
    client, box = world.client, world.box
    client.discover()
    flag, marker = client.create_udf(FLAG, "yesno"), client.create_udf(MARKER, "text")
    assert (client.create_udf(FLAG, "yesno"), client.create_udf(MARKER, "text")) == (flag, marker)
    typeid = box.add_udf(r"Shop\Taste", "multi", options=("Red", "White"))
    taste = f"Udf/$TYPEID({typeid})"
    options = client.options([flag, taste])
    assert dict(options[flag])["2"] == "Yes"
    assert [label for _, label in options[taste]] == ["Red", "White"]
    ids = people(world, 12)
    scope = [*SCOPE, flag, marker, taste]

    def found(query: dict[str, Any]) -> set[tuple[str, int]]:
        return {id_of(row) for row in client.find(scope, query)}

    for size in (4, 5, 12, 1000):
        rows = [row for page in client.people(scope, page_size=size) for row in page]
        assert [id_of(row) for row in rows] == ids
    since = rows[8]["LastModifyDate"]
    recent = [id_of(row) for page in client.people(scope, since=since, page_size=5) for row in page]
    assert recent == (ids if "date-not-searchable" in quirks else ids[8:])
    assert found(any_of([by_id(*who) for who in ids[:5]])) == set(ids[:5])
    assert found(by_email(["anna3@escona.test", "anna5@escona.test"])) == {ids[3], ids[5]}
    key = client.create_entry({"Type": "Individual", "LastName": "New", flag: ["2"], marker: "m1", taste: ["1", "2"]})
    (row,) = client.find(scope, by_udf(marker, "m1"))
    assert (key_of(row), row[flag], sorted(row[taste])) == (key, ["2"], ["1", "2"])
    box.edit(ids[4], {FLAG: "Yes"})
    rows = client.find(scope, flagged_without_marker(flag, "2", marker))
    assert [id_of(row) for row in rows if not row[marker]] == [ids[4]]
    client.update_entry(key, {marker: "m2"})
    assert found(by_udf(marker, "m1")) == set()
    with pytest.raises(NotFound):
        client.update_entry("SW5kaXZpZHVhbAlub2JvZHkJMA==", {"LastName": "x"})
    assert found(by_email(["nobody@escona.test"])) == set()


@pytest.mark.parametrize(
    ("quirk", "call", "error"),
    [
        ("search-v1", lambda client: list(client.people(SCOPE)), Refused),
        ("search-v1", lambda client: client.discover(), Misconfigured),
        ("vendor-key", lambda client: client.discover(), CredentialsRefused),
        ("no-udf-setup", lambda client: client.create_udf(MARKER, "text"), Refused),
    ],
)
def test_servers_that_cannot_be_used_say_so(
    maximizer: SimpleNamespace, quirk: str, call: Any, error: type[MaxchimpError]
) -> None:
    world = maximizer.make(frozenset([quirk]), token="")
    with pytest.raises(error) as caught:
        call(world.client)
    if quirk == "no-udf-setup":
        assert getattr(caught.value, "code", "") == "rights"


def test_a_rate_limit_slows_down_and_loses_nothing(maximizer: SimpleNamespace) -> None:
    world = maximizer.make(frozenset(["rate-limit=3"]))
    world.client.session._sleep = lambda seconds: world.clock.advance(seconds + 1)
    people(world, 9)
    assert len(read(world, page_size=2)) == 9


def test_a_udf_that_applies_to_nobody_we_sync_is_visible(maximizer: SimpleNamespace) -> None:
    maximizer.box.add_udf(r"Shop\Turnover", "number", applies_to=("Company",))
    field = next(field for field in maximizer.client.fields() if field["name"] == r"Shop\Turnover")
    assert field["applies_to"] == ["Company"]
