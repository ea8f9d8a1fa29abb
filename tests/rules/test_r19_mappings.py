"""R19, R20, R21 (what is mapped, and what may be), R44 and R35 (settings), R33 (the schedule's default)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from harness import Office

from domain.errors import Misconfigured
from domain.fields import MailchimpField, MaximizerField
from domain.settings import SyncSettings
from flows.describe import address_book, audience, may_map
from storage import connections

NewOffice = Callable[..., Office]
REF = r"Marketing\Reference"
TEXT, NUMBER, DATE, ANNUAL, SINGLE, MULTI, YESNO = (
    "alphanumeric", "numeric", "date", "annual", "single", "multi", "yesno",
)  # fmt: skip
# R21, row by row. A date goes to either kind of date field (R24).
TABLE = {
    "group": {MULTI},
    "text": {TEXT},
    "number": {NUMBER},
    "radio": {SINGLE},
    "dropdown": {SINGLE},
    "date": {DATE, ANNUAL},
    "birthday": {DATE, ANNUAL},
    "address": {TEXT},
    "country": {TEXT},
    "zip": {TEXT},
    "phone": {TEXT},
    "url": {TEXT},
    "imageurl": {TEXT},
}


def tags(made: Office) -> dict[str, str]:
    return {row.tag: row.field for row in connections.mappings(made.engine, made.connection.id)}


def test_r19_names_and_address_are_mapped_by_default(new_office: NewOffice) -> None:
    made = new_office()
    assert tags(made) == {"FNAME": "FirstName", "LNAME": "LastName"}
    made.subscribe("ada@lantern.test", "Ada", "Byron")
    made.sync()
    (key,) = made.entries("ada@lantern.test")
    assert (made.entry(key)["FirstName"], made.entry(key)["LastName"]) == ("Ada", "Byron")
    made.unmap("EMAIL")  # cannot be removed, nor mapped to anything else
    with pytest.raises(Misconfigured, match="EMAIL"):
        made.map("EMAIL", "Email2")
    made.subscribe("bob@lantern.test", "Bob", "Byron")
    made.sync()
    assert len(made.entries("bob@lantern.test")) == 1
    made.setup()  # set-up a second time changes nothing
    made.unmap("FNAME")
    made.setup()
    assert tags(made) == {"LNAME": "LastName"}
    made.quiet(1)


def test_r20_mappings_are_added_modified_and_removed(new_office: NewOffice) -> None:
    made = new_office()
    made.maximizer.add_udf(r"Marketing\Other", "text")
    contact, key = made.met("ada@lantern.test", {"JOB": "Baker"}, {})
    made.map("JOB", REF)
    made.sync()
    assert made.udfs(key)["Reference"] == "Baker"
    made.map("job", "Marketing/other")  # however it is written
    made.sync()
    assert made.entry(key)["udfs"][r"Marketing\Other"] == "Baker"
    made.mailchimp.edit(contact, {"JOB": "Cook"})
    made.sync()
    assert (made.udfs(key)["Reference"], made.udfs(key)["Other"]) == ("Baker", "Cook")
    made.unmap("JOB")
    made.mailchimp.edit(contact, {"JOB": "Judge"})
    made.maximizer.edit(key, {r"Marketing\Other": "Jury"})
    made.sync()
    assert (made.member(contact)["merge_fields"]["JOB"], made.udfs(key)["Other"]) == ("Judge", "Jury")
    made.quiet(1)


@pytest.mark.parametrize(
    ("tag", "field", "said"),
    [
        ("JOB", r"Marketing\Loyalty Points", "cannot be mapped"),
        ("PLAN", REF, "cannot be mapped"),
        ("group:Email Profile", r"Marketing\Plan", "cannot be mapped"),
        ("JOB", "Nonsense", "not a field"),
        ("NONE", REF, "not a field"),
        ("ADDRESS", "Address.City", "one by one"),
        ("JOB", "FirstName", "mapped already"),
        ("CLIENTID", REF, "identity"),
        ("@status", "Position", "cannot be mapped"),
        ("JOB", r"MailChimp\MailChimp ID", "cannot be mapped"),
        ("JOB", r"Accounts\Revenue", "cannot be mapped"),
    ],
)
def test_r20_only_compatible_fields_are_taken(new_office: NewOffice, tag: str, field: str, said: str) -> None:
    made = new_office()
    with pytest.raises(Misconfigured, match=said) as refusal:
        made.map(tag, field)
    assert refusal.value.remedy
    assert tags(made) == {"FNAME": "FirstName", "LNAME": "LastName"}


@pytest.mark.parametrize("kind", TABLE)
def test_r21_compatible_kinds(kind: str) -> None:
    for target, basic in product((TEXT, NUMBER, DATE, ANNUAL, SINGLE, MULTI, YESNO, "email", "other"), (True, False)):
        field = MaximizerField("F", "F", target, basic=basic)
        assert may_map(MailchimpField("T", "1", "T", kind), field) == (target in TABLE[kind])


def test_r20_only_compatible_fields_are_offered(new_office: NewOffice) -> None:
    made = new_office()
    services = made.services()
    known, fields = audience(services.mailchimp, made.list_id), address_book(services.maximizer)
    offered = {f.tag: {m.name for m in fields if may_map(f, m)} for f in known.fields}
    assert offered["PLAN"] == offered["REGION"] == {r"Marketing\Plan", r"Marketing\Region"}
    assert offered["group:Email Profile"] == {r"Marketing\Email Opt-In", r"Marketing\Customer Type"}
    assert offered["POINTS"] == {r"Marketing\Loyalty Points"}  # the revenue is a company's
    assert offered["BIRTHDAY"] == {r"Marketing\Joined", r"Marketing\Birthday"}
    assert {"FirstName", "Address.City", "Phone1", "WebSite", REF} <= offered["JOB"]
    assert not {"FirstName", r"Marketing\Newsletter Consent", r"MailChimp\MailChimp ID"} & offered["@status"]


def test_r44_all_settings_in_one_place_take_effect_at_once(new_office: NewOffice) -> None:
    made = new_office()
    shown = made.connection.settings.shown()
    assert (shown["interval"], shown["buffer_ms"], shown["conflict"]) == ("1h", "300", "maximizer")  # R33, R35, R30
    made.set(interval="15m", buffer_ms="1000", conflict="mailchimp")
    shown = made.connection.settings.shown()
    assert (shown["interval"], shown["buffer_ms"], shown["conflict"]) == ("15m", "1000", "mailchimp")
    made.sync()
    assert made.last.reading.buffer_ms == 1000


def test_r35_a_buffer_longer_than_the_interval_is_refused(new_office: NewOffice) -> None:
    made = new_office()
    for bad in ({"buffer_ms": "3600001"}, {"interval": "1m", "buffer_ms": "60001"}):
        with pytest.raises(Misconfigured, match="longer than the sync interval") as refusal:
            made.set(**bad)
        assert refusal.value.remedy
    made.set(buffer_ms="3600000")
    with pytest.raises(Misconfigured, match="longer than the sync interval"):
        made.set(interval="30m")
    assert made.connection.settings == SyncSettings(buffer_ms=3_600_000)


def test_r35_a_long_buffer_reads_more_and_writes_nothing_more(new_office: NewOffice) -> None:
    made = new_office()
    made.set(buffer_ms="3600000")
    contact, key = made.met("ada@lantern.test", {"JOB": "Baker"}, {})
    made.sync()
    made.maximizer.edit(key, {"FirstName": "Augusta"})
    made.mailchimp.edit(contact, {"LNAME": "King"})
    made.sync()
    made.quiet(1)
    assert made.member(contact)["merge_fields"]["FNAME"] == "Augusta"


@pytest.mark.parametrize("ahead", [-86_400, 0, 86_400])
def test_r35_each_side_has_its_own_clock(new_office: NewOffice, ahead: int) -> None:
    """Ours is never compared with theirs: an edit in the same second as the last read is seen all the same."""
    made = new_office()
    contact, key = made.met("ada@lantern.test", {}, {})
    made.sync()
    for n in range(2):
        made.mailchimp.edit(contact, {"LNAME": f"M{n}"})
        made.maximizer.edit(key, {"FirstName": f"E{n}"})
        cycle = made.cycle()
        cycle.now = lambda: made.clock.now() + ahead
        cycle.tell()
        assert made.member(contact)["merge_fields"]["FNAME"] == f"E{n}"
    made.quiet(1)
