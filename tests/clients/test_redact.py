"""What no log record may hold (hazards S22, S27)."""

from __future__ import annotations

import logging
from io import StringIO

import pytest

from clients.redact import Redact

SECRET = "k3y-with-$pecial.chars"


def printed(message: str, *args: object, error: bool = False) -> str:
    logger, stream = logging.Logger("under test", logging.DEBUG), StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.addFilter(Redact([SECRET, ""]))
    if error:
        try:
            raise ValueError(f"for {SECRET} and anna@escona.test")
        except ValueError:
            logger.exception(message, *args)
    else:
        logger.debug(message, *args)
    return stream.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"key {SECRET}", ()),
        ("key %s", (SECRET,)),
        ("headers %r", ({"Authorization": f"Bearer {SECRET}"},)),
        ("Authorization: Basic bWF4Y2hpbXA6MDEyMzQ1", ()),
        ("body %s", ('{"Token": "opaque word", "Code": 0}',)),
        ("body %s", ({"Password": "two words", "UID": "x"},)),
        ("apikey=abcd1234&x=1", ()),
        ("GET /3.0/lists/ab/members/5eb0d7933f4c6b1d2a9e8c7b6a5d4e3f", ()),
        ("GET /3.0/search?query=anna%40escona.test", ()),
        ("member anna.o'hara+x@escona.test is new", ()),
        ("https://anna:word@crm.escona.test/x", ()),
    ],
)
def test_s22_s27_masked(message: str, args: tuple[object, ...]) -> None:
    line = printed(message, *args)
    assert "***" in line
    for word in (SECRET, "bWF4Y2", "opaque", "two words", "abcd1234", "5eb0d793", "anna", ":word@"):
        assert word not in line


def test_what_is_not_secret_stays() -> None:
    line = "mailchimp GET list members: 200 in 12 ms, tokens per minute 5, request 0a1b2c3d-0000-1111-2222-333344445555"
    assert printed(line) == line


def test_s22_traceback_is_masked() -> None:
    text = printed("failed", error=True)
    assert "ValueError" in text
    assert SECRET not in text
    assert "escona" not in text.rpartition("ValueError")[2]


def test_s27_control_characters_stay_on_one_line() -> None:
    assert printed("name %s", "x\r\nERROR forged \x1b[31m\u2028y") == r"name x\r\nERROR forged \x1b[31m\u2028y"


def test_a_record_that_cannot_be_formatted_is_masked_too() -> None:
    assert printed(f"%d {SECRET}", "x") == "%d ***"
