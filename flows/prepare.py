"""Before a cycle: what both sides look like now, and whether they are the ones this connection was set up with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from domain.errors import Blocked, Misconfigured, NotFound
from domain.fields import FieldMapping, MailchimpField, MaximizerField, compatible, kind_words
from domain.quoting import quoted
from domain.records import CLIENT_TAG, EMAIL, NUMBER_TAG, Layout
from flows.describe import Audience, address_book, audience, basic_fields, find_flag, find_marker, for_people
from flows.services import Services
from storage import connections
from storage.connections import Connection, MappingRow

NO_GROUPS = "This list does not have interest groups enabled."


@dataclass(frozen=True)
class Prepared:
    """``required``: every mandatory merge field; ``unmapped_required``: those of them that no mapping fills (R22).

    ``broken``: sentences about mappings that cannot work now (R27). ``changed``: mappings or options are not those of
    the last sync, so this cycle is a full one (R30).
    """

    layout: Layout
    required: tuple[MailchimpField, ...]
    unmapped_required: tuple[MailchimpField, ...]
    broken: tuple[str, ...]
    fingerprint: str
    changed: bool
    audience: Audience
    fields: tuple[MaximizerField, ...]


def check_identity(connection: Connection, services: Services) -> dict[str, str]:
    """Blocked when account or Address Book are not those of the links (R43, hazard A6); the session in Maximizer."""
    if not connection.list_id:
        raise Misconfigured(
            f"connection {quoted(connection.name)} has no list yet",
            remedy="run: maxchimp setup --list LIST_ID (see: maxchimp lists)",
        )
    account = services.mailchimp.account()
    if str(account["account_id"]) != connection.account_id:
        raise Blocked(
            "wrong-account",
            "the API key belongs to another Mailchimp account than the one this connection is linked with",
            remedy="use a key of that account, or change on purpose: maxchimp setup --list LIST_ID --yes",
        )
    return check_address_book(connection, services)


def check_address_book(connection: Connection, services: Services) -> dict[str, str]:
    configured = services.settings.maximizer_database
    session = services.maximizer.session_info()
    signed_in = session["database"]
    for other in (configured, connection.address_book):
        if other and signed_in and signed_in.casefold() != other.casefold():
            raise Blocked(
                "wrong-address-book",
                f"the wrong Address Book: signed in to {quoted(signed_in)}, set up for {quoted(other)}",
                remedy="correct MAXCHIMP_MAXIMIZER_DATABASE, "
                "or change on purpose: maxchimp setup --new-address-book --yes",
            )
    return session


def prepare(engine: Engine, connection: Connection, services: Services, *, keep: bool = True) -> Prepared:
    """Read both schemas and resolve the mappings; Blocked for what no cycle can do without (R41, R48).

    ``keep``: option pairs found now are stored; without it nothing is.
    """
    rows = connections.mappings(engine, connection.id)
    known = read_list(services, connection, groups=[r.mailchimp_ref for r in rows])
    if known.groups == 0:
        raise Blocked(
            "no-groups", NO_GROUPS, remedy="create one in Mailchimp, or: maxchimp setup --group TITLE --option NAME"
        )
    tables = [r.maximizer_ref for r in rows if r.maximizer_ref.startswith("Udf/")]
    fields = address_book(services.maximizer, options_of=[*tables, connection.flag_ref])
    flag, marker = find_flag(fields), find_marker(fields)
    if flag is None or marker is None:
        lacking = " and ".join(n for n, f in (("Sync with MailChimp", flag), ("MailChimp ID", marker)) if f is None)
        raise Blocked(
            "udfs-missing", f"the required user-defined field {lacking} does not exist", remedy="run: maxchimp setup"
        )
    for tag in (CLIENT_TAG, NUMBER_TAG):
        if known.find(tag) is None:
            raise Blocked("merge-fields-missing", f"the merge field {tag} does not exist", remedy="run: maxchimp setup")
    mappings = tuple(resolve(engine, row, known, fields, keep=keep) for row in rows)
    layout = Layout(
        # What is gone on one side cannot even be asked for.
        mappings=(_email(known), *(m for m in mappings if not _gone(m, known, fields))),
        flag_ref=flag.ref,
        marker_ref=marker.ref,
        flag_yes=_item(flag, "yes", "2"),
        flag_no=_item(flag, "no", "1"),
    )
    required = tuple(_whole(f) for f in known.fields if _is_required(f))
    sound = {m.tag.partition(".")[0] for m in mappings if not m.broken}
    return Prepared(
        layout=layout,
        required=required,
        unmapped_required=tuple(f for f in required if f.tag not in sound),
        broken=tuple(m.broken for m in mappings if m.broken),
        fingerprint=(mark := fingerprint(layout)),
        changed=mark != connection.fingerprint,
        audience=known,
        fields=fields,
    )


def read_list(services: Services, connection: Connection, groups: Sequence[str]) -> Audience:
    """The selected list; Blocked when the account does not have it any more (R43)."""
    try:
        return audience(services.mailchimp, connection.list_id, groups=groups)
    except NotFound as error:
        raise Blocked(
            "list-gone",
            f"the list {quoted(connection.list_name or connection.list_id)} is no longer in the Mailchimp account",
            remedy="choose a list on purpose: maxchimp setup --list LIST_ID (see: maxchimp lists)",
        ) from error


def _is_required(field: MailchimpField) -> bool:
    return field.required and field.tag != EMAIL and ("." not in field.tag or field.tag.endswith(".addr1"))


def _whole(field: MailchimpField) -> MailchimpField:
    """A required merge field as requests know it; an address under its own tag."""
    tag, ref = field.tag.partition(".")[0], field.ref.partition(".")[0]
    return MailchimpField(tag, ref, field.name, field.kind, True, field.options, field.date_format, field.phone_format)


def _email(known: Audience) -> FieldMapping:
    email = known.find(EMAIL)
    assert email is not None
    return FieldMapping(EMAIL, email, next(f for f in basic_fields() if f.ref == "Email1"))


def _item(flag: MaximizerField, label: str, fallback: str) -> str:
    return next((option.key for option in flag.options if option.label.strip().casefold() == label), fallback)


def resolve(
    engine: Engine, row: MappingRow, known: Audience, fields: Sequence[MaximizerField], *, keep: bool = True
) -> FieldMapping:
    """A stored mapping with both fields as they are now; ``broken`` when it cannot work (R27).

    ``keep``: option pairs found now are stored; without it nothing is.
    """
    mailchimp = next((f for f in known.fields if f.ref == row.mailchimp_ref), None)
    maximizer = next((f for f in fields if f.ref == row.maximizer_ref), None)
    clash = False
    if mailchimp is not None and mailchimp.tag != row.tag:  # renamed: what is remembered follows
        clash = keep and not connections.rename_mapping(engine, row.id, mailchimp.tag)
        row = row if clash else replace(row, tag=mailchimp.tag)
    broken = "" if not clash else f"{row.tag} has the tag of another mapped field now: map both anew."
    broken = broken or _broken(row, mailchimp, maximizer)
    mailchimp = mailchimp or MailchimpField(row.tag, row.mailchimp_ref, row.tag, row.mailchimp_kind)
    mailchimp = replace(mailchimp, tag=row.tag)
    maximizer = maximizer or MaximizerField(row.field, row.maximizer_ref, row.maximizer_kind)
    return FieldMapping(
        tag=row.tag,
        mailchimp=mailchimp,
        maximizer=maximizer,
        protected=maximizer.basic and not row.basic_update,
        one_way=mailchimp.kind.startswith("source"),
        pairs=() if broken else _pairs(engine, row, mailchimp, maximizer, keep),
        broken=broken,
        id=row.id,
    )


def _broken(row: MappingRow, mailchimp: MailchimpField | None, maximizer: MaximizerField | None) -> str:
    """Why nothing may be written for a mapping, in the guide's words where it has some; "" when it is sound."""
    if mailchimp is None:
        return f"{row.tag} no longer exists in Mailchimp: map it anew or remove the mapping."
    if maximizer is None:
        return f"{row.field} no longer exists in Maximizer: map it anew or remove the mapping."
    if maximizer.kind not in compatible(mailchimp.kind):
        return f"{mailchimp.name} should be mapped to {kind_words(compatible(mailchimp.kind)[0])} field."
    if not for_people(maximizer):
        return f"{maximizer.name} must be available for Individuals and Contacts."
    return ""


def _gone(mapping: FieldMapping, known: Audience, fields: Sequence[MaximizerField]) -> bool:
    there = {f.ref for f in known.fields}, {f.ref for f in fields}
    return mapping.mailchimp.ref not in there[0] or mapping.maximizer.ref not in there[1]


def _pairs(
    engine: Engine, row: MappingRow, mailchimp: MailchimpField, maximizer: MaximizerField, keep: bool
) -> tuple[tuple[str, str], ...]:
    """Options that correspond: paired once by equal label and kept by id and key, so that a rename keeps them (R26)."""
    if mailchimp.kind not in ("group", "radio", "dropdown"):
        return ()
    mine, theirs = {o.key for o in mailchimp.options}, {o.key for o in maximizer.options}
    before = connections.option_pairs(engine, row.id)
    kept = [(a, b) for a, b in before if a in mine and b in theirs]
    taken_a, taken_b = {a for a, _ in kept}, {b for _, b in kept}
    by_label = {o.label.strip().casefold(): o.key for o in reversed(maximizer.options) if o.key not in taken_b}
    for option in mailchimp.options:
        other = by_label.get(option.label.strip().casefold())
        if option.key not in taken_a and other is not None:
            kept.append((option.key, other))
            by_label.pop(option.label.strip().casefold())
    if keep and sorted(kept) != sorted(before):
        connections.set_option_pairs(engine, row.id, kept)
    return tuple(sorted(kept))


def fingerprint(layout: Layout) -> str:
    """Hash of everything that makes a mapping what it is: when it changes, the next cycle is a full one (R30)."""
    shape = [
        [m.tag, m.mailchimp.ref, m.maximizer.ref, m.mailchimp.kind, m.maximizer.kind, m.protected, m.mailchimp.required,
         m.mailchimp.date_format, m.mailchimp.phone_format, bool(m.broken), list(m.pairs)]
        for m in layout.mappings
    ]  # fmt: skip
    return hashlib.sha256(json.dumps([shape, layout.flag_ref, layout.marker_ref], sort_keys=True).encode()).hexdigest()
