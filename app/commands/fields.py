"""``lists``, ``fields`` and ``map``: what there is on both sides, and which field goes with which."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app import show
from app.call import Call, command
from domain.commands import typed
from domain.errors import Misconfigured
from domain.quoting import quoted

if TYPE_CHECKING:
    from domain.fields import MaximizerField
    from flows.describe import Audience
    from flows.effect import Effect
    from storage.connections import MappingRow

Basic = Literal["protect", "update"]
TAG = Annotated[str, typer.Argument(metavar="TAG", help="Such as FNAME, ADDRESS.city, 'group:Email Profile', @status.")]
FIELD = Annotated[str, typer.Argument(metavar="FIELD", help=r"Such as LastName, Address.City, 'Folder\Name'.")]
BASIC = Annotated[
    Basic | None,
    typer.Option("--basic", help="Whether Mailchimp may change this basic field of an existing entry (R12)."),
]
_ADDRESS = {  # R19: always mapped; which address follows which is for R13 and R17 to say
    "tag": "EMAIL",
    "field": "Email1",
    "kinds": {"mailchimp": "email", "maximizer": "email"},
    "basic": "always",
}


def register(app: typer.Typer) -> None:
    command(app, "lists")(lists)
    command(app, "fields")(fields)
    group = typer.Typer(help="Field mappings of a connection.", no_args_is_help=True)
    command(group, "list")(map_list)
    command(group, "add")(map_add)
    command(group, "modify")(map_modify)
    command(group, "remove")(map_remove)
    app.add_typer(group, name="map")


def lists(call: Call) -> None:
    """Lists of the account; marks the selected one."""
    from flows.services import connect
    from storage import connections
    from storage.schema import current, require_current

    call.progress("reading the lists")
    # Needed to choose one, so also before the first set-up.
    selected = ""
    if current(call.engine) is not None:
        require_current(call.engine)
        found = connections.find(call.engine, call.settings.connection)
        selected = found.list_id if found else ""
    rows = [
        {
            "id": row["id"],
            "name": row.get("name", ""),
            "members": (row.get("stats") or {}).get("member_count", 0),
            "selected": row["id"] == selected,
        }
        for row in connect(call.settings).mailchimp.lists()
    ]

    def tell() -> None:
        show.table(
            ["id", "name", "members", ""],
            [[row["id"], row["name"], row["members"], "selected" if row["selected"] else ""] for row in rows],
        )

    call.answer(rows, tell)


def fields(call: Call) -> None:
    """Fields of both sides, their kinds and mappings.

    Says for each Mailchimp field which Maximizer fields it may be mapped to.
    """
    known, listed = both_sides(call)
    mapped = mapped_rows(call)
    left, right = mailchimp_rows(known, listed, mapped), maximizer_rows(known, listed, mapped)

    def tell() -> None:
        show.heading("Mailchimp")
        show.table(
            ["tag", "name", "kind", "", "mapped to", "may be mapped to"],
            [
                [
                    row["tag"],
                    row["name"],
                    row["kind"],
                    "mandatory" if row["required"] else "",
                    row["mapped_to"] or "-",
                    _shortened(row["compatible"]),
                ]
                for row in left
            ],
        )
        show.heading("\nMaximizer")
        show.table(
            ["field", "kind", "", "mapped from"],
            [
                [_named(row), row["kind"], "mandatory" if row["mandatory"] else "", ", ".join(row["mapped_from"])]
                for row in right
            ],
        )

    call.answer({"mailchimp": left, "maximizer": right}, tell)


def map_list(call: Call) -> None:
    """Show the mappings."""
    rows = [_ADDRESS, *(_shown(row) for row in mapped_rows(call))]

    def tell() -> None:
        show.table(["tag", "field", "basic fields"], [[r["tag"], r["field"], r["basic"] or ""] for r in rows])

    call.answer(rows, tell)


def map_add(call: Call, tag: TAG, field: FIELD, basic: BASIC = None) -> None:
    """Map a Mailchimp field to a Maximizer field.

    The next sync is a full one.
    """
    _tell_put(call, *add(call, tag, field, basic))


def map_modify(call: Call, tag: TAG, field: FIELD, basic: BASIC = None) -> None:
    """Change what a Mailchimp field is mapped to.

    The next sync is a full one.
    """
    _tell_put(call, *modify(call, tag, field, basic))


def map_remove(call: Call, tag: TAG) -> None:
    """Remove a mapping; both sides stay as they are."""
    old, effect = remove(call, tag)
    call.answer(
        {"removed": _shown(old), "next_cycle": effect.to_json()},
        lambda: show.say(f"{old.tag} is no longer mapped to {old.field}", effect.says),
    )


def _tell_put(call: Call, row: MappingRow, effect: Effect) -> None:
    call.answer(
        {**_shown(row), "next_cycle": effect.to_json()},
        lambda: show.say(f"{row.tag} is mapped to {row.field}; the next sync is a full one", effect.says),
    )


# What the commands do; the set-up page does the same.


def add(call: Call, tag: str, field: str, basic: Basic | None = None) -> tuple[MappingRow, Effect]:
    """A new mapping and what it would write.

    Misconfigured when the tag is mapped already, or the fields do not go together.
    """
    known, listed = both_sides(call)
    old = _mapped(call, known, tag)
    if old is not None:
        raise Misconfigured(
            f"{old.tag} is mapped to {old.field} already",
            remedy=f"to change that: {typed('map', 'modify', old.tag, field)}",
        )
    return _put(call, known, listed, tag, field, basic or "protect")


def modify(call: Call, tag: str, field: str, basic: Basic | None = None) -> tuple[MappingRow, Effect]:
    """Another field, or another rule for a basic field; Misconfigured when the tag is not mapped."""
    if tag.strip().upper() == "EMAIL":
        raise Misconfigured("EMAIL is always mapped to Email1", remedy="nothing to do")
    known, listed = both_sides(call)
    old = _mapped(call, known, tag)
    if old is None:
        raise Misconfigured(f"{quoted(tag)} is not mapped", remedy=f"to map it: {typed('map', 'add', tag, field)}")
    kept: Basic = "update" if old.basic_update and not old.maximizer_ref.startswith("Udf/") else "protect"
    return _put(call, known, listed, tag, field, basic or kept, given=basic is not None)


def remove(call: Call, tag: str) -> tuple[MappingRow, Effect]:
    """The mapping that was; Misconfigured for EMAIL and for what is not mapped (R19)."""
    from flows.describe import same_tag
    from flows.effect import of_removal
    from storage import connections

    if tag.strip().upper() == "EMAIL":
        raise Misconfigured("the mapping of EMAIL cannot be removed", remedy="nothing to do")
    mapped = mapped_rows(call)
    hits = same_tag(mapped, tag, lambda row: row.tag)
    if len(hits) != 1:
        tags = ", ".join(shlex.quote(row.tag) for row in hits or mapped) or "none"
        problem, those = ("ambiguous", "choose one of") if hits else ("not mapped", "mapped are")
        raise Misconfigured(f"{quoted(tag)} is {problem}", remedy=f"{those}: {tags}")
    connections.remove_mapping(call.store, call.connection.id, hits[0].tag)
    return hits[0], of_removal(call.store, call.connection)


def _put(
    call: Call,
    known: Audience,
    listed: Sequence[MaximizerField],
    tag: str,
    field: str,
    basic: Basic,
    *,
    given: bool = True,
) -> tuple[MappingRow, Effect]:
    from flows import effect
    from flows.describe import find_field
    from flows.prepare import resolve
    from flows.setup import put_mapping

    wanted = find_field(listed, field)
    if basic == "update" and not wanted.basic:
        if given:
            raise Misconfigured(
                f"--basic update is for basic fields; {quoted(wanted.name)} is a user-defined field, "
                "which is always updated",
                remedy="leave --basic out",
            )
        basic = "protect"
    old = _mapped(call, known, tag)
    # Read before it is forgotten.
    same = old is not None and old.maximizer_ref == wanted.ref
    seen = effect.last_seen(call.store, call.connection, old.tag) if old is not None and same else None
    row = put_mapping(call.store, call.connection, known, wanted, tag, fields=listed, basic_update=basic == "update")
    if row == old:
        return row, effect.of_removal(call.store, call.connection)
    mapping = resolve(call.store, row, known, listed, keep=False)
    return row, effect.of_mapping(call.store, call.connection, mapping, seen)


def both_sides(call: Call) -> tuple[Audience, tuple[MaximizerField, ...]]:
    """Fields of the list and of the Address Book, with the options of groups left out."""
    from flows.describe import address_book, audience

    connection = call.connection
    if not connection.list_id:
        raise Misconfigured(
            "no list is selected yet", remedy="run: maxchimp setup --list LIST_ID (see: maxchimp lists)"
        )
    call.progress("reading the fields of both sides")
    known = audience(call.services.mailchimp, connection.list_id, groups=())
    return known, address_book(call.services.maximizer, options_of=())


def mapped_rows(call: Call) -> list[MappingRow]:
    from storage import connections

    return connections.mappings(call.store, call.connection.id)


def _mapped(call: Call, known: Audience, tag: str) -> MappingRow | None:
    """The mapping of a Mailchimp field, also of one that was renamed since."""
    from flows.describe import find_tag

    ref = find_tag(known, tag).ref
    return next((row for row in mapped_rows(call) if row.mailchimp_ref == ref), None)


def _shown(row: MappingRow) -> dict[str, Any]:
    basic = None if row.maximizer_ref.startswith("Udf/") else "update" if row.basic_update else "protect"
    return {
        "tag": row.tag,
        "field": row.field,
        "kinds": {"mailchimp": row.mailchimp_kind, "maximizer": row.maximizer_kind},
        "basic": basic,
    }


def mailchimp_rows(
    known: Audience, listed: Sequence[MaximizerField], mapped: Sequence[MappingRow]
) -> list[dict[str, Any]]:
    """``compatible`` and ``mapped_to`` as FIELD takes them."""
    from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG
    from flows.describe import may_map, spelling

    names = {m.ref: spelling(m, listed) for m in listed}
    ours = (EMAIL, CLIENT_TAG, NUMBER_TAG)
    to = {EMAIL: "Email1"} | {row.mailchimp_ref: names.get(row.maximizer_ref, row.field) for row in mapped}
    return [
        {
            "tag": f.tag,
            "name": f.name,
            "kind": f.kind,
            "required": f.required,
            "mapped_to": to.get(f.ref),
            "compatible": [names[m.ref] for m in listed if f.tag not in ours and may_map(f, m)],
        }
        for f in known.fields
    ]


def maximizer_rows(
    known: Audience, listed: Sequence[MaximizerField], mapped: Sequence[MappingRow]
) -> list[dict[str, Any]]:
    """``field``: what FIELD takes; that is the name, unless that is not enough."""
    from flows.describe import spelling

    tags = {f.ref: f.tag for f in known.fields}
    pairs = [("Email1", "EMAIL"), *((row.maximizer_ref, tags.get(row.mailchimp_ref, row.tag)) for row in mapped)]
    return [
        {
            "field": spelling(m, listed),
            "name": m.name,
            "kind": m.kind,
            "basic": m.basic,
            "mandatory": m.mandatory,
            "mapped_from": [tag for ref, tag in pairs if ref == m.ref],
        }
        for m in listed
    ]


def _named(row: dict[str, Any]) -> str:
    """As FIELD takes it; where that is a key, with the name that people know."""
    known = row["field"] == row["name"].strip()
    return str(row["field"]) if known else f"{row['field']} ({row['name']})"


def _shortened(names: list[str], limit: int = 4) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest if names else "-"
