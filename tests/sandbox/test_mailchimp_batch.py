"""`POST /lists/{id}`: up to 500 members, HTTP 200 also when rows fail (Mailchimp fact sheet section 7)."""

from typing import Any

import pytest

from sandbox.mailchimp import Mailchimp


def row(email: str, **values: Any) -> dict[str, Any]:
    return {"email_address": email, "status": "subscribed", **values}


def test_batch_answers_200_with_row_errors(api: Any, mailchimp: Mailchimp, list_id: str, ada: str) -> None:
    mailchimp.add_merge_field(list_id, "AGE", "Age", "number")
    gone = mailchimp.subscribe(list_id, "gone@some.test")
    mailchimp.archive(gone)
    rows = [
        row("new@some.test"),
        row("Ada@lovelace.test"),
        row("bad"),
        row("age@some.test", merge_fields={"AGE": "old"}),
        row("gone@some.test"),
        {"email_address": "nostatus@some.test"},
    ]
    answer = api("POST", "", {"members": rows})
    result = answer.json()
    assert answer.status_code == 200
    assert [member["email_address"] for member in result["new_members"]] == ["new@some.test", "gone@some.test"]
    assert (result["total_created"], result["total_updated"], result["error_count"]) == (2, 0, 4)
    assert {"web_id", "contact_id"}.isdisjoint(result["new_members"][0])
    exists, bad, age, nostatus = result["errors"]
    assert exists == {
        "email_address": "Ada@lovelace.test",
        "error": "Ada@lovelace.test is already a list member, do you want to update?"
        " please provide update_existing:true in the request body",
        "error_code": "ERROR_CONTACT_EXISTS",
    }
    assert (bad["error_code"], bad["error"]) == ("ERROR_GENERIC", "Please provide a valid email address.")
    assert (age["field"], age["field_message"]) == ("AGE", "Please enter a number")
    assert nostatus["error_code"] == "ERROR_GENERIC"
    assert api.member(gone)["status"] == "subscribed"


def test_batch_updates_by_address_only(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    mailchimp.unsubscribe(ada)
    before = mailchimp.member(ada)
    rows = [row("ADA@LOVELACE.TEST", merge_fields={"FNAME": "X"})]
    answer = api("POST", "", {"members": rows, "update_existing": True}).json()
    assert answer["errors"][0]["error"].endswith("cannot be subscribed.")
    assert mailchimp.member(ada) == before
    del rows[0]["status"]
    answer = api("POST", "", {"members": rows, "update_existing": True}).json()
    assert (answer["total_updated"], answer["updated_members"][0]["status"]) == (1, "unsubscribed")
    assert mailchimp.member(ada)["email_address"] == "Ada@lovelace.test"


def test_batch_with_an_address_twice(api: Any) -> None:
    rows = [row("new@some.test"), row("NEW@some.test", status="unsubscribed")]
    answer = api("POST", "", {"members": rows}).json()
    assert (answer["total_created"], answer["error_count"]) == (1, 1)
    answer = api("POST", "?skip_duplicate_check=true", {"members": [row("b@some.test"), row("B@some.test")]}).json()
    assert (answer["total_created"], answer["error_count"]) == (1, 0)


def test_batch_limit(api: Any, refused: Any) -> None:
    rows = [row(f"p{n}@some.test") for n in range(501)]
    refused("POST", "", {"members": rows})
    assert api("GET", "/members").json()["total_items"] == 0
    assert api("POST", "", {"members": rows[:500]}).json()["total_created"] == 500


@pytest.mark.parametrize("members", [None, {}, ["x"], "x"])
def test_batch_shape(refused: Any, members: Any) -> None:
    refused("POST", "", {"members": members})


def test_batch_schema_error_refuses_everything(api: Any, refused: Any) -> None:
    rows = [row("new@some.test"), row("other@some.test", merge_fields={"FNAME": None})]
    assert refused("POST", "", {"members": rows})["errors"][0]["field"] == "members.item:1.merge_fields.FNAME"
    assert api("GET", "/members").json()["total_items"] == 0


def test_batch_replaces_tags_when_asked(api: Any) -> None:
    api("POST", "", {"members": [row("n@some.test", tags=["A", "B"])]})
    body = {"members": [row("n@some.test", tags=["C"])], "update_existing": True}
    assert len(api("POST", "", body).json()["updated_members"][0]["tags"]) == 2
    tags = api("POST", "", body | {"sync_tags": True}).json()["updated_members"][0]["tags"]
    assert [tag["name"] for tag in tags] == ["C"]
