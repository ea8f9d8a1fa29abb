"""What really happened: every edit of a person, seen from outside both services, and what has to come of it.

The oracle of whole histories. It watches the two sandbox services only (values, stamps, markers) and never looks into
the engine's tables; of the product it reads what the product tells people: the quarantine, the findings, the changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness import FLAG, MARKER, Office

Key = tuple[str, int]
Record = tuple[str, Any]  # ("mailchimp", contact_id) or ("maximizer", key)
Values = dict[str, Any]
PEOPLE = ("Individual", "Contact")
PROFILES = r"Marketing\Email Opt-In"
GROUP = "group:Email Profile"


@dataclass(frozen=True)
class Field:
    """A mapped field: where it stands, what people enter on either side, and what the other side can hold.

    ``ours``: the placeholder of a mandatory field (R22). Values are compared as texts or frozen sets.
    """

    tag: str
    path: str
    basic: bool
    entered: tuple[Any, ...]
    entered_in_maximizer: tuple[Any, ...] = ()
    ours: str = ""
    fits_mailchimp: Callable[[Any], bool] = lambda value: True
    fits_maximizer: Callable[[Any], bool] = lambda value: True

    def pool(self, side: str) -> tuple[Any, ...]:
        return self.entered_in_maximizer if side == "maximizer" and self.entered_in_maximizer else self.entered


FIELDS = {
    one.tag: one
    for one in (
        Field("FNAME", "FirstName", True, ("", "Ann", "Bea", "Zoë")),
        Field("LNAME", "LastName", True, ("", "Reed", "Moor"), ("Reed", "Stone")),
        Field(
            "MOBILE",
            "Phone2",
            True,
            ("", "604-555-0101", "604-555-0199"),
            ("", "6045550101", "(604) 555-0177", "ask Ann"),
            fits_mailchimp=lambda text: text == "" or text.isdigit(),
        ),
        Field("REF", r"Marketing\Reference", False, ("", "NA", "00123", "x" * 40), ("", "NA", "R-7"), "-",
              fits_maximizer=lambda text: len(text) <= 30),
        Field("POINTS", r"Marketing\Loyalty Points", False, ("", 7, 12.5, 1.125), ("", 7, 0, 40), "0",
              fits_maximizer=lambda text: len(text.partition(".")[2]) <= 2),
        Field("PLAN", r"Marketing\Plan", False, ("", "Basic", "Plus"), ("", "Plus", "Premium", "Platinum"), "Basic",
              fits_mailchimp=lambda label: label != "Platinum"),
        Field("BIRTHDAY", r"Marketing\Birthday", False, ("", "02/29", "11/05"), ("", "02-29", "03-01")),
        Field(
            GROUP,
            PROFILES,
            False,
            ((), ("Newsletter",), ("Newsletter", "Surveys"), ("Events", "Product News")),
            ((), ("Newsletter",), ("Events", "Printed Catalogue"), ("Special Offers",)),
        ),
    )
}  # fmt: skip
FIRST = ("FNAME", "LNAME")  # mapped by set-up itself


@dataclass
class Edit:
    """``call``: number of calls of both services when a person made it; ``cycle`` the cycle it fell into, 0 none."""

    value: Any
    call: int
    cycle: int


@dataclass
class Truth:
    """``edits``: of people, not yet seen settled. ``met``: (contact_id, key, tag) that both sides once agreed on."""

    office: Office
    calls: int = 0
    cycle: int = 0
    begun: float = 0.0  # when the latest cycle did, by the services' clock
    mapped: set[str] = field(default_factory=lambda: set(FIELDS))
    state: dict[Record, Values] = field(default_factory=dict)
    before_cycle: dict[Record, Values] = field(default_factory=dict)
    edits: dict[tuple[Record, str], list[Edit]] = field(default_factory=dict)
    by_us: set[tuple[Record, str]] = field(default_factory=set)  # fields last written by the engine
    made_by_us: set[Record] = field(default_factory=set)
    met: set[tuple[str, Key, str]] = field(default_factory=set)
    once: set[tuple[str, Key, str]] = field(default_factory=set)  # perhaps met: the store may know of it or not
    ever: set[tuple[str, Key, str]] = field(default_factory=set)  # met, as stores knew that were lost and may come back
    pairs_before: set[tuple[str, Key]] = field(default_factory=set)
    met_apart: set[tuple[str, Key]] = field(default_factory=set)  # with two addresses, each of which stays
    last_read: dict[Record, int] = field(default_factory=dict)
    losers: list[tuple[Record, str, Any]] = field(default_factory=list)
    flags: dict[Key, str] = field(default_factory=dict)  # as a person last set it, since the pair was made
    left: dict[str, tuple[str, int]] = field(default_factory=dict)  # contact_id: status when archived, call
    back: dict[str, int] = field(default_factory=dict)  # contact_id: call when a person last came back
    raised: dict[Key, int] = field(default_factory=dict)  # when a person last set the flag to Yes
    settings: set[str] = field(default_factory=lambda: {"maximizer"})
    follows: bool = False
    overtaken: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)  # kind of violation, sentence

    def __post_init__(self) -> None:
        self.state = self.look()

    # ------------------------------------------------------------- looking

    def look(self) -> dict[Record, Values]:
        """Everything both services hold now, in comparable form."""
        office = self.office
        names = {key: one.name for key, one in office.mailchimp.audiences[office.list_id].interests.items()}
        seen: dict[Record, Values] = {}
        for row in office.mailchimp.members(office.list_id):
            seen["mailchimp", row["contact_id"]] = member_values(row, names)
        for key, row in office.maximizer.entries().items():
            if row["Type"] in PEOPLE:
                seen["maximizer", key] = entry_values(row)
        return seen

    def pairs(self, state: dict[Record, Values] | None = None) -> Iterator[tuple[Record, Record]]:
        """Members on the list and the entry whose identity they carry."""
        state = self.state if state is None else state
        for record, values in state.items():
            partner = ("maximizer", values.get("stamp"))
            if record[0] == "mailchimp" and values["status"] != "archived" and partner in state:
                yield record, partner

    def partner(self, record: Record, state: dict[Record, Values]) -> Record | None:
        return next((b if a == record else a for a, b in self.pairs(state) if record in (a, b)), None)

    def paired_options(self) -> frozenset[str]:
        office = self.office
        there = set(office.maximizer.options(PROFILES).values())
        return frozenset(one.name for one in office.mailchimp.audiences[office.list_id].interests.values()) & there

    def common(self, tag: str, value: Any) -> Any:
        """The part of a value that two sides can agree on."""
        return value & self.paired_options() if tag == GROUP else value

    def agree(self, member: Record, entry: Record, tag: str, state: dict[Record, Values] | None = None) -> bool:
        state = self.state if state is None else state
        ours, theirs = state[member][tag], state[entry][tag]
        if self.common(tag, ours) == self.common(tag, theirs):
            return True
        if tag == "LNAME" and ours == "" and "@" in theirs:
            return (entry, tag) in self.by_us  # R10
        placeholder = FIELDS[tag].ours
        # R23 knows some by sight; the others are equal at a first meeting, as Mailchimp would store an empty value.
        known = placeholder == "-" or (member, tag) in self.by_us or (member[1], entry[1], tag) not in self.met
        # Whoever emptied the entry has that in Mailchimp which stands there for nothing.
        known |= bool(emptied := self.edits.get((entry, tag))) and emptied[-1].value == ""
        return bool(placeholder) and theirs == "" and ours == placeholder and known

    def apart(self, member: Record, entry: Record) -> bool:
        """The pair met with two addresses while Mailchimp overrides: each side keeps its own (R30 with R12)."""
        edited = (member, "email") in self.edits or (entry, "email1") in self.edits
        return (member[1], entry[1]) in self.met_apart and not edited

    # ------------------------------------------------------------- what people do

    def acted(self) -> None:
        """A person did something: whatever differs now is theirs."""
        now = self.look()
        for record, values in now.items():
            was = self.state.get(record)
            for name, value in values.items():
                if was is not None and was[name] != value:
                    self._edited(record, name, value, was[name])
                elif was is None:
                    self.by_us.discard((record, name))
            if was is None and record[0] == "maximizer":
                self.flags[record[1]] = values["flag"]
        for record in self.state.keys() - now.keys():
            self.flags.pop(record[1], None)
        self.state = now

    def _edited(self, record: Record, name: str, value: Any, before: Any) -> None:
        self.by_us.discard((record, name))
        if name in FIELDS or name in ("email", "email1"):
            self.edits.setdefault((record, name), []).append(Edit(value, self.calls, self.cycle))
        elif name == "flag":
            self.flags[record[1]] = value
            if value == "Yes":
                self.raised[record[1]] = self.calls
        elif name == "status" and value == "archived":
            self.left[record[1]] = (before, self.calls)
        elif name == "status" and value == "subscribed":
            self.back[record[1]] = self.calls

    def moved(self, old: Key, new: Key) -> None:
        """An Individual became a Contact: the same entry under another key."""
        a, b = ("maximizer", old), ("maximizer", new)
        self.state = {(b if record == a else record): values for record, values in self.state.items()}
        self.edits = {((b if rec == a else rec), tag): edits for (rec, tag), edits in self.edits.items()}
        self.by_us = {((b if rec == a else rec), tag) for rec, tag in self.by_us}
        self.met, self.once = (
            {(contact, new if key == old else key, tag) for contact, key, tag in kept} for kept in (self.met, self.once)
        )
        self.pairs_before = {(contact, new if key == old else key) for contact, key in self.pairs_before}
        self.made_by_us = {b if rec == a else rec for rec in self.made_by_us}
        for kept in (self.flags, self.raised):
            if old in kept:
                kept[new] = kept.pop(old)  # type: ignore[assignment]

    def copied(self, old: Key, new: Key) -> None:
        """A copy carries the marker: should the first one go, the copy may be taken for the same entry converted."""
        known = {(contact, new, tag) for contact, key, tag in self.met | self.once if key == old}
        self.once |= known

    def forget_mapping(self, tag: str) -> None:
        """Removed, added anew, or its options changed: the next meeting of this field is the first one (R30)."""
        self.met, self.once = ({known for known in kept if known[2] != tag} for kept in (self.met, self.once))

    def store_lost(self) -> None:
        self.ever |= self.met | self.once
        self.met.clear()
        self.once.clear()
        self.pairs_before.clear()

    def store_restored(self, pairs: frozenset[tuple[str, Key]]) -> None:
        """An older store: what was agreed on since then may count as a first meeting again."""
        self.once |= self.met | self.ever
        self.met.clear()
        self.pairs_before &= pairs

    # ------------------------------------------------------------- calm

    def settle(self) -> None:
        """All is delivered or lawfully held back: later edits count from here."""
        self.edits.clear()
        self.settings = {self.office.connection.settings.conflict}
        self.remember_agreement(delivered=False)

    def perhaps_agreed(self) -> None:
        """After a cycle that was disturbed or broke off: what agrees now, or did when it began, may be seen so."""
        for state in (self.state, self.before_cycle):
            for member, entry in self.pairs(state):
                agreed = (tag for tag in self.mapped if self.agree(member, entry, tag, state))
                self.once |= {(member[1], entry[1], tag) for tag in agreed}

    def remember_agreement(self, *, delivered: bool = True) -> None:
        """After a cycle that nothing disturbed: fields that agree have met, and their edits have arrived."""
        for member, entry in self.pairs():
            pair = (member[1], entry[1])
            if pair not in self.pairs_before and "mailchimp" in self.settings:
                self.met_apart.add(pair)
                self.edits.pop((member, "email"), None)
                self.edits.pop((entry, "email1"), None)
            self.pairs_before.add(pair)
            for tag in self.mapped:
                if delivered and not self.agree(member, entry, tag):
                    continue
                self.met.add((member[1], entry[1], tag))
                self.edits.pop((member, tag), None)
                self.edits.pop((entry, tag), None)


def member_values(row: dict[str, Any], interests: dict[str, str]) -> Values:
    merge = row["merge_fields"]
    number = str(merge.get("CONTACTNO", ""))
    values: Values = {tag: _text(merge.get(tag, "")) for tag in FIELDS if tag != GROUP}
    values["MOBILE"] = digits(values["MOBILE"])
    values["BIRTHDAY"] = values["BIRTHDAY"].replace("/", "-")
    chosen = (name for key, name in interests.items() if row.get("interests", {}).get(key))
    values[GROUP] = frozenset(chosen) - frozenset(("Retail", "Wholesale", "Partner"))
    stamp = (str(merge["CLIENTID"]), int(number)) if merge.get("CLIENTID") and number else None
    uid = row["unique_email_id"]
    return values | {"email": row["email_address"], "status": row["status"], "stamp": stamp, "uid": uid}


def entry_values(row: dict[str, Any]) -> Values:
    udfs = row["udfs"]
    values: Values = {
        tag: _text(row[one.path] if one.basic else udfs.get(one.path)) for tag, one in FIELDS.items() if tag != GROUP
    }
    values["MOBILE"] = digits(values["MOBILE"])
    values["BIRTHDAY"] = values["BIRTHDAY"][-5:]
    values[GROUP] = frozenset(udfs.get(PROFILES) or ())
    return values | {"email1": row["Email1"], "flag": udfs.get(FLAG) or "", "marker": udfs.get(MARKER) or ""}


def digits(text: str) -> str:
    """A phone number however it is dressed; anything else as it stands."""
    bare = "".join(letter for letter in text if letter not in " ()-")
    return bare if bare.isdigit() else text


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value or "")
