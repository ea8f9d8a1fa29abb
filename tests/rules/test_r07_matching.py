"""R7, R8 and R53: who is the same person, where the identities live, and address books marked by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import FLAG, MARKER, Office

from flows.check import Check

NewOffice = Callable[..., Office]


def carried(member: dict[str, Any]) -> tuple[str, str]:
    merge = member["merge_fields"]
    return str(merge["CLIENTID"]), str(merge["CONTACTNO"])


def identity(key: tuple[str, int]) -> tuple[str, str]:
    return key[0], str(key[1])


def paired(office: Office) -> dict[str, str]:
    """Member address -> Email 1 of its entry, of all links."""
    rows = office.links()
    split = [(row["contact_id"], row["entry_id"].rpartition("#")) for row in rows]
    return {
        office.member(contact)["email_address"]: office.entry((client, int(number)))["Email1"]
        for contact, (client, _, number) in split
    }


def test_r07_the_link_comes_before_everything_a_record_carries(new_office: NewOffice) -> None:
    """Somebody confuses markers and stamps of two linked people: the links stay and mend both."""
    office = new_office()
    ann, bea = (office.subscribe(f"{name}@lantern.test", name, "Reed") for name in ("ann", "bea"))
    office.sync()
    (ann_key,), (bea_key,) = office.entries("ann@lantern.test"), office.entries("bea@lantern.test")
    before = sorted((row["contact_id"], row["entry_id"]) for row in office.links())
    office.mailchimp.edit(ann, {"CLIENTID": bea_key[0], "CONTACTNO": bea_key[1]})
    office.maximizer.edit(ann_key, {MARKER: office.member(bea)["unique_email_id"]})
    office.maximizer.edit(bea_key, {MARKER: None})
    office.sync()
    office.quiet()
    assert sorted((row["contact_id"], row["entry_id"]) for row in office.links()) == before
    assert office.entry(ann_key)["udfs"][MARKER] == office.member(ann)["unique_email_id"]
    assert office.entry(bea_key)["udfs"][MARKER] == office.member(bea)["unique_email_id"]
    assert carried(office.member(ann)) == identity(ann_key)
    assert office.quarantined() == []


def test_r07_marker_then_client_id_then_address(new_office: NewOffice, full: bool) -> None:
    """Each criterion finds its entry, and a match updates: nobody is created."""
    office = new_office()
    if not full:
        office.sync()
    ids = {name: office.subscribe(f"{name}@lantern.test", name.title(), "Reed") for name in ("ann", "bea", "Cyd")}
    by_marker = office.add("A", "Reed", "", udfs={MARKER: office.member(ids["ann"])["unique_email_id"]})
    by_pair = office.add("B", "Reed", "")
    office.mailchimp.edit(ids["bea"], {"CLIENTID": by_pair[0], "CONTACTNO": by_pair[1]})
    by_mail = office.add("C", "Reed", "cYD@LANTERN.test")
    office.sync()
    assert {row["contact_id"]: row["entry_id"] for row in office.links()} == {
        ids["ann"]: f"{by_marker[0]}#{by_marker[1]}",
        ids["bea"]: f"{by_pair[0]}#{by_pair[1]}",
        ids["Cyd"]: f"{by_mail[0]}#{by_mail[1]}",
    }
    office.quiet()
    assert len(office.entries()) == 3
    assert len(office.mailchimp.members(office.list_id)) == 3
    assert [office.entry(key)["udfs"][FLAG] for key in (by_marker, by_pair, by_mail)] == ["Yes"] * 3


@pytest.mark.parametrize("full", [True, False], ids=["full", "scheduled"])
@pytest.mark.parametrize("slot", ["Email2", "Email3"])
def test_r07_a_second_address_is_no_match_and_reported(new_office: NewOffice, slot: str, full: bool) -> None:
    office = new_office()
    if not full:
        office.sync()
    office.add("Ann", "Reed", "office@harbour.test", **{slot: "ann@lantern.test"})
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    assert [row["key"] for row in office.findings("email23")] == [f"member:{contact_id}"]
    office.quiet()
    assert paired(office) == {"ann@lantern.test": "ann@lantern.test"}
    assert len(office.entries()) == 2


def test_r07_a_linked_member_under_a_new_address_is_no_newcomer(new_office: NewOffice) -> None:
    """The change is recognised before matching: the address of a stranger's entry does not capture the old entry."""
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    (ann,) = office.entries()
    stranger = office.add("Ann", "Moor", "ann@harbour.test")
    office.mailchimp.change_email(contact_id, "ann@harbour.test")
    office.sync()
    assert paired(office) == {"ann@lantern.test": "ann@lantern.test", "ann@harbour.test": "ann@harbour.test"}
    assert office.entry(stranger)["udfs"][FLAG] == "Yes"
    assert office.entry(ann)["Email1"] == "ann@lantern.test"
    assert len(office.entries()) == 2
    office.quiet()


def test_r08_marker_and_stamp_tell_the_same_pair(new_office: NewOffice) -> None:
    both = new_office()
    both.subscribe("ann@lantern.test", "Ann", "Reed")
    both.add("Bea", "Reed", "bea@lantern.test", flag="Yes")
    met = both.add("Cyd", "Reed", "cyd@lantern.test")
    both.subscribe("cyd@lantern.test", "Cyd", "Reed")
    both.sync()
    for key in both.entries():
        member = both.by_email(both.entry(key)["Email1"])
        assert member is not None
        assert both.entry(key)["udfs"][MARKER] == member["unique_email_id"]
        assert len(member["unique_email_id"]) == 10
        assert carried(member) == identity(key)
    assert met in both.entries()
    assert {row["web_id"] for row in both.links()} == {str(m["web_id"]) for m in both.mailchimp.members(both.list_id)}
    fields = {f.tag: f for f in both.mailchimp.audiences[both.list_id].fields.values()}
    assert not any(fields[tag].public or fields[tag].required for tag in ("CLIENTID", "CONTACTNO"))
    both.quiet()


@pytest.mark.parametrize("name", ["unique_email_id", "web_id"])
def test_r08_r53_markers_of_the_vendors_connector_match(both: Office, name: str) -> None:
    """Also where the address differs; and then they become ours."""
    ann = both.subscribe("ann@lantern.test", "Ann", "Reed")
    key = both.add("Ann", "Reed", "ann@lantern.test", flag="Yes", udfs={MARKER: str(both.member(ann)[name])})
    bea = both.subscribe("bea@lantern.test", "Bea", "Reed")
    blank = both.add("Bea", "Reed", "", flag="Yes", udfs={MARKER: str(both.member(bea)[name])})
    both.sync()
    both.quiet()
    assert both.entry(key)["udfs"][MARKER] == both.member(ann)["unique_email_id"]
    assert both.entry(blank)["udfs"][MARKER] == both.member(bea)["unique_email_id"]
    assert {row["reason"] for row in both.links()} == {"matched by marker"}
    assert len(both.entries()) == 2
    assert len(both.mailchimp.members(both.list_id)) == 2


def test_r53_the_vendors_fields_are_recognised(new_office: NewOffice) -> None:
    """Nothing is made a second time beside what the old service left behind."""
    office = new_office(ready=False)
    office.maximizer.add_udf(r"MailChimp\Sync to MailChimp", "yesno")
    office.maximizer.add_udf(MARKER, "text", max_length=29)
    udfs = set(office.maximizer.database.schema.udfs)
    outcome = office.setup()
    assert set(office.maximizer.database.schema.udfs) == udfs
    assert not any("user-defined" in line for line in outcome.done)
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    marked = {r"MailChimp\Sync to MailChimp": "Yes", MARKER: office.member(contact_id)["unique_email_id"]}
    office.maximizer.add_person("Ann", "Reed", "ann@lantern.test", udfs=marked)
    office.sync()
    office.quiet()
    assert [row["reason"] for row in office.links()] == ["matched by marker"]


def test_r53_check_says_to_stop_the_old_service_first(new_office: NewOffice) -> None:
    office = new_office()
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.add("Ann", "Reed", "ann@lantern.test", flag="Yes", udfs={MARKER: str(office.member(contact_id)["web_id"])})

    def told() -> bool:
        found = Check(office.settings, office.engine, opener=office._open, now=office.clock.now).run()
        return any("stop the old" in finding.remedy and finding.state == "warn" for finding in found)

    assert told()
    office.sync()
    office.quiet()
    assert not told()


def test_r08_a_lost_store_links_anew_and_duplicates_nothing(new_office: NewOffice, both: Office) -> None:
    """The markers tell who is who, also of people whose addresses differ, who left, or whose flag says No."""
    world = both
    world.set(conflict="mailchimp")
    ids = {name: world.subscribe(f"{name}@lantern.test", name, "Reed") for name in ("ann", "bea", "cyd", "dee", "eva")}
    world.add("Flo", "Reed", "flo@lantern.test", flag="Yes")
    world.sync()
    keys = {name: world.entries(f"{name}@lantern.test")[0] for name in ids}
    world.mailchimp.unsubscribe(ids["bea"])
    world.maximizer.edit(keys["cyd"], {FLAG: "No"})
    world.mailchimp.archive(ids["dee"])
    company = world.maximizer.add_company("Harbour Ltd")
    moved = world.maximizer.convert_to_contact(keys["eva"], company)
    world.backfill()
    before = {row["contact_id"]: row["entry_id"] for row in world.links()}
    entries, members = len(world.entries()), len(world.mailchimp.members(world.list_id))

    again = new_office(store="anew", profile=world.maximizer.profile, ready=False)
    for name in ("world", "mailchimp", "maximizer", "clock", "list_id", "doors", "settings"):
        setattr(again, name, getattr(world, name))
    again.setup()
    again.set(conflict="mailchimp")
    again.sync()
    again.quiet()
    assert (len(again.entries()), len(again.mailchimp.members(again.list_id))) == (entries, members)
    anew = {row["contact_id"]: row["entry_id"] for row in again.links()}
    assert anew == {contact: entry for contact, entry in before.items() if contact != ids["dee"]}
    assert again.member(ids["bea"])["status"] == "unsubscribed"
    assert again.member(ids["dee"])["status"] == "archived"
    assert again.entry(keys["dee"])["udfs"][FLAG] == "No"
    assert again.entry(moved)["udfs"][FLAG] == "Yes"
    assert again.quarantined() == []


def test_r08_the_clients_text_is_no_identity(new_office: NewOffice) -> None:
    """What somebody types into the two merge fields leads nowhere, or to nobody."""
    office = new_office()
    for n, text in enumerate(("x", "1#0", "%", '{"$LIKE":"%"}')):
        office.subscribe(f"a{n}@lantern.test", "Ann", "Reed", merge_fields={"CLIENTID": text, "CONTACTNO": "0"})
    office.subscribe("none@lantern.test", "No", "Number", merge_fields={"CLIENTID": "1", "CONTACTNO": "x-"})
    office.sync()
    office.quiet()
    assert len(office.entries()) == 5


def test_r08_members_of_the_same_address_in_other_lists_do_not_matter(new_office: NewOffice) -> None:
    """unique_email_id follows the address over all lists of an account; only this list's member counts."""
    office = new_office()
    other = office.mailchimp.add_list("Harbour Letter")
    office.mailchimp.subscribe(other, "ann@lantern.test", merge_fields={"FNAME": "Else"})
    contact_id = office.subscribe("ann@lantern.test", "Ann", "Reed")
    office.sync()
    office.quiet()
    assert [row["contact_id"] for row in office.links()] == [contact_id]
