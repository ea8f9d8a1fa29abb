"""R20: a field is whatever people call it: odd names and options are read and written on both kinds of server."""

from __future__ import annotations

import pytest
from harness import Office
from oddities import FIELDS, OPTIONS, TITLES

from flows.describe import address_book, find_field
from flows.foresee import explain
from sandbox.web import Request, Response

TABLE = 'Marketing\\Choices, "many" / all'


@pytest.fixture
def odd(both: Office) -> Office:
    for path in FIELDS:
        both.maximizer.add_udf(path, "text")
    both.maximizer.add_udf(TABLE, "multi", OPTIONS)
    return both


def test_r20_names_are_the_same_on_both_kinds_of_server(odd: Office) -> None:
    schema = odd.maximizer.database.schema
    own = schema.add(r"In\Out", schema.add_folder("Sales"), "text")  # a backslash of its own
    listed = address_book(odd.services().maximizer, options_of=())
    assert set(FIELDS) <= {f.name for f in listed}
    for path in FIELDS:
        assert find_field(listed, path).ref == schema.at(path).ref
    assert find_field(listed, r"Sales\In\Out").ref == own.ref


def test_r20_values_go_both_ways(odd: Office) -> None:
    tags = {f"ODD{n}": path for n, path in enumerate(FIELDS)}
    for tag in tags:
        odd.mailchimp.add_merge_field(odd.list_id, tag, tag.title(), "text")
    odd.map_all(tags.items())
    contact, key = odd.met("ada@lantern.test", dict.fromkeys(tags, "A/1"), {})
    odd.sync()
    assert {path: odd.entry(key)["udfs"].get(path) for path in FIELDS} == dict.fromkeys(FIELDS, "A/1")
    odd.maximizer.edit(key, dict.fromkeys(FIELDS, 'it\'s "2", or \\3'))
    odd.sync()
    held = odd.member(contact)["merge_fields"]
    assert {tag: held[tag] for tag in tags} == dict.fromkeys(tags, 'it\'s "2", or \\3')
    odd.quiet(1)


def test_r26_groups_and_options_go_both_ways(odd: Office) -> None:
    """The options of each group carry its number: a person of the sandbox picks by name."""
    ids, tables = {}, {}
    for n, title in enumerate(TITLES):
        labels = [f"{label} {n}" for label in OPTIONS]
        tables[n] = f"{TABLE} {n}"
        odd.maximizer.add_udf(tables[n], "multi", labels)
        ids |= odd.mailchimp.add_group(odd.list_id, title, labels)[1]
    odd.map_all((f"group:{title}", tables[n]) for n, title in enumerate(TITLES))
    wanted = {n: {f"one, two {n}", f"[VIP] {n}"} for n in tables}
    contact, key = odd.met("ada@lantern.test", {}, {}, interests=sorted(set().union(*wanted.values())))
    odd.sync()
    assert {n: set(odd.entry(key)["udfs"][table]) for n, table in tables.items()} == wanted
    wanted = {n: {f"It's {n}", f'He said "yes" {n}', f"a\\b {n}"} for n in tables}
    odd.maximizer.edit(key, {table: sorted(wanted[n]) for n, table in tables.items()})
    odd.sync()
    chosen = odd.member(contact)["interests"]
    assert {name for name, ref in ids.items() if chosen[ref]} == set().union(*wanted.values())
    odd.quiet(1)


def test_r26_titles_that_share_what_stands_before_a_dot(odd: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person chooses in one group is theirs, also while we write the other."""
    ids: dict[str, str] = {}
    for name, labels in (("y", ["one", "two"]), ("z", ["three", "four"])):
        ids |= odd.mailchimp.add_group(odd.list_id, f"x.{name}", labels)[1]
        odd.maximizer.add_udf(rf"Marketing\{name}", "multi", labels)
        odd.map(f"group:x.{name}", rf"Marketing\{name}")
    contact, key = odd.met("ada@lantern.test", {}, {})
    odd.sync()
    odd.maximizer.edit(key, {r"Marketing\y": ["one"]})
    door = odd.doors["mailchimp"]
    plain = door.handle

    def meanwhile(request: Request) -> Response:
        if request.method in ("PATCH", "PUT"):
            odd.mailchimp.edit(contact, {}, interests=["three"])
        return plain(request)

    with monkeypatch.context() as patched:
        patched.setattr(door, "handle", meanwhile)
        odd.sync()
    odd.sync()
    assert odd.entry(key)["udfs"][r"Marketing\z"] == ["three"]
    chosen = odd.member(contact)["interests"]
    assert {name for name, ref in ids.items() if chosen[ref]} == {"one", "three"}


def test_r20_a_choice_that_looks_like_a_list_is_shown_as_it_is(odd: Office) -> None:
    labels = ["[VIP]", "[1]", "plain"]
    odd.mailchimp.add_merge_field(odd.list_id, "SORT", "Sort", "radio", options={"choices": labels})
    odd.maximizer.add_udf(r"Marketing\Sort", "single", labels)
    odd.map("SORT", r"Marketing\Sort")
    contact, key = odd.met("ada@lantern.test", {"SORT": "[VIP]"}, {})
    odd.sync()
    assert odd.entry(key)["udfs"][r"Marketing\Sort"] in ("[VIP]", ["[VIP]"])
    (told,) = explain(odd.engine, odd.connection, odd.services(), "ada@lantern.test")
    (row,) = [row for row in told.fields if row["tag"] == "SORT"]
    assert (row["mailchimp"], row["maximizer"]) == ("[VIP]", "[VIP]")
    assert odd.member(contact)["merge_fields"]["SORT"] == "[VIP]"
