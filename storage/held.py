"""Changed mappings: which ones no cycle has taken in yet, and what of them waits until a person has seen it (R30).

A mapping is *changed* from the moment it is made or replaced until a cycle takes it in, and so is one with an option
that found its counterpart. While its writes wait it stays so: no pair is compared by it, or by its new options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection as Database
from sqlalchemy import exists, not_, or_, select

from storage.tables import field_mapping, option_pair

Pair = tuple[str, str]  # keys of an option in Mailchimp and in Maximizer
_NEW = exists().where(option_pair.c.mapping_id == field_mapping.c.id, not_(option_pair.c.met))


@dataclass(frozen=True)
class Held:
    """What waits of one field: records of each side it would be written to, of so many links, as ``run`` found.

    ``since``: the run that found it first.
    """

    mailchimp: int
    maximizer: int
    links: int
    run: int
    since: int


def changed(db: Database, connection_id: int) -> dict[str, Held | None]:
    """Changed mappings by tag, in the order in which they were made; None: no cycle has judged it yet."""
    columns = select(field_mapping.c.tag, field_mapping.c.held)
    ours = columns.where(field_mapping.c.connection_id == connection_id, or_(field_mapping.c.changed, _NEW))
    rows = db.execute(ours.order_by(field_mapping.c.id))
    return {str(tag): Held(**figures) if figures else None for tag, figures in rows}


def waiting(db: Database, connection_id: int) -> dict[str, Held]:
    """Fields whose writes wait for a person, by tag."""
    return {tag: held for tag, held in changed(db, connection_id).items() if held is not None}


def new_options(db: Database, connection_id: int) -> dict[str, set[Pair]]:
    """New options, by tag, of mappings that are otherwise taken in."""
    columns = select(field_mapping.c.tag, option_pair.c.mailchimp_key, option_pair.c.maximizer_key)
    found = columns.join(option_pair, option_pair.c.mapping_id == field_mapping.c.id).where(
        field_mapping.c.connection_id == connection_id, not_(field_mapping.c.changed), not_(option_pair.c.met)
    )
    listed: dict[str, set[Pair]] = {}
    for tag, mailchimp, maximizer in db.execute(found):
        listed.setdefault(str(tag), set()).add((str(mailchimp), str(maximizer)))
    return listed


def settle(db: Database, connection_id: int, taken_in: Iterable[str], held: Mapping[str, Held | None]) -> None:
    """Remember what a cycle did with changed mappings, in its transaction: taken in, or made to wait."""
    ours = field_mapping.c.connection_id == connection_id
    met = ours & field_mapping.c.tag.in_(list(taken_in))
    ids = select(field_mapping.c.id).where(met)
    db.execute(option_pair.update().where(option_pair.c.mapping_id.in_(ids)).values(met=True))
    db.execute(field_mapping.update().where(met).values(changed=False, held={}))
    for tag, figures in held.items():
        if figures is not None:
            db.execute(field_mapping.update().where(ours, field_mapping.c.tag == tag).values(held=asdict(figures)))
