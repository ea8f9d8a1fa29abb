"""Fields of both sides and the mapping between two of them; kinds and tables R21 and R22 come from ``data``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Option:
    """One choice of a table, group, radio or drop-down field.

    ``key`` is what stays when it is renamed: an item key (Maximizer), an interest id (group), or the label itself
    (radio and drop-down choices have no id). ``label`` is what people see.
    """

    key: str
    label: str


@dataclass(frozen=True)
class MailchimpField:
    """One field of a list: a merge field, a part of an address field, a group, or a read-only source (R52).

    ``tag`` is how people name it (``FNAME``, ``ADDRESS.city``, ``group:Email Profile``, ``@status``);
    ``ref`` is what survives a rename (merge_id or category id).
    """

    tag: str
    ref: str
    name: str
    kind: str
    required: bool = False
    options: tuple[Option, ...] = ()
    date_format: str = ""
    phone_format: str = ""
    default_country: str = ""
    group_type: str = ""

    def placeholder(self, today: date) -> str:
        """What a mandatory field gets whose Maximizer value is empty, canonical; "" where the rules name none (R22).

        "First item" is the first in Mailchimp's order; "today" is the run's own date.
        """
        part = self.tag.partition(".")[2]
        if part and part not in kinds()["address"]["required"]:
            return ""
        text = str(kinds()["placeholder"].get(self.kind, ""))
        if text == "@first":
            return self.options[0].key if self.options else ""
        if text == "@today":
            return today.isoformat() if self.kind == "date" else f"{today:%m-%d}"
        return text

    @property
    def filled_tags(self) -> tuple[str, ...]:
        """What a placeholder of the whole field fills: the field itself, of an address its required parts (R22)."""
        if self.kind != "address" or "." in self.tag:
            return (self.tag,)
        return tuple(f"{self.tag}.{part}" for part in kinds()["address"]["required"])


@dataclass(frozen=True)
class MaximizerField:
    r"""One field of Address Book entries: basic (``LastName``, ``Address.City``) or a UDF (``Folder\Name``).

    ``ref`` is the name in the API (``LastName``, ``Address/City``, ``Udf/$TYPEID(12)``).
    """

    name: str
    ref: str
    kind: str
    basic: bool = False
    options: tuple[Option, ...] = ()
    max_length: int = 0
    decimals: int | None = None
    applies_to: tuple[str, ...] = ()
    mandatory: bool = False
    writable: bool = True


@dataclass(frozen=True)
class FieldMapping:
    """One field on both sides, as decided by a person and as both services describe it now.

    ``tag`` is also the column name in every frame. ``protected``: a basic field that Mailchimp never writes on an
    existing entry (R12). ``one_way``: a read-only source, Mailchimp to Maximizer only (R52).
    ``pairs`` are (mailchimp key, maximizer key) of options that correspond (R26). ``broken`` says why nothing may be
    written for this field now (R27), "" when it is sound.
    """

    tag: str
    mailchimp: MailchimpField
    maximizer: MaximizerField
    protected: bool = False
    one_way: bool = False
    pairs: tuple[tuple[str, str], ...] = ()
    broken: str = ""
    id: int = 0
    extra: dict[str, Any] = field(default_factory=dict, compare=False)


@cache
def kinds() -> dict[str, Any]:
    """The tables of ``data/kinds.toml``: compatibility (R21) and placeholders (R22)."""
    return tomllib.loads(files("data").joinpath("kinds.toml").read_text("utf-8"))


def compatible(mailchimp_kind: str) -> tuple[str, ...]:
    """Maximizer kinds that a Mailchimp kind may be mapped to (R21)."""
    return tuple(kinds()["compatible"].get(mailchimp_kind, ()))


def kind_words(maximizer_kind: str) -> str:
    """How the vendor's guide calls a Maximizer kind, for messages such as R27's."""
    return str(kinds()["words"].get(maximizer_kind, maximizer_kind))
