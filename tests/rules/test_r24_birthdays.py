"""R24 through the whole engine: days without a year meet dates with one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from harness import Office

NewOffice = Callable[..., Office]
FILLED = {"POINTS": 1, "PLAN": "Plus", "REF": "x"}
YEAR = r"Marketing\Born"  # a date that keeps its year
ANNUAL = r"Marketing\Birthday"  # an annually recurring event without "retain year"
LEAP_YEAR = [date(2000, 1, 1) + timedelta(n) for n in range(366)]


@pytest.fixture
def made(new_office: NewOffice) -> Office:
    found = new_office()
    found.maximizer.add_udf(YEAR, "date")
    return found


def born(made: Office, name: str, day: str) -> str:
    return made.subscribe(f"{name}@lantern.test", name, "Byron", merge_fields=FILLED | {"BIRTHDAY": day})


def edit(made: Office, name: str, day: str) -> None:
    found = made.by_email(f"{name}@lantern.test")
    assert found is not None
    made.mailchimp.edit(found["contact_id"], {"BIRTHDAY": day})


@pytest.mark.parametrize("field", [YEAR, ANNUAL])
def test_r24_all_days_of_the_year(made: Office, field: str) -> None:
    made.map("BIRTHDAY", field)
    for day in LEAP_YEAR:
        born(made, f"p{day:%m%d}", f"{day:%m/%d}")
    made.sync()
    held = {row["Email1"]: row["udfs"][field] for row in made.maximizer.entries().values() if row["Email1"]}
    for day in LEAP_YEAR:
        stored = date.fromisoformat(held[f"p{day:%m%d}@lantern.test"])
        assert (stored.month, stored.day) == (day.month, day.day)
        if field == YEAR:
            assert stored.year == (2024 if day == date(2000, 2, 29) else 2026)
    made.quiet(1)


def test_r24_the_year_that_maximizer_holds_is_never_touched(made: Office) -> None:
    made.map("BIRTHDAY", YEAR)
    held = {"ada": "1980-12-10", "leap": "1984-02-29", "eve": "1990-05-05"}
    keys = {}
    for name, day in held.items():
        born(made, name, f"{day[5:7]}/{day[8:]}")
        keys[name] = made.add(name, "Byron", f"{name}@lantern.test", flag="Yes", udfs={YEAR: day})
    made.set(conflict="mailchimp")
    made.sync()
    made.clock.advance(366 * 86_400)
    made.quiet(1)
    assert {name: made.entry(key)["udfs"][YEAR] for name, key in keys.items()} == held
    edit(made, "eve", "05/06")  # another day: this year, which is 2027 by now
    edit(made, "ada", "02/29")
    made.sync()
    assert made.entry(keys["eve"])["udfs"][YEAR] == "2027-05-06"
    assert made.entry(keys["ada"])["udfs"][YEAR] == "2024-02-29"
    made.maximizer.edit(keys["leap"], {YEAR: "1988-02-29"})  # only the year
    assert made.writes() == []
    made.maximizer.edit(keys["leap"], {YEAR: "1988-02-28"})
    made.sync()
    assert made.merge("leap@lantern.test")["BIRTHDAY"] == "02/28"
    edit(made, "eve", "")
    made.sync()
    assert made.entry(keys["eve"])["udfs"][YEAR] is None
    made.quiet(1)


@pytest.mark.parametrize("quirks", [[], ["annual-without-year"]])
def test_r24_an_annual_field_compares_days_only(new_office: NewOffice, quirks: list[str]) -> None:
    made = new_office(quirks=quirks)
    made.mailchimp.edit_merge_field(made.list_id, "BIRTHDAY", options={"date_format": "DD/MM"})
    made.map("BIRTHDAY", ANNUAL)
    key = made.add("Ada", "Byron", "ada@lantern.test", flag="Yes", udfs={ANNUAL: "1984-02-29"})
    other = made.add("Eve", "Byron", "eve@lantern.test", flag="Yes", udfs={ANNUAL: "12-10"})
    made.sync()
    assert made.merge("ada@lantern.test")["BIRTHDAY"] == "29/02"
    assert made.merge("eve@lantern.test")["BIRTHDAY"] == "10/12"
    made.quiet(1)
    assert made.entry(key)["udfs"][ANNUAL] == "1984-02-29"
    edit(made, "eve", "29/02")
    made.sync()
    assert made.entry(other)["udfs"][ANNUAL] == "2024-02-29"
    made.quiet(1)


@pytest.mark.parametrize("field", [YEAR, ANNUAL])
def test_r24_a_day_that_no_month_has_stays_where_it_is(made: Office, field: str) -> None:
    """Mailchimp's forms take 30 February; only this field waits (R28)."""
    made.map_all([("BIRTHDAY", field), ("REF", r"Marketing\Reference")])
    born(made, "ada", "02/30")
    made.sync()
    made.quiet(1)
    (key,) = made.entries("ada@lantern.test")
    assert (made.entry(key)["udfs"][field], made.udfs(key)["Reference"]) == (None, "x")
    assert [(f["field"], f["value"]) for f in made.findings("withheld")] == [("BIRTHDAY", "02-30")]
    assert made.merge("ada@lantern.test")["BIRTHDAY"] == "02/30"
