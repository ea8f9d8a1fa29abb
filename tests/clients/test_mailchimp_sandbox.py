"""The Mailchimp client against the sandbox: every call, and every fault on a read and on a write."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from clients.mailchimp import Mailchimp
from domain.errors import Ambiguous, BrokenAnswer, CredentialsRefused, MaxchimpError, NotApplied, NotFound, Refused


def people(world: SimpleNamespace, count: int, apart: int = 1) -> list[str]:
    made = []
    for n in range(count):
        made.append(world.box.subscribe(world.list, f"reader{n:04d}@escona.test", {"FNAME": f"Anna {n}"}))
        world.clock.advance(apart)
    return made


def test_account_lists_fields_groups(mailchimp: SimpleNamespace) -> None:
    client, box = mailchimp.client, mailchimp.box
    assert client.account()["account_id"]
    assert [row["id"] for row in client.lists()] == [mailchimp.list]
    assert client.list(mailchimp.list)["name"] == "Readers"
    with pytest.raises(NotFound):
        client.list("0000000000")
    for n in range(12):
        box.add_merge_field(mailchimp.list, f"F{n}", f"Field {n}", "text")
    made = client.create_merge_field(mailchimp.list, tag="CITY", name="City", type="text")
    assert (made["tag"], made["public"], made["required"]) == ("CITY", False, False)
    tags = [row["tag"] for row in client.merge_fields(mailchimp.list)]
    assert {"CITY", *(f"F{n}" for n in range(12))} <= set(tags)
    assert len(tags) == len(set(tags))


def test_groups(mailchimp: SimpleNamespace) -> None:
    client = mailchimp.client
    assert client.groups(mailchimp.list) == []
    group = client.create_group(mailchimp.list, "Topics", [f"Topic {n}" for n in range(12)])
    again = client.create_group(mailchimp.list, "topics", ["topic 3", "More"])
    assert again["id"] == group["id"]
    names = [row["name"] for row in client.options(mailchimp.list, group["id"])]
    assert names == [*(f"Topic {n}" for n in range(12)), "More"]
    assert [row["title"] for row in client.groups(mailchimp.list)] == ["Topics"]


def test_listing_members(mailchimp: SimpleNamespace) -> None:
    ids = people(mailchimp, 25, apart=0) + people_more(mailchimp, 25)
    mailchimp.box.archive(ids[0])
    listing = mailchimp.client.members(mailchimp.list, page_size=10)
    rows = [row for page in listing for row in page.rows]
    assert {row["contact_id"] for row in rows} == set(ids[1:])
    assert (listing.total_first, listing.distinct) == (49, 49)
    assert mailchimp.session.calls["list members"] <= 6
    assert not any("_links" in row for row in rows)
    archived = [row for page in mailchimp.client.members(mailchimp.list, status="archived") for row in page.rows]
    assert [row["contact_id"] for row in archived] == ids[:1]


def people_more(world: SimpleNamespace, count: int) -> list[str]:
    world.clock.advance(60)
    return [world.box.subscribe(world.list, f"later{n}@escona.test") for n in range(count)]


def test_a3_an_edit_between_two_pages_hides_nobody(mailchimp: SimpleNamespace) -> None:
    ids = people(mailchimp, 30, apart=0)
    mailchimp.clock.advance(10)
    listing = mailchimp.client.members(mailchimp.list, page_size=10)
    found = [row["contact_id"] for row in next(listing).rows]
    mailchimp.box.edit(found[0], {"FNAME": "Moved"})
    mailchimp.box.edit(found[-1], {"FNAME": "Moved"})
    found += [row["contact_id"] for page in listing for row in page.rows]
    assert sorted(found) == sorted(ids)


def test_since_and_fields(mailchimp: SimpleNamespace) -> None:
    ids = people(mailchimp, 3)
    before = mailchimp.client.member(mailchimp.list, ids[1])["last_changed"]
    listing = mailchimp.client.members(mailchimp.list, since=before, fields=("email_address", "merge_fields.FNAME"))
    rows = [row for page in listing for row in page.rows]
    assert [row["email_address"] for row in rows] == ["reader0002@escona.test"], "strictly after"
    assert set(rows[0]) == {"contact_id", "last_changed", "email_address", "merge_fields"}


def test_one_member(mailchimp: SimpleNamespace) -> None:
    client = mailchimp.client
    who = mailchimp.box.subscribe(mailchimp.list, "Anna.Test+News@escona.test")
    member = client.member(mailchimp.list, who)
    assert member is not None
    assert client.member(mailchimp.list, "anna.test+news@escona.test") == member
    assert client.member(mailchimp.list, member["id"]) == member
    assert client.member(mailchimp.list, "nobody@escona.test") is None
    assert client.members_with(mailchimp.list, unique_email_id=member["unique_email_id"]) == [member]
    assert client.members_with(mailchimp.list, unique_email_id="ffffffffff") == []


def test_update_and_rename(mailchimp: SimpleNamespace) -> None:
    client = mailchimp.client
    who, other = people(mailchimp, 2)
    stored = client.update_member(mailchimp.list, who, {"merge_fields": {"FNAME": "Zoë"}})
    assert stored["merge_fields"]["FNAME"] == "Zoë"
    renamed = client.update_member(mailchimp.list, who, {"email_address": "renamed@escona.test"})
    assert (renamed["contact_id"], renamed["email_address"]) == (who, "renamed@escona.test")
    with pytest.raises(Refused) as caught:
        client.update_member(mailchimp.list, who, {"email_address": "reader0001@escona.test"})
    assert caught.value.code == "address-taken"
    mailchimp.box.unsubscribe(other)
    with pytest.raises(Refused) as caught:
        client.update_member(mailchimp.list, other, {"email_address": "another@escona.test"})
    assert caught.value.code == "not-subscribed"
    with pytest.raises(Refused) as caught:
        client.update_member(mailchimp.list, other, {"status": "subscribed"}, revive=True)
    assert caught.value.code == "compliance"
    with pytest.raises(NotFound):
        client.update_member(mailchimp.list, "f" * 32, {"merge_fields": {"FNAME": "x"}})


def test_refused_fields_are_named(mailchimp: SimpleNamespace) -> None:
    mailchimp.box.add_merge_field(mailchimp.list, "AGE", "Age", "number")
    (who,) = people(mailchimp, 1)
    with pytest.raises(Refused) as caught:
        mailchimp.client.update_member(mailchimp.list, who, {"merge_fields": {"AGE": "many"}})
    assert (caught.value.code, caught.value.fields) == ("merge-fields", (("AGE", "Please enter a number"),))
    with pytest.raises(Refused) as caught:
        mailchimp.client.update_member(mailchimp.list, who, {"merge_fields": {"AGE": None}})
    assert caught.value.code == "schema"


def test_adding_many(mailchimp: SimpleNamespace) -> None:
    people(mailchimp, 1)
    rows = [
        {"email_address": address, "status": "subscribed", "merge_fields": {"FNAME": "New"}}
        for address in ("New@Escona.test", "reader0000@escona.test", "fake@example.com")
    ]
    answer = mailchimp.client.add_members(mailchimp.list, rows)
    assert list(answer.created) == ["new@escona.test"]
    assert {address: error[0] for address, error in answer.errors.items()} == {
        "reader0000@escona.test": "member-exists",
        "fake@example.com": "fake",
    }
    assert answer.missing == []
    member = mailchimp.client.member(mailchimp.list, "new@escona.test")
    assert member["contact_id"]


def test_a_wrong_key_is_refused(mailchimp: SimpleNamespace) -> None:
    with pytest.raises(CredentialsRefused):
        Mailchimp(mailchimp.session, "f" * 32 + "-us6").account()


# fault, then (requests, error or None) of a read, an update and a batch add that meet it once
ONCE = [
    ("429", 2, 2, 2, None),
    ("429-bare", 2, 2, 2, None),
    ("403-bare", 2, 2, 1, Ambiguous),
    ("500-before", 2, 2, 1, Ambiguous),
    ("500-after", 2, 2, 1, Ambiguous),
    ("502-html-before", 2, 2, 1, Ambiguous),
    ("503-after", 2, 2, 1, Ambiguous),
    ("timeout-before", 2, 2, 1, Ambiguous),
    ("timeout-after", 2, 2, 1, Ambiguous),
    ("drop-before", 2, 2, 1, Ambiguous),
    ("drop-after", 2, 2, 1, Ambiguous),
    ("refused", 2, 2, 2, None),
    ("truncated", 2, 2, 1, Ambiguous),
    ("html", 2, 2, 1, Ambiguous),
]


@pytest.mark.parametrize(("fault", "reads", "updates", "adds", "outcome"), ONCE, ids=[row[0] for row in ONCE])
def test_d6_one_fault_once(
    mailchimp: SimpleNamespace, fault: str, reads: int, updates: int, adds: int, outcome: type[MaxchimpError] | None
) -> None:
    (who,) = people(mailchimp, 1)
    client, faults = mailchimp.client, mailchimp.door.faults

    def sends(call: object) -> int:
        before = mailchimp.session.sends
        faults.next("mailchimp", fault)
        call()  # type: ignore[operator]
        return int(mailchimp.session.sends - before)

    assert sends(lambda: client.member(mailchimp.list, who)) == reads
    assert sends(lambda: client.update_member(mailchimp.list, who, {"merge_fields": {"FNAME": fault}})) == updates
    assert mailchimp.box.member(who)["merge_fields"]["FNAME"] == fault
    new = [{"email_address": "late@escona.test", "status": "subscribed"}]
    before = mailchimp.session.sends
    faults.next("mailchimp", fault)
    if outcome:
        with pytest.raises(outcome):
            client.add_members(mailchimp.list, new)
    else:
        assert list(client.add_members(mailchimp.list, new).created) == ["late@escona.test"]
    assert mailchimp.session.sends - before == adds


@pytest.mark.parametrize("fault", [row[0] for row in ONCE])
def test_d5_a_lasting_fault_costs_four_requests(mailchimp: SimpleNamespace, fault: str) -> None:
    mailchimp.door.faults.next("mailchimp", fault, times=100)
    with pytest.raises((NotApplied, BrokenAnswer)):
        mailchimp.client.account()
    assert mailchimp.session.sends == 4
