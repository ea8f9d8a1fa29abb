"""Merge fields and groups: what each type takes, stores and refuses (Mailchimp fact sheet sections 9 and 10)."""

from typing import Any

import pytest

from sandbox.mailchimp import Mailchimp

OPTIONS: dict[str, Any] = {
    "radio": ["Gold", "Silver"],
    "dropdown": ["A", 'B "b"'],
    "birthday-eu": {"date_format": "DD/MM"},
    "date-eu": {"date_format": "DD/MM/YYYY"},
    "phone-us": {"phone_format": "US"},
}
FULL = {"addr1": "1 A St", "city": "Town", "state": "BC", "zip": "12345"}


@pytest.fixture
def field(mailchimp: Mailchimp, list_id: str, request: pytest.FixtureRequest) -> str:
    kind = request.param
    mailchimp.add_merge_field(list_id, "X", "X", kind.partition("-")[0], options=OPTIONS.get(kind))
    return str(kind)


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("text", "Zoë", "Zoë"),
        ("text", 5, "5"),
        ("text", "x" * 300, "x" * 255),
        ("text", "ü" * 200, "ü" * 127),
        ("number", 15.5, 15.5),
        ("number", "15.50", 15.5),
        ("number", "007", 7),
        ("number", 0, 0),
        ("date", "2020-02-29", "2020-02-29"),
        ("date", "05/06/2020", "2020-05-06"),
        ("date-eu", "05/06/2020", "2020-05-06"),
        ("date", "2020-05-06T10:00:00+00:00", "2020-05-06"),
        ("birthday", "02/29", "02/29"),
        ("birthday-eu", "29/02", "29/02"),
        ("address", FULL, {**FULL, "addr2": "", "country": "US"}),
        ("address", {**FULL, "addr2": "B", "country": "ca"}, {**FULL, "addr2": "B", "country": "CA"}),
        ("phone", "000", "000"),
        ("phone-us", "404-555-1212", "404-555-1212"),
        ("zip", "01234", "01234"),
        ("zip", 12345, "12345"),
        ("url", "https://www.some.test/a?b#c", "https://www.some.test/a?b#c"),
        ("imageurl", "http://some.test/a.png", "http://some.test/a.png"),
        ("radio", "Gold", "Gold"),
        ("dropdown", 'B "b"', 'B "b"'),
    ],
    indirect=["field"],
)
def test_values_taken(api: Any, ada: str, field: str, sent: Any, stored: Any) -> None:
    answer = api("PATCH", f"/members/{ada}", {"merge_fields": {"X": sent}})
    assert answer.status_code == 200, answer.text
    shown = api.member(ada)["merge_fields"]["X"]
    assert (shown, type(shown)) == (stored, type(stored))
    assert api("PATCH", f"/members/{ada}", {"merge_fields": {"FNAME": "B"}}).json()["merge_fields"]["X"] == stored
    assert api("PATCH", f"/members/{ada}", {"merge_fields": {"X": ""}}).json()["merge_fields"]["X"] == ""


@pytest.mark.parametrize(
    ("field", "sent", "message"),
    [
        ("number", "x", "Please enter a number"),
        ("number", "1,000", "Please enter a number"),
        ("number", "NaN", "Please enter a number"),
        ("number", FULL, "Please enter a number"),
        ("date", "31/12/2020", "Please enter the date"),
        ("date-eu", "31/12/2020", "Please enter the date"),
        ("date", "2020-02-30", "Please enter the date"),
        ("date", "soon", "Please enter the date"),
        ("birthday", "13/01", "Please enter a month (01-12) and a day (01-31)"),
        ("birthday", "1/2", "Please enter a month (01-12) and a day (01-31)"),
        ("birthday-eu", "02/29", "Please enter a month (01-12) and a day (01-31)"),
        ("birthday", "1990-02-01", "Please enter a month (01-12) and a day (01-31)"),
        ("address", {**FULL, "zip": ""}, "Please enter a complete address"),
        ("address", {"street": "1 A St", **FULL}, "Please enter a complete address"),
        ("address", {**FULL, "city": None}, "Please enter a complete address"),
        ("address", "1 A St", "Please enter a complete address"),
        ("phone-us", "+1 404 555 1212", "Please enter a valid phone number"),
        ("zip", "V5K 0A1", "Please enter a zip code (5 digits)"),
        ("zip", "12345-6789", "Please enter a zip code (5 digits)"),
        ("url", "www.some.test", "That is not a valid URL"),
        ("imageurl", "javascript:alert(1)", "That is not a valid URL"),
        ("radio", "gold", "Value must be one of: Gold, Silver (not gold)"),
        ("dropdown", "B", 'Value must be one of: A, B "b" (not B)'),
    ],
    indirect=["field"],
)
def test_values_refused_and_nothing_stored(
    api: Any, mailchimp: Mailchimp, ada: str, refused: Any, field: str, sent: Any, message: str
) -> None:
    before = mailchimp.member(ada)
    body = {"email_address": "other@some.test", "language": "de", "merge_fields": {"FNAME": "Z", "X": sent}}
    problem = refused("PUT", f"/members/{ada}", body)
    assert problem["detail"] == "Your merge fields were invalid."
    assert problem["errors"] == [{"field": "X", "message": message}]
    assert mailchimp.member(ada) == before


@pytest.mark.parametrize(
    ("fields", "name", "message"),
    [
        ({"FNAME": None}, "merge_fields.FNAME", "Data did not match any of the schemas described in anyOf."),
        ({"FNAME": True}, "merge_fields.FNAME", "Data did not match any of the schemas described in anyOf."),
        ({"FNAME": ["a"]}, "merge_fields.FNAME", "Data did not match any of the schemas described in anyOf."),
        ([], "merge_fields", "Schema describes object, array found instead"),
        (None, "merge_fields", "Schema describes object, NULL found instead"),
    ],
)
def test_json_types_are_looked_at_first(ada: str, refused: Any, fields: Any, name: str, message: str) -> None:
    problem = refused("PATCH", f"/members/{ada}", {"merge_fields": fields})
    assert problem["detail"].startswith("The resource submitted could not be validated.")
    assert problem["errors"] == [{"field": name, "message": message}]


def test_required_is_checked_against_the_request(
    api: Any, mailchimp: Mailchimp, list_id: str, ada: str, refused: Any
) -> None:
    mailchimp.add_merge_field(list_id, "JOB", "Job", "text", required=True)
    mailchimp.add_merge_field(list_id, "DAY", "Day", "date", required=True)
    path = f"/members/{ada}"
    assert api("PATCH", path, {"merge_fields": {"JOB": "Poet", "DAY": "2020-01-01"}}).status_code == 200
    assert refused("PATCH", path, {"merge_fields": {"FNAME": "B"}})["errors"] == [
        {"field": "JOB", "message": "Please enter a value"},
        {"field": "DAY", "message": "Please enter the date"},
    ]
    refused("PATCH", path, {"merge_fields": {"JOB": "", "DAY": "2020-01-01"}})
    assert api("PATCH", path, {"language": "de"}).status_code == 200
    refused("POST", "/members", {"email_address": "n@some.test", "status": "subscribed"})
    skipped = api("PATCH", path + "?skip_merge_validation=true", {"merge_fields": {"FNAME": "B", "DAY": "whenever"}})
    assert skipped.json()["merge_fields"] == {"FNAME": "B", "LNAME": "Lovelace", "JOB": "Poet", "DAY": "whenever"}


def test_half_an_address_on_file_breaks_other_updates(
    api: Any, mailchimp: Mailchimp, list_id: str, ada: str, refused: Any
) -> None:
    mailchimp.add_merge_field(list_id, "ADDRESS", "Address", "address")
    mailchimp.edit(ada, {"ADDRESS": {"addr1": "1 A St"}})
    problem = refused("PATCH", f"/members/{ada}", {"merge_fields": {"FNAME": "B"}})
    assert problem["errors"] == [{"field": "ADDRESS", "message": "Please enter a complete address"}]
    assert api("PATCH", f"/members/{ada}", {"merge_fields": {"FNAME": "B", "ADDRESS": ""}}).status_code == 200


def test_unknown_tags_are_ignored(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    assert api("PATCH", f"/members/{ada}", {"merge_fields": {"NOBODY": "x", "fname": "B"}}).status_code == 200
    assert mailchimp.member(ada)["merge_fields"] == {"FNAME": "B", "LNAME": "Lovelace"}
    mailchimp.ignored_tags.add("FNAME")
    api("PATCH", f"/members/{ada}", {"merge_fields": {"FNAME": "C"}})
    assert mailchimp.member(ada)["merge_fields"]["FNAME"] == "B"


# -- definitions ----------------------------------------------------------------------------------------------------


def test_fields_are_paged_by_ten(api: Any, mailchimp: Mailchimp, list_id: str) -> None:
    for n in range(10):
        mailchimp.add_merge_field(list_id, f"T{n}", f"Text {n}", "text")
    answer = api("GET", "/merge-fields").json()
    assert (len(answer["merge_fields"]), answer["total_items"], answer["merge_field_limit"]) == (10, 12, 30)
    assert len(api("GET", "/merge-fields?count=1000").json()["merge_fields"]) == 12
    assert "EMAIL" not in {one["tag"] for one in answer["merge_fields"]}


def test_adding_and_changing_a_field(api: Any, ada: str) -> None:
    made = api("POST", "/merge-fields", {"name": "Client", "type": "text", "tag": "clientid", "public": False}).json()
    assert (made["tag"], made["public"], made["required"], made["options"]) == ("CLIENTID", False, False, {"size": 25})
    path = f"/merge-fields/{made['merge_id']}"
    api("PATCH", f"/members/{ada}", {"merge_fields": {"CLIENTID": "7"}})
    changed = api("PATCH", path, {"name": "Client number", "tag": "CLIENT"}).json()
    assert (changed["merge_id"], changed["name"]) == (made["merge_id"], "Client number")
    assert api.member(ada)["merge_fields"]["CLIENT"] == "7"
    assert api("GET", path).json()["tag"] == "CLIENT"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "X"},
        {"name": "X", "type": "checkbox"},
        {"name": "X", "type": "text", "tag": "ELEVENCHARS"},
        {"name": "X", "type": "text", "tag": "fname"},
        {"name": "X", "type": "text", "tag": "EMAIL"},
        {"name": "X", "type": "radio"},
        {"name": "X", "type": "text", "required": "yes"},
    ],
)
def test_bad_fields(refused: Any, body: dict[str, Any]) -> None:
    refused("POST", "/merge-fields", body)


def test_field_limit(mailchimp: Mailchimp, api: Any) -> None:
    other = mailchimp.add_list("Small", merge_field_limit=3)
    answers = [api("POST", f"//lists/{other}/merge-fields", {"name": "N", "type": "text"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]


def test_choices_cannot_be_patched(api: Any, mailchimp: Mailchimp, list_id: str, ada: str, refused: Any) -> None:
    merge_id = mailchimp.add_merge_field(list_id, "LEVEL", "Level", "radio", options=["Gold", "Silver"])
    body = {"name": "Level", "options": {"choices": ["Gold", "Tin"]}}
    assert "options.choices" in refused("PATCH", f"/merge-fields/{merge_id}", body)["detail"]
    mailchimp.edit(ada, {"LEVEL": "Silver"})
    changed = mailchimp.member(ada)["last_changed"]
    mailchimp.rename_choice(list_id, "LEVEL", "Silver", "Platinum")
    assert mailchimp.member(ada)["merge_fields"]["LEVEL"] == "Platinum"
    assert mailchimp.member(ada)["last_changed"] == changed


# -- groups ---------------------------------------------------------------------------------------------------------


def test_list_without_groups(api: Any, ada: str, refused: Any) -> None:
    answer = api("GET", "/interest-categories").json()
    assert (answer["categories"], answer["total_items"]) == ([], 0)
    assert "interests" not in api.member(ada)
    problem = refused("PATCH", f"/members/{ada}", {"interests": {"c06bb4b529": True}})
    assert problem["detail"] == "Invalid interest ID: 'c06bb4b529'."


def test_groups_by_api(api: Any, mailchimp: Mailchimp, ada: str, refused: Any) -> None:
    group = api("POST", "/interest-categories", {"title": "Topics", "type": "checkboxes"}).json()
    path = f"/interest-categories/{group['id']}/interests"
    ids = [api("POST", path, {"name": f"Topic {n}"}).json()["id"] for n in range(12)]
    refused("POST", path, {"name": "topic 1"})
    refused("POST", "/interest-categories", {"title": "TOPICS", "type": "radio"})
    answer = api("GET", path).json()
    assert (len(answer["interests"]), answer["total_items"]) == (10, 12)
    renamed = api("PATCH", f"{path}/{ids[0]}", {"name": "Renamed"}).json()
    assert (renamed["id"], renamed["name"], renamed["subscriber_count"]) == (ids[0], "Renamed", "0")
    api("PATCH", f"/members/{ada}", {"interests": {ids[0]: True, ids[1]: True}})
    api("PATCH", f"/members/{ada}", {"interests": {ids[1]: False}})
    assert {key for key, on in api.member(ada)["interests"].items() if on} == {ids[0]}
    assert len(api.member(ada)["interests"]) == 12
    assert api("GET", f"{path}/{ids[0]}").json()["subscriber_count"] == "1"
    assert api("PATCH", f"/interest-categories/{group['id']}", {"title": "Subjects"}).json()["title"] == "Subjects"


@pytest.mark.parametrize("interests", [[], None, {"x": "true"}, {"x": 1}])
def test_interests_are_true_or_false(ada: str, refused: Any, interests: Any) -> None:
    problem = refused("PATCH", f"/members/{ada}", {"interests": interests})
    assert problem["errors"][0]["message"].startswith("Schema describes")
