"""What may never happen, judged at every write of the engine, after every cycle, and when all has become quiet."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from truth import FIELDS, GROUP, Key, Record, Truth, Values, digits

from sandbox.mailchimp.members import subscriber_hash
from sandbox.web import Request

# Fields whose value in the change log is the text that people see (options are logged by their keys).
AS_SHOWN = ("FNAME", "LNAME", "MOBILE", "REF", "POINTS", "BIRTHDAY")


class Violation(AssertionError):
    """``wrong``: kind -> sentences."""

    def __init__(self, wrong: dict[str, list[str]]) -> None:
        super().__init__("\n".join(f"{kind}: {text}" for kind, texts in wrong.items() for text in texts))
        self.wrong = wrong


class Judge:
    """The invariants over a history. Findings are collected in ``truth.wrong`` and raised by ``Judge.verdict``.

    Each has a kind: lost, duplicated, resubscribed, removed, unquiet, or rule (any other rule that was broken).
    """

    def __init__(self, truth: Truth) -> None:
        self.truth, self.office = truth, truth.office
        self.removals: dict[Record, Values] = {}

    # ------------------------------------------------------------- at every call

    def read(self, side: str, request: Request) -> None:
        """Which records the engine has just looked at: an edit after that may be overtaken by a write (hazard D7)."""
        truth, tail = self.truth, request.path.rpartition("/")[2]
        for record, values in truth.state.items():
            if record[0] != side:
                continue
            named = (record[1], subscriber_hash(values.get("email", "")), values.get("email"))
            if side == "maximizer" or tail in ("members", *named):
                truth.last_read[record] = truth.calls

    def wrote(self, *, late: bool = False) -> None:
        """The engine wrote: compare both services before and after. ``late``: long after its call had failed."""
        truth = self.truth
        before, now = truth.state, truth.look()
        truth.state = now
        for record in before.keys() - now.keys():
            self.say("removed", f"{record} was deleted by the engine")
        for record, values in now.items():
            was = before.get(record)
            if was is None:
                self._made(record, values, before)
                continue
            for name, value in values.items():
                if was[name] != value:
                    self._changed(record, name, was, values, late=late)
                    truth.by_us.add((record, name))

    def _made(self, record: Record, values: Values, before: dict[Record, Values]) -> None:
        truth = self.truth
        truth.made_by_us.add(record)
        truth.by_us |= {(record, name) for name in values}
        # It was made from its partner's values: what somebody edits there meanwhile is no first meeting any more.
        truth.once |= {(m[1], e[1], tag) for m, e in self._makes(record, values) for tag in truth.mapped}
        if record[0] == "maximizer":
            mail = values["email1"].lower()
            known = truth.before_cycle.items()
            twins = [r for r, v in known if r[0] == "maximizer" and v["email1"].lower() == mail and r in before]
            twins = [r for r in twins if before[r]["email1"].lower() == mail and self._searchable(r[1])]
            if twins:
                self.say("duplicated", f"{record} was made although {twins} has its address")
            same = [r for r, v in before.items() if r in truth.made_by_us and v.get("marker") == values["marker"]]
            if same:
                self.say("duplicated", f"{record} was made although {same} carries its marker")

    def _makes(self, record: Record, values: Values) -> list[tuple[Record, Record]]:
        """The pairs that a new record may be half of."""
        state = self.truth.state
        if record[0] == "mailchimp":
            return [(record, ("maximizer", values["stamp"]))]
        return [(r, record) for r, v in state.items() if r[0] == "mailchimp" and v["uid"] == values["marker"]]

    def _searchable(self, key: Key) -> bool:
        """Whether a search of this cycle could find the entry, where they lag behind what was made."""
        database = self.office.maximizer.database
        lag = database.quirks.number("search-lag") or 0
        return bool(database.book.keys[key].created <= self.truth.begun - lag)

    def _changed(self, record: Record, name: str, was: Values, now: Values, *, late: bool) -> None:
        truth = self.truth
        if record[0] == "maximizer":
            basic = (name == "email1" and not truth.follows) or (name in FIELDS and FIELDS[name].basic)
            if basic:
                self.say("rule", f"basic field {name} of {record}: {was[name]!r} -> {now[name]!r} (R12)")
            if name == "flag":
                self._flagged(record[1], now["flag"])
        elif name == "status":
            self._status(record, was["status"], now["status"])
        if name == GROUP:
            kept = was[name] - truth.paired_options()
            if now[name] - truth.paired_options() != kept:
                self.say("rule", f"options without a counterpart of {record}: {was[name]} -> {now[name]} (R26)")
        if name in FIELDS:
            filled = was[name] == "" and now[name] == FIELDS[name].ours  # mandatory, so it goes along (R22)
            if name not in truth.mapped and not filled:
                self.say("rule", f"{name} of {record} was written without a mapping")
            self._overwritten(record, name, was[name], now[name], late=late)

    def _status(self, record: Record, was: str, now: str) -> None:
        truth = self.truth
        before_archive, moment = truth.left.get(record[1], ("", 0))
        stamp = truth.state[record]["stamp"]
        by_hand = truth.raised.get(stamp, -1) >= moment
        if (was, now) != ("archived", "subscribed") or not by_hand or before_archive != "subscribed":
            self.say("resubscribed", f"{record}: status {was} -> {now} by the engine (R18)")

    def _flagged(self, key: Key, flag: str) -> None:
        truth = self.truth
        pair = next((m for m, e in truth.pairs() if e[1] == key), None)
        if flag == "Yes" and truth.flags.get(key) == "No" and pair and (pair[1], key) in truth.pairs_before:
            self.say("rule", f"the flag of {key} was set to Yes although a person had set it to No (R3)")
        if flag == "No" and pair and truth.state[pair]["status"] == "subscribed":
            if truth.back.get(pair[1], -1) > truth.last_read.get(pair, -1):
                truth.overtaken += 1  # hazard D7; the next cycle sees that the person is back
                return
            self.say("removed", f"the flag of {key} was set to No although its member is there (R14)")

    def _overwritten(self, record: Record, tag: str, was: Any, now: Any, *, late: bool) -> None:
        """The engine replaced a value: was it a person's that nobody had received yet?"""
        truth = self.truth
        mine = truth.edits.get((record, tag), [])
        if not mine or (was == "" and now == FIELDS[tag].ours):  # an emptied mandatory field is filled again (R22)
            return
        if late or mine[-1].call > truth.last_read.get(record, -1):
            truth.overtaken += 1  # hazards D7 and D8
            return
        partner = truth.partner(record, truth.state)
        if partner is None:
            return
        member, entry = (record, partner) if record[0] == "mailchimp" else (partner, record)
        first = (member[1], entry[1], tag) not in truth.met
        theirs = truth.edits.get((partner, tag), [])
        if not first and not theirs:
            self.say("lost", f"{tag} of {record}: an edit ({was!r}) was undone ({now!r}) and nobody had asked for that")
        elif was not in ("", frozenset()) and truth.common(tag, was) != truth.common(tag, now):
            truth.losers.append((record, tag, was))

    # ------------------------------------------------------------- after a cycle

    def after_cycle(self, run: int) -> None:
        """Every value that lost a conflict is in the change log (R31)."""
        if self.truth.losers:
            logged = {
                (row["side"], row["contact_id" if row["side"] == "mailchimp" else "entry_id"], item["field"], old)
                for row in self.office.changes(run)
                for item in json.loads(row["fields"])["set"]
                for old in (digits(item["old"]) if item["field"] == "MOBILE" else item["old"], None)
            }
            for (side, key), tag, value in self.truth.losers:
                name = key if side == "mailchimp" else f"{key[0]}#{key[1]}"
                if (side, name, tag, value if tag in AS_SHOWN else None) not in logged:
                    self.say("lost", f"{tag} of {side} {key} lost {value!r}, which is not in the change log (R31)")
            self.truth.losers.clear()

    # ------------------------------------------------------------- when all is quiet

    def quiet(self) -> None:
        """Everything that could flow has flown, and what is held back is reported."""
        self._nothing_deleted()
        waiting, findings = self._waiting(), self._findings()
        linked: set[Record] = set()
        sure: list[Record] = []  # what a member waits with may be an identity that no longer is its entry's
        pairs = list(self.truth.pairs())
        for member, entry in pairs:
            if self._of_a_namesake(member, entry, pairs):
                continue
            linked |= {member, entry}
            if {self._name(member), self._name(entry)} & waiting:
                continue
            sure += [member, entry]
            self._same_person(member, entry)
            for tag in self.truth.mapped:
                if not self.truth.agree(member, entry, tag):
                    self._explained(member, entry, tag, findings)
        for record, number in Counter(sure).items():
            if number > 1:
                self.say("duplicated", f"{record} belongs to {number} people")
        for record, values in self.truth.state.items():
            if record in linked or self._name(record) in waiting:
                continue
            if record[0] == "mailchimp" and values["status"] == "subscribed":
                self.say("rule", f"{record} {values['email']} is subscribed, has no entry, and waits nowhere (R1)")
            if record[0] == "maximizer" and values["flag"] == "Yes":
                if values["email1"]:
                    self.say("rule", f"{record} {values['email1']} is flagged, has no member, and waits nowhere (R3)")
                elif ("no-email", self._name(record), "") not in findings:
                    self.say("rule", f"{record} has no Email 1, which is not reported (R3)")

    def _nothing_deleted(self) -> None:
        if (self.office.mailchimp.deletes, self.office.maximizer.deletes) != (0, 0):
            self.say("removed", "something was deleted")

    def _of_a_namesake(self, member: Record, entry: Record, pairs: list[tuple[Record, Record]]) -> bool:
        """Whether who is not subscribed names an entry that was removed, and whose number another entry has taken."""
        state = self.truth.state
        owners = [m for m, e in pairs if e == entry and state[m]["uid"] == state[entry]["marker"]]
        return state[member]["status"] != "subscribed" and bool(owners) and member not in owners

    def _same_person(self, member: Record, entry: Record) -> None:
        ours, theirs = self.truth.state[member], self.truth.state[entry]
        moved = ours["email"].lower() != theirs["email1"].lower()
        # Who changed the address without being subscribed waits with the old marker (R13).
        if theirs["marker"] != ours["uid"] and not (moved and ours["status"] != "subscribed"):
            self.say(
                "rule", f"{entry} carries the marker {theirs['marker']!r}, its member {member} is {ours['uid']!r} (R8)"
            )
        held_back = theirs["flag"] != "Yes" or theirs["email1"] == "" or ours["status"] != "subscribed"
        held_back |= self.truth.apart(member, entry)
        if moved and not held_back:
            self.say("rule", f"{member} is {ours['email']}, its entry {entry} is {theirs['email1']} (R13, R17)")

    def _explained(self, member: Record, entry: Record, tag: str, findings: set[tuple[str, str, str]]) -> None:
        """A field that differs on the two sides of a pair: may it?"""
        truth, about = self.truth, FIELDS[tag]
        ours, theirs = truth.state[member][tag], truth.state[entry][tag]
        by_member, by_entry = truth.edits.get((member, tag), []), truth.edits.get((entry, tag), [])
        sends = truth.state[entry]["flag"] == "Yes"
        first = (member[1], entry[1], tag) not in truth.met
        if not first and not by_member and not by_entry:
            return  # settled before; nothing happened since
        # A member that was made without the value is told of under its entry.
        reported = any(("withheld", name, tag) in findings for name in (self._name(member), self._name(entry)))
        may_wait_here = about.basic and (bool(by_member) or first)  # what Mailchimp has stays in Mailchimp (R12)
        may_wait_there = not sends and (bool(by_entry) or first)  # R3
        surely = first and (member[1], entry[1], tag) not in truth.once
        if surely and about.basic and theirs != "" and "mailchimp" not in truth.settings and ours != "" and sends:
            may_wait_here = False  # R30: Maximizer overrides
        unfit = not about.fits_mailchimp(theirs) or not about.fits_maximizer(ours)
        if may_wait_here or may_wait_there:
            return
        if unfit and reported:
            return
        what = "first meeting" if first else f"edits {[e.value for e in by_member]} | {[e.value for e in by_entry]}"
        said = "withheld and not reported" if unfit else "not delivered"
        self.say("lost", f"{tag} of {member} and {entry}: {ours!r} | {theirs!r}, {what}: {said}")

    # ------------------------------------------------------------- what the product tells

    def _waiting(self) -> set[str]:
        named = set()
        for row in self.office.quarantined():
            about = row["evidence"] if isinstance(row["evidence"], dict) else {}
            named |= {f"{'member' if row['side'] == 'mailchimp' else 'entry'}:{str(row['key']).removeprefix('new:')}"}
            named |= {f"member:{about.get('contact_id')}", f"entry:{about.get('entry_id')}"}
            if row["rule"] == "R17":  # both records of the pair wait
                named |= {f"entry:{key}" for key in str(about.get("with", "")).split()}
            # "new:<entry>" is a member to be made, "new:<contact>" an entry.
            if str(row["key"]).startswith("new:"):
                named |= {f"{kind}:{str(row['key'])[4:]}" for kind in ("member", "entry")}
        return named

    def _findings(self) -> set[tuple[str, str, str]]:
        return {(row["kind"], row["key"], row["field"]) for row in self.office.findings()}

    @staticmethod
    def _name(record: Record) -> str:
        side, key = record
        return f"member:{key}" if side == "mailchimp" else f"entry:{key[0]}#{key[1]}"

    def say(self, kind: str, text: str) -> None:
        self.truth.wrong.append((kind, text))

    def verdict(self) -> None:
        found, self.truth.wrong = self.truth.wrong, []
        if found:
            raise Violation({kind: [text for other, text in found if other == kind] for kind, _ in found})
