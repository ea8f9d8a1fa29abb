"""Each person of a side in exactly one class: in step, pending, waiting for somebody, or not synchronised and why.

A pair counts under the same class on both sides, so what is in step adds up on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from domain.frames import among, positions
from domain.values import address_key, texts

PEOPLE = ("Individual", "Contact")  # R4


@dataclass(frozen=True)
class PersonClass:
    """``group``: in step | pending | waiting | outside. ``what``: what it means or what to do, for a manager."""

    code: str
    group: str
    title: str
    what: str = ""
    rule: str = ""


CLASSES = (
    PersonClass("in-step", "in step", "Linked, every field agrees"),
    PersonClass("differs", "in step", "Linked, some fields differ for a lawful reason", "See the fields below."),
    PersonClass(
        "one-way",
        "in step",
        "Linked, but sends nothing to Mailchimp",
        "The flag Sync with MailChimp is not Yes; Mailchimp's changes keep coming in.",
        "R3",
    ),
    PersonClass("to-create", "pending", "Not on the other side yet", "The next sync creates the record there."),
    PersonClass("to-link", "pending", "Same person found on the other side", "The next sync links the two.", "R7"),
    PersonClass("to-update", "pending", "Linked, with changes on the way", "The next sync carries them over."),
    PersonClass(
        "settling",
        "pending",
        "An earlier write is still uncertain",
        "It rests for a few minutes, is looked up, and then done or done again.",
    ),
    PersonClass(
        "ambiguous",
        "waiting",
        "More than one record could be this person",
        "Decide which record is the right one, then release it by its number, see: maxchimp quarantine list.",
        "R9",
    ),
    PersonClass(
        "refused",
        "waiting",
        "A service refused the record",
        "Correct the record; it is tried again when its data change.",
        "R51",
    ),
    PersonClass("unsound", "waiting", "The record failed a check", "Correct the record; every run looks again."),
    PersonClass("consent", "waiting", "The person left or was erased", "Only the person can subscribe again.", "R18"),
    PersonClass(
        "address", "waiting", "The e-mail address needs a decision", "See the reason in the list.", "R13, R17, R28"
    ),
    PersonClass("decision", "waiting", "Another decision is needed", "See the reason in the list."),
    PersonClass(
        "no-email", "outside", "Flagged, but Email 1 is empty", "Fill in Email 1, or set the flag to No.", "R3"
    ),
    PersonClass("flag-no", "outside", "The flag is No", "", "R3"),
    PersonClass("flag-unset", "outside", "The flag was never set", "", "R3"),
    PersonClass("left", "outside", "Its member was deleted or archived", "The entry stays; its flag is No.", "R14"),
    PersonClass("company", "outside", "A company", "Companies are never synchronised.", "R4"),
    PersonClass("unsubscribed", "outside", "Unsubscribed", "Nobody is ever subscribed again by maxchimp.", "R1, R18"),
    PersonClass("cleaned", "outside", "Cleaned: the address bounced", "", "R1"),
    PersonClass("unconfirmed", "outside", "Pending: has not confirmed yet", "", "R1"),
    PersonClass("transactional", "outside", "Transactional only", "", "R1"),
    PersonClass("archived", "outside", "Archived", "", "R14"),
    PersonClass("no-address", "outside", "A member without an address", "Give the contact an address.", "R1"),
    PersonClass("erased", "outside", "Erased on request", "Never created again.", "R18"),
    PersonClass("other", "outside", "Nothing could be decided in this reading", "See the warnings on top."),
)
BY_CODE: Mapping[str, PersonClass] = {one.code: one for one in CLASSES}
GROUPS = ("in step", "pending", "waiting", "outside")
_WAITING = tuple(one.code for one in CLASSES if one.group == "waiting")
_BY_RULE = {
    "R9": "ambiguous",
    "R51": "refused",
    "checks": "unsound",
    "R18": "consent",
    "R13": "address",
    "R17": "address",
    "R28": "address",
}
_STATUS = {
    "archived": "archived",
    "unsubscribed": "unsubscribed",
    "cleaned": "cleaned",
    "pending": "unconfirmed",
    "transactional": "transactional",
}


@dataclass(frozen=True)
class Picture:
    """Both sides as they were read, and what is known and decided of them.

    ``members``: contact_id, email, status. ``entries``: entry_id, type, email1, flag. ``links``: id, contact_id,
    entry_id, state (alive ones). ``changes``: CHANGE columns. ``new_links``: contact_id, entry_id of pairs found now.
    ``waiting``: side, key, contact_id, entry_id, reason, rule, remedy, since_at. ``resting``: ids with an uncertain
    write. ``erased``: address keys.
    """

    members: pd.DataFrame
    entries: pd.DataFrame
    links: pd.DataFrame
    changes: pd.DataFrame
    new_links: pd.DataFrame
    waiting: pd.DataFrame
    resting: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Classified:
    """``members``/``entries``: the picture's frames with class, link (Int64), reason, remedy and rule."""

    members: pd.DataFrame
    entries: pd.DataFrame
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def classify(picture: Picture) -> Classified:
    """Every found record of both sides under its one class; ``counts``: code -> side -> number."""
    pairs = _pairs(picture)
    return _counted(_members(picture, pairs), _entries(picture, pairs))


def differing_apart(people: Classified, contact_ids: Iterable[str]) -> Classified:
    """The same, with the pairs of these members that count as in step under "differs" instead."""
    hit = (people.members["class"] == "in-step") & among(people.members["contact_id"], pd.Series(list(contact_ids)))
    links = people.members.loc[hit, "link"]
    twins = (people.entries["class"] == "in-step") & people.entries["link"].isin(links)
    return _counted(
        people.members.assign(**{"class": people.members["class"].mask(hit, "differs")}),
        people.entries.assign(**{"class": people.entries["class"].mask(twins, "differs")}),
    )


def _counted(members: pd.DataFrame, entries: pd.DataFrame) -> Classified:
    counts = {
        one.code: {
            "mailchimp": int((members["class"] == one.code).sum()),
            "maximizer": int((entries["class"] == one.code).sum()),
        }
        for one in CLASSES
    }
    return Classified(members, entries, counts)


def _pairs(picture: Picture) -> pd.DataFrame:
    """The links with what holds for both of their records: ``state_of`` is "" where nothing is left to do."""
    links = picture.links[["id", "contact_id", "entry_id", "state"]].reset_index(drop=True)
    m_row = positions(links["contact_id"], picture.members["contact_id"])
    e_row = positions(links["entry_id"], picture.entries["entry_id"])
    there = (m_row >= 0) & (e_row >= 0) & (links["state"] == "active").to_numpy()
    status = _taken(picture.members["status"], m_row)
    flag = _taken(picture.entries["flag"], e_row)
    waiting = _waiting_classes(picture.waiting)
    shared = [links[name].map(waiting[side]).fillna("") for side, name in _NAMES.items()]
    wait = shared[0].mask(shared[0] == "", shared[1])
    resting = _among(links["contact_id"], picture.resting) | _among(links["entry_id"], picture.resting)
    touched = _among(links["contact_id"], picture.changes["contact_id"])
    touched = touched | _among(links["entry_id"], picture.changes["entry_id"])
    whole = there & (status != "archived")
    state = np.select(
        [
            (wait != "").to_numpy(),
            resting,
            touched,
            whole & (flag != "Yes"),
            whole,
        ],
        [wait.to_numpy(dtype=object), "settling", "to-update", "one-way", "in-step"],
        default="",
    )
    return links.assign(state_of=state)


_NAMES = {"mailchimp": "contact_id", "maximizer": "entry_id"}


def _taken(column: pd.Series, rows: np.ndarray) -> np.ndarray:
    """Values at these positions, "" where there is none."""
    if not len(column):
        return np.full(len(rows), "", dtype=object)
    return np.where(rows >= 0, column.to_numpy(dtype=object)[np.maximum(rows, 0)], "")


def _among(keys: pd.Series, wanted: Iterable[str]) -> np.ndarray:
    return np.asarray(among(keys, texts(key for key in wanted if key)).to_numpy(bool))


def _waiting_classes(waiting: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Per side: record -> class of what it waits for; of several reasons the first of ``CLASSES``."""
    about = _about(waiting)
    return {side: dict(zip(rows["record"], rows["class"], strict=True)) for side, rows in about.items()}


def _about(waiting: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Per side one row per waiting record: record, class, reason, remedy, rule."""
    code = waiting["rule"].map(_BY_RULE).fillna("decision")
    rows = waiting.assign(order=code.map({name: n for n, name in enumerate(_WAITING)}), **{"class": code})
    rows = rows.sort_values("order", kind="stable")
    found = {}
    for side, name in _NAMES.items():
        own = rows["key"].where((rows["side"] == side) & ~rows["key"].str.startswith("new:"), "")
        # A refused create is named after the record of the other side that it was made from.
        made_from = (
            rows["key"].str.removeprefix("new:").where((rows["side"] != side) & rows["key"].str.startswith("new:"), "")
        )
        named = pd.concat([own, made_from, rows[name].fillna("")])
        listed = pd.concat([rows] * 3).assign(record=named.to_numpy())
        listed = listed[listed["record"] != ""].sort_values("order", kind="stable")
        found[side] = listed.drop_duplicates("record")[["record", "class", "reason", "remedy", "rule"]]
    return found


def _members(picture: Picture, pairs: pd.DataFrame) -> pd.DataFrame:
    members = picture.members.reset_index(drop=True)
    own = members["status"].map(_STATUS).fillna("")
    own = own.mask((own == "") & (members["email"] == ""), "no-address")
    own = own.mask((own == "") & among(address_key(members["email"]), picture.erased), "erased")
    created = picture.changes[(picture.changes["side"] == "maximizer") & (picture.changes["op"] == "create")]
    return _placed(picture, members, "mailchimp", pairs, created["contact_id"], own.mask(own == "", "other"))


def _entries(picture: Picture, pairs: pd.DataFrame) -> pd.DataFrame:
    entries = picture.entries.reset_index(drop=True)
    left = _among(entries["entry_id"], pairs.loc[pairs["state"] == "left", "entry_id"])
    own = pd.Series(
        np.select(
            [
                ~entries["type"].isin(PEOPLE).to_numpy(),
                left,
                ((entries["flag"] == "Yes") & (entries["email1"] == "")).to_numpy(),
                (entries["flag"] == "No").to_numpy(),
                (entries["flag"] == "").to_numpy(),
            ],
            ["company", "left", "no-email", "flag-no", "flag-unset"],
            default="other",
        ),
        dtype="str",
    )
    created = picture.changes[(picture.changes["side"] == "mailchimp") & (picture.changes["op"] == "create")]
    return _placed(picture, entries, "maximizer", pairs, created["entry_id"], own)


def _placed(
    picture: Picture, frame: pd.DataFrame, side: str, pairs: pd.DataFrame, created: pd.Series, own: pd.Series
) -> pd.DataFrame:
    """The frame with its classes: what holds for the pair, then what is planned, then the record's own reason."""
    name = _NAMES[side]
    row = positions(frame[name], pairs[name]) if len(pairs) else np.full(len(frame), -1)
    about = _about(picture.waiting)[side].set_index("record")
    wait = frame[name].map(about["class"]).fillna("") if len(about) else texts([""] * len(frame))
    of_pair = _taken(pairs["state_of"], row)
    placed = np.select(
        [
            of_pair != "",
            (wait != "").to_numpy(),
            _among(frame[name], picture.resting),
            _among(frame[name], created),
            _among(frame[name], picture.new_links[name]),
            _among(frame[name], picture.changes[name]),
        ],
        [of_pair, wait.to_numpy(dtype=object), "settling", "to-create", "to-link", "to-update"],
        default=own.to_numpy(dtype=object),
    )
    linked = pd.Series(np.where(row >= 0, _taken(pairs["id"], row), -1), dtype="int64").astype("Int64")
    told = {column: frame[name].map(about[column]).fillna("") if len(about) else "" for column in _TOLD}
    columns: dict[str, Any] = {"class": placed, "link": linked.mask(linked < 0), **told}
    return frame.assign(**columns)


_TOLD = ("reason", "remedy", "rule")
