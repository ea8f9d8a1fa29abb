"""``maxchimp demo``: the whole main job from nothing, told so that a stranger can follow, every claim checked."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from app.demo_edits import Edit, Hands, expected
from app.demo_world import SIDES, DemoWorld, Told
from app.progress import Progress
from app.show import clean
from domain.errors import MaxchimpError
from flows.asked import Asked
from flows.settings import Settings

PEOPLE, SEED = 2000, 7
NAMES = {"mailchimp": "Mailchimp", "maximizer": "Maximizer"}


def run(
    people: int = PEOPLE,
    seed: int = SEED,
    *,
    keep: bool = False,
    out: TextIO | None = None,
    progress: Progress | None = None,
    as_json: bool = False,
) -> int:
    """Tell the story on ``out`` (stdout); 0 when everything came out as promised, else 1 with a sentence on stderr.

    ``keep``: at the end leave the services and Prefect's page up until Ctrl-C. ``as_json``: one document instead.
    """
    story = Story(None if as_json else out or sys.stdout, progress or Progress())
    try:
        with DemoWorld(Settings().home_dir / "demo", people, seed) as demo:
            _tell(story, demo)
            if keep and not as_json:
                _linger(story, demo)
    except MaxchimpError as error:
        return _broken(f"{error.message}{'; ' + error.remedy if error.remedy else ''}")
    except KeyboardInterrupt:
        return _broken("stopped; nothing is left running")
    finally:
        story.progress.close()
    if as_json:
        print(json.dumps(story.document(), indent=2), file=out or sys.stdout)
    if story.broken:
        return _broken(f"{len(story.broken)} of {story.promises} promises were not kept: {story.broken[0]}")
    return 0


def _broken(sentence: str) -> int:
    print(clean(f"maxchimp demo: {sentence}"), file=sys.stderr)
    return 1


@dataclass
class Story:
    """What is told and promised. ``stream`` None: nothing is told."""

    stream: TextIO | None
    progress: Progress
    begun: float = field(default_factory=time.monotonic)
    promises: int = 0
    broken: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    def say(self, *lines: str) -> None:
        self.progress.close()
        for line in lines:
            if self.stream is not None:
                print(clean(line), file=self.stream, flush=True)

    def chapter(self, title: str) -> None:
        self.say("", f"{title}  ({time.monotonic() - self.begun:.0f} s)")

    def promise(self, kept: bool, text: str, indent: str = "  ") -> None:
        """A claim and whether it holds."""
        self.promises += 1
        self.say(f"{indent}{'ok ' if kept else 'NOT SO: '} {text}")
        if not kept:
            self.broken.append(text)

    def document(self) -> dict[str, Any]:
        promises = {"kept": self.promises - len(self.broken), "broken": self.broken}
        return {"ok": not self.broken, "promises": promises, "runs": self.runs, "places": self.places}


# --- the chapters ------------------------------------------------------------------------------------------------


def _tell(story: Story, demo: DemoWorld) -> None:
    _begin(story, demo)
    _set_up(story, demo)
    plan = _plan(story, demo)
    _first(story, demo, plan)
    demo.pass_time()
    hands = Hands(demo)
    story.chapter("5. An hour later people have gone on working in both products")
    edits = hands.all()
    for edit in edits:
        story.say(f"  - {edit.did}")
    _second(story, demo, edits)
    _third(story, demo)
    _report(story, demo)
    _look(story, demo)


def _begin(story: Story, demo: DemoWorld) -> None:
    there = demo.people()
    story.chapter("1. A Mailchimp and a Maximizer, both simulated on this machine, with invented people")
    story.say(
        f"  Mailchimp   {demo.servers['mailchimp'].url}   {there['mailchimp']:,} people on one list",
        f"  Maximizer   {demo.servers['maximizer'].url}   {there['maximizer']:,} people in one Address Book",
        f"  Prefect     {demo.prefect.url}   a server of its own, coming up in the background",
        f"  About half of them are the same people: {len(demo.world.pairs):,} are known to both sides,",
        "  with other spellings, missing fields and small contradictions, as in real life.",
    )


def _set_up(story: Story, demo: DemoWorld) -> None:
    story.chapter("2. Set-up  (maxchimp setup, maxchimp map add TAG FIELD)")
    outcome, mapped = demo.set_up()
    story.say(*(f"  - {line}" for line in outcome.done))
    flagged = demo.world.flag()
    story.say(
        f"  - mapped {mapped} fields in all: texts, phones, addresses, dates, numbers, choices, interest groups",
        f"  In Maximizer the flag Sync with MailChimp was set to Yes for {flagged} people who are not on the list.",
    )


def _plan(story: Story, demo: DemoWorld) -> Told:
    story.chapter("3. The plan  (maxchimp plan)")
    told = _cycle(story, demo, Asked("plan"))
    _counts(story, told)
    story.promise(told.writes == {"mailchimp": 0, "maximizer": 0}, "a plan writes nothing to either side")
    return told


def _first(story: Story, demo: DemoWorld, plan: Told) -> None:
    number = plan.document["run"]
    story.chapter(f"4. The first synchronisation: exactly that plan  (maxchimp sync --plan {number})")
    told = _cycle(story, demo, Asked("sync", plan=number))
    _counts(story, told)
    _adds_up(story, told)
    same = all(told.document["written"][s] == plan.document["planned"][s] | {"failed": 0, "left": 0} for s in SIDES)
    story.promise(same, "it wrote what the plan had said, record for record")
    waiting = demo.waiting()
    if waiting:
        reasons = sorted({str(row["reason"]) for row in waiting})
        story.say(f"  {len(waiting)} people wait for a decision and hold up nobody else: {'; '.join(reasons)}.")


def _second(story: Story, demo: DemoWorld, edits: list[Edit]) -> None:
    story.chapter("6. The next synchronisation reads only what has changed since the last one began  (maxchimp sync)")
    told = _cycle(story, demo, Asked("sync"))
    _counts(story, told)
    story.say("  Most of what it read are the writes of the first synchronisation, recognised as our own.")
    _adds_up(story, told)
    for edit in edits:
        story.promise(edit.holds(), f"{edit.did}:")
        story.say(f"       {edit.became}.")
    wanted = expected(edits)
    wrote = {(side, op): told.counts[side][op] for side in SIDES for op in ("create", "update", "failed")}
    total, done = (sum(n for (_, op), n in some.items() if op != "failed") for some in (wanted, wrote))
    story.promise(
        wrote == {key: wanted.get(key, 0) for key in wrote},
        f"these edits need {total} writes, and {done} it was: nothing else was touched",
    )


def _third(story: Story, demo: DemoWorld) -> None:
    demo.pass_time()
    story.chapter("7. Once more, though nobody has touched anything  (maxchimp sync)")
    told = _cycle(story, demo, Asked("sync"))
    _counts(story, told)
    story.promise(
        told.writes == {"mailchimp": 0, "maximizer": 0} and told.before == told.after,
        "nothing was left to write, and nothing was written",
    )
    deletes = demo.world.mailchimp.deletes + demo.world.maximizer.deletes
    story.promise(deletes == 0, "in all this time nothing was ever deleted on either side")


def _report(story: Story, demo: DemoWorld) -> None:
    story.chapter("8. The data quality report, for whoever is responsible for the data  (maxchimp report)")
    made, writes = demo.report(story.progress)
    told = made.told
    story.say(f"  {told['headline']}")
    for row in told["attention"][:3]:
        story.say(f"  - {row['people']:,} {row['what']}: {row['remedy']}")
    there = demo.people() | {"companies": len(demo.world.companies)}
    story.promise(
        told["totals"] == {"mailchimp": there["mailchimp"], "maximizer": there["maximizer"] + there["companies"]}
        and all(sum(row[side] for row in told["classes"]) == told["totals"][side] for side in SIDES),
        "everybody on both sides is in exactly one class of it, companies too",
    )
    story.promise(writes == {"mailchimp": 0, "maximizer": 0}, "a report writes nothing to either side")
    story.places["report"] = str(made.page)


def _look(story: Story, demo: DemoWorld) -> None:
    tools = Path(sys.executable).parent
    story.places |= {
        "store": str(demo.store),
        "prefect_home": str(demo.home / "prefect"),
        "runs": f"MAXCHIMP_DATABASE_URL=sqlite:///{demo.store} {tools / 'maxchimp'} runs",
        "prefect_page": f"PREFECT_HOME={demo.home / 'prefect'} DO_NOT_TRACK=1 {tools / 'prefect'} server start",
    }
    story.chapter("Where to look")
    story.say(
        f"  The data quality report, for any browser: {story.places['report']}",
        f"  The store (runs, plan, every change, links): {story.places['store']}",
        f"    {story.places['runs']}",
        "  The flow runs on Prefect's page, each stage a task, counts as an artifact:",
        f"    {story.places['prefect_page']}",
        "    then open http://127.0.0.1:4200/runs",
    )
    for one in story.runs:
        through = f"flow run '{one['flow_run']}'" if one["flow_run"] else "in this process, a plan needs no server"
        story.say(f"    run {one['run']}  {one['kind']:<5} {one['state']:<8} {one['seconds']:5.1f} s  {through}")
    kept = story.promises - len(story.broken)
    story.say("", f"{kept} of {story.promises} promises were kept in {time.monotonic() - story.begun:.0f} s.")
    story.say("Everything came out as promised." if not story.broken else "Not everything came out as promised.")


def _linger(story: Story, demo: DemoWorld) -> None:
    story.say("", f"Prefect's page stays up at {demo.prefect.url}/runs until Ctrl-C.")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        story.say("Stopped.")


# --- counts ------------------------------------------------------------------------------------------------------


def _cycle(story: Story, demo: DemoWorld, asked: Asked) -> Told:
    told = demo.cycle(asked, story.progress)
    story.runs.append(
        {
            "run": told.document["run"],
            "kind": asked.kind,
            "state": told.document["state"],
            "counts": told.counts,
            **{name: told.document[name] for name in ("planned", "written")},
            "requests": told.requests,
            "writes": told.writes,
            "seconds": round(told.seconds, 1),
            "flow_run": told.facts.get("flow_run", ""),
        }
    )
    return told


def _counts(story: Story, told: Told) -> None:
    plan = told.document["kind"] == "plan"
    new, changed = ("to create", "to change") if plan else ("new", "changed")
    story.say(f"  {'':<10}  {'read':>6} {new:>9} {changed:>9} {'failed':>7} {'requests':>9} {'of them writes':>15}")
    for side in SIDES:
        count = told.document["planned" if plan else "written"][side]
        failed = "-" if plan else f"{count['failed']:,}"
        story.say(
            f"  {NAMES[side]:<10}  {told.facts['read'][side]:>6,} {count['create']:>9,} {count['update']:>9,} "
            f"{failed:>7} {told.requests[side]:>9,} {told.writes[side]:>15,}"
        )
    rest = told.counts
    story.say(
        f"  pairs that need nothing: {rest['unchanged']:,};  conflicts, which Maximizer wins: {rest['conflicts']:,};",
        f"  values of forms that do not overwrite Maximizer: {rest['protected']:,};  "
        f"placeholders in mandatory fields: {rest['placeholders']:,}",
    )


def _adds_up(story: Story, told: Told) -> None:
    """Our counts against what the services hold and have seen."""
    for side in SIDES:
        before, after, new = told.before[side], told.after[side], told.counts[side]["create"]
        story.promise(before + new == after, f"{NAMES[side]}: {before:,} people before + {new:,} new = {after:,} now")
    crm, count = told.counts["maximizer"], told.counts["mailchimp"]
    story.promise(
        told.writes["maximizer"] == crm["create"] + crm["update"] + crm["failed"],
        f"Maximizer's own list of calls has {told.writes['maximizer']:,} writes: one for every new or changed entry",
    )
    batches = told.writes["mailchimp"] - count["update"]
    some = count["create"] + count["failed"]
    story.promise(
        batches == -(-some // 500),
        f"Mailchimp's has {told.writes['mailchimp']:,}: one for every changed member, and {batches} for all new ones "
        "together",
    )
    story.promise(told.facts["calls"] == told.requests, "both services saw the requests that the run says it has sent")
