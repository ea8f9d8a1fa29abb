"""Who waits, and why: one row per person, whichever of the two records a reason was found for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from quality.lists import Lists, entry_columns, largest_first
from quality.people import BY_CODE, Classified

_TOLD = ["reason", "rule", "remedy"]


def reasons(people: Classified, code: str, lists: Lists) -> list[dict[str, Any]]:
    """Why the people of a class wait, most frequent first, each with its list; a linked pair is one person."""
    told = []
    for (reason, remedy), some in largest_first(_persons(people, code), ["reason", "what_to_do"]):
        file = lists.add(f"waiting {code}", some)
        told.append({"reason": reason, "remedy": remedy, "people": len(some), "list": file})
    return told


def _persons(people: Classified, code: str) -> pd.DataFrame:
    """One row per person of a class that waits: ids of what is there, address, and what was found of either record."""
    if BY_CODE[code].group != "waiting":
        return pd.DataFrame()
    members = people.members[people.members["class"] == code]
    entries = people.entries[people.entries["class"] == code].rename(columns={"email1": "email"})
    rows = pd.concat([members, entries], ignore_index=True)
    # Whoever is not linked is a person of their own.
    person = rows["link"].astype("str").fillna("alone " + rows.index.to_series().astype("str"))
    told = rows[["contact_id", "entry_id", "email", *_TOLD]].astype("object")
    told.loc[(told["reason"] == "").to_numpy(), _TOLD] = None
    one = told.groupby(person, sort=False).first()
    link = rows.groupby(person, sort=False)["link"].first()
    known = {name: one[name].astype("str").fillna("") for name in one}
    return pd.DataFrame(
        {
            "link": link.astype("str").fillna(""),
            "contact_id": known["contact_id"],
            **entry_columns(known["entry_id"]),
            "email": known["email"],
            "reason": known["reason"].mask(known["reason"] == "", "the reason is not known"),
            "rule": known["rule"],
            "what_to_do": known["remedy"],
        }
    )
