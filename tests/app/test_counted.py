"""The numbers of a run as somebody at a terminal and a script meet them, against what the services saw."""

from __future__ import annotations

import json
import re

from desk import Desk
from sqlalchemy import select

from storage.engine import begin
from storage.tables import run as run_table

FLAG = r"MailChimp\Sync with MailChimp"
ZIP = r"Marketing\Billing ZIP"


def test_a_blocked_run_and_a_plan_are_told_apart_from_what_was_written(ready: Desk) -> None:
    before = ready.writes()
    refused = ready.bad("sync", "--json", code=7).json
    ready.good("plan")
    assert ready.writes() == before
    planned = {side: sum(refused["planned"][side].values()) for side in ready.doors}
    assert {side: count["left"] for side, count in refused["written"].items()} == planned
    plan, blocked = ready.good("runs", "--json").json
    assert (plan["planned"], blocked["planned"]) == (refused["planned"], refused["planned"])
    assert all(n == 0 for row in (plan, blocked) for c in row["written"].values() for k, n in c.items() if k != "left")
    listed = ready.good("runs").out
    assert "WRITTEN TO MAILCHIMP" in listed
    for side, number in planned.items():
        assert f"nothing of {number} planned" in listed
        update = plan["planned"][side]["update"]
        assert f"would create {plan['planned'][side]['create']}, update {update}" in listed
    shown = ready.good("runs", "show", str(blocked["run"])).out
    assert "Nothing was written. It would have been:" in shown
    assert "CREATED" not in shown
    assert "TO CREATE" in ready.good("runs", "show", str(plan["run"])).out
    log = (ready.folder / "data/local/logs/maxchimp.log").read_text()
    assert f"(sync) blocked: Mailchimp nothing of {planned['mailchimp']} planned" in log


def test_what_was_written_is_what_the_services_hold(ready: Desk) -> None:
    members = len(ready.world.mailchimp.members(ready.world.list_id))
    entries = len(ready.world.maximizer.entries())
    ready.world.flag()
    done = ready.good("sync", "--yes", "--json").json
    assert len(ready.world.mailchimp.members(ready.world.list_id)) - members == done["written"]["mailchimp"]["create"]
    assert len(ready.world.maximizer.entries()) - entries == done["written"]["maximizer"]["create"]
    shown = ready.good("runs", "show", str(done["run"]), "--json").json
    assert shown["written"] == done["written"]
    written = sum(count[what] for count in shown["written"].values() for what in ("create", "update"))
    assert shown["changes"] == {"done": written}


def test_sums_above_a_list_are_those_of_the_list(ready: Desk) -> None:
    """Values, not rows: three people share one problem; conflicts are split as they are listed."""
    ready.good("map", "add", "POSTCODE", ZIP)
    ready.good("map", "add", "REF", r"Marketing\Reference")
    for n in range(3):
        udfs = {FLAG: "Yes", ZIP: "V6B 1A1"}
        ready.world.maximizer.add_person("Nora", f"North{n}", f"nora{n}@lanternpost.test", udfs=udfs)
    for name, code in (("one", "10001"), ("two", "V6B 1A1")):
        merge = {"FNAME": "A", "LNAME": "B", "REF": "theirs", "POSTCODE": "10001"}
        ready.world.mailchimp.subscribe(ready.world.list_id, f"{name}@lanternpost.test", merge)
        udfs = {FLAG: "Yes", ZIP: code, r"Marketing\Reference": "ours"}
        ready.world.maximizer.add_person("A", "B", f"{name}@lanternpost.test", udfs=udfs)
    plan = ready.good("plan")
    told = ready.good("sync", "--yes")
    run = str(ready.good("runs", "--json").json[0]["run"])
    document = ready.good("runs", "show", run, "--json").json
    shown = ready.good("runs", "show", run, "--all").out
    withheld = [row for row in document["findings"] if row["kind"] == "withheld"]
    (zips,) = [row["records"] for row in withheld if row["field"] == "POSTCODE"]
    assert zips >= 4
    total = sum(row["records"] for row in withheld)
    for out in (plan.out, told.out):
        assert f"Values that the other side cannot hold, left as they are: {total}" in out
    assert re.search(rf"cannot hold, left as they are \(R28\), found in this run: {total}\n", shown)
    outcome = document["facts"]["conflicts"]
    assert document["counts"]["conflicts"] == sum(n for name, n in outcome.items() if name != "found")
    assert outcome["withheld"] == 1
    assert outcome["decided"] == len(document["conflicts"]) >= 2
    assert f"what was overwritten (R30, R31): {outcome['decided']}\n" in shown
    assert {row["rule"] for row in document["conflicts"]} == {"R30"}
    said = f"{outcome['found']} conflicts ({outcome['decided']} decided, 1 that the other side cannot hold)"
    assert said in shown
    assert said in told.out
    # A later run that finds the same again takes nothing away from what this one found.
    ready.good("sync", "--full")
    assert ready.good("runs", "show", run, "--json").json["findings"] == document["findings"]


def test_numbers_that_do_not_add_up_are_an_error_at_every_door(ready: Desk) -> None:
    ready.good("sync", "--yes")
    engine = ready.store()
    with begin(engine) as db:
        (facts,) = db.execute(select(run_table.c.facts)).scalars()
        facts["written"]["mailchimp"]["update"] += 1
        db.execute(run_table.update().values(facts=facts))
    engine.dispose()
    for words in (("runs",), ("runs", "show", "1"), ("report",)):
        assert "do not add up" in ready.bad(*words, code=1).err
    told = ready.bad("runs", "--json", code=1)
    assert json.loads(told.out)["exit"] == 1
    assert "do not add up" in told.json["error"]
    assert "do not add up" in (ready.folder / "data/local/logs/maxchimp.log").read_text()
