"""The report as one JSON-able document of counts, and the lists behind them. It holds no value of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from domain.commands import here
from domain.sums import closes
from domain.values import address_key
from quality.headline import differing, headline
from quality.lists import Lists, entry_columns, largest_first
from quality.people import CLASSES, GROUPS, Classified
from quality.snapshots import Examined
from quality.waiting import reasons

SIDES = ("mailchimp", "maximizer")
_KEY = {"mailchimp": "contact_id", "maximizer": "entry_id"}
_ADDRESS = {"mailchimp": "email", "maximizer": "email1"}
# Pairs in step are listed by their ids only: nobody has to be called because all is well.
_QUIET = ("in-step", "flag-unset", "company")
STATES = {
    "agree": ("agree", ""),
    "placeholder": ("placeholder of ours", "R22, R23"),
    "protected": ("differ, Maximizer protected", "R12"),
    "one-way": ("held back by the flag", "R3"),
    "withheld": ("cannot be held there", "R28"),
    "pending": ("on the way", "R31"),
    "waiting": ("wait for a decision", "R9"),
    "other": ("differ", ""),
}


@dataclass(frozen=True)
class Found:
    """Everything that a report tells.

    ``counts``/``details``/``remarks``: flows.agreement. ``names``: tag -> what people call the field. ``conflicts``:
    storage.changes.conflicts. ``elsewhere``: contact_id, entry_id of addresses that are only Email 2 or 3 (R7).
    ``withheld_new``: key, field, problem of records still to be created. ``runs``: the trend, oldest first.
    """

    head: Mapping[str, Any]
    people: Classified
    counts: pd.DataFrame
    details: pd.DataFrame
    remarks: pd.DataFrame
    examined: Mapping[str, Examined]
    names: Mapping[str, str]
    conflicts: pd.DataFrame
    elsewhere: pd.DataFrame
    withheld_new: pd.DataFrame
    broken: Sequence[str] = ()
    runs: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def document(found: Found, lists: Lists) -> dict[str, Any]:
    """The whole report; every number above zero has the address of its list."""
    members, entries = found.people.members, found.people.entries
    emails = members.set_index("contact_id")["email"]
    told: dict[str, Any] = {
        **found.head,
        "totals": {"mailchimp": len(members), "maximizer": len(entries)},
        "groups": _groups(found.people),
        "people": _people(found.people),
        "classes": _classes(found.people, lists),
        "fields": _fields(found, emails, lists),
        "placeholders": _placeholders(found, emails, lists),
        "withheld": _withheld(found, emails, lists),
        "options": _options(found, emails, lists),
        "checks": _checks(found, lists),
        "duplicates": _duplicates(entries, lists),
        "second_addresses": _elsewhere(found, emails, lists),
        "emptied": _emptied(found, lists),
        "conflicts": _conflicts(found, emails, lists),
        "broken_mappings": list(found.broken),
        "runs": list(found.runs),
    }
    told["differing"] = differing(found.people, found.details)
    told["headline"] = headline(told["people"], told["differing"])
    _closes(told)
    told["attention"] = _attention(told)
    told["lists"] = dict(lists.rows)
    return told


def _closes(told: Mapping[str, Any]) -> None:
    """Miscounted unless everybody is in one class, every pair in one state per field, and every list has its number."""
    for side in SIDES:
        everybody = told["totals"][side]
        closes(f"the classes of {side.capitalize()}", everybody, [row[side] for row in told["classes"]])
        closes(f"the groups of {side.capitalize()}", everybody, [group[side] for group in told["groups"].values()])
        closes("the pairs in step", told["people"]["in step"], [told["groups"]["in step"][side]])
    closes("the pairs in step", told["people"]["in step"], [told["differing"][name] for name in ("agree", "differ")])
    waiting = [why["people"] for row in told["classes"] if row["group"] == "waiting" for why in row["reasons"]]
    closes("the people who wait", told["people"]["waiting"], waiting)
    for row in told["fields"]:
        closes(f"the pairs of {row['tag']}", row["pairs"], [row[state] for state in STATES])
        closes(f"the pairs of {row['tag']}", told["fields"][0]["pairs"], [row["pairs"]])
        filled = [some["people"] for some in told["placeholders"] if some["tag"] == row["tag"]]
        closes(f"the placeholders of {row['tag']}", row["placeholder"], filled)


def numbers(told: Mapping[str, Any]) -> dict[str, Any]:
    """What later reports need of this one for their trend: counts by group."""
    return {"totals": told["totals"], "groups": told["groups"]}


# ------------------------------------------------------------------ people


def _groups(people: Classified) -> dict[str, dict[str, int]]:
    return {
        group: {side: sum(people.counts[c.code][side] for c in CLASSES if c.group == group) for side in SIDES}
        for group in GROUPS
    }


def _people(people: Classified) -> dict[str, int]:
    """Persons by group: a linked pair, or two records about to be linked, are one person."""
    told = {}
    for group in GROUPS:
        codes = [one.code for one in CLASSES if one.group == group]
        members = people.members[people.members["class"].isin(codes)]
        entries = people.entries[people.entries["class"].isin(codes)]
        both = int(entries["link"].isin(members["link"].dropna()).sum())
        meeting = min(people.counts["to-link"].values()) if "to-link" in codes else 0
        told[group] = len(members) + len(entries) - both - meeting
    return told


def _classes(people: Classified, lists: Lists) -> list[dict[str, Any]]:
    told = []
    frames = {"mailchimp": people.members, "maximizer": people.entries}
    for one in CLASSES:
        if not any(people.counts[one.code].values()):
            continue
        files = {
            side: lists.add(f"{side} {one.code}", _person_list(frame[frame["class"] == one.code], side, one.code))
            for side, frame in frames.items()
        }
        told.append(
            {
                "code": one.code,
                "group": one.group,
                "title": one.title,
                "what": here(one.what),
                "rule": one.rule,
                "reasons": reasons(people, one.code, lists),
                **people.counts[one.code],
                "lists": files,
            }
        )
    return told


def _person_list(rows: pd.DataFrame, side: str, code: str) -> pd.DataFrame:
    """What finds the person in the product: ids, the address, and the reason where there is one."""
    link = rows["link"].astype("str").fillna("")
    if side == "mailchimp":
        data = {"link": link, "contact_id": rows["contact_id"], "web_id": rows["web_id"]}
        more = {"email": rows["email"], "status": rows["status"]}
    else:
        data = {"link": link, **entry_columns(rows["entry_id"])}
        more = {"type": rows["type"], "email_1": rows["email1"], "flag": rows["flag"]}
    if code in _QUIET:
        return pd.DataFrame(data)
    told = {"reason": rows["reason"], "rule": rows["rule"], "what_to_do": rows["remedy"]}
    return pd.DataFrame({**data, **more, **(told if (rows["reason"] != "").any() else {})})


# ------------------------------------------------------------------ fields


def _fields(found: Found, emails: pd.Series, lists: Lists) -> list[dict[str, Any]]:
    told = []
    by_cell = dict(tuple(found.details.groupby(["tag", "state"]))) if len(found.details) else {}
    for tag, *counted in found.counts[["tag", *STATES]].itertuples(index=False):
        row, files = dict(zip(STATES, map(int, counted), strict=True)), {}
        for state, number in row.items():
            if number and state != "agree":
                rows = _with_address(by_cell[(tag, state)], emails)
                files[state] = lists.add(f"field {tag} {state}", rows.drop(columns="state"))
        told.append({"tag": tag, "name": found.names.get(tag, tag), "pairs": sum(row.values()), **row, "lists": files})
    return told


def _with_address(rows: pd.DataFrame, emails: pd.Series) -> pd.DataFrame:
    """Link, ids and the member's address in front of the other columns."""
    rows = rows.reset_index(drop=True)
    whose = {"link": rows["link"], "contact_id": rows["contact_id"], **entry_columns(rows["entry_id"])}
    rest = {name: rows[name] for name in rows.columns if name not in ("link", "contact_id", "entry_id")}
    return pd.DataFrame({**whose, "email": rows["contact_id"].map(emails).fillna(""), **rest})


def _placeholders(found: Found, emails: pd.Series, lists: Lists) -> list[dict[str, Any]]:
    """Per field and value: how many people have it (R22, R23)."""
    rows = found.details[found.details["state"] == "placeholder"]
    return [
        {
            "tag": tag,
            "name": found.names.get(tag, tag),
            # Shown as a text, never as an address that something could be fetched from.
            "value": str(value).removeprefix("http://"),
            "people": len(some),
            "list": lists.add(f"placeholder {tag}", _with_address(some, emails).drop(columns=["state", "problem"])),
        }
        for (tag, value), some in largest_first(rows, ["tag", "mailchimp"])
    ]


def _withheld(found: Found, emails: pd.Series, lists: Lists) -> list[dict[str, Any]]:
    """Per field and problem: how many records carry a value that the other side cannot hold (R28)."""
    pairs = found.details.loc[found.details["state"] == "withheld"].drop(columns="state")
    new = found.withheld_new
    told = []
    problems = pd.concat([pairs[["tag", "problem"]], new[["tag", "problem"]]], ignore_index=True)
    for (tag, problem), some in largest_first(problems, ["tag", "problem"]):
        of_pairs = pairs[(pairs["tag"] == tag) & (pairs["problem"] == problem)]
        of_new = new[(new["tag"] == tag) & (new["problem"] == problem)]
        rows = pd.concat([_with_address(of_pairs, emails), of_new.drop(columns=["tag", "problem"])])
        told.append(
            {
                "tag": tag,
                "name": found.names.get(tag, tag),
                "problem": problem,
                "people": len(some),
                "list": lists.add(f"cannot be held {tag}", rows.assign(tag=tag, problem=problem)),
            }
        )
    return told


def _options(found: Found, emails: pd.Series, lists: Lists) -> list[dict[str, Any]]:
    """Options of groups and tables that exist on one side only, by how many people have them (R26)."""
    return [
        {
            "tag": tag,
            "name": found.names.get(tag, tag),
            "problem": problem,
            "people": len(some),
            "list": lists.add(f"missing option {tag}", _with_address(some, emails)),
        }
        for (tag, problem), some in largest_first(found.remarks, ["tag", "problem"])
    ]


# ------------------------------------------------------------------ checks


def _checks(found: Found, lists: Lists) -> list[dict[str, Any]]:
    """One row per expectation of the validation, with the rows that did not meet it."""
    told = []
    for side, examined in found.examined.items():
        for outcome in examined.outcomes:
            check, rows = outcome.check, examined.rows.take(outcome.rows)
            key = {"contact_id": rows["contact_id"]} if side == "mailchimp" else entry_columns(rows["entry_id"])
            value = rows[check.column] if check.column in rows.columns else ""
            listed = {**key, "email": rows[_ADDRESS[side]], "field": check.column, "value": value}
            told.append(
                {
                    **outcome.result(),
                    "side": side,
                    "name": found.names.get(check.column, check.column),
                    "level": check.level,
                    "list": lists.add(
                        f"check {side} {check.column}", pd.DataFrame({**listed, "problem": check.reason}, rows.index)
                    ),
                }
            )
    return told


# ------------------------------------------------------------------ addresses


def _duplicates(entries: pd.DataFrame, lists: Lists) -> dict[str, Any]:
    """Entries that share an Email 1: ``people`` of them under ``addresses`` different ones."""
    key = address_key(entries["email1"])
    twice = entries[(key != "") & key.duplicated(keep=False)].assign(address=key)
    twice = twice.sort_values(["address", "entry_id"])
    data = {
        "email_1": twice["email1"],
        **entry_columns(twice["entry_id"]),
        "type": twice["type"],
        "flag": twice["flag"],
        "link": twice["link"].astype("str").fillna(""),
        "class": twice["class"],
    }
    return {
        "people": len(twice),
        "addresses": int(twice["address"].nunique()),
        "list": lists.add("duplicates", pd.DataFrame(data)),
    }


def _elsewhere(found: Found, emails: pd.Series, lists: Lists) -> dict[str, Any]:
    rows = found.elsewhere.reset_index(drop=True)
    data = {
        "email": rows["contact_id"].map(emails),
        "contact_id": rows["contact_id"],
        **entry_columns(rows["entry_id"]),
    }
    return {"people": len(rows), "list": lists.add("only second address", pd.DataFrame(data))}


def _emptied(found: Found, lists: Lists) -> dict[str, Any]:
    """Linked entries whose Email 1 was emptied; the member stays (R17)."""
    entries = found.people.entries
    members = found.people.members
    linked = members.loc[members["link"].notna(), "link"]
    rows = entries[entries["link"].isin(linked) & (entries["email1"] == "")]
    data = {"link": rows["link"].astype("str"), **entry_columns(rows["entry_id"]), "flag": rows["flag"]}
    return {"people": len(rows), "list": lists.add("email 1 emptied", pd.DataFrame(data))}


# ------------------------------------------------------------------ conflicts


def _conflicts(found: Found, emails: pd.Series, lists: Lists) -> dict[str, Any]:
    """By field and winner, since the retention began."""
    by_field: list[dict[str, Any]] = []
    rows = found.conflicts.rename(columns={"link_id": "link"})
    for tag, some in rows.groupby("field"):
        line: dict[str, Any] = {"tag": tag, "name": found.names.get(str(tag), tag), "lists": {}}
        for side in SIDES:
            those = some[some["winner"] == side]
            line[side] = len(those)
            shown = those.assign(at=pd.to_datetime(those["at"], unit="s", utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            line["lists"][side] = lists.add(f"conflict {tag} {side} won", _with_address(shown, emails))
        by_field.append(line)
    by_field.sort(key=lambda line: (-line["mailchimp"] - line["maximizer"], str(line["tag"])))
    won = {side: sum(line[side] for line in by_field) for side in SIDES}
    closes("the conflicts", len(rows), won.values())
    return {"total": sum(won.values()), **won, "fields": by_field}


# ------------------------------------------------------------------ what to do first


def _attention(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What somebody should do something about: number, what, remedy and list, the largest first."""
    found: list[dict[str, Any]] = []

    def add(number: int, what: str, remedy: str, file: str) -> None:
        if number:
            found.append({"people": number, "what": what, "remedy": remedy, "list": file})

    for one in told["classes"]:
        side = max(SIDES, key=lambda side: int(one[side]))
        for why in one["reasons"]:
            add(why["people"], f"{one['title']}: {why['reason']}", why["remedy"] or one["what"], why["list"])
        if one["code"] in ("no-email", "no-address", "other"):
            add(one[side], one["title"], one["what"], one["lists"][side])
    mend = {"withheld": "Correct the value, or add the option.", "options": "Add the option on the other side."}
    for kind, remedy in mend.items():
        for row in told[kind]:
            add(row["people"], f"{row['name']}: {row['problem']}", remedy, row["list"])
    twice = told["duplicates"]
    add(twice["people"], "Entries that share an Email 1", "Merge them, or give each its own address.", twice["list"])
    second = told["second_addresses"]
    what = "Members whose address is only Email 2 or 3 of an entry"
    add(second["people"], what, "Make it Email 1 if it is the same person.", second["list"])
    emptied = told["emptied"]
    add(emptied["people"], "Linked entries whose Email 1 was emptied", "Fill it in again.", emptied["list"])
    return sorted(found, key=lambda row: -row["people"])
