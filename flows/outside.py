"""What is set outside: our variables of the environment and of ``.env``, their places, and names that are unknown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from domain.commands import prefix
from domain.errors import Misconfigured

if TYPE_CHECKING:
    from dotenv.parser import Original

FILE = ".env"
PREFIX = "MAXCHIMP_"
OWN = ("MAILCHIMP_API_KEY", "MAILCHIMP_URL", "MAXIMIZER_URL", "MAXIMIZER_WEB_URL", "MAXIMIZER_DATABASE",
       "MAXIMIZER_USER", "MAXIMIZER_PASSWORD", "MAXIMIZER_TOKEN", "ADMINISTRATORS", "TAB_KEY_PARAMETER",
       "TAB_TOKEN_PARAMETER")  # fmt: skip
# Names that are no fields of Settings: an administrator's word (flows/secret_keys.py).
_WORDS = ("MAXCHIMP_PREFECT_ENCRYPTED",)


class Unknown(NamedTuple):
    """A variable of ours by no known name; ``meant``: the name that is near, "" for none."""

    name: str
    place: str
    meant: str


def variables() -> dict[str, str]:
    """Our variables that are set: of the environment, else of ``.env``."""
    return {name: value for name, (value, _) in _all().items() if value}


def own(connection: str) -> dict[str, str]:
    """A connection's own variables that are set, by the name of the setting."""
    outside, start = variables(), prefix(connection)
    return {key.lower(): outside[start + key] for key in OWN if outside.get(start + key)}


def named(name: str) -> str:
    """A variable with the place where it is set, for people."""
    where = next((place for known, (_, place) in _all().items() if known.upper() == name.upper()), "")
    return f"{name} ({where})" if where else name


def check_filled(names: Iterable[str]) -> None:
    """Misconfigured for one of these that is set to nothing: it would hide its default."""
    found = _all()
    for name in names:
        value, where = found.get(name, ("-", ""))
        if not value.strip():
            raise Misconfigured(f"{name} ({where}) is empty", remedy="give it a value, or take it out")


def unknown(fields: Iterable[str]) -> list[Unknown]:
    """Variables that look like ours and are read by nobody, such as MAXCHIMP_MAILCHIMP_APIKEY."""
    known = {*(f"{PREFIX}{field.upper()}" for field in fields), *_WORDS}
    found = []
    for name, (_, where) in sorted(_all().items()):
        start, between, rest = name.rpartition("__")
        if name.upper() in known or (between and start == start.upper() and rest in OWN):
            continue
        likely = [f"{start.upper()}__{key}" for key in OWN] if between else []
        near = get_close_matches(name.upper(), [*likely, *known], n=1, cutoff=0.84)
        found.append(Unknown(name, where, near[0] if near else ""))
    return found


def open_to_others() -> str:
    """What to tell when other users may read ``.env``, "" when they may not."""
    path = Path(FILE)
    if os.name != "posix" or not path.is_file() or not path.stat().st_mode & 0o077:
        return ""
    return f"the file {FILE} may be read by other users"


def _all() -> Mapping[str, tuple[str, str]]:
    """Value and place of each of our variables, also of empty ones; an empty one hides nothing in ``.env``."""
    ours = {name: (value, "the environment") for name, value in os.environ.items() if _is_ours(name)}
    found = dict(_of_file())
    return {**found, **{name: told for name, told in ours.items() if told[0] or name not in found}}


def _of_file() -> dict[str, tuple[str, str]]:
    """Misconfigured names the file, and the line where it cannot be read."""
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    path = Path(FILE)
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as stream:
            lines = list(parse_stream(stream))
        values = dotenv_values(path)
    except OSError as problem:
        raise Misconfigured(
            f"the file {FILE} cannot be read: {problem.strerror}", remedy="give this user the right to read it"
        ) from problem
    except UnicodeDecodeError:
        raise Misconfigured(f"the file {FILE} is no text in UTF-8", remedy="save it as UTF-8") from None
    for line in lines:
        if line.error:
            raise Misconfigured(
                f"the file {FILE} cannot be read at line {_line(line.original)}",
                remedy="write NAME=VALUE there, and close every quotation mark",
            )
    places = {line.key: _line(line.original) for line in lines if line.key}
    return {name: (values.get(name) or "", f"{FILE}, line {places[name]}") for name in places if _is_ours(name)}


def _line(original: Original) -> int:
    """Where a setting stands: empty lines before it are read as a part of it."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)
