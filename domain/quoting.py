"""Names of other people's making (fields, folders, lists, connections) within a sentence."""

from __future__ import annotations

import re
import shlex

# They may neither steer a terminal nor turn the reading direction.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def quoted(name: object) -> str:
    """The name in quotes, exactly as it is: nothing is doubled, and a shell reads the whole as that name."""
    text = str(name)
    if "'" not in text:
        return f"'{text}'"
    return shlex.quote(text) if any(mark in text for mark in '"$`\\!') else f'"{text}"'


def visible(text: str) -> str:
    """The text with control characters written out; line feeds stay."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
