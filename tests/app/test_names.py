"""Fields, groups and options of any name can be mapped, and every list and message spells them so that it is taken."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from desk import Desk
from oddities import FIELDS, OPTIONS, TITLES

from storage import connections
from storage.connections import MappingRow

CHOICE, TABLE = "[VIP] only", r"Marketing\Tick, or \'not\'"


@pytest.fixture
def odd(ready: Desk) -> Desk:
    """An Address Book and a list with odd names; one group for each title."""
    for path in FIELDS:
        ready.world.maximizer.add_udf(path, "text")
    ready.world.maximizer.add_udf(TABLE, "multi", OPTIONS)
    for title in TITLES:
        options = list(OPTIONS) if title == CHOICE else [f"of {title}"]
        ready.world.mailchimp.add_group(ready.world.list_id, title, options)
    return ready


def stored(desk: Desk) -> dict[str, MappingRow]:
    engine = desk.store()
    try:
        return {row.tag: row for row in connections.mappings(engine, desk.connection().id)}
    finally:
        engine.dispose()


def ref(desk: Desk, path: str) -> str:
    return str(desk.world.maximizer.database.schema.at(path).ref)


def pasted(command: str) -> list[str]:
    """The words that a shell makes of a command in a message."""
    first, *words = shlex.split(command)
    assert first == "maxchimp"
    return words


def test_r20_every_field_is_mapped_by_what_fields_lists(odd: Desk) -> None:
    listed = {row["name"]: row["field"] for row in odd.good("fields", "--json").json["maximizer"]}
    shown = odd.good("fields").out.splitlines()
    odd.good("map", "add", "REF", "Department")
    for path in FIELDS:
        assert any(line.startswith(f"{listed[path]}  ") for line in shown), path
        odd.good("map", "modify", "REF", listed[path])
        assert stored(odd)["REF"].maximizer_ref == ref(odd, path)
        rows = {row["tag"]: row["field"] for row in odd.good("map", "list", "--json").json}
        odd.good("map", "modify", "REF", "Department")
        odd.good("map", "modify", "REF", rows["REF"])  # as the list of mappings spells it
        assert stored(odd)["REF"].maximizer_ref == ref(odd, path)
    odd.good("map", "remove", "ref")
    assert "REF" not in stored(odd)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a/b", r"Marketing\A/B"),
        ("Marketing/A/B", r"Marketing\A/B"),
        ("sales/eu/plan", r"Sales/EU\Plan"),
        (r"marketing \ BLANKS OUTSIDE", r"Marketing\ Blanks outside "),
        ("caf\u00e9", "Marketing\\Cafe\u0301"),
        (unicodedata.normalize("NFD", "gr\u00f6\u00dfe \u540d\u524d"), "Marketing\\Gr\u00f6\u00dfe \u540d\u524d"),
        ("ROOT/FIELD", "Root/field"),
    ],
)
def test_r20_case_blanks_and_accents_do_not_matter(odd: Desk, typed: str, meant: str) -> None:
    odd.good("map", "add", "REF", typed)
    assert stored(odd)["REF"].maximizer_ref == ref(odd, meant)


def test_r20_the_exact_name_comes_first(odd: Desk) -> None:
    make = odd.world.maximizer
    for path in (r"Marketing\Size", r"Sales\Size", r"Sales\size/EU", r"Sales\Level", "Position", r"Sales\LastName"):
        make.add_udf(path, "text")
    make.add_udf(r"Sales\Other", "text")
    make.rename_udf(r"Sales\Other", "LEVEL")  # differs in case only
    told = odd.bad("map", "add", "REF", "size", "--json", code=2).json
    assert told["error"] == "'size' is ambiguous"
    candidates = told["remedy"].partition(": ")[2].partition(" (")[0]
    assert shlex.split(candidates.replace(",", " ")) == [r"Marketing\Size", r"Sales\Size"]
    for path in (r"Sales\Size", r"Sales\Level", r"Sales\LEVEL"):
        odd.good("map", "modify" if "REF" in stored(odd) else "add", "REF", path)
        assert stored(odd)["REF"].field == path
    assert "ambiguous" in odd.bad("map", "modify", "REF", "sales/level", code=2).err
    odd.good("map", "modify", "REF", "position")  # a basic field before a field that has its name
    assert stored(odd)["REF"].maximizer_ref == "Position"


def test_r20_where_the_name_is_not_enough_the_key_is_listed_and_taken(odd: Desk) -> None:
    make = odd.world.maximizer
    for name in ("Twin", "Twin two", "Twin three", "Twin four"):
        make.add_udf(rf"Sales\{name}", "text")
    second = ref(odd, r"Sales\Twin two")
    make.rename_udf(r"Sales\Twin two", "Twin")
    make.rename_udf(r"Sales\Twin three", "Twin ")
    make.rename_udf(r"Sales\Twin four", "Tw\u202ein")
    make.add_udf("Position", "text")
    listed = [row for row in odd.good("fields", "--json").json["maximizer"] if "Tw" in row["name"]]
    assert [row["name"] for row in listed] == [r"Sales\Twin", r"Sales\Twin", r"Sales\Twin ", "Sales\\Tw\u202ein"]
    assert all(row["field"].startswith("Udf/$TYPEID(") for row in listed)
    assert f"{second} (Sales\\Twin)" in odd.good("fields").out
    told = odd.bad("map", "add", "REF", r"Sales\Twin", "--json", code=2).json
    assert shlex.quote(second) in told["remedy"]
    odd.good("map", "add", "REF", second)
    assert stored(odd)["REF"].maximizer_ref == second
    right = {row["field"]: row["basic"] for row in odd.good("fields", "--json").json["maximizer"]}
    assert right["Position"] is True
    odd.good("map", "modify", "REF", ref(odd, "Position"))
    assert stored(odd)["REF"].maximizer_ref.startswith("Udf/")


def test_r20_groups_of_any_title(odd: Desk) -> None:
    tags = [row["tag"] for row in odd.good("fields", "--json").json["mailchimp"]]
    assert {f"group:{title}" for title in TITLES} <= set(tags)
    for title in TITLES:
        odd.good("map", "add", f"group:{title}", TABLE)
        assert f"group:{title}" in odd.good("map", "list").out
        told = odd.bad("map", "add", f"GROUP: {title.upper()}", TABLE, "--json", code=2).json
        command = told["remedy"].partition(": ")[2]
        assert pasted(command) == ["map", "modify", f"group:{title}", TABLE]
        odd.good(*pasted(command))
        odd.good("map", "remove", f"group: {title}")
        assert f"group:{title}" not in stored(odd)


def test_r41_a_group_of_any_title_is_made_once(ready: Desk) -> None:
    for title in TITLES:
        words = ["setup", "--group", title, *(word for label in OPTIONS for word in ("--option", label))]
        assert f"created the group {title}" in ready.good(*words).out
        assert "created" not in ready.good(*words).out
        ready.good("map", "add", f"group:{title}", r"Marketing\Email Opt-In")
        ready.good("map", "remove", f"group:{title}")


def test_r20_a_slash_makes_no_folder(ready: Desk) -> None:
    """A field that ends in the name of one of ours, behind a slash, is no field of ours."""
    ready.world.maximizer.add_udf("Old/MailChimp ID", "text")
    ready.world.maximizer.add_udf("Old/Sync with MailChimp", "yesno")
    ready.good("map", "add", "REF", "Old/MailChimp ID")
    assert "error" not in {
        row["state"] for row in ready("check", "--json").json if row["name"] == "user-defined fields"
    }
    ready.good("setup")
    assert ready.connection().marker_ref == ref(ready, r"MailChimp\MailChimp ID")
    assert ready.connection().flag_ref == ref(ready, r"MailChimp\Sync with MailChimp")


def test_r20_messages_name_a_field_as_it_is(odd: Desk) -> None:
    told = odd.bad("map", "add", "REF", r"No\such name", "--json", code=2).json
    assert told["error"] == r"'No\such name' is not a field of the Address Book"
    near = odd.bad("map", "add", "REF", r"Sales/EU\Pla", "--json", code=2).json["remedy"]
    assert r"'Sales/EU\Plan'" in near
    told = odd.bad("map", "modify", "REF", r"Marketing\A/B", "--json", code=2).json
    words = pasted(told["remedy"].partition(": ")[2])
    assert words == ["map", "add", "REF", r"Marketing\A/B"]
    odd.good(*words)


def test_plan_explain_runs_and_report_show_them(odd: Desk) -> None:
    label = 'He said "yes"'
    odd.good("map", "add", f"group:{CHOICE}", TABLE)
    odd.good("map", "add", "group:x.y", r"Marketing\Email Opt-In")
    odd.good("map", "add", "REF", r"Marketing\A/B")
    odd.world.mailchimp.subscribe(
        odd.world.list_id, "odd@lanternpost.test", {"LNAME": "Odd", "REF": "R/1"}, ["[VIP]", label]
    )
    planned = odd.good("plan", "--all").out
    assert f"group:{CHOICE}" in planned
    odd.good("sync", "--yes")
    (entry,) = [e for e in odd.world.maximizer.entries().values() if e["Email1"] == "odd@lanternpost.test"]
    assert entry["udfs"][r"Marketing\A/B"] == "R/1"
    assert sorted(entry["udfs"][TABLE]) == sorted(["[VIP]", label])
    explained = odd.good("explain", "odd@lanternpost.test").out
    assert TABLE in explained
    assert label in explained
    assert r"Marketing\A/B" in explained
    assert f"group:{CHOICE}" in odd.good("runs", "show", "2", "--all").out
    assert odd.good("report", "--json").json["path"]
