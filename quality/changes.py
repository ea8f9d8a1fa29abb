"""Checks on what a run is about to do. A failure here is a defect of the planning: nothing at all is written."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from domain.changeset import LAST_NAME, MARKER, STATUS, ChangeSet, Policy
from domain.errors import Blocked
from domain.records import EMAIL
from domain.values import EMAIL as ADDRESS
from domain.values import texts
from quality.checks import Check, Verdict, among, at_least, at_most, filled, matches, none_of, unique
from quality.engine import evaluate
from quality.snapshots import MARKER_LENGTH

ACTIONS = (
    "mailchimp create", "mailchimp update", "mailchimp rename", "mailchimp revive",
    "maximizer create", "maximizer update",
)  # fmt: skip
_LONG_MARKER = f"a marker would be longer than {MARKER_LENGTH} characters"


def judge_changes(changes: ChangeSet, policy: Policy) -> Verdict:
    """The verdict over a ChangeSet: without failed rows, because every failure raises Blocked before any write."""
    heads = changes.changes.reset_index(drop=True)
    try:
        items = flat(heads["fields"])
    except (ValueError, TypeError) as error:  # pyarrow's errors are ValueErrors; their texts may quote values
        problem = f"{type(error).__name__} in a change's fields"
        raise Blocked("checks", f"the data quality checks could not be carried out: {problem}") from None
    action = (heads["side"] + " " + heads["op"]).astype("str")
    outcomes = [
        *evaluate("changes", change_checks(policy), _heads(heads, items, action, changes, policy)),
        *evaluate("change fields", item_checks(policy), _items(items, action)),
    ]
    failures = [outcome for outcome in outcomes if len(outcome.rows)]
    if failures:
        said = "; ".join(f"{o.check.reason} ({len(o.rows)} times, {o.check.rule or 'plan'})" for o in failures)
        raise Blocked(
            "checks",
            f"the plan breaks the rules of the sync: {said}; nothing was written",
            remedy="this is a defect of maxchimp: report this sentence; see the changes with: maxchimp plan",
        )
    return Verdict(results=[outcome.result() for outcome in outcomes])


def change_checks(policy: Policy) -> list[Check]:
    """Checks on whole changes, one row each."""
    return [
        among("action", ACTIONS, "a change does something unknown", "set"),
        filled("target", "a change names no record", "set"),
        unique(["side", "target"], "a record is changed twice on one side", "set"),
        at_least("items", 1, "a change has no field", "set"),
        at_most("marker", MARKER_LENGTH, _LONG_MARKER, "set", "R8"),
        matches("address", ADDRESS, "a record would be created without an e-mail address", "set", "R3"),
        *(
            among(tag, ["filled"], f"a member would be created without the mandatory field {tag}", "set", "R22")
            for tag in mandatory(policy)
        ),
    ]


def item_checks(policy: Policy) -> list[Check]:
    """Checks on single fields of changes, one row per change and field."""
    protected = [m.tag for m in policy.layout.fields if m.protected] + [LAST_NAME]
    sources = [m.tag for m in policy.layout.fields if m.one_way]
    checks = [
        filled("field", "a change has a field without a name", "set"),
        unique(["change", "field"], "a change holds one field twice", "set"),
        none_of("to_entry", protected, "a protected basic field of an entry would be overwritten", "set", "R12"),
        among("status_by", ["mailchimp revive"], "a write other than a revival would carry a status", "set", "R18"),
        among("status", ["subscribed"], "a revival would set another status than subscribed", "set", "R18"),
        at_most("marker", MARKER_LENGTH, _LONG_MARKER, "set", "R8"),
    ]
    if policy.settings.email_change != "follow":
        reason = "Email 1 of an entry would be overwritten although the setting email_change does not permit it"
        checks.append(none_of("to_entry", [EMAIL], reason, "set", "R13"))
    if sources:
        checks.append(none_of("to_member", sources, "a read-only source would be written to a member", "set", "R52"))
    return checks


def mandatory(policy: Policy) -> tuple[str, ...]:
    """Tags that every new member carries: mandatory, and with a placeholder where there is no value (R22)."""
    mapped = [m.mailchimp for m in policy.layout.fields if m.mailchimp.required and not (m.broken or m.one_way)]
    fields = [field for field in (*mapped, *policy.unmapped_required) if field.placeholder(policy.today)]
    return tuple(dict.fromkeys(tag for field in fields for tag in field.filled_tags))


# ------------------------------------------------------------------ JSON -> flat frames


def flat(fields: pd.Series) -> pd.DataFrame:
    """One row per change and field of the changes' JSON: ``change`` (position), ``field``, ``new``. RangeIndex."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.json

    if not len(fields):
        return pd.DataFrame({"change": np.empty(0, "int64"), "field": texts([]), "new": texts([])})
    item = pa.struct([("field", pa.string()), ("new", pa.string())])
    options = pyarrow.json.ParseOptions(
        explicit_schema=pa.schema([("set", pa.list_(item))]), unexpected_field_behavior="ignore"
    )
    source = "\n".join(fields.tolist()).encode()
    # One object may not be larger than a block.
    blocks = pyarrow.json.ReadOptions(block_size=max(1 << 20, 4 * int(fields.str.len().max()) + 2))
    column = pyarrow.json.read_json(io.BytesIO(source), parse_options=options, read_options=blocks)["set"]
    if len(column) != len(fields):
        raise ValueError("not one JSON object per change")
    whole = column.combine_chunks()
    parts = pyarrow.compute.list_flatten(whole)
    names = {name: pd.Series(pyarrow.compute.struct_field(parts, name), dtype="str") for name in ("field", "new")}
    return pd.DataFrame({"change": pyarrow.compute.list_parent_indices(whole).to_numpy(), **names})


def _heads(
    heads: pd.DataFrame, items: pd.DataFrame, action: pd.Series, changes: ChangeSet, policy: Policy
) -> pd.DataFrame:
    """Columns of ``change_checks``; NA where a check does not concern a change."""
    data = {
        "action": action.fillna(""),
        "side": heads["side"],
        "target": _or_na(heads["target"]),
        "items": items["change"].value_counts().reindex(heads.index, fill_value=0),
        "marker": _or_na(heads["marker"]),
        "address": _of(items, EMAIL, heads.index).fillna("").where(heads["op"] == "create"),
    }
    new_member = action == "mailchimp create"
    held = changes.findings[changes.findings["kind"] == "withheld"]
    for tag in mandatory(policy):
        given = _of(items, tag, heads.index).fillna("") != ""
        # What Mailchimp cannot hold is withheld for its field only (R28); the writer then sends the placeholder.
        withheld = ("entry:" + heads["entry_id"]).isin(held.loc[held["field"] == tag, "key"])
        data[tag] = texts(np.where(given, "filled", "empty")).where(new_member & (given | ~withheld))
    return pd.DataFrame(data, index=heads.index)


def _items(items: pd.DataFrame, action: pd.Series) -> pd.DataFrame:
    """Columns of ``item_checks``; NA where a check does not concern a field."""
    field, doing = items["field"], action.take(items["change"].to_numpy()).reset_index(drop=True)
    data = {
        "change": items["change"],
        "field": _or_na(field),
        "to_entry": field.where(doing.str.startswith("maximizer") & (doing != "maximizer create")),
        "to_member": field.where(doing.str.startswith("mailchimp")),
        "status_by": doing.where(field == STATUS),
        "status": items["new"].fillna("").where(field == STATUS),
        "marker": items["new"].where(field == MARKER),
    }
    return pd.DataFrame(data)


def _of(items: pd.DataFrame, field: str, index: pd.Index) -> pd.Series:
    """The new value of one field, per change; NA where a change does not have it."""
    rows = items[items["field"] == field].drop_duplicates("change")
    return rows.set_index("change")["new"].reindex(index)


def _or_na(column: pd.Series) -> pd.Series:
    known = column.astype("str")
    return known.mask(known == "")
