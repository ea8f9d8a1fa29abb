"""Ways in which a server may behave differently, each seen live or left open by the vendor's documents.

A quirk is a text; three of them carry a number after an equals sign (`page-cap=500`).
"""

from collections.abc import Iterable

# name -> (what the server then does, number it carries or None)
QUIRKS: dict[str, tuple[str, int | None]] = {
    "unknown-scope-empty": ("an unknown property in a read scope gives no rows and Code 0 instead of an error", None),
    "udf-silent-noop": ("a UDF that does not apply to the entry's type is accepted and not stored", None),
    "text-truncated": ("alphanumeric UDFs are cut to this many characters without a word", 20),
    "text-dropped": ("alphanumeric UDFs are accepted and not stored", None),
    "flaky-address": ("parts of an address are null on every other read of an entry", None),
    "no-next-page-key": ("a page does not name the key of the next one", None),
    "page-cap": ("a page never has more rows than this", 500),
    "date-not-searchable": ("LastModifyDate and CreationDate cannot be searched", None),
    "udf-not-searchable": ("user-defined fields cannot be searched", None),
    "email-not-searchable": ("e-mail addresses cannot be searched", None),
    "udf-edits-keep-date": ("an edit of UDFs alone does not move LastModifyDate", None),
    "no-udf-setup": ("the user may not define UDFs, folders and options", None),
    "msg-objects": ("Msg holds objects with Message and ErrorCode, as the cloud does by default", None),
    "msg-texts": ("Msg holds texts, as on-premise by default", None),
    "no-or": ("$OR is refused", None),
    "search-lag": ("an entry is found by its key at once, by any other search only after this many seconds", 60),
    "search-v1": ("operators stand outside ({'$EQ': {'Email': ...}}); the newer form is refused", None),
    "schema-0x": ("Schema 1.0, Folder and FieldOptions are unknown, as on a server of 2018", None),
    "old-folders": ("Schema 1.0 is known, but folders are SchemaFolder only", None),
    "per-object": ("the generic methods exist for Schema and SchemaFolder only", None),
    "no-bearer": ("the token is looked for in the body only", None),
    "no-drivers": ("Configuration is refused", None),
    "keys-stable": ("key strings are the same in every session", None),
    "update-checks-mandatory": ("an update is refused while another mandatory field of the entry is empty", None),
    "annual-without-year": ("annually recurring dates are read as --MM-DD", None),
    "vendor-key": ("Authenticate needs VendorId and AppKey", None),
    "rate-limit": ("more than this many calls in 10 seconds are answered by HTTP 429", 30),
    "beta-note": ("successful answers carry a note in Msg", None),
}


class Quirks:
    """What is switched on: `"msg-objects" in quirks`, `quirks.number("page-cap")`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._on = dict(_parse(name) for name in names)

    def __contains__(self, name: str) -> bool:
        return name in self._on

    def number(self, name: str) -> int | None:
        """The number a quirk carries; None when the quirk is off."""
        return self._on.get(name)

    def names(self) -> frozenset[str]:
        return frozenset(name if number is None else f"{name}={number}" for name, number in self._on.items())


def _parse(text: str) -> tuple[str, int | None]:
    """Raises ValueError naming all quirks for a text that is none."""
    name, equals, number = text.partition("=")
    if name not in QUIRKS or (equals and QUIRKS[name][1] is None) or (equals and not number.isdigit()):
        known = ", ".join(known if default is None else f"{known}=N" for known, (_, default) in QUIRKS.items())
        raise ValueError(f"unknown quirk {text!r}; known: {known}")
    return name, int(number) if equals else QUIRKS[name][1]
