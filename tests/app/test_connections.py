"""``connections`` and ``backfill --at-next-cycle``: several pairs beside each other (R5)."""

from __future__ import annotations

import pytest
from desk import Desk

from sandbox.world import World
from storage import connections, leases
from storage.engine import open_store

FIRST = ("backfill", "--at-next-cycle")


def test_r5_a_connection_is_added_shown_and_removed(ready: Desk) -> None:
    assert "MAXCHIMP_NORTH_AMERICA__MAILCHIMP_API_KEY" in ready.good("connections", "add", "north-america").out
    assert ready.good("settings", "set", "interval=15m", "--connection", "north-america")
    listed = {row["name"]: row for row in ready.good("connections", "list", "--json").json}
    assert {name: row["state"] for name, row in listed.items()} == {
        "default": "waits for its first sync",
        "north-america": "to be set up",
    }
    assert listed["north-america"]["settings"]["interval"] == "15m"
    assert listed["default"]["settings"]["interval"] == "1h"
    shown = ready.good("connections", "show", "north-america").out
    assert "to be set up" in shown
    assert ready.good("connections", "remove", "north-america", "--yes", "--json").json == {"removed": "north-america"}
    assert "no connection 'north-america'" in ready.bad("connections", "show", "north-america", code=2).err


def test_r5_two_connections_do_not_share_variables(ready: Desk) -> None:
    ready.good("connections", "add", "north-america")
    told = ready.bad("connections", "add", "North_America", code=2).err
    assert "would share its settings MAXCHIMP_NORTH_AMERICA__" in told
    assert "already" in ready.bad("connections", "add", "default", code=2).err
    assert "cannot be the name" in ready.bad("connections", "add", "no name", code=2).err


def test_r5_each_has_a_pair_settings_and_runs_of_its_own(ready: Desk, north: World) -> None:
    ready.good("sync", "--yes")
    ready.good("setup", "--connection", "north")
    assert ready.good("runs", "--connection", "north", "--json").json == []
    assert ready.good("map", "remove", "FNAME", "--connection", "north")
    tags = [row["tag"] for row in ready.good("map", "list", "--json").json]
    assert "FNAME" in tags


def test_r36_a_second_connection_of_the_pair_is_refused(ready: Desk) -> None:
    """By set-up, and by ``check`` and every run of one that an older version set up; the first one goes on."""
    ready.good("connections", "add", "twin")
    told = ready.bad("setup", "--connection", "twin", "--list", ready.world.list_id, code=7)
    words = (
        "the list 'Lantern Street Letter' and the Address Book 'EsconaDemo' go with the connection 'default' already"
    )
    assert words in told.err
    assert "maxchimp connections remove twin" in told.err
    engine = ready.store()
    first, twin = connections.find(engine, "default"), connections.find(engine, "twin")
    assert first is not None
    assert twin is not None
    columns = ("account_id", "list_id", "list_name", "address_book", "flag_ref", "marker_ref", "dialect")
    connections.update(engine, twin.id, **{name: getattr(first, name) for name in columns})
    engine.dispose()
    assert words in ready("check", "--connection", "twin").out
    assert ready("check", "--connection", "twin").code == 7
    writes = ready.writes()
    for command in (["sync", "--yes"], ["backfill", "--yes"], ["plan"]):
        document = ready.bad(*command, "--connection", "twin", "--json", code=7).json
        assert document["state"] == "blocked"
        assert words in document["reason"]
    assert ready.bad("report", "--connection", "twin", code=7)
    assert ready.writes() == writes
    assert ready.good("check").code == 0
    ready.good("sync", "--yes")
    ready.good("connections", "remove", "default", "--yes")
    ready.good("sync", "--yes", "--connection", "twin")


def test_removing_touches_nothing_on_either_side(ready: Desk) -> None:
    ready.good("sync", "--yes")
    members = ready.world.mailchimp.members(ready.world.list_id)
    entries = ready.world.maximizer.entries()
    writes = sum(len(door.mutations()) for door in ready.doors.values())
    assert "remove default --yes" in ready.bad("connections", "remove", "default", code=2).err
    ready.good("connections", "remove", "default", "--yes")
    assert sum(len(door.mutations()) for door in ready.doors.values()) == writes
    assert ready.world.mailchimp.members(ready.world.list_id) == members
    assert ready.world.maximizer.entries() == entries
    assert ready.good("connections", "list", "--json").json == []
    assert "has not been set up" in ready.bad("sync", code=2).err


def test_removing_is_refused_while_a_run_goes_on(ready: Desk) -> None:
    engine = open_store(f"sqlite:///{ready.folder / 'data/local/maxchimp.db'}")
    found = connections.find(engine, "default")
    assert found is not None
    held = leases.acquire(engine, found.id, "maxchimp on a far machine")
    assert "maxchimp on a far machine" in ready.bad("connections", "remove", "default", "--yes", code=1).err
    assert connections.find(engine, "default") is not None
    held.release()
    engine.dispose()


def test_r34_a_backfill_at_the_next_cycle(ready: Desk) -> None:
    ready.good("sync", "--yes")
    ready.good("sync")
    assert ready.good("runs", "--json").json[0]["full"] is False
    told = ready.good(*FIRST, "--json").json
    assert (told["connection"], told["next_cycle"]) == ("default", "full")
    assert told["reason"].startswith("Sync Entire List, asked for at ")
    assert len(ready.good("runs", "--json").json) == 2  # nothing ran now
    ready.good("sync")
    assert ready.good("runs", "--json").json[0]["full"] is True
    ready.good("sync")
    assert ready.good("runs", "--json").json[0]["full"] is False


def test_r34_asking_before_the_first_sync_leaves_it_one(ready: Desk) -> None:
    assert ready.good(*FIRST, "--json").json["reason"] == "first sync"
    assert "first sync" in ready.bad("sync", code=7).err


@pytest.mark.parametrize("word", ["0", "x", "-1", "3 cycles"])
def test_remind_after_is_a_number_of_cycles(ready: Desk, word: str) -> None:
    assert "number of cycles" in ready.bad("settings", "set", f"remind_after={word}", code=2).err
