"""The API key, which also names the host (fact sheet section 1)."""

from __future__ import annotations

import re

from domain.errors import Misconfigured

_KEY = re.compile(r"([0-9a-f]{32})-(us[0-9]{1,3})")


def parse_key(text: str) -> tuple[str, str]:
    """(key, data centre) of an API key such as ``0123...-us6``.

    The host is built from the matched data centre only, so no key can send the secret elsewhere (hazards S15).
    Raises Misconfigured; the text itself is never part of the message.
    """
    match = _KEY.fullmatch(text)
    if not match:
        raise Misconfigured(
            "this is not a Mailchimp API key: 32 hexadecimal digits, a dash and a data centre such as us6",
            remedy="copy the key again from Mailchimp: Account > Extras > API keys",
        )
    return text, match[2]
