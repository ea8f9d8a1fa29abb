"""Account, sign-in, problem documents, lists, and the listing of members."""

from hashlib import md5
from typing import Any

import pytest
import requests

from sandbox.clock import VirtualClock
from sandbox.mailchimp import Mailchimp
from sandbox.web import serve

FIRST_SECOND = "2026-01-01T00:00:00+00:00"


def emails(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [member["email_address"].partition("@")[0] for member in answer.json()["members"]]


@pytest.fixture
def ten(mailchimp: Mailchimp, list_id: str, clock: VirtualClock) -> list[str]:
    """Ten members, p0 to p9, one per second; contact ids."""
    ids = []
    for n in range(10):
        ids.append(mailchimp.subscribe(list_id, f"p{n}@some.test", {"FNAME": f"N{n}"}))
        clock.advance(1)
    return ids


# -- sign-in and problems -------------------------------------------------------------------------------------------


def test_ping_over_real_http(api: Any) -> None:
    with serve(api.door) as server:
        answer = requests.get(f"{server.url}/3.0/ping", auth=("x", api.mailchimp.api_key), timeout=60)
    assert answer.json() == {"health_status": "Everything's Chimpy!"}


def test_bearer_is_accepted(api: Any) -> None:
    api.session.auth = None
    headers = {"Authorization": f"Bearer {api.mailchimp.api_key}"}
    assert api("GET", "//ping", headers=headers).status_code == 200


def test_wrong_key(api: Any, refused: Any) -> None:
    api.session.auth = ("anyone", "0" * 32 + "-us6")
    problem = refused("GET", "//ping", status=401, title="API Key Invalid")
    assert problem["detail"] == "Your API key may be invalid, or you've attempted to access the wrong datacenter."


@pytest.mark.parametrize("header", [None, "Basic", "Basic ###", "Digest x"])
def test_no_usable_key(api: Any, header: str | None) -> None:
    api.session.auth = lambda request: request
    headers = {"Authorization": header} if header else {}
    assert api("GET", "//ping", headers=headers).status_code == 401


def test_disabled_account(api: Any, refused: Any) -> None:
    api.mailchimp.disabled = True
    refused("GET", "//ping", status=403, title="User Disabled")


def test_problem_document(api: Any) -> None:
    answer = api("GET", "//lists/0000000000")
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert answer.json() == {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": "Resource Not Found",
        "status": 404,
        "detail": "The requested resource could not be found.",
        "instance": answer.headers["X-Request-Id"],
    }


def test_unknown_path_and_wrong_method(api: Any, refused: Any) -> None:
    refused("GET", "//nothing", status=404, title="Resource Not Found")
    refused("GET", "/members/x/y/z", status=404, title="Resource Not Found")
    refused("PUT", "/members", status=405, title="Method Not Allowed")
    assert api("PUT", "/members").headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("body", [b"", b"{", b'{"email_address": NaN}'])
def test_broken_json(api: Any, body: bytes) -> None:
    answer = api("POST", "/members", data=body)
    assert (answer.status_code, answer.json()["title"]) == (400, "JSON Parse Exception")


def test_no_object(refused: Any) -> None:
    problem = refused("POST", "/members", [])
    assert problem["errors"] == [{"field": "", "message": "Schema describes object, array found instead"}]


def test_too_many_connections(api: Any) -> None:
    api.door.faults.next("mailchimp", "429")
    answer = api("GET", "//ping")
    assert (answer.status_code, answer.json()["title"]) == (429, "TooManyRequests")
    assert answer.json()["detail"] == "You have exceeded the limit of 10 simultaneous connections."
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/members", "GET members"),
        ("PATCH", "/members/x", "PATCH member"),
        ("POST", "", "POST list"),
        ("POST", "/members/x/tags", "POST tags"),
    ],
)
def test_operations_have_names(api: Any, method: str, path: str, operation: str) -> None:
    api(method, path, {})
    assert api.door.calls[-1].operation == operation
    assert api.door.calls[-1].writes == (method != "GET")


# -- account and lists ----------------------------------------------------------------------------------------------


def test_account(api: Any, ada: str) -> None:
    account = api("GET", "//").json()
    assert account["total_subscribers"] == 1
    assert api("GET", "//").json()["account_id"] == account["account_id"]


def test_lists_are_paged_by_ten(api: Any) -> None:
    for n in range(12):
        api.mailchimp.add_list(f"List {n}")
    answer = api("GET", "//lists").json()
    assert (len(answer["lists"]), answer["total_items"]) == (10, 13)
    assert len(api("GET", "//lists?offset=10&count=1000").json()["lists"]) == 3


def test_list_document(api: Any, mailchimp: Mailchimp) -> None:
    one = api("GET", "").json()
    assert (len(one["id"]), one["double_optin"], one["marketing_permissions"]) == (10, False, False)
    assert (one["stats"]["campaign_last_sent"], one["stats"]["last_sub_date"]) == ("", "")
    assert "total_contacts" not in one["stats"]
    other = mailchimp.add_list("Other", double_optin=True, marketing_permissions=True)
    shown = api("GET", f"//lists/{other}?include_total_contacts=true").json()
    assert (shown["double_optin"], shown["marketing_permissions"], shown["stats"]["total_contacts"]) == (True, True, 0)


def test_lists_that_hold_an_address(api: Any, ada: str) -> None:
    api.mailchimp.add_list("Other")
    assert [one["id"] for one in api("GET", "//lists?email=ADA@lovelace.test").json()["lists"]] == [api.list_id]


def test_figures_are_stale_for_five_minutes(api: Any, clock: VirtualClock, mailchimp: Mailchimp, list_id: str) -> None:
    def count() -> int:
        return int(api("GET", "").json()["stats"]["member_count"])

    assert count() == 0
    mailchimp.subscribe(list_id, "new@some.test")
    assert count() == 0
    clock.advance(300)
    assert count() == 1
    mailchimp.subscribe(list_id, "newer@some.test")
    mailchimp.stats_cached = False
    assert count() == 2


# -- the listing ----------------------------------------------------------------------------------------------------


def test_default_page_is_ten(api: Any, mailchimp: Mailchimp, list_id: str, ten: list[str]) -> None:
    mailchimp.subscribe(list_id, "p10@some.test")
    answer = api("GET", "/members").json()
    assert (len(answer["members"]), answer["total_items"], answer["list_id"]) == (10, 11, list_id)


def test_count_is_clamped_to_a_thousand(api: Any, mailchimp: Mailchimp, list_id: str) -> None:
    for n in range(1001):
        mailchimp.subscribe(list_id, f"q{n}@some.test")
    assert len(api("GET", "/members?count=5000&fields=members.id").json()["members"]) == 1000


@pytest.mark.parametrize("query", ["count=x", "offset=-1", "status=gone", "sort_field=name", "sort_dir=up"])
def test_bad_parameters(refused: Any, query: str) -> None:
    refused("GET", f"/members?{query}")


def test_archived_are_not_listed_by_default(api: Any, mailchimp: Mailchimp, ten: list[str]) -> None:
    mailchimp.archive(ten[3])
    assert "p3" not in emails(api("GET", "/members"))
    assert api("GET", "/members").json()["total_items"] == 9
    assert emails(api("GET", "/members?status=archived")) == ["p3"]
    assert api.member(ten[3])["status"] == "archived"


def test_since_is_strictly_after(api: Any, ten: list[str]) -> None:
    fifth = api.member(ten[5])["last_changed"]
    assert fifth == "2026-01-01T00:00:05+00:00"
    assert emails(api("GET", "/members", params={"since_last_changed": fifth})) == ["p6", "p7", "p8", "p9"]
    assert emails(api("GET", "/members?since_last_changed=2026-01-01T00:00:08.999Z")) == ["p9"]
    assert emails(api("GET", "/members", params={"before_last_changed": fifth})) == ["p0", "p1", "p2", "p3", "p4"]


def test_unencoded_plus_is_refused(refused: Any) -> None:
    refused("GET", "/members?since_last_changed=2026-01-01T00:00:05+00:00")


def test_total_counts_after_filters_and_past_the_end(api: Any, ten: list[str]) -> None:
    future = api("GET", "/members?since_last_changed=2030-01-01T00:00:00Z").json()
    assert (future["members"], future["total_items"]) == ([], 0)
    beyond = api("GET", "/members?offset=500").json()
    assert (beyond["members"], beyond["total_items"]) == ([], 10)
    window = api("GET", "/members?since_last_changed=2026-01-01T00:00:02Z&count=3&offset=6").json()
    assert (len(window["members"]), window["total_items"]) == (1, 7)


def test_rows_drift_while_someone_edits(api: Any, mailchimp: Mailchimp, ten: list[str]) -> None:
    page = "/members?sort_field=last_changed&count=5&offset="
    first = emails(api("GET", page + "0"))
    mailchimp.edit(ten[0], {"FNAME": "Moved"})
    second = emails(api("GET", page + "5"))
    assert (first, second) == (["p0", "p1", "p2", "p3", "p4"], ["p6", "p7", "p8", "p9", "p0"])


def test_sorting_down_and_paging(api: Any, ten: list[str]) -> None:
    page = "/members?sort_field=last_changed&sort_dir=DESC&count=4&offset="
    pages = [emails(api("GET", f"{page}{offset}")) for offset in (0, 4, 8)]
    assert [len(rows) for rows in pages] == [4, 4, 2]
    assert [name for rows in pages for name in rows] == [f"p{n}" for n in range(9, -1, -1)]
    assert emails(api("GET", "/members?sort_field=timestamp_opt&sort_dir=DESC&count=2")) == ["p9", "p8"]


def test_filters(api: Any, mailchimp: Mailchimp, list_id: str, ten: list[str]) -> None:
    category, ids = mailchimp.add_group(list_id, "Topics", ["Art", "Music", "Tax"])
    mailchimp.edit(ten[1], interests=["Art"])
    mailchimp.edit(ten[2], interests=["Art", "Music"])
    mailchimp.unsubscribe(ten[4])
    api("PATCH", f"/members/{ten[5]}", {"vip": True, "email_type": "text"})
    where = f"/members?interest_category_id={category}&interest_ids={ids['Art']},{ids['Music']}&interest_match="
    assert emails(api("GET", where + "any")) == ["p1", "p2"]
    assert emails(api("GET", where + "all")) == ["p2"]
    assert api("GET", where + "none").json()["total_items"] == 8
    assert emails(api("GET", "/members?status=unsubscribed")) == ["p4"]
    assert emails(api("GET", "/members?vip_only=true")) == ["p5"]
    assert emails(api("GET", "/members?email_type=text")) == ["p5"]
    assert emails(api("GET", "/members?since_timestamp_opt=2026-01-01T00:00:08Z")) == ["p9"]
    assert emails(api("GET", "/members?before_timestamp_opt=2026-01-01T00:00:01Z")) == ["p0"]


def test_unique_email_id_filter(api: Any, mailchimp: Mailchimp, ten: list[str]) -> None:
    unique = api.member(ten[7])["unique_email_id"]
    assert emails(api("GET", f"/members?unique_email_id={unique}")) == ["p7"]
    assert emails(api("GET", f"/members?unique_email_id={unique}&status=archived")) == []
    assert emails(api("GET", "/members?unique_email_id=0000000000")) == []
    mailchimp.archive(ten[7])
    assert emails(api("GET", f"/members?unique_email_id={unique}")) == []


def test_fields_and_exclude_fields(api: Any, ada: str) -> None:
    some = api("GET", "/members?fields=members.id,members.merge_fields.FNAME,total_items,members.nothing").json()
    assert some == {
        "members": [{"id": md5(b"ada@lovelace.test").hexdigest(), "merge_fields": {"FNAME": "Ada"}}],
        "total_items": 1,
    }
    rest = api("GET", "/members?exclude_fields=members._links,email_address").json()
    assert "_links" not in rest["members"][0]
    assert rest["members"][0]["email_address"] == "Ada@lovelace.test"
    assert len(api("GET", "/members").json()["members"][0]["_links"]) == 10
    assert set(api("GET", f"/members/{ada}?fields=status,id").json()) == {"id", "status"}


def test_large_list_stays_in_order_under_writes(api: Any, mailchimp: Mailchimp, list_id: str) -> None:
    clock = api.mailchimp.clock
    ids = [mailchimp.subscribe(list_id, f"p{n}@some.test") for n in range(50)]
    for n in (3, 30, 3, 17):
        clock.advance(1)
        mailchimp.edit(ids[n], {"FNAME": str(clock.now())})
    rows = api("GET", "/members?count=1000&sort_field=last_changed").json()["members"]
    assert [row["last_changed"] for row in rows] == sorted(row["last_changed"] for row in rows)
    assert [row["email_address"][:3].rstrip("@") for row in rows[-3:]] == ["p30", "p3", "p17"]


def test_search(api: Any, ada: str, ten: list[str]) -> None:
    found = api("GET", "//search-members?query=ada@lovelace.test").json()
    assert (found["exact_matches"]["total_items"], found["full_search"]["total_items"]) == (1, 1)
    assert api("GET", "//search-members?query=LOVE").json()["full_search"]["members"][0]["contact_id"] == ada


# -- activity -------------------------------------------------------------------------------------------------------


def test_activity(api: Any, ada: str) -> None:
    rows = api("GET", f"/members/{ada}/activity").json()
    assert {row["action"] for row in rows["activity"]} >= {"sent"}
    assert {row["action"] for row in api("GET", f"/members/{ada}/activity?action=sent").json()["activity"]} == {"sent"}
    feed = api("GET", f"/members/{ada}/activity-feed?count=1").json()
    assert len(feed["activity"]) == 1


@pytest.mark.parametrize("by", ["person", "admin"])
def test_feed_tells_who_unsubscribed(api: Any, mailchimp: Mailchimp, ada: str, by: str) -> None:
    mailchimp.unsubscribe(ada, "Too many mails", by=by)
    row = api("GET", f"/members/{ada}/activity-feed?activity_filters=unsub").json()["activity"][0]
    assert (row["is_admin_unsubscribed"], row["unsubscribe_reason"]) == (by == "admin", "Too many mails")
