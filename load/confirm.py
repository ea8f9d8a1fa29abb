"""After a write: what the service holds now (baseline), what became of the pair (link) and of the write (change).

Everything of one window goes into one transaction. What a service holds is its answer where that is the stored record,
else a read-back; never what we sent (hazards C1, C15).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from domain import records
from domain.changeset import FLAG, MARKER, STAMP
from domain.records import EMAIL, PLACEHOLDER
from domain.values import ascii_lower, only_paired, texts, to_maximizer
from load.context import Item, Loading, Write
from storage import changes, links, parking, snapshots

_LINK_COLUMNS = ("email", "email1", "unique_email_id", "web_id", "status", "flag", "flag_ours", "archived", "state")
_ADDRESS = {"mailchimp": "email", "maximizer": "email1"}
_COMPARED = {"mailchimp": ("email", "status", "pair"), "maximizer": ("email1", "flag", "marker")}


@dataclass(frozen=True)
class Held:
    """A confirmed write and the record as the service holds it now (raw JSON).

    ``later``: by a run after the one that wrote it. Then what differs from the write is an edit made since, or those of
    a copy that carries the same identity, and not how the service has stored it.
    """

    write: Write
    row: Mapping[str, Any]
    later: bool = False


def confirm(loading: Loading, side: str, done: Sequence[Held]) -> None:
    """Close writes of one side: state done, baseline, link, and the hash of the record if it is what we expect."""
    if not done:
        return
    read = records.members if side == "mailchimp" else records.entries
    wide = read([held.row for held in done], loading.layout)
    digests = [int(digest) for digest in records.stage(wide, side)["row_hash"]]
    identity = records.MEMBER if side == "mailchimp" else records.ENTRY
    tags = [str(name) for name in wide.columns if name not in identity]
    rows = records.plain_rows(wide)
    with loading.begin() as db:
        before = _as_read(db, loading, side, [str(row[records.KEY[side]]) for row in rows], tags)
        made = _new_links(db, loading, side, list(zip(done, rows, strict=True)))
        news = _news(db, loading, list(zip(done, rows, strict=True))) if side == "mailchimp" else {}
        remembered = _baselines(db, [held.write.link_id for held in done if held.write.link_id is not None])
        put: list[dict[str, Any]] = []
        for held, row, digest in zip(done, rows, digests, strict=True):
            write, key = held.write, str(row[records.KEY[side]])
            link = made[write.id] if write.op == "create" else int(write.link_id or 0)
            base = remembered.setdefault(link, {"mailchimp": {}, "maximizer": {}, "notes": {}})
            lost = _remember(loading, base, held, side, row)
            if side == "mailchimp":
                _remember_country(loading, base, write, row)
            _remember_placeholders(base, write)
            if write.op == "create":
                _remember_rest(loading, base, write)
            expected = _expected(before.get(key, {}), write, side, tags)
            matches = not lost and all(_equal(row.get(name), value) for name, value in expected.items())
            loading.hashes[link, side] = digest if matches else None
            if write.then.get("state") != "ended":  # else its baseline goes with it
                put.append({"link_id": link, **{name: json.dumps(base[name], ensure_ascii=False) for name in base}})
            changes.mark(db, [write.id], "done", outcome=key, finished_at=loading.now())
            if write.op == "create":
                _tell_follower(db, loading, write, key, link, news.get(write.id))
            else:
                _update_link(db, write, row)
            if lost:
                _park_lost(db, loading, write, lost, key, digest)
        links.put_baselines(db, pd.DataFrame(put))
        went_well = {held.write.target for held in done if (side, held.write.target) not in loading.parked}
        parking.settle(db, loading.connection_id, side, went_well)
    for held in done:
        loading.count(side, held.write.op)


def _as_read(
    db: Connection, loading: Loading, side: str, keys: list[str], tags: list[str]
) -> dict[str, dict[str, Any]]:
    """The records as the plan saw them, key -> canonical values."""
    read = snapshots.members if side == "mailchimp" else snapshots.entries
    staged = read(db, loading.run_id, keys)
    return (
        {str(row[records.KEY[side]]): row for row in records.plain_rows(records.unstage(staged, tags))}
        if len(staged)
        else {}
    )


def _baselines(db: Connection, ids: list[int]) -> dict[int, dict[str, Any]]:
    return {
        int(row["link_id"]): {name: json.loads(row[name]) for name in ("mailchimp", "maximizer", "notes")}
        for row in records.plain_rows(links.baselines(db, ids))
    }


def _remember(loading: Loading, base: dict[str, Any], held: Held, side: str, row: Mapping[str, Any]) -> list[Item]:
    """Move the baseline on by what this write did; the items that were accepted but not stored."""
    write = held.write
    other = "maximizer" if side == "mailchimp" else "mailchimp"
    lost = []
    for item in write.items:
        if item.field not in row:  # our own fields and the address: kept on the link
            continue
        value = item.new if held.later else row[item.field]
        if value is None or (value == item.old and value != item.new):
            lost.append(item)
        if value is None:
            continue
        # Also what was not stored: else it would be sent again in every cycle (hazard C15).
        if item.field.startswith("group:"):
            value = only_paired(loading.layout.mapping(item.field), value, side)
        if item.field not in loading.unmet:
            base[side][item.field] = value
            base[other][item.field] = item.seen
        base["notes"].pop(item.field, None)
        if item.note.startswith(PLACEHOLDER):
            base["notes"][item.field] = f"{PLACEHOLDER}{value}"
    # A mapped time of last change moves with our own write: that is an echo, not news (R32).
    if "@last_changed" in base[side] and row.get("@last_changed"):
        base[side]["@last_changed"] = row["@last_changed"]
    return lost


def _remember_country(loading: Loading, base: dict[str, Any], write: Write, row: Mapping[str, Any]) -> None:
    """The country that Mailchimp adds to an address without one: nobody entered it."""
    sent = {item.field for item in write.items}
    touched = {tag for tag in loading.layout.address_tags if any(name.startswith(f"{tag}.") for name in sent)}
    for mapping in loading.layout.fields:
        tag = mapping.tag
        if tag in sent or tag.partition(".")[0] not in touched or base["mailchimp"].get(tag) or not row[tag]:
            continue
        if tag not in base["mailchimp"] and write.op != "create":
            continue
        base["mailchimp"][tag] = row[tag]
        base["maximizer"].setdefault(tag, "")
        base["notes"][tag] = f"{PLACEHOLDER}{row[tag]}"


def _remember_placeholders(base: dict[str, Any], write: Write) -> None:
    """What a new entry was made without, because the member holds a placeholder of ours there (R23)."""
    for tag, value in write.then.get("placeholders", {}).items():
        base["mailchimp"][tag] = value
        base["maximizer"].setdefault(tag, "")
        base["notes"][tag] = f"{PLACEHOLDER}{value}"


def _remember_rest(loading: Loading, base: dict[str, Any], write: Write) -> None:
    """A pair that we made has been seen in every field, also where nothing was written (R31).

    The new record was made without it; its partner holds nothing either, or what the plan names as ``unsent``.
    """
    side = write.side
    other = "maximizer" if side == "mailchimp" else "mailchimp"
    unsent, waits = write.then.get("unsent", {}), write.then.get("waits", ())
    for mapping in loading.layout.fields:
        tag = mapping.tag
        if mapping.broken or mapping.one_way or tag in loading.unmet or tag in base[side]:
            continue
        base[side][tag] = ""
        base[other][tag] = unsent.get(tag, "")
        if tag in waits:
            base["notes"][tag] = f"{other}-waits"


def _expected(before: Mapping[str, Any], write: Write, side: str, tags: list[str]) -> dict[str, Any]:
    """What the record should look like if nobody else touched it: as the plan saw it, with our write on top."""
    if write.op == "create":
        expected: dict[str, Any] = {tag: "" for tag in tags if not tag.startswith("@")}
        expected |= {item.field: item.new for item in write.items if item.field in expected}
        address = write.item(EMAIL)
        return expected | ({_ADDRESS[side]: address.new} if address else {})
    expected = {tag: before.get(tag) for tag in tags if tag != "@last_changed"}
    expected |= {name: before.get(name) for name in _COMPARED[side]}
    for item in write.items:
        name = {EMAIL: _ADDRESS[side], STAMP: "pair", FLAG: "flag", MARKER: "marker"}
        expected[name.get(item.field, item.field)] = item.new
    if write.op == "revive":
        expected["status"] = "subscribed"
    return {name: value for name, value in expected.items() if not name.startswith("#")}


def _equal(held: Any, expected: Any) -> bool:
    if held == expected:
        return True
    return (
        isinstance(held, str)
        and isinstance(expected, str)
        and "@" in held
        and ascii_lower(held) == ascii_lower(expected)
    )


def _new_links(
    db: Connection, loading: Loading, side: str, done: Sequence[tuple[Held, Mapping[str, Any]]]
) -> dict[int, int]:
    """The links that creates of this window establish, change id -> link id."""
    created = [(held.write, row) for held, row in done if held.write.op == "create"]
    if not created:
        return {}
    other = "maximizer" if side == "mailchimp" else "mailchimp"
    made, source = records.KEY[side], records.KEY[other]
    from_keys = [write.entry_id if other == "maximizer" else write.contact_id for write, _ in created]
    sources = _as_read(db, loading, other, from_keys, [])
    listed = []
    for (write, row), key in zip(created, from_keys, strict=True):
        of = {side: row, other: sources.get(key, {})}
        # Both have the address that was written: one that reads differently is an edit made since, for the next cycle.
        address = write.item(EMAIL)
        planned = address.new if address else ""
        listed.append(
            {
                "connection_id": loading.connection_id,
                made: str(row[made]),
                source: key,
                "email": planned or of["mailchimp"].get("email") or "",
                "email1": planned or of["maximizer"].get("email1") or "",
                "unique_email_id": of["mailchimp"].get("unique_email_id") or write.marker,
                "web_id": of["mailchimp"].get("web_id") or "",
                "status": of["mailchimp"].get("status") or "subscribed",
                "flag": of["maximizer"].get("flag") or "Yes",
                "reason": f"created in {'Mailchimp' if side == 'mailchimp' else 'Maximizer'}",
                "created_run": loading.run_id,
                "created_at": loading.now(),
            }
        )
    ids = links.insert(db, pd.DataFrame(listed))
    for link, key in zip(ids, from_keys, strict=True):
        digest = sources.get(key, {}).get("row_hash")
        loading.hashes[link, other] = None if digest is None else int(digest)
    return {write.id: link for (write, _), link in zip(created, ids, strict=True)}


def _update_link(db: Connection, write: Write, row: Mapping[str, Any]) -> None:
    values = {name: value for name, value in write.then.items() if name in _LINK_COLUMNS}
    if write.side == "mailchimp":
        values |= {name: row[name] for name in ("unique_email_id", "web_id")}
    if write.link_id is not None and values:
        if values.get("state") == "ended":
            links.end(db, [write.link_id], str(write.then.get("reason", "")))
        links.update(db, pd.DataFrame([{"id": write.link_id, **values}]))


def _news(
    db: Connection, loading: Loading, done: Sequence[tuple[Held, Mapping[str, Any]]]
) -> dict[int, list[dict[str, str]]]:
    """What only the new member itself could tell its entry: read-only sources (R52), as fields by change id."""
    created = [(held.write, row) for held, row in done if held.write.op == "create"]
    sources = [m for m in loading.layout.mappings if m.one_way and not m.broken]
    if not created or not sources:
        return {}
    entries = _as_read(db, loading, "maximizer", [write.entry_id for write, _ in created], [m.tag for m in sources])
    news: dict[int, list[dict[str, str]]] = {write.id: [] for write, _ in created}
    for mapping in sources:
        seen = texts(row[mapping.tag] or "" for _, row in created)
        old = texts(entries.get(write.entry_id, {}).get(mapping.tag) or "" for write, _ in created)
        encoded = to_maximizer(mapping, seen, old, loading.today)
        told = zip(created, seen, old, encoded.value, encoded.problem, strict=True)
        for (write, _), source, before, value, problem in told:
            if not problem and value not in ("", before):
                item = {"field": mapping.tag, "old": before, "new": value, "seen": source, "note": "", "rule": "R52"}
                news[write.id].append(item)
    return news


def _tell_follower(
    db: Connection, loading: Loading, write: Write, key: str, link: int, news: Sequence[Mapping[str, str]] | None
) -> None:
    """Tell the change that completes a create (stamp, marker) which record it is about, and what else it has to say."""
    if write.side == "mailchimp":
        changes.follow(db, loading.run_id, "maximizer", write.entry_id, news, contact_id=key, link_id=link)
    else:
        changes.follow(db, loading.run_id, "mailchimp", write.contact_id, entry_id=key, link_id=link)


def _park_lost(db: Connection, loading: Loading, write: Write, lost: Sequence[Item], key: str, digest: int) -> None:
    """Accepted but not stored: not sent again until the record changes (hazard C15). ``digest``: as it is now."""
    other = "maximizer" if write.side == "mailchimp" else "mailchimp"
    about = {"contact_id": write.contact_id, "entry_id": write.entry_id, records.KEY[write.side]: key}
    beside = about[records.KEY[other]]
    hashes = {write.side: digest, other: _as_read(db, loading, other, [beside], []).get(beside, {}).get("row_hash")}
    rows = [
        {
            "side": write.side,
            "key": write.target,
            "field": item.field,
            "reason": f"{write.side} accepted a value for {item.field} and did not store it",
            "rule": "R51",
            "remedy": "look at the record by hand; it is tried again when it changes",
            "evidence": about,
            "member_hash": hashes["mailchimp"],
            "entry_hash": hashes["maximizer"],
            "since_run": loading.run_id,
            "since_at": loading.now(),
        }
        for item in lost
    ]
    parking.park(db, loading.connection_id, rows)
