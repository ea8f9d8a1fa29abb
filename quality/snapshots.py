"""Checks on what was read of one side: identity of the set, soundness of each record, kinds of the values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pandas as pd

from domain.changeset import FINDING
from domain.errors import Blocked, Side
from domain.fields import FieldMapping, MailchimpField, MaximizerField
from domain.records import KEY, Layout
from domain.values import EMAIL, TEXT_BYTES
from quality.checks import FAILED, Check, Outcome, Verdict, among, at_most, by_hand, filled, matches, unique
from quality.engine import evaluate

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
PEOPLE = ("Individual", "Contact")  # R4
FLAGS = ("Yes", "No", "")
MARKER_LENGTH = 29  # R8
_CLOSED = ("status", "type", "flag")  # where the empty text is judged like any other
_NOUN = {"mailchimp": ("members", "Mailchimp", "member"), "maximizer": ("entries", "Maximizer", "entry")}

_NUMBER = r"^-?\d+(?:\.\d+)?$"
_DATE = r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$"
_MONTH_DAY = r"^(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$"
_ZIP = r"^\d{5}$"
_US_PHONE = r"^[2-9]\d{2}-\d{3}-\d{4}$"
_COUNTRY = r"^[A-Z]{2}$"
_URL = r"^https?://[^\s/?#.]+(?:\.[^\s/?#.]+)*\.[^\s/?#.]{2,}(?::\d+)?(?:[/?#]\S*)?$"
_UNKNOWN_OPTION = "holds an option that the field does not offer"


@dataclass(frozen=True)
class Examined:
    """What the checks of one side found, whatever follows from it. ``rows``: the found rows, which outcomes count."""

    side: Side
    rows: pd.DataFrame
    outcomes: list[Outcome]

    @property
    def blocking(self) -> list[Outcome]:
        """Checks that make the whole side untrustworthy: no cycle would write after them."""
        return [outcome for outcome in self.outcomes if outcome.blocks]

    @property
    def verdict(self) -> Verdict:
        kind = _NOUN[self.side][2]
        failed = _failed(self.side, self.rows, self.outcomes)
        results = [outcome.result() for outcome in self.outcomes]
        return Verdict(failed, results, _findings(kind, self.side, self.rows, self.outcomes))


def examine(side: Side, frame: pd.DataFrame, layout: Layout) -> Examined:
    """Carry out the checks over a wide frame (domain.records) of one side; only found rows are judged.

    Raises Blocked when a column is missing, and when the checks could not be carried out.
    """
    suite, service, _ = _NOUN[side]
    checks = member_checks(layout) if side == "mailchimp" else entry_checks(layout)
    needed = list(dict.fromkeys(check.column for check in checks))
    absent = [name for name in (*needed, "found") if name not in frame.columns]
    if absent:
        raise Blocked("checks", f"the {suite} read from {service} lack {', '.join(absent)}; nothing was written")
    rows = frame[frame["found"].astype(bool)].reset_index(drop=True)
    return Examined(side, rows, evaluate(suite, checks, _prepared(side, rows, checks)))


def judge_snapshot(side: Side, frame: pd.DataFrame, layout: Layout) -> Verdict:
    """The verdict over a wide frame (domain.records) of one side.

    Raises Blocked as ``examine`` does, and when the set itself cannot be trusted: an identity or its uniqueness is
    missing, or more than a few records speak of a status or type that does not exist.
    """
    suite, service, _ = _NOUN[side]
    examined = examine(side, frame, layout)
    rows, failures = examined.rows, examined.blocking
    if failures:
        said = "; ".join(f"{len(o.rows)} of {len(rows)}: {o.check.reason}" for o in failures)
        raise Blocked(
            "checks",
            f"the {suite} read from {service} cannot be trusted: {said}; nothing was written",
            remedy=f"look at these {suite} in {service}, then run it again",
        )
    return examined.verdict


def failed_of_few(side: Side, frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """FAILED rows as ``judge_snapshot`` would find them, for a handful of records and without the library.

    Loading that takes seconds, which nobody waits for who asks about one person. Checks of the set are left out.
    """
    checks = [
        c for c in (member_checks(layout) if side == "mailchimp" else entry_checks(layout)) if c.level == "record"
    ]
    rows = frame[frame["found"].astype(bool)].reset_index(drop=True)
    prepared = _prepared(side, rows, checks)
    return _failed(side, rows, [by_hand(_NOUN[side][0], check, prepared[check.column]) for check in checks])


def member_checks(layout: Layout) -> list[Check]:
    return [
        filled("contact_id", "a member without contact_id", "set"),
        unique(["contact_id"], "members with the same contact_id", "set"),
        filled("email", "the member has no e-mail address", rule="R1"),
        matches("email", EMAIL, "the member's e-mail address has not the form of one"),
        among("status", STATUSES, "the status is none that Mailchimp documents", rule="R1", escalates=True),
        filled("unique_email_id", "the member has no unique_email_id, which the marker is made of", rule="R8"),
        *(check for m in layout.fields if not m.broken for check in _mailchimp_kind(m.tag, m.mailchimp)),
    ]


def entry_checks(layout: Layout) -> list[Check]:
    return [
        filled("entry_id", "an entry without Client ID and Contact Number", "set"),
        unique(["entry_id"], "entries with the same Client ID and Contact Number", "set"),
        among("type", PEOPLE, "the entry is neither Individual nor Contact", rule="R4", escalates=True),
        among("flag", FLAGS, "Sync with MailChimp is neither Yes nor No nor empty", rule="R3", escalates=True),
        at_most("marker", MARKER_LENGTH, f"MailChimp ID is longer than {MARKER_LENGTH} characters", rule="R8"),
        # A finding only: the decision holds back what needs an address, the entry's other fields go on (R17, R28).
        matches("email1", EMAIL, "Email 1 is not an e-mail address", "value", "R3"),
        *(check for m in layout.fields if not m.broken for check in _maximizer_kind(m)),
    ]


# ------------------------------------------------------------------ values of a kind (R21, R28)


def _mailchimp_kind(tag: str, field: MailchimpField) -> list[Check]:
    """What a value of a Mailchimp field looks like in its canonical form."""
    match field.kind:
        case "radio" | "dropdown":
            accepted = [option.key for option in field.options]
            return [among(tag, accepted, _UNKNOWN_OPTION, "value", "R28")] if accepted else []
        case "group":
            return _sets(tag, [option.key for option in field.options])
        case "phone" if field.phone_format.upper() == "US":
            return [matches(tag, _US_PHONE, "is not a US phone number", "value", "R25")]
        case "number" | "source_number":
            return [matches(tag, _NUMBER, "is not a number", "value", "R28")]
        case "date" | "source_date":
            return [matches(tag, _DATE, "is not a date", "value", "R28")]
        case "birthday":
            return [matches(tag, _MONTH_DAY, "is not a month and day", "value", "R24")]
        case _:
            return _text_kind(tag, field.kind)


def _text_kind(tag: str, kind: str) -> list[Check]:
    """What Mailchimp asks of a text, wherever it stands: Maximizer keeps all of these as alphanumeric (R21)."""
    match kind:
        case "zip":
            return [matches(tag, _ZIP, "is not a US zip code of 5 digits", "value", "R28")]
        case "url" | "imageurl":
            return [matches(tag, _URL, "is not a web address", "value", "R28")]
        case "country":
            return [matches(tag, _COUNTRY, "is not a country that has an ISO code", "value", "R28")]
        case "email":
            return [matches(tag, EMAIL, "is not an e-mail address", "value", "R28")]
        case "text" | "address" | "phone":
            return [at_most(tag, TEXT_BYTES, f"is longer than {TEXT_BYTES} characters", "value", "R28")]
        case _:
            return []


def _maximizer_kind(mapping: FieldMapping) -> list[Check]:
    """What a value of a Maximizer field looks like, and what Mailchimp asks of a text that goes there."""
    tag, field = mapping.tag, mapping.maximizer
    match field.kind:
        case "numeric":
            return [matches(tag, _NUMBER, "is not a number", "value", "R28")]
        case "date":
            return [matches(tag, _DATE, "is not a date", "value", "R28")]
        case "annual":
            return [matches(tag, _MONTH_DAY, "is not a month and day", "value", "R24")]
        case "single" | "yesno":
            accepted = [option.key for option in field.options]
            return [among(tag, accepted, _UNKNOWN_OPTION, "value", "R28")] if accepted else []
        case "multi":
            return _sets(tag, [option.key for option in field.options])
        case _:
            wanted = [] if mapping.one_way else _text_kind(tag, mapping.mailchimp.kind)
            return _within(tag, field) + wanted


def _within(tag: str, field: MaximizerField) -> list[Check]:
    length = field.max_length
    return [at_most(tag, length, f"is longer than {length} characters", "value", "R28")] if length else []


def _sets(tag: str, keys: list[str]) -> list[Check]:
    """A canonical set (JSON list) of known options."""
    if not keys:
        return []
    known = "|".join(re.escape(json.dumps(key, ensure_ascii=False)) for key in keys)
    return [matches(tag, rf"^\[(?:{known})(?:,(?:{known}))*\]$", _UNKNOWN_OPTION, "value", "R26")]


# ------------------------------------------------------------------ frames in, frames out


def _prepared(side: Side, rows: pd.DataFrame, checks: list[Check]) -> pd.DataFrame:
    """The columns to judge, with NA where there is nothing to judge.

    Values are judged of people who take part: an entry that is neither flagged nor marked is nobody's business (R3).
    """
    values = {check.column for check in checks if check.level == "value"}
    outside = None if side == "mailchimp" else (rows["flag"] != "Yes") & (rows["marker"].fillna("") == "")
    columns = {}
    for name in dict.fromkeys(check.column for check in checks):
        column = rows[name].astype("str")
        if name in _CLOSED:
            columns[name] = column.fillna("")
            continue
        column = column.mask(column == "")
        columns[name] = column.mask(outside) if outside is not None and name in values else column
    return pd.DataFrame(columns, index=rows.index)


def _failed(side: Side, rows: pd.DataFrame, outcomes: list[Outcome]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "side": side,
                "key": rows[KEY[side]].take(outcome.rows).to_numpy(),
                "field": outcome.check.column,
                "expectation": outcome.check.expectation,
                "reason": outcome.check.reason,
            }
        )
        for outcome in outcomes
        if outcome.check.level == "record" and len(outcome.rows)
    ]
    return pd.concat(parts, ignore_index=True)[list(FAILED)] if parts else Verdict().failed_rows


def _findings(kind: str, side: Side, rows: pd.DataFrame, outcomes: list[Outcome]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "kind": "check",
                "key": (f"{kind}:" + rows[KEY[side]].take(outcome.rows)).to_numpy(),
                "field": outcome.check.column,
                "value": "",
                "problem": outcome.check.reason,
            }
        )
        for outcome in outcomes
        if outcome.check.level == "value" and len(outcome.rows)
    ]
    return pd.concat(parts, ignore_index=True)[list(FINDING)] if parts else Verdict().findings
