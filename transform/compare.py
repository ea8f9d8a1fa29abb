"""The three-way compare, column by column on aligned frames: the verdict table of the whole sync.

A change is a side differing from *its own* last-seen value. Equality is equality of canonical values, and two sides
"differ" when what the target would store differs from what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from domain import values
from domain.fields import FieldMapping, kinds
from domain.records import LAST_NAME, LEFT_EMPTY, MAILCHIMP_WAITS, MAXIMIZER_WAITS, PLACEHOLDER

CELLS = (
    "row", "tag", "verdict", "conflict", "first", "moved", "mailchimp", "maximizer", "mailchimp_seen", "maximizer_seen",
    "value", "problem", "note", "remark",
)  # fmt: skip

SIDES = ("mailchimp", "maximizer")


@dataclass(frozen=True)
class Aligned:
    """Row i of every frame is the same pair; columns are mapping tags, dtype ``str``, RangeIndex.

    ``member``/``entry``: values now (NA unknown, R29). ``member_seen``/``entry_seen``: values when last seen (NA
    never). ``notes``: notes of the baseline ("" none), or None where there are none at all.
    ``sends``: bool per row, whether Maximizer's edits may go to Mailchimp (the flag is Yes, R3).
    """

    member: pd.DataFrame
    entry: pd.DataFrame
    member_seen: pd.DataFrame
    entry_seen: pd.DataFrame
    notes: pd.DataFrame | None
    sends: pd.Series


def compare(pairs: Aligned, mappings: tuple[FieldMapping, ...], conflict: str, today: date) -> pd.DataFrame:
    """Cells that are not simply unchanged, columns ``CELLS``.

    ``row``: position of the pair. ``verdict``: see ``_verdicts``, with four outcomes that write nothing
    (``same``, ``protected``, ``frozen``, ``withheld``). ``value``: what the target shall hold, canonical for it.
    ``mailchimp_seen``, ``maximizer_seen``: what of the values now is remembered as seen.
    ``note``: the note that the baseline shall carry. ``conflict``: both sides held different values.
    ``first``: the field meets for the first time (R30), else both were edited since (R31).
    ``moved``: the side whose people have edited the field since it was last seen ("mailchimp", "maximizer", "both" or
    ""; a read-only source is nobody's edit).
    ``remark``: options without a counterpart, which are reported even where the rest is ``unchanged``.
    """
    parts = [_column(pairs, m, conflict, today) for m in mappings if not m.broken]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in CELLS})


def _column(pairs: Aligned, mapping: FieldMapping, conflict: str, today: date) -> pd.DataFrame:
    """One field of all pairs: find what may have moved, then judge only that."""
    tag = mapping.tag
    now = [pairs.member[tag], pairs.entry[tag], pairs.member_seen[tag], pairs.entry_seen[tag]]
    notes = pairs.notes[tag] if pairs.notes is not None and tag in pairs.notes else None
    touched = (now[0] != now[2]).to_numpy() | (now[1] != now[3]).to_numpy()
    if notes is not None:
        touched |= notes.isin([MAILCHIMP_WAITS, MAXIMIZER_WAITS]).to_numpy()
        touched |= (notes.str.startswith(PLACEHOLDER) & (now[1] != "")).to_numpy(bool)
    if mapping.mailchimp.required:  # it may have become so since
        touched |= ((now[0] == "") & (now[1] == "")).to_numpy(bool)
    touched |= _unpaired(mapping, now[0], "mailchimp") | _unpaired(mapping, now[1], "maximizer")
    rows = np.flatnonzero(touched)
    if not len(rows):
        return pd.DataFrame()
    member, entry, member_seen, entry_seen = (column.take(rows).reset_index(drop=True) for column in now)
    note = values.texts([""] * len(rows)) if notes is None else notes.take(rows).fillna("").reset_index(drop=True)
    known = (member.notna() & entry.notna()).to_numpy()
    if not known.all():
        kept = np.flatnonzero(known)
        columns = (member, entry, member_seen, entry_seen, note)
        member, entry, member_seen, entry_seen, note = (c.take(kept).reset_index(drop=True) for c in columns)
        rows = rows[kept]
    sends = pairs.sends.take(rows).to_numpy().astype(bool)
    cells = _judge(mapping, member, entry, member_seen, entry_seen, note, sends, conflict, today)
    cells.insert(0, "row", rows)
    return cells[(cells["verdict"] != "unchanged") | (cells["remark"] != "")]


def _unpaired(mapping: FieldMapping, sets: pd.Series, side: str) -> np.ndarray:
    """Where a group or table holds options without a counterpart: reported for as long as they are there (R28)."""
    if mapping.mailchimp.kind != "group":
        return np.zeros(len(sets), bool)
    return (values.paired_only(mapping, sets, side) != sets).to_numpy() & sets.notna().to_numpy()


def _verdicts(
    same: np.ndarray,
    lacking: np.ndarray,
    first: np.ndarray,
    moved_member: np.ndarray,
    moved_entry: np.ndarray,
    member_empty: np.ndarray,
    entry_empty: np.ndarray,
    winner: str,
) -> np.ndarray:
    """The table. The verdict names the side whose value is taken."""
    return np.select(
        [
            same,  # equal, however it came about: adopt both, write nothing
            lacking,  # nobody has a value for a mandatory field: its placeholder (R22)
            first & member_empty,  # one side empty is no conflict: the other side's value is taken (R30)
            first & entry_empty,
            first,  # both filled and different for the first time: the conflict setting (R30)
            moved_member & moved_entry,  # both edited since the last cycle: the same setting (R31)
            moved_entry,  # a Maximizer edit
            moved_member,  # a Mailchimp edit
        ],
        ["same", "maximizer", "maximizer", "mailchimp", winner, winner, "maximizer", "mailchimp"],
        default="unchanged",  # neither moved: they may differ for good reason, nothing flows
    ).astype(object)


def _judge(
    mapping: FieldMapping,
    member: pd.Series,
    entry: pd.Series,
    member_seen: pd.Series,
    entry_seen: pd.Series,
    note: pd.Series,
    sends: np.ndarray,
    conflict: str,
    today: date,
) -> pd.DataFrame:
    paired = [values.paired_only(mapping, column, "mailchimp") for column in (member, member_seen)]
    paired += [values.paired_only(mapping, column, "maximizer") for column in (entry, entry_seen)]
    first = (member_seen.isna() | entry_seen.isna()).to_numpy()
    # Whoever meets for the first time waits for nothing: the mapping was changed meanwhile (R30).
    note = note.mask(pd.Series(first) & note.isin([MAILCHIMP_WAITS, MAXIMIZER_WAITS]), "")
    # A value that we wrote ourselves counts as empty towards the other side (R10, R23).
    member_ours = placeholders(mapping, member, note, first)
    own_text = entry.mask(_stand_ins(mapping, entry, entry_seen), "")
    to_member = values.to_mailchimp(mapping, own_text)
    to_entry = values.to_maximizer(mapping, member, entry, today)
    would, filled = _with_placeholder(mapping, to_member.value, member, member_ours, today)

    member_empty = (paired[0] == "").to_numpy() | member_ours
    entry_empty = (own_text == "").to_numpy() | (paired[2] == "").to_numpy()
    moved_member = (paired[0] != paired[1]).to_numpy() | (note == MAILCHIMP_WAITS).to_numpy()
    # A placeholder gives way as soon as there is a true value.
    moved_entry = (paired[2] != paired[3]).to_numpy() | (note == MAXIMIZER_WAITS).to_numpy()
    moved_entry |= member_ours & ~entry_empty
    # Both empty are equal, unless the field is mandatory (R22) and nobody has emptied it on purpose.
    emptied = (note == LEFT_EMPTY).to_numpy() & (first | ~moved_entry) | moved_member & ~moved_entry & ~first
    lacking = filled & (paired[0] == "").to_numpy() & ~emptied
    equal = (to_entry.value == entry).to_numpy(bool)
    if mapping.mailchimp.kind not in ("radio", "dropdown", "group"):  # there keys of different tables meet
        equal = equal | (member == own_text).to_numpy(bool)
    # What a person chose is no placeholder, though it reads like one (R23 knows some by sight).
    chosen = filled & ~member_ours & (first | ~moved_entry) & ~_by_sight(mapping, member)
    stored = (would == paired[0]).to_numpy(bool) & ~chosen
    same = stored | equal & ~lacking

    if mapping.one_way:
        verdict = np.where(same, "same", "mailchimp").astype(object)
        collided = np.zeros(len(member), bool)
    else:
        verdict = _verdicts(same, lacking, first, moved_member, moved_entry, member_empty, entry_empty, conflict)
        both = moved_member & moved_entry & ~first | first & ~member_empty & ~entry_empty
        collided = both & ~same
    # An option that lost its counterpart counts as never seen when it gets one again (R30).
    stale = (paired[1] != member_seen).to_numpy() & ~first | (paired[3] != entry_seen).to_numpy() & ~first
    verdict[stale & (verdict == "unchanged")] = "same"
    # While the flag is not Yes nothing goes to Mailchimp; its edits wait, unless Mailchimp's own edit wins (R3).
    frozen = (verdict == "maximizer") & ~sends
    towards_member = (verdict == "maximizer") & sends
    towards_entry = verdict == "mailchimp"
    protected = towards_entry & mapping.protected
    problem = to_member.problem.where(towards_member, to_entry.problem.where(towards_entry & ~protected, ""))
    withheld = (problem != "").to_numpy()
    verdict[frozen] = "frozen"
    verdict[withheld] = "withheld"
    verdict[protected] = "protected"
    waiting = np.where(towards_member, MAXIMIZER_WAITS, MAILCHIMP_WAITS)
    kept = np.where(filled & (stored | towards_member), PLACEHOLDER + would, np.where(frozen, note, ""))
    if mapping.mailchimp.required:
        left = (member == "").to_numpy() & np.isin(verdict.astype(str), ["same", "mailchimp"])
        kept = np.where(left, LEFT_EMPTY, kept)
    waits = np.where(towards_member & member_ours, PLACEHOLDER + member, waiting)
    return pd.DataFrame(
        {
            "tag": mapping.tag,
            "verdict": verdict,
            "conflict": collided & ~protected & ~frozen,
            "first": first,
            "moved": _movers(mapping, paired, first, frozen),
            "mailchimp": member,
            "maximizer": entry,
            "mailchimp_seen": paired[0],
            "maximizer_seen": paired[2],
            "value": would.where(pd.Series(towards_member), to_entry.value.where(pd.Series(towards_entry))),
            "problem": problem,
            "note": values.texts(np.where(withheld, waits, kept)),
            "remark": to_member.note.str.cat(to_entry.note, sep="; ").str.strip("; "),
        }
    )


def _movers(mapping: FieldMapping, paired: list[pd.Series], first: np.ndarray, frozen: np.ndarray) -> np.ndarray:
    """Whose own value is not the one last seen; what waits behind a flag of No was counted when it was seen first."""
    if mapping.one_way:
        return np.full(len(first), "", dtype=object)
    mailchimp = (paired[0] != paired[1]).to_numpy() & ~first
    maximizer = (paired[2] != paired[3]).to_numpy() & ~first & ~frozen
    return np.select([mailchimp & maximizer, mailchimp, maximizer], ["both", *SIDES], default="").astype(object)


def placeholders(mapping: FieldMapping, member: pd.Series, note: pd.Series, first: np.ndarray) -> np.ndarray:
    """Where the member holds a placeholder of ours: the note tells, at a first meeting also the value itself (R23)."""
    noted = (note == PLACEHOLDER + member).to_numpy(bool)
    return noted | first & _by_sight(mapping, member) if mapping.mailchimp.required else noted


def _by_sight(mapping: FieldMapping, member: pd.Series) -> np.ndarray:
    """Where the member holds what nobody would choose: the placeholder of a kind that takes any text (R23).

    A first option, a 0 or a date may be a person's own choice: those are told by the note alone.
    """
    own = kinds()["placeholder"].get(mapping.mailchimp.kind)
    if own not in kinds()["placeholder"]["recognised"]["values"]:
        return np.zeros(len(member), bool)
    return np.asarray(member == own, dtype=bool)


def _stand_ins(mapping: FieldMapping, entry: pd.Series, entry_seen: pd.Series) -> pd.Series:
    """Where an address stands in for the last name that Maximizer requires, and nobody has edited it since (R10)."""
    if mapping.maximizer.ref != LAST_NAME:
        return pd.Series(False, index=entry.index)
    unmoved = entry_seen.isna() | (entry == entry_seen)
    return entry.str.fullmatch(values.EMAIL).fillna(False).astype(bool) & unmoved


def _with_placeholder(
    mapping: FieldMapping, encoded: pd.Series, member: pd.Series, member_ours: np.ndarray, today: date
) -> tuple[pd.Series, np.ndarray]:
    """What Mailchimp would store when an empty Maximizer value meets a mandatory field (R22), and where that is so.

    A placeholder that stands there already is kept, so that "today" and "first item" do not change by the day.
    """
    empty = (encoded == "").to_numpy()
    if mapping.mailchimp.required:
        encoded = encoded.mask(pd.Series(empty), mapping.mailchimp.placeholder(today))
    encoded = encoded.mask(pd.Series(empty & member_ours), member)
    return encoded, empty & (encoded != "").to_numpy()
