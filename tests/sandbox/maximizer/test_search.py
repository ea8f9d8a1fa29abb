"""Searching, ordering and paging through entries."""

import base64
from typing import Any

import pytest

from sandbox.clock import VirtualClock
from sandbox.maximizer import Maximizer
from sandbox.maximizer.columns import Columns
from sandbox.maximizer.fields import encode
from sandbox.maximizer.keys import Keys
from sandbox.maximizer.search import Compiler

MARKER = r"MailChimp\MailChimp ID"
FLAG = r"MailChimp\Sync with MailChimp"
PEOPLE = {"Type": {"$IN": ["Contact", "Individual"]}}


@pytest.fixture(params=["on-premise", "cloud"])
def caller(make: Any, request: pytest.FixtureRequest) -> Any:
    """Four entries, a minute apart: Acorn Ltd, its contact Ann Lee, Bo Lee and Cy Roe."""
    caller = make(request.param)
    m: Maximizer = caller.maximizer
    m.add_udf(MARKER, "text")
    m.add_udf(FLAG, "yesno")
    m.add_udf("Points", "number")
    m.add_udf("Joined", "date")
    m.add_udf("Likes", "multi", ["Tea", "Coffee", "Milk"])
    acorn = m.add_company("Acorn Ltd", WebSite="https://acorn.test", **{"Address.City": "Boise"})
    m.clock.advance(60)
    udfs = {MARKER: "AA11", FLAG: "Yes", "Points": 5, "Joined": "2024-02-29", "Likes": ["Tea", "Milk"]}
    m.add_person("Ann", "Lee", "Ann@Lee.test", type="Contact", parent=acorn, udfs=udfs, Email2="two@lee.test")
    m.clock.advance(60)
    udfs = {FLAG: "Yes", "Points": 7.5, "Joined": "2025-01-01", "Likes": ["Tea", "Coffee"]}
    m.add_person("Bo", "Lee", udfs=udfs, Phone1="(604) 555-0101", Address={"ZipCode": "83702"})
    m.clock.advance(60)
    m.add_person("Cy", "Roe", "cy@roe.test", udfs={FLAG: "No"})
    return caller


def names(caller: Any, query: dict[str, Any], **more: Any) -> str:
    """Who is found, in order: company or first names."""
    rows = caller.read(query, {"CompanyName": 1, "FirstName": 1, "Type": 1}, **more)
    return " ".join(row["FirstName"] if row["Type"] != "Company" else "Acorn" for row in rows)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "Acorn Ann Bo Cy"),
        (PEOPLE, "Ann Bo Cy"),
        ({"Type": {"$EQ": "company"}}, "Acorn"),
        ({"LastName": {"$EQ": "LEE"}}, "Ann Bo"),
        ({"/AbEntry/LastName": {"$EQ": "LEE"}}, "Ann Bo"),
        ({"LastName": {"$NE": "lee"}}, "Acorn Cy"),
        ({"LastName": {"$EQ": None}}, "Acorn"),
        ({"LastName": {"$IN": ["roe", "lee"]}}, "Ann Bo Cy"),
        ({"LastName": {"$NIN": ["roe"]}}, "Acorn Ann Bo"),
        ({"LastName": {"$LIKE": "_e%"}}, "Ann Bo"),
        ({"LastName": {"$NLIKE": "r%"}}, "Acorn Ann Bo"),
        ({"CompanyName": {"$LIKE": "acorn%"}}, "Acorn Ann"),
        ({"FirstName": {"$GE": "bo"}}, "Bo Cy"),
        ({"Email": {"$EQ": "ann@lee.test"}}, "Ann"),
        ({"Email": {"$EQ": "two@lee.test"}}, "Ann"),
        ({"Email": {"$IN": ["CY@roe.test", "ann@lee.test"]}}, "Ann Cy"),
        ({"Email1": {"Address": {"$EQ": "two@lee.test"}}}, ""),
        ({"Email1": {"Address": {"$EQ": "ann@lee.test"}}}, "Ann"),
        ({"Email2": {"Address": {"$EQ": "two@lee.test"}}}, "Ann"),
        ({"Phone1": {"Number": {"$LIKE": "(604)%"}}}, "Bo"),
        ({"Address": {"ZipCode": {"$EQ": "83702"}}}, "Bo"),
        ({"Address/City": {"$EQ": "boise"}}, "Acorn"),
        ({rf"Udf/$NAME({MARKER})": {"$EQ": "aa11"}}, "Ann"),
        ({rf"Udf/$NAME({FLAG})": {"$IN": ["2"]}}, "Ann Bo"),
        ({rf"Udf/$NAME({FLAG})": {"$EQ": None}}, "Acorn"),
        ({"$AND": [{rf"Udf/$NAME({FLAG})": {"$EQ": "2"}}, {rf"Udf/$NAME({MARKER})": {"$EQ": None}}]}, "Bo"),
        ({"$OR": [{"FirstName": {"$EQ": "Cy"}}, {rf"Udf/$NAME({MARKER})": {"$EQ": "aa11"}}]}, "Ann Cy"),
        ({"LastName": {"$EQ": "lee"}, "FirstName": {"$NE": "ann"}}, "Bo"),
        ({"Likes": {"$ALL": ["1", "3"]}}, "Ann"),
        ({"Likes": {"$ALL": ["1"]}, "FirstName": {"$LIKE": "%"}}, "Ann Bo"),
        ({"Likes": {"$IN": ["2", "3"]}}, "Ann Bo"),
        ({"Likes": {"$NIN": ["2", "3"]}}, "Acorn Cy"),
        ({"Points": {"$EQ": 7.5}}, "Bo"),
        ({"Points": {"$GT": 5}}, "Bo"),
        ({"Points": {"$GE": 5, "$LT": 7}}, "Ann"),
        ({"Points": {"$LT": 5}}, ""),
        ({"Points": {"$LE": 5}}, "Ann"),
        ({"Points": {"$RANGE": [5, 7.5]}}, "Ann Bo"),
        ({"Points": {"$NRANGE": [5, 6]}}, "Bo"),
        ({"Joined": {"$LE": "2024-02-29"}}, "Ann"),
        ({"Joined": {"$EQ": "2025-01-01T00:00:00Z"}}, "Bo"),
        ({"LastModifyDate": {"$GE": "2026-01-05T09:02:00Z"}}, "Bo Cy"),
        ({"LastModifyDate": {"$GT": "2026-01-05T09:02:00"}}, "Cy"),
        ({"LastModifyDate": {"$LT": "2026-01-05T10:01:00+01:00"}}, "Acorn"),
        ({"LastModifyDate": {"$LE": "2026-01-05T09:01:00Z"}}, "Acorn Ann"),
        ({"LastModifyDate": {"$RANGE": ["2026-01-05T09:01:00Z", "2026-01-05T09:02:00Z"]}}, "Ann Bo"),
        ({"LastModifyDate": {"$EQ": "2026-01-05T09:01:00Z"}}, "Ann"),
        ({"CreationDate": {"$GE": "$TODAY()"}}, "Acorn Ann Bo Cy"),
        ({"CreationDate": {"$GE": "$OFFSET(m-1, $NOW())"}}, "Bo Cy"),
        ({"CreationDate": {"$LT": "$THISMONTH()"}}, ""),
        ({"CreationDate": {"$GT": "$OFFSET(Y-1, $TODAY())"}}, "Acorn Ann Bo Cy"),
        ({"$PHRASE": "le an"}, "Ann"),
        ({"$PHRASE": "ann@"}, "Ann"),
        ({"$PHRASE": "5550101"}, "Bo"),
        ({"Lead": {"$EQ": False}}, "Acorn Ann Bo Cy"),
    ],
)
def test_operators(caller: Any, query: dict[str, Any], found: str) -> None:
    assert names(caller, query) == found


@pytest.mark.parametrize(
    "query",
    [
        {"$NOT": {"LastName": {"$EQ": "x"}}},
        {"LastName": {"$NOT": "x"}},
        {"LastName": "Lee"},
        {"LastName": {"$EQ": 5}},
        {"LastName": {"$IN": "Lee"}},
        {"Points": {"$EQ": "5"}},
        {"Points": {"$LIKE": "5%"}},
        {"Joined": {"$GE": "yesterday"}},
        {"LastModifyDate": {"$GE": 1700000000}},
        {"LastModifyDate": {"$RANGE": ["2026-01-01"]}},
        {"LastModifyDate": {"$LIKE": "2026%"}},
        {"Nonsense": {"$EQ": "x"}},
        {"Type": {"$NE": "Company"}},
        {"$XOR": []},
        {"$AND": {}},
        {"Likes": {"$LIKE": "T%"}},
        {"Address": {"$EQ": "x"}},
        ["x"],
    ],
)
def test_refused_searches(caller: Any, query: Any) -> None:
    asked = {"Scope": {"Fields": {"Key": 1}}, "Criteria": {"SearchQuery": query}}
    assert caller.entry("Read", asked)["Code"] == -1


def test_searches_by_key(caller: Any) -> None:
    (company, ann, bo, _) = caller.maximizer.entries()
    assert names(caller, {"Key": {"$EQ": {"ID": company[0], "Number": 0}}}) == "Acorn"
    assert names(caller, {"Key": {"$EQ": {"id": company[0], "number": 1}}}) == "Ann"
    assert names(caller, {"Key": {"$EQ": {"ID": company[0]}}}) == "Acorn Ann"
    assert names(caller, {"Key": {"$EQ": {"ID": "unknown", "Number": 0}}}) == ""
    assert names(caller, {"Key": {"$EQ": caller.key(bo)}}) == "Bo"
    assert names(caller, {"Key": {"$IN": [caller.key(bo), caller.key(ann)]}}) == "Ann Bo"
    assert names(caller, {"Key": {"$EQ": {"Body": caller.key(company), "OrRelated": True}}}) == "Acorn Ann"
    assert names(caller, {"Key": {"$EQ": {"Body": caller.key(company)}}}) == "Acorn"
    assert names(caller, {"ParentKey": {"$EQ": caller.key(company)}}) == "Ann"
    assert names(caller, {"ParentKey": {"$EQ": {"ID": company[0], "Number": 0}}}) == "Ann"
    for nonsense in ("nonsense", encode("Company", company[0], "x"), encode("User", company[0], 0), 5, None):
        assert names(caller, {"Key": {"$EQ": nonsense}}) == ""


def test_the_legacy_searcher(caller: Any) -> None:
    def code(query: dict[str, Any], fields: dict[str, Any] | None = None) -> int:
        asked = {"Scope": {"Fields": fields or {"Key": 1}}, "Criteria": {"SearchQuery": query}}
        return int(caller.entry("Read", asked, Configuration={})["Code"])

    assert code({"CompanyName": {"$LIKE": "%"}}) == 0
    assert code({"Type": {"$NE": "Company"}}) == 0
    assert code({}) == -1
    assert code({"LastName": {"$EQ": None}}) == -1
    assert code(PEOPLE, {"Parent": {"CompanyName": 1}}) == -1
    (row,) = caller.read({"FirstName": {"$EQ": "Ann"}}, {"Parent": {"CompanyName": 1}})
    assert row == {"Parent": {"CompanyName": "Acorn Ltd"}}


def test_indexes_follow_edits(caller: Any) -> None:
    m: Maximizer = caller.maximizer
    (company, ann, bo, _) = m.entries()
    marked, mailed = {rf"Udf/$NAME({MARKER})": {"$EQ": "AA11"}}, {"Email": {"$EQ": "bo@lee.test"}}
    assert (names(caller, marked), names(caller, mailed)) == ("Ann", "")
    m.clock.advance(60)
    m.edit(ann, {MARKER: ""})
    m.edit(bo, {MARKER: "aa11", "Email3": "bo@lee.test"})
    assert (names(caller, marked), names(caller, mailed)) == ("Bo", "Bo")
    assert names(caller, {"LastModifyDate": {"$GE": "2026-01-05T09:04:00Z"}}) == "Ann Bo"
    m.edit(company, {"CompanyName": "Acorn Inc"})
    assert names(caller, {"CompanyName": {"$EQ": "acorn inc"}}) == "Acorn Ann"
    m.remove(bo)
    assert (names(caller, marked), names(caller, mailed)) == ("", "")
    assert names(caller, {"LastModifyDate": {"$GE": "2026-01-05T09:00:00Z"}}) == "Acorn Ann Cy"


def test_nothing_that_a_sync_searches_for_scans_the_book() -> None:
    m = Maximizer(VirtualClock(0.0))
    m.add_udf(MARKER, "text")
    m.add_udf(FLAG, "yesno")
    person = m.add_person("Bo", "Lee", "bo@lee.test", udfs={MARKER: "x", FLAG: "Yes"})
    columns = Columns(m.database.book, m.database.schema, Keys(""))
    for query in (
        PEOPLE,
        {"Key": {"$EQ": {"ID": person[0], "Number": 0}}},
        {"Email": {"$IN": ["bo@lee.test"]}},
        {"Email1": {"Address": {"$EQ": "bo@lee.test"}}},
        {rf"Udf/$NAME({MARKER})": {"$EQ": "x"}},
        {"$OR": [{rf"Udf/$NAME({MARKER})": {"$EQ": "x"}}, {"Email": {"$EQ": "y"}}]},
        {"LastModifyDate": {"$GE": "1970-01-01"}},
    ):
        node = Compiler(columns.column).compile(query)
        assert (node.rows(), node.exact) == ({1}, True)
    node = Compiler(columns.column).compile({"FirstName": {"$LIKE": "b%"}, **PEOPLE})
    assert (node.rows(), node.exact) == ({1}, False)


# --- order and pages ------------------------------------------------------------------------------------------------


def test_order_and_top(caller: Any) -> None:
    def ordered(*fields: dict[str, str]) -> str:
        return names(caller, {}, OrderBy={"Fields": list(fields)})

    assert ordered({"CreationDate": "DESC"}) == "Cy Bo Ann Acorn"
    assert ordered({"lastName": "ASC"}, {"FirstName": "DESC"}) == "Acorn Bo Ann Cy"
    caller.maximizer.clock.advance(1)
    caller.maximizer.edit(next(iter(caller.maximizer.entries())), {"WebSite": ""})
    assert ordered({"LastModifyDate": "ASC"}) == "Ann Bo Cy Acorn"
    assert ordered({"CreationDate": "ASC"}) == "Acorn Ann Bo Cy"
    rows = caller.entry("Read", {"Scope": {"Fields": {"Key": 1}}, "Criteria": {"SearchQuery": {}, "Top": 2}})
    assert len(rows["AbEntry"]["Data"]) == 2
    assert "OrderBy" not in rows["AbEntry"]


def _page(caller: Any, size: Any, key: Any) -> Any:
    order = {"Fields": [{"CreationDate": "ASC"}], "PageSize": size, "PageKey": key}
    asked = {"Scope": {"Fields": {"FirstName": 1}}, "Criteria": {"SearchQuery": PEOPLE}, "OrderBy": order}
    return caller.entry("Read", asked)


def test_pages(caller: Any) -> None:
    first = _page(caller, 2, None)["AbEntry"]
    assert [row["FirstName"] for row in first["Data"]] == ["Ann", "Bo"]
    assert base64.b64decode(first["OrderBy"]["PageKey"]) == b"2"
    last = _page(caller, 2, first["OrderBy"]["PageKey"])["AbEntry"]
    assert last == {"Data": [{"FirstName": "Cy"}], "OrderBy": {"PageKey": None}}
    assert _page(caller, 3, None)["AbEntry"]["OrderBy"] == {"PageKey": None}
    assert _page(caller, 2, base64.b64encode(b"4").decode())["AbEntry"]["Data"] == []
    for size, key in ((0, None), ("2", None), (2, "?"), (2, 7)):
        assert _page(caller, size, key)["Code"] == -1


def test_offset_pages_drift_when_entries_go(caller: Any) -> None:
    first = _page(caller, 1, None)["AbEntry"]
    caller.maximizer.remove(list(caller.maximizer.entries())[1])
    assert _page(caller, 1, first["OrderBy"]["PageKey"])["AbEntry"]["Data"] == [{"FirstName": "Cy"}]


def test_pages_with_quirks(caller: Any) -> None:
    caller.maximizer.quirks = {"no-next-page-key", "page-cap=2"}
    page = _page(caller, 3, None)["AbEntry"]
    assert len(page["Data"]) == 2
    assert "OrderBy" not in page


# --- quirks of searching --------------------------------------------------------------------------------------------


def test_search_lag(caller: Any) -> None:
    m: Maximizer = caller.maximizer
    m.quirks = {"search-lag=60"}
    key = m.add_person("Dee", "Lee", "dee@lee.test")
    by_key = {"Key": {"$EQ": {"ID": key[0], "Number": 0}}}
    m.clock.advance(59)
    assert (names(caller, {"Email": {"$EQ": "dee@lee.test"}}), names(caller, by_key)) == ("", "Dee")
    either = {"$OR": [by_key, {"Email": {"$EQ": "dee@lee.test"}}]}
    assert (names(caller, {"$AND": [by_key, {"FirstName": {"$EQ": "Dee"}}]}), names(caller, either)) == ("Dee", "")
    m.clock.advance(1)
    assert names(caller, {"Email": {"$EQ": "dee@lee.test"}}) == "Dee"


def test_dates_that_cannot_be_searched(caller: Any) -> None:
    caller.maximizer.quirks = {"date-not-searchable"}
    asked = {"Scope": {"Fields": {"Key": 1}}, "Criteria": {"SearchQuery": {"LastModifyDate": {"$GE": "2020-01-01"}}}}
    assert caller.entry("Read", asked)["Code"] == -1
    assert names(caller, {}, OrderBy={"Fields": [{"LastModifyDate": "DESC"}]}) == "Cy Bo Ann Acorn"


def test_without_or(caller: Any) -> None:
    caller.maximizer.quirks = {"no-or"}
    asked = {"Scope": {"Fields": {"Key": 1}}, "Criteria": {"SearchQuery": {"$OR": [{"FirstName": {"$EQ": "Cy"}}]}}}
    assert caller.entry("Read", asked)["Code"] == -1


def test_the_older_search_syntax(caller: Any) -> None:
    caller.maximizer.quirks = {"search-v1"}
    assert names(caller, {"$EQ": {"LastName": "lee"}}) == "Ann Bo"
    assert names(caller, {"$AND": [{"$EQ": {"LastName": "lee"}}, {"$IN": {"FirstName": ["Bo", "Cy"]}}]}) == "Bo"
    assert names(caller, {"$EQ": {"Email1": {"Address": "cy@roe.test"}}}) == "Cy"
    person = list(caller.maximizer.entries())[2]
    assert names(caller, {"$EQ": {"Key": {"ID": person[0], "Number": 0}}}) == "Bo"
    asked = {"Scope": {"Fields": {"Key": 1}}, "Criteria": {"SearchQuery": {"LastName": {"$EQ": "lee"}}}}
    assert caller.entry("Read", asked)["Code"] == -1
