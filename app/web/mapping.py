"""Set-up, mapping of fields: what ``map`` and ``fields`` do on the command line (R19-R21, R26, R52)."""

from __future__ import annotations

from typing import Literal

from app.call import Call
from app.commands import fields
from app.progress import Progress
from app.web import words
from app.web.site import Answer, Door, Given, Site, audit
from app.web.tokens import Pass
from domain.errors import Misconfigured
from domain.fields import kind_words
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG
from flows.describe import address_book, audience
from flows.prepare import resolve
from storage import connections, held
from storage.engine import reading

OURS = (EMAIL, CLIENT_TAG, NUMBER_TAG)


class Nothing(Given):
    pass


class Pair(Given):
    tag: str
    field: str
    basic: Literal["protect", "update", ""] = ""


class Tag(Given):
    tag: str


class _Silent(Progress):
    """Nobody sits at a terminal."""

    def __call__(self, text: str) -> None:
        pass


def call_of(site: Site) -> Call:
    """What the functions of the command line are given."""
    call = Call(site.name, as_json=True, verbose=False)
    call.progress = _Silent()
    call.settings, call.engine, call.services = site.settings, site.engine, site.services
    return call


def show(site: Site, who: Pass, given: Nothing) -> Answer:
    return _fields(site)


def _fields(site: Site, note: str = "") -> str:
    """Both sides' fields with their kinds; for each Mailchimp field the Maximizer fields that it may go with."""
    call = call_of(site)
    known, listed = fields.both_sides(call)
    mapped = fields.mapped_rows(call)
    left = fields.mailchimp_rows(known, listed, mapped)
    right = fields.maximizer_rows(known, listed, mapped)
    kinds = {row["field"]: kind_words(row["kind"]) for row in right}
    names = {row["field"]: row["name"] for row in right}
    basics = {row["field"] for row in right if row["basic"]}
    rows = {row.tag: row for row in mapped}
    with reading(call.store) as db:
        waiting = set(held.waiting(db, call.connection.id))
    return words.render(
        "mapping",
        mapped=[row | {"basic": rows[row["tag"]]} for row in left if row["tag"] in rows],
        free=[row for row in left if row["tag"] not in rows and row["tag"] not in OURS and row["compatible"]],
        alone=[row for row in left if row["tag"] not in rows and row["tag"] not in OURS and not row["compatible"]],
        right=right,
        kinds=kinds,
        names=names,
        basics=basics,
        lost=[row for row in mapped if row.tag not in {one["tag"] for one in left}],
        waiting=waiting,
        note=note,
    )


def add(site: Site, who: Pass, given: Pair) -> Answer:
    row, effect = fields.add(call_of(site), given.tag, given.field, given.basic or None)
    audit(who, "mapped", tag=row.tag)
    return _fields(site, f"{row.tag} is mapped to {row.field}; the next sync is a full one. {effect.says}")


def modify(site: Site, who: Pass, given: Pair) -> Answer:
    row, effect = fields.modify(call_of(site), given.tag, given.field, given.basic or None)
    audit(who, "changed the mapping of", tag=row.tag)
    return _fields(site, f"{row.tag} is mapped to {row.field}; the next sync is a full one. {effect.says}")


def remove(site: Site, who: Pass, given: Tag) -> Answer:
    row, effect = fields.remove(call_of(site), given.tag)
    audit(who, "removed the mapping of", tag=row.tag)
    return _fields(site, f"{row.tag} is no longer mapped to {row.field}. {effect.says}")


def options(site: Site, who: Pass, given: Tag) -> Answer:
    """Options of a group, radio or drop-down field and of its table, side by side, with what has no counterpart."""
    connection = site.known
    row = next((r for r in connections.mappings(site.engine, connection.id) if r.tag == given.tag), None)
    if row is None:
        raise Misconfigured("this field is not mapped", remedy="map it first")
    known = audience(site.services.mailchimp, connection.list_id, groups=[row.mailchimp_ref])
    listed = address_book(site.services.maximizer, options_of=[row.maximizer_ref])
    mapping = resolve(site.engine, row, known, listed, keep=False)
    left = {option.key: option.label for option in mapping.mailchimp.options}
    right = {option.key: option.label for option in mapping.maximizer.options}
    paired = [(left[a], right[b]) for a, b in mapping.pairs if a in left and b in right]
    firsts, seconds = {a for a, _ in mapping.pairs}, {b for _, b in mapping.pairs}
    return words.render(
        "options",
        mapping=mapping,
        paired=sorted(paired, key=lambda pair: pair[0].casefold()),
        mailchimp_only=[label for key, label in left.items() if key not in firsts],
        maximizer_only=[label for key, label in right.items() if key not in seconds],
    )


DOORS: dict[str, Door] = {
    "/api/setup/mapping": Door("setup", Nothing, show),
    "/api/setup/mapping/add": Door("setup", Pair, add),
    "/api/setup/mapping/modify": Door("setup", Pair, modify),
    "/api/setup/mapping/remove": Door("setup", Tag, remove),
    "/api/setup/mapping/options": Door("setup", Tag, options),
}
