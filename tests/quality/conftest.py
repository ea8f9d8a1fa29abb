"""A layout with a field of every kind, sound frames of both sides, and changes written as they are planned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pandas as pd
import pytest

from domain.changeset import CHANGE, ChangeSet, Policy
from domain.fields import FieldMapping, MailchimpField, MaximizerField, Option
from domain.records import Layout
from domain.settings import SyncSettings

FramesOf = Callable[..., pd.DataFrame]
PlanOf = Callable[..., ChangeSet]

_TOPICS = (Option("i1", "News"), Option("i2", "Offers"))
_ITEMS = (Option("7", "News"), Option("8", "Offers"))

# What a person without any flaw has in each mapped field: (member, entry).
SOUND = {
    "FNAME": ("Ada", "Ada"),
    "COUNT": ("12.5", "-3"),
    "SINCE": ("2024-02-29", "2024-02-29"),
    "BDAY": ("02-29", "12-31"),
    "ZIP": ("10001", "10001"),
    "SITE": ("https://ada.test/x?y=1", "http://ada.test"),
    "PHONE": ("212-555-0100", "(212) 555 0100"),
    "COLOUR": ("Red", "7"),
    "group:Topics": ('["i1","i2"]', '["8"]'),
    "ADDRESS.country": ("CA", "CA"),
    "@rating": ("4", "4"),
}


def _mapping(tag: str, kind: str, maximizer: str, **more: Any) -> FieldMapping:
    mine = {name: more.pop(name) for name in ("required", "options", "phone_format") if name in more}
    theirs = {name: more.pop(name) for name in ("max_length", "basic") if name in more}
    items = _ITEMS if maximizer in ("single", "multi") else ()
    return FieldMapping(
        tag,
        MailchimpField(tag, tag, tag, kind, **mine),
        MaximizerField(tag, f"Udf/{tag}", maximizer, options=items, **theirs),
        **more,
    )


@pytest.fixture
def layout() -> Layout:
    colours = (Option("Red", "Red"), Option("Blue", "Blue"))
    return Layout(
        (
            _mapping("EMAIL", "email", "email", basic=True, protected=True),
            _mapping("FNAME", "text", "alphanumeric", max_length=20, basic=True, protected=True, required=True),
            _mapping("COUNT", "number", "numeric"),
            _mapping("SINCE", "date", "date"),
            _mapping("BDAY", "birthday", "annual"),
            _mapping("ZIP", "zip", "alphanumeric", required=True),
            _mapping("SITE", "url", "alphanumeric"),
            _mapping("PHONE", "phone", "alphanumeric", phone_format="US"),
            _mapping("COLOUR", "radio", "single", options=colours),
            _mapping("group:Topics", "group", "multi", options=_TOPICS),
            _mapping("ADDRESS.country", "country", "alphanumeric"),
            _mapping("@rating", "source_number", "alphanumeric", one_way=True),
        ),
        flag_ref="Udf/1",
        marker_ref="Udf/2",
    )


@pytest.fixture
def policy(layout: Layout) -> Policy:
    spare = MailchimpField("SPARE", "99", "Spare", "text", required=True)
    return Policy(layout, SyncSettings(), date(2030, 1, 2), unmapped_required=(spare,))


def _frame(rows: int, sound: Mapping[str, list[Any]], columns: Mapping[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame({**sound, "found": [True] * rows})
    frame = frame.astype({name: "str" for name in frame.columns if name != "found"})
    for name, value in columns.items():
        frame.loc[0, name] = value
    return frame


@pytest.fixture
def members() -> FramesOf:
    """``rows`` members; ``columns`` replace values of the first one."""

    def make(rows: int = 3, **columns: Any) -> pd.DataFrame:
        sound = {
            "contact_id": [f"c{i}" for i in range(rows)],
            "email": [f"person{i}@people.test" for i in range(rows)],
            "unique_email_id": [f"u{i}" for i in range(rows)],
            "status": ["subscribed"] * rows,
        }
        return _frame(rows, sound | {tag: [value[0]] * rows for tag, value in SOUND.items()}, columns)

    return make


@pytest.fixture
def entries() -> FramesOf:
    """``rows`` entries; ``columns`` replace values of the first one."""

    def make(rows: int = 3, **columns: Any) -> pd.DataFrame:
        sound = {
            "entry_id": [f"A{i}#0" for i in range(rows)],
            "type": ["Individual"] * rows,
            "email1": [f"person{i}@people.test" for i in range(rows)],
            "flag": ["Yes"] * rows,
            "marker": [f"u{i}" for i in range(rows)],
        }
        return _frame(rows, sound | {tag: [value[1]] * rows for tag, value in SOUND.items()}, columns)

    return make


@pytest.fixture
def plan() -> PlanOf:
    """A ChangeSet of (side, op, target, {field: new value}) rows."""

    def make(*rows: tuple[str, str, str, Mapping[str, str]], marker: str = "u1") -> ChangeSet:
        listed = []
        for side, op, target, fields in rows:
            items = [
                {"field": name, "old": "", "new": new, "seen": new, "note": "", "rule": "R31"}
                for name, new in fields.items()
            ]
            body = json.dumps({"set": items, "then": {"flag": "Yes"}}, ensure_ascii=False)
            entry = target.removeprefix("new:")
            listed.append((side, op, target, "", entry, marker, body, "R31"))
        return ChangeSet(changes=pd.DataFrame(listed, columns=list(CHANGE), dtype="str"))

    return make
