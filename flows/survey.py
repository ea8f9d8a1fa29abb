"""A look at everything: both sides read whole, checked, matched and compared as in a cycle; nothing is written.

The same stages as a cycle's, under the same lease, so that what a report calls pending is what the next sync would do.
Guards and checks that would refuse a sync become warnings here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from domain import records
from domain.errors import MaxchimpError
from flows.agreement import Agreement, Pairs, agreement, fields_on_the_way
from flows.apply import still_waiting
from flows.cycle import Cycle
from flows.judging import set_aside
from quality import Examined, examine
from quality.people import Classified, Picture, classify, differing_apart
from storage import changes, links, runs, snapshots
from storage.engine import reading
from transform.guard import Trip, guard

_MEMBER = ["contact_id", "web_id", "email", "status"]
_ENTRY = ["entry_id", "type", "email1", "flag"]


@dataclass
class Survey(Cycle):
    """``tell`` leaves the results in the attributes below; the run is of the kind "report"."""

    trips: list[Trip] = field(default_factory=list)
    examined: dict[str, Examined] = field(default_factory=dict)
    companies: list[str] | None = None
    began: float = 0.0
    picture: Picture = field(init=False)
    people: Classified = field(init=False)
    agreed: Agreement = field(init=False)
    conflicts: pd.DataFrame = field(init=False)

    def extract(self) -> None:
        """Both sides, whole; ``began`` is when that began."""
        self.began = self.now()
        super().extract()
        self.progress("counting companies")
        try:
            self.companies = [f"{client}#{number}" for client, number in self.services.maximizer.companies()]
        except MaxchimpError:
            self.companies = None  # said on the page: a missing number is no zero

    def _check_absence(self) -> None:
        """What a cycle refuses before it asks for each record, a report tells, and concludes nothing from absence."""
        super()._check_absence()
        if self.trips:
            self.members, self.entries = replace(self.members, complete=False), replace(self.entries, complete=False)

    def _refuse(self, trips: list[Trip]) -> None:
        self.trips.extend(trips)

    def check_snapshots(self) -> None:
        """The checks over every row of both sides; rows that fail take no part in what is decided."""
        self._look()
        for side in ("mailchimp", "maximizer"):
            self.go_on()
            self.progress(f"checking what was read of {side.capitalize()}")
            self.examined[side] = examine(side, self._whole(side), self.prepared.layout)
        failed = [examined.verdict.failed_rows for examined in self.examined.values()]
        self.inputs, self.set_aside = set_aside(self.inputs, failed)
        self.facts["checks"] = [result for one in self.examined.values() for result in one.verdict.results]

    def _whole(self, side: str) -> pd.DataFrame:
        """Everything that was found of a side, wide."""
        layout = self.prepared.layout
        read = snapshots.members if side == "mailchimp" else snapshots.entries
        with reading(self.engine) as db:
            staged = read(db, self.run_id)
        staged = staged[staged["found"].astype(bool)].reset_index(drop=True)
        return records.unstage(staged, layout.member_tags if side == "mailchimp" else layout.entry_tags)

    def check_changes(self) -> None:
        """The guards as warnings; then everybody under a class, and every field of every pair under a state."""
        settings = self.connection.settings
        self._refuse(guard(self.decided, self.active, settings, initial=not self.connection.fingerprint))
        with reading(self.engine) as db:
            known, notes = links.links(db, self.connection.id), links.notes(db, self.connection.id)
            waiting = still_waiting(db, self.connection.id, self.decided)
            since = self.now() - settings.retention
            self.conflicts = changes.conflicts(db, self.connection.id, since=since)
        known = _as_decided(known, self.decided.link_updates)
        self.picture = Picture(
            members=self.examined["mailchimp"].rows[_MEMBER],
            entries=self._with_companies(self.examined["maximizer"].rows[_ENTRY]),
            links=known,
            changes=self.decided.changes,
            new_links=self.decided.new_links[["contact_id", "entry_id"]].astype("str"),
            waiting=waiting,
            resting=self.resting,
            erased=self.inputs.erased,
        )
        self.progress("comparing every field of every pair")
        self.people = classify(self.picture)
        self.agreed = self._agreement(notes)
        differing = self.agreed.details.loc[
            self.agreed.details["state"].isin(["withheld", "protected", "one-way", "placeholder", "waiting", "other"]),
            "contact_id",
        ]
        self.people = differing_apart(self.people, differing)

    def _with_companies(self, entries: pd.DataFrame) -> pd.DataFrame:
        new = [key for key in self.companies or () if key not in set(entries["entry_id"])]
        rows = pd.DataFrame({"entry_id": new, "type": "Company", "email1": "", "flag": ""}, columns=_ENTRY, dtype="str")
        return pd.concat([entries, rows], ignore_index=True)

    def _agreement(self, notes: pd.DataFrame) -> Agreement:
        """Of pairs whose both records were read; whoever waits or has changes on the way is among them."""
        found = self.people
        pairs = found.members.loc[found.members["link"].notna(), ["link", "contact_id", "class"]]
        pairs = pairs.merge(self.picture.links[["id", "entry_id", "state"]], left_on="link", right_on="id")
        pairs = pairs[pairs["state"] == "active"].merge(found.entries[["entry_id", "flag"]], on="entry_id")
        waits = {one for one in pairs["class"].unique() if one not in _MOVING}
        frame = pd.DataFrame(
            {
                "link": pairs["link"].astype("int64"),
                "contact_id": pairs["contact_id"],
                "entry_id": pairs["entry_id"],
                "sends": pairs["flag"] == "Yes",
                "waits": pairs["class"].isin(waits),
            }
        )
        coming = fields_on_the_way(self.decided.changes, frame)
        members, entries = self.examined["mailchimp"].rows, self.examined["maximizer"].rows
        return agreement(Pairs(frame, coming), members, entries, notes, self.policy)

    def earlier(self, limit: int = 400) -> list[runs.Run]:
        """Runs of the connection, oldest first."""
        return runs.latest(self.engine, self.connection.id, limit)[::-1]


_MOVING = ("in-step", "differs", "one-way", "to-update")


def _as_decided(known: pd.DataFrame, updates: pd.DataFrame) -> pd.DataFrame:
    """Links as this decision leaves them: an entry that was converted has another key (R11), a link may end."""
    columns = ["contact_id", "entry_id", "state"]
    known = known[["id", *columns]]
    if not len(updates):
        return known
    new = updates.drop_duplicates("id").set_index("id")[columns]
    place = known["id"].isin(new.index)
    renewed = known.set_index("id")
    renewed.loc[known.loc[place, "id"].to_numpy(), columns] = new.loc[known.loc[place, "id"].to_numpy()].to_numpy()
    renewed = renewed.reset_index()
    return renewed[renewed["state"] != "ended"].reset_index(drop=True)
