"""R46-R48: what the following tab shows of an entry, why somebody is not synchronised, and what went wrong in words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from floor import Floor
from visitor import Seen, Visitor

from flows.activity import campaigns


def opened(floor: Floor, name: str, user: str = "") -> Visitor:
    visitor = floor.visitor()
    seen = visitor.launch(user or ("BOB" if name == "gone" else "ADA"), floor.keys[name])
    assert seen.status == 200, seen.text
    return visitor


def shown(floor: Floor, name: str) -> Seen:
    seen = opened(floor, name).post("/api/tab")
    assert seen.status == 200, seen.text
    return seen


def words(seen: Seen) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", seen.text))


def test_r46_a_synchronised_entry(shared: Floor) -> None:
    seen = shown(shared, "both")
    told = words(seen)
    member = shared.office.member(shared.members["both"])
    assert "Both Reed" in told
    assert "Synchronised" in told
    assert 'aria-label="2 of 5 stars"' in seen.text
    assert "Subscribed" in told
    assert member["timestamp_opt"][:16].replace("T", " ") in told
    assert "Hosted Signup Form" in told
    assert "matched by" not in told
    assert "by e-mail" in told
    assert re.search(r"run 1, to \w+", told)
    link = f"https://us6.admin.mailchimp.com/lists/members/view?id={member['web_id']}"
    assert f'href="{link}" target="_blank" rel="noopener noreferrer"' in seen.text


def test_r46_the_first_paint_asks_twice_and_signs_in_once(floor: Floor) -> None:
    visitor = opened(floor, "both")
    doors = floor.office.doors
    for expected in (3, 2):  # the first includes signing in
        before = sum(len(door.calls) for door in doors.values())
        visitor.post("/api/tab")
        assert sum(len(door.calls) for door in doors.values()) - before == expected


def test_s32_the_tab_shows_these_and_nothing_else(shared: Floor) -> None:
    """Merge fields, phone numbers, locations and notes of a member stay where they are."""
    told = words(shown(shared, "both"))
    labels = re.findall(r"<dt>([^<]+)</dt>", shown(shared, "both").text)
    assert set(labels) <= {"Rating", "Status", "Opt-in", "Signed up", "Source", "Language", "Last change", "List",
                           "Matched", "Last written", "Next run"}  # fmt: skip
    assert "R-1" not in told
    assert shared.members["both"] not in told


def test_r46_activity_and_groups(shared: Floor) -> None:
    told = words(opened(shared, "both").post("/api/tab/more"))
    for expected in ("Newsletter", "Email Profile", "Campaign activity", "3 sent", "Spring letter", "Autumn news"):
        assert expected in told


def test_r46_every_kind_of_event_is_told(floor: Floor) -> None:
    office = floor.office
    office.mailchimp.unsubscribe(floor.members["both"], reason="Too many e-mails")
    told = words(opened(floor, "both").post("/api/tab/more"))
    assert "1 unsubscribed" in told
    assert "Too many e-mails" in told
    office.mailchimp.clean(floor.members["gone"])
    told = words(opened(floor, "gone").post("/api/tab/more"))
    assert "1 bounced" in told
    assert "the address does not work" in told


def test_campaigns_are_paged(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"activity_type": "sent", "created_at_timestamp": f"2025-{n % 12 + 1:02}-01T09:00:00+00:00",
         "campaign_id": f"c{n}", "campaign_title": f"Letter {n:03}"}
        for n in range(34)
    ]  # fmt: skip
    visitor = opened(floor, "both")
    monkeypatch.setattr(type(floor.page.site.services.mailchimp), "activity", lambda self, *args: rows)
    told = [words(visitor.post("/api/tab/more", {"page": page})) for page in (1, 2, 3, 4, 9, -1)]
    found = [set(re.findall(r"Letter \d+", text)) for text in told]
    assert [len(names) for names in found] == [10, 10, 10, 4, 4, 10]
    assert len(set.union(*found[:4])) == 34
    assert "Page 2 of 4" in told[1]


def test_campaigns_of_odd_rows() -> None:
    rows: list[dict[str, Any]] = [
        {
            "activity_type": "open",
            "created_at_timestamp": "2026-01-02T00:00:00Z",
            "campaign_id": "a",
            "campaign_title": "",
        },
        {
            "activity_type": "sent",
            "created_at_timestamp": "2026-01-01T00:00:00",
            "campaign_id": "a",
            "campaign_title": "A",
        },
        {"activity_type": "note", "created_at_timestamp": "2026-01-01T00:00:00+00:00"},
        {"activity_type": "click", "created_at_timestamp": ""},
        {"activity_type": None},
        {},
    ]
    (only,) = campaigns(rows)
    assert (only.title, [event.kind for event in only.events]) == ("A", ["sent", "open"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plain", "Sync with MailChimp is not set."),
        ("mute", "Sync with MailChimp is Yes, but Email 1 is empty."),
        ("firm", "This is a company: only Individuals and Contacts are synchronised."),
    ],
)
def test_r48_why_an_entry_is_not_synchronised(shared: Floor, name: str, reason: str) -> None:
    told = words(shown(shared, name))
    assert "Not synchronised" in told
    assert reason in told


def test_r48_other_reasons(floor: Floor) -> None:
    office = floor.office
    office.maximizer.edit(floor.keys["both"], {r"MailChimp\Sync with MailChimp": "No"})
    assert "nothing goes to Mailchimp" in words(shown(floor, "both"))
    office.maximizer.edit(floor.keys["both"], {r"MailChimp\Sync with MailChimp": "Yes"})
    office.mailchimp.unsubscribe(floor.members["both"])
    assert "the subscription is unsubscribed" in words(shown(floor, "both"))
    office.mailchimp.archive(floor.members["both"])
    assert "no longer on the list" in words(shown(floor, "both"))
    office.maximizer.edit(floor.keys["plain"], {r"MailChimp\Sync with MailChimp": "Yes"})
    assert "the next run looks at them" in words(shown(floor, "plain"))
    office.subscribe("plain@birchmail.test", "Plain", "Reed")
    assert "Waiting for the next run" in words(shown(floor, "plain"))


def test_r48_somebody_who_waits_for_a_person(floor: Floor) -> None:
    office = floor.office
    twin = office.add("Twin", "Reed", "plain@birchmail.test", flag="Yes")
    office.maximizer.edit(floor.keys["plain"], {r"MailChimp\Sync with MailChimp": "Yes"})
    office.sync()
    assert office.quarantined()
    floor.keys["twin"] = twin
    told = words(shown(floor, "twin"))
    assert "Waits for a person" in told


def test_r48_mailchimp_is_unreachable(floor: Floor) -> None:
    visitor = opened(floor, "both")
    floor.office.doors["mailchimp"].faults.load("mailchimp:refused=1")
    seen = visitor.post("/api/tab")
    assert seen.status == 200
    assert "Mailchimp could not be asked" in words(seen)
    assert "Try again" in words(seen)
    assert "When last seen: Subscribed" in words(seen)
    assert "Both Reed" in words(seen)
    assert visitor.post("/api/tab/more").status == 200
    floor.office.doors["mailchimp"].faults.clear()
    for _ in range(3):
        visitor.post("/api/tab")
    assert "Mailchimp could not be asked" not in words(visitor.post("/api/tab"))


def test_a_page_that_failed_often_still_recovers(floor: Floor) -> None:
    visitor = opened(floor, "both")
    floor.office.doors["mailchimp"].faults.load("mailchimp:refused=1")
    for _ in range(8):
        visitor.post("/api/tab")
    floor.office.doors["mailchimp"].faults.clear()
    assert "Subscribed" in words(visitor.post("/api/tab"))


def test_r48_the_fields_are_missing(floor: Floor) -> None:
    visitor = opened(floor, "both")
    floor.office.maximizer.remove_udf(r"MailChimp\MailChimp ID")
    seen = visitor.post("/api/tab")
    assert seen.status == 409
    assert "MailChimp ID does not exist" in words(seen)
    assert "Create what is missing" in words(seen)
    assert "Sync with MailChimp and" not in words(seen)
    setup = floor.visitor().administrate()
    assert "created the user-defined field" in words(setup.post("/api/setup/connection/make"))
    assert visitor.post("/api/tab").status == 200


def test_r48_maximizer_is_unreachable(floor: Floor) -> None:
    visitor = opened(floor, "both")
    floor.office.doors["maximizer"].faults.load("maximizer:refused=1")
    seen = visitor.post("/api/tab")
    assert seen.status == 502
    assert "maximizer" in seen.text.lower()


def test_field_by_field(floor: Floor) -> None:
    floor.office.maximizer.edit(floor.keys["both"], {r"Marketing\Plan": "Premium"})
    told = words(opened(floor, "both").post("/api/tab/fields"))
    assert "PLAN" in told
    assert "Plus" in told
    assert "Premium" in told
    assert "written to Mailchimp" in told
    assert "Update the member: PLAN" in told
    assert "run 1:" in told


def test_looking_writes_nothing(floor: Floor) -> None:
    visitor = opened(floor, "both")
    before = floor.office.connection
    written = floor.office.writes(
        lambda: [visitor.post(path) for path in ("/api/tab", "/api/tab/more", "/api/tab/fields", "/api/tab/next")]
    )
    assert written == []
    assert floor.office.connection == before
