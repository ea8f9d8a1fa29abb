"""From judged cells to a ChangeSet: which record gets which write, and what is remembered without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from domain.changeset import (
    BOTH_EDITED,
    CELL,
    CHANGE,
    EDITED,
    FINDING,
    FIRST_MEETING,
    FLAG,
    MARKER,
    STAMP,
    STATUS,
)
from domain.frames import joined_texts
from domain.records import PLACEHOLDER
from transform.rules import ITEM

_SET = ("field", "old", "new", "seen", "note", "rule")


@dataclass
class Draft:
    """Changes in the making: ``heads`` one row per change, ``items`` one row per field of a change (key ``group``)."""

    heads: list[pd.DataFrame] = field(default_factory=list)
    items: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self,
        side: str,
        op: str,
        records: pd.DataFrame,
        items: pd.DataFrame,
        *,
        target: str,
        rule: str,
        then: Sequence[str] | None = None,
    ) -> None:
        """One change for every row of ``records`` (contact_id, entry_id, marker) that has items.

        ``items.row`` is a row label of ``records``; items with a problem are left out. ``target`` names the column (or
        ``new:<column>``) that is the change's identity on its side. ``then``: JSON object per row of ``records``.
        """
        items = items[items["problem"] == ""]
        if not len(items):
            return
        wanted = records[records.index.isin(items["row"])]
        column = target.removeprefix("new:")
        name = wanted[column].astype("str")
        follow = pd.Series("{}" if then is None else list(then), index=records.index, dtype="object").loc[wanted.index]
        heads = pd.DataFrame(
            {
                "side": side,
                "op": op,
                "target": "new:" + name if target.startswith("new:") else name,
                "contact_id": wanted["contact_id"].astype("str"),
                "entry_id": wanted["entry_id"].astype("str"),
                "marker": wanted["marker"].astype("str"),
                "rule": rule,
                "then": follow,
            }
        )
        group = side + " " + heads["target"]
        self.heads.append(heads.assign(group=group))
        self.items.append(items.assign(group=items["row"].map(group)))

    def changes(self) -> pd.DataFrame:
        """The CHANGE frame. Two drafts for one record and side become one change (the first one's head leads)."""
        if not self.heads:
            return pd.DataFrame({name: pd.Series(dtype="str") for name in CHANGE})
        heads = pd.concat(self.heads, ignore_index=True)
        items = pd.concat(self.items, ignore_index=True).drop_duplicates(["group", "field"])
        # A rename or a revival leads the other fields of the same record.
        heads = heads.assign(order=heads["op"].map({"create": 0, "revive": 1, "rename": 2, "update": 3}))
        heads = heads.sort_values("order", kind="stable")
        several = heads[heads["group"].duplicated(keep=False)].groupby("group", sort=False)["then"].agg(_merge)
        heads = heads.drop_duplicates("group").set_index("group")
        then = heads["then"].astype("object")
        then.update(several)
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        columns = [items[name].fillna("").tolist() for name in _SET]
        pieces = [encode(dict(zip(_SET, row, strict=True))) for row in zip(*columns, strict=True)]
        joined = joined_texts(items["group"], pieces)
        heads["fields"] = '{"set":[' + joined.reindex(heads.index) + '],"then":' + then + "}"
        return heads.reset_index(drop=True)[list(CHANGE)]


def _merge(thens: pd.Series) -> str:
    merged: dict[str, object] = {}
    for then in reversed(thens.tolist()):
        merged.update(json.loads(then))
    return json.dumps(merged, ensure_ascii=False, separators=(",", ":"))


def own(rows: pd.Index, name: str, new: pd.Series | str, *, old: pd.Series | str = "", rule: str) -> pd.DataFrame:
    """Items for one of our own fields (flag, marker, stamp, status, address)."""
    data = {"row": rows, "field": name, "old": _plain(old), "new": _plain(new), "seen": _plain(new), "note": ""}
    return pd.DataFrame({**data, "rule": rule, "problem": ""}, columns=list(ITEM))


def _plain(value: pd.Series | str) -> object:
    return value.to_numpy() if isinstance(value, pd.Series) else value


def cell_items(cells: pd.DataFrame, towards: str) -> pd.DataFrame:
    """Items of the cells whose value goes to a side (verdict = the side it comes from)."""
    source = "maximizer" if towards == "mailchimp" else "mailchimp"
    going = cells[cells["verdict"] == source]
    rule = (
        pd.Series("R31", index=going.index)
        .mask(going["note"].str.startswith(PLACEHOLDER), "R22")
        .mask(going["conflict"], BOTH_EDITED)
        .mask(going["conflict"] & going["first"], FIRST_MEETING)
    )
    data = {
        "row": going["row"],
        "field": going["tag"],
        "old": going[towards],
        "new": going["value"],
        "seen": going[f"{source}_seen"],
        "note": going["note"],
        "rule": rule,
        "problem": going["problem"],
    }
    return pd.DataFrame(data, columns=list(ITEM)).reset_index(drop=True)


def conflicts_in(changes: pd.DataFrame) -> int:
    """How many fields of these changes win over another value."""
    named = "|".join(f'"rule":"{rule}"' for rule in (FIRST_MEETING, BOTH_EDITED))
    return int(changes["fields"].str.count(named).sum()) if len(changes) else 0


def placeholders_in(changes: pd.DataFrame) -> int:
    """How many fields of these changes get a placeholder of ours (R22)."""
    return int(changes["fields"].str.count(f'"note":"{PLACEHOLDER}').sum()) if len(changes) else 0


def withhold(cells: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Cells with the verdict of those withheld that a rule on the whole record held back (incomplete addresses)."""
    held = items.loc[items["problem"] != "", ["row", "field", "problem"]].rename(columns={"field": "tag"})
    if not len(held):
        return cells
    known = cells.merge(held.drop_duplicates(["row", "tag"]), on=["row", "tag"], how="left", suffixes=("", "_held"))
    hit = known["problem_held"].notna() & (known["verdict"] == "maximizer")
    known["verdict"] = known["verdict"].mask(hit, "withheld")
    known["problem"] = known["problem"].mask(hit, known["problem_held"])
    known["note"] = known["note"].mask(hit, "maximizer-waits")
    return known.drop(columns="problem_held")


def adopted(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """CELL rows of what is remembered without a write; a frozen Maximizer value keeps its last-seen one (R3)."""
    quiet = cells[cells["verdict"].isin(["same", "protected", "frozen", "withheld"])]
    ids = pairs.loc[quiet["row"], ["contact_id", "entry_id"]].reset_index(drop=True)
    quiet = quiet.reset_index(drop=True)
    frozen = quiet["verdict"] == "frozen"
    data = {
        **{name: ids[name] for name in ids},
        "tag": quiet["tag"],
        "mailchimp": quiet["mailchimp_seen"],
        "maximizer": quiet["maximizer_seen"].mask(frozen),
        "note": quiet["note"],
    }
    return pd.DataFrame(data, columns=list(CELL))


def cell_findings(cells: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """FINDING rows: withheld values, protected differences, conflicts, unpaired options (R12, R28, R30, R31)."""
    keys = "member:" + pairs["contact_id"].astype("str")
    parts = []
    for kind, chosen in (
        ("withheld", cells["verdict"] == "withheld"),
        ("protected", cells["verdict"] == "protected"),
        ("conflict", cells["conflict"].astype(bool)),
        ("unmapped", (cells["remark"] != "") & (cells["verdict"] != "withheld")),
    ):
        hit = cells[chosen]
        value = hit["maximizer"].where(hit["note"] == "maximizer-waits", hit["mailchimp"])
        problem = hit["remark"] if kind == "unmapped" else hit["problem"] if kind == "withheld" else hit["verdict"]
        if kind == "conflict":
            problem = problem.where(hit["first"].astype(bool), problem + EDITED)
        data = {"kind": kind, "key": hit["row"].map(keys), "field": hit["tag"], "value": value, "problem": problem}
        parts.append(pd.DataFrame(data, columns=list(FINDING)))
    return pd.concat(parts, ignore_index=True)


def findings(kind: str, keys: pd.Series, *, value: pd.Series | str = "", field: str = "", problem: str) -> pd.DataFrame:
    data = {"kind": kind, "key": keys.to_numpy(), "field": field, "value": _plain(value), "problem": problem}
    return pd.DataFrame(data, columns=list(FINDING))


def parked(
    side: str, keys: pd.Series, *, reason: pd.Series | str, rule: str, evidence: pd.Series | str = "", remedy: str = ""
) -> pd.DataFrame:
    """PARKED rows without hashes; ``decide`` adds those of the records they speak of."""
    data = {"side": side, "key": keys.to_numpy(), "field": "", "reason": _plain(reason), "rule": rule}
    return pd.DataFrame({**data, "remedy": remedy, "evidence": _plain(evidence)})


__all__ = [
    "FLAG",
    "MARKER",
    "STAMP",
    "STATUS",
    "Draft",
    "adopted",
    "cell_findings",
    "cell_items",
    "conflicts_in",
    "findings",
    "own",
    "parked",
    "placeholders_in",
]
