"""R30 at the command line: what a change would write is said at once, and what waits is said everywhere."""

from __future__ import annotations

import pytest
from desk import Desk


@pytest.fixture
def synced(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Seven pairs in step; three of them hold another phone number on either side."""
    monkeypatch.setattr("transform.held.CHANGED_FLOOR", 1)
    monkeypatch.setattr("flows.effect.CHANGED_FLOOR", 1)
    ready.good("sync", "--yes")
    ready.good("settings", "set", "max_changed=20%")
    return ready


def test_r30_what_waits_is_told_everywhere_until_somebody_lets_it_pass(synced: Desk) -> None:
    said = "PHONE waits: its changed mapping would write to 3 members in Mailchimp, of 7 linked people"
    synced.good("map", "add", "PHONE", "Phone1")
    new = synced.good("check").out
    assert "changed since the last sync: PHONE" in new
    plan = synced.good("plan")
    for text in (said, "3 members to update, 3 of them only once approved", "R30, waits", "3 held", "--plan 2"):
        assert text in plan.out
    document = synced.good("plan", "--json", "--all").json
    assert document["counts"]["held"] == 3
    assert document["counts"]["mailchimp"]["update"] == 0
    assert [item["waits"] for row in document["changes"] for item in row["fields"]] == [True] * 3
    before = synced.writes()
    told = synced.good("sync")
    assert said in told.out
    assert "maxchimp sync --yes" in told.out
    assert "PHONE waits" in synced.good("runs").out
    number = synced.good("runs", "--json").json[0]["run"]
    for words in (("check",), ("runs", "show", str(number))):
        assert said in synced.good(*words).out
    assert synced.good("runs", "show", str(number), "--json").json["held"][0]["field"] == "PHONE"
    assert synced.good("sync", "--json").json["counts"]["held"] == 3
    assert synced.writes() == before
    assert "before a person lets its changed mapping pass" in synced.good("explain", "link 2").out
    assert "100%" in synced.good("settings", "set", "max_changed=100%").out
    synced.good("settings", "set", "max_changed=20%")
    done = synced.good("sync", "--yes", "--json").json
    assert (done["counts"]["held"], done["counts"]["mailchimp"]["update"], done["held"]) == (0, 3, [])
    assert "changed mapping of PHONE" in synced.good("runs", "show", str(done["run"])).out
    assert "waits" not in synced.good("check").out


def test_r30_a_plan_lets_pass_what_waits(synced: Desk) -> None:
    synced.good("map", "add", "PHONE", "Phone1")
    synced.good("sync")
    plan = synced.good("plan", "--json").json
    assert synced.good("sync", "--plan", str(plan["run"]), "--json").json["counts"]["mailchimp"]["update"] == 3


def test_r30_a_mapping_says_what_it_would_write(synced: Desk) -> None:
    told = synced.good("map", "add", "PHONE", "Phone1").out
    # Nothing of it was read so far, so that nothing is guessed but the most that it can be.
    for text in (
        "By what was read at",
        "(run 1)",
        "is not known",
        "7 members in Mailchimp and 0 entries",
        "maxchimp plan",
    ):
        assert text in told
    synced.good("sync", "--yes")
    told = synced.good("map", "modify", "PHONE", "Phone1", "--basic", "update").out
    assert "(run 2), it would write to 0 members in Mailchimp and 1 entry in Maximizer, of 7 linked people" in told
    document = synced.good("map", "modify", "PHONE", "Phone1", "--basic", "protect", "--json").json
    assert document["next_cycle"]["mailchimp"] is None  # what was forgotten with the last change is not known
    assert document["next_cycle"]["maximizer"] == 0
    document = synced.good("map", "remove", "PHONE", "--json").json
    assert document["removed"]["tag"] == "PHONE"
    assert (document["next_cycle"]["mailchimp"], document["next_cycle"]["maximizer"]) == (0, 0)


def test_r30_what_was_last_seen_tells_what_meets_anew_and_what_would_wait(synced: Desk) -> None:
    """Mailchimp keeps the phone numbers that its people changed: the same fields, mapped anew, would meet anew."""
    synced.good("map", "add", "PHONE", "Phone1")
    synced.good("sync", "--yes")
    world = synced.world
    for row in world.mailchimp.members(world.list_id):
        if row["merge_fields"]["CLIENTID"]:
            world.mailchimp.edit(row["contact_id"], {"PHONE": "206-555-0000"})
    synced.good("sync", "--full")
    told = synced.good("map", "modify", "PHONE", "Phone1", "--basic", "update", "--json").json["next_cycle"]
    assert "would wait for a person" in told["says"]
    plan = synced.good("plan", "--json").json
    held = plan["held"][0]
    assert (told["mailchimp"], told["maximizer"]) == (held["mailchimp"], held["maximizer"])
    assert told["run"] == 3


def test_r30_a_setting_that_decides_says_what_it_would_write(synced: Desk) -> None:
    told = synced.good("settings", "set", "conflict=mailchimp")
    assert "0 settled records would be written because of this" in told.out
    assert "maxchimp plan" in told.out
    document = synced.good("settings", "set", "email_change=follow", "--json").json
    assert document["email_change"] == "follow"
    assert document["next_cycle"]["run"] == 1
    assert "next_cycle" not in synced.good("settings", "set", "interval=30m", "--json").json
    synced.good("map", "add", "PHONE", "Phone1")
    assert "PHONE meets for the first time by it" in synced.good("settings", "set", "conflict=maximizer").out
    synced.good("sync")
    told = synced.good("settings", "set", "max_changed=90%")
    assert "below the new limit PHONE waits no longer" in told.out


def test_r30_before_the_first_sync_nothing_is_known(ready: Desk) -> None:
    told = ready.good("map", "add", "PHONE", "Phone1").out
    assert "The first sync shows everything and asks" in told
    assert "changed since the last sync" not in ready.good("check").out
