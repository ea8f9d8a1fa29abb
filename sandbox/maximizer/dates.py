"""Dates in searches: ISO texts, and functions such as `$OFFSET(D-90, $TODAY())` (fact sheet section 3.3).

Every date is a range of seconds (low, high): a moment is a range of one second, `$TODAY()` one of a day.
`$LT` and `$GE` look at the low end, `$LE` and `$GT` at the high one. A date-time without a zone is UTC.
"""

import calendar
import re
from datetime import UTC, date, datetime, timedelta

from sandbox.maximizer.envelope import WRONG_TYPE, ApiError

Range = tuple[int, int]
_OFFSET = re.compile(r"\$OFFSET\(\s*([MDWYQhms])\s*([+-]\s*\d+)\s*,\s*(.+)\)")
_SECONDS = {"D": 86400, "W": 7 * 86400, "h": 3600, "m": 60, "s": 1}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_SPANS = {"$TODAY()": "day", "$THISWEEK()": "week", "$THISMONTH()": "month", "$THISYEAR()": "year"}


def moment(text: object, now: int) -> Range:
    """The range that an operand stands for. Raises ApiError -1024 for what is no date."""
    if not isinstance(text, str):
        raise ApiError(f"A date is expected, not {text!r}.", WRONG_TYPE)
    if text == "$NOW()":
        return now, now
    if text in _SPANS:
        return _span(_SPANS[text], datetime.fromtimestamp(now, UTC))
    if match := _OFFSET.fullmatch(text):
        count = int(match[2].replace(" ", ""))
        low, high = moment(match[3].strip(), now)
        return _shift(low, match[1], count), _shift(high, match[1], count)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(f"'{text}' is not a date.", WRONG_TYPE) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    second = int(parsed.timestamp())
    return second, second


def iso(second: int) -> str:
    """`2015-01-20T20:37:51Z`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_date(value: object) -> str | None:
    """`YYYY-MM-DD` of a date with or without time; None for everything else, 29 February of a common year included."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        return (
            datetime.fromisoformat(value).date().isoformat()
            if len(value) > 10
            else date.fromisoformat(value).isoformat()
        )
    except ValueError:
        return None


def _span(unit: str, now: datetime) -> Range:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "day":
        start, end = day, day + timedelta(days=1)
    elif unit == "week":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(days=7)
    elif unit == "month":
        start = day.replace(day=1)
        end = start + timedelta(days=calendar.monthrange(start.year, start.month)[1])
    else:
        start = day.replace(month=1, day=1)
        end = start.replace(year=start.year + 1)
    return int(start.timestamp()), int(end.timestamp()) - 1


def _shift(second: int, unit: str, count: int) -> int:
    if unit in _SECONDS:
        return second + count * _SECONDS[unit]
    at = datetime.fromtimestamp(second, UTC)
    months = at.year * 12 + at.month - 1 + count * _MONTHS[unit]
    year, month = months // 12, months % 12 + 1
    return int(at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1])).timestamp())
