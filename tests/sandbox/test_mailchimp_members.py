"""Writing members: which id survives, who may be subscribed, what moves `last_changed` (Mailchimp fact sheet 6, 7)."""

from hashlib import md5
from typing import Any

import pytest

from sandbox.clock import VirtualClock
from sandbox.mailchimp import Mailchimp


def digest(email: str) -> str:
    return md5(email.lower().encode()).hexdigest()


OLD, NEW = "ada@lovelace.test", "ada@king.test"
STAYS = "2026-01-01T00:00:00+00:00"
MOVED = "2026-01-01T00:01:00+00:00"


# -- reading one ----------------------------------------------------------------------------------------------------


def test_member_is_found_by_hash_address_and_contact_id_but_not_by_web_id(api: Any, ada: str) -> None:
    member = api.member(ada)
    assert member == api.member(digest(OLD)) == api.member("ADA@lovelace.test") == api.member("ada%40lovelace.test")
    assert api("GET", f"/members/{member['web_id']}").status_code == 404


def test_member_object(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    member = api.member(ada)
    del member["_links"]
    assert member == mailchimp.member(ada)
    assert (member["id"], len(member["contact_id"]), len(member["unique_email_id"])) == (digest(OLD), 32, 10)
    assert (member["email_address"], member["full_name"], member["language"]) == (
        "Ada@lovelace.test",
        "Ada Lovelace",
        "",
    )
    assert member["merge_fields"] == {"FNAME": "Ada", "LNAME": "Lovelace"}
    assert {"interests", "unsubscribe_reason", "marketing_permissions", "last_note"}.isdisjoint(member)


def test_conditional_keys(api: Any, mailchimp: Mailchimp) -> None:
    other = mailchimp.add_list("Other", marketing_permissions=True)
    _, ids = mailchimp.add_group(other, "Topics", ["Art", "Music"])
    contact_id = mailchimp.subscribe(other, OLD, interests=["Music"])
    mailchimp.unsubscribe(contact_id, "No time")
    member = mailchimp.member(contact_id)
    assert member["interests"] == {ids["Art"]: False, ids["Music"]: True}
    assert member["unsubscribe_reason"] == "No time"
    assert [permission["enabled"] for permission in member["marketing_permissions"]] == [False]


def test_only_ascii_letters_are_folded(api: Any) -> None:
    for email in ("É@some.test", "é@some.test"):
        assert api("POST", "/members", {"email_address": email, "status": "subscribed"}).status_code == 200
    assert api("GET", "/members").json()["total_items"] == 2


# -- adding ---------------------------------------------------------------------------------------------------------


def test_post_adds(api: Any) -> None:
    body = {"email_address": "New@some.test", "status": "subscribed", "merge_fields": {"FNAME": "N"}, "tags": ["A"]}
    member = api("POST", "/members", body).json()
    assert (member["email_address"], member["id"], member["status"]) == (
        "New@some.test",
        digest("new@some.test"),
        "subscribed",
    )
    assert (member["timestamp_signup"], member["timestamp_opt"], member["last_changed"]) == ("", STAYS, STAYS)
    assert (member["merge_fields"], member["tags"][0]["name"]) == ({"FNAME": "N", "LNAME": ""}, "A")


def test_double_opt_in_list_still_subscribes_at_once(api: Any, mailchimp: Mailchimp) -> None:
    other = mailchimp.add_list("Other", double_optin=True)
    answer = api("POST", f"//lists/{other}/members", {"email_address": "n@some.test", "status": "subscribed"})
    assert answer.json()["status"] == "subscribed"


def test_post_of_a_present_member(api: Any, ada: str, refused: Any) -> None:
    body = {"email_address": "ADA@lovelace.test", "status": "subscribed"}
    problem = refused("POST", "/members", body, title="Member Exists")
    assert problem["detail"] == "ADA@lovelace.test is already a list member. Use PUT to insert or update list members."
    assert "type" not in problem


def test_post_revives_an_archived_member(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    api("POST", f"/members/{ada}/tags", {"tags": [{"name": "Keep", "status": "active"}]})
    before = api.member(ada)
    api("DELETE", f"/members/{ada}")
    after = api("POST", "/members", {"email_address": OLD, "status": "subscribed"}).json()
    for key in ("contact_id", "web_id", "tags", "merge_fields"):
        assert after[key] == before[key]
    assert after["status"] == "subscribed"


@pytest.mark.parametrize(
    ("email", "detail"),
    [
        ("no-address", "Please provide a valid email address."),
        (" a@some.test", "Please provide a valid email address."),
        ("a@nodot", "Please provide a valid email address."),
        ("a@example.com", "a@example.com looks fake or invalid, please enter a real email address."),
        ("odd@some.test", "odd@some.test looks fake or invalid, please enter a real email address."),
        (
            "busy@some.test",
            "busy@some.test has signed up to a lot of lists very recently; we're not allowing more signups for now",
        ),
    ],
)
def test_addresses_that_are_not_taken(api: Any, mailchimp: Mailchimp, refused: Any, email: str, detail: str) -> None:
    mailchimp.fake_addresses.add("odd@some.test")
    mailchimp.too_many_lists.add("busy@some.test")
    body = {"email_address": email, "status": "subscribed", "status_if_new": "subscribed"}
    assert refused("POST", "/members", body)["detail"] == detail
    assert refused("PUT", f"/members/{digest(email)}", body)["detail"] == detail
    assert api("GET", "/members").json()["total_items"] == 0


def test_erased_address_cannot_be_imported(api: Any, mailchimp: Mailchimp, ada: str, refused: Any) -> None:
    assert api("POST", f"/members/{ada}/actions/delete-permanent").status_code == 204
    assert api("GET", f"/members/{ada}").status_code == 404
    assert mailchimp.deletes == 1
    for status in ("subscribed", "pending"):
        body = {"email_address": OLD, "status": status}
        problem = refused("POST", "/members", body, title="Forgotten Email Not Subscribed")
        assert "type" not in problem
    assert mailchimp.subscribe(api.list_id, OLD) != ada
    assert api.member(OLD)["status"] == "subscribed"


# -- put: five cases ------------------------------------------------------------------------------------------------


def test_put_updates_who_is_under_the_hash(api: Any, ada: str) -> None:
    answer = api("PUT", f"/members/{digest(OLD)}", {"merge_fields": {"FNAME": "Augusta"}})
    assert (answer.status_code, answer.json()["contact_id"]) == (200, ada)
    assert answer.json()["merge_fields"] == {"FNAME": "Augusta", "LNAME": "Lovelace"}


def test_put_with_another_address_renames(api: Any, ada: str) -> None:
    before = api.member(ada)
    after = api("PUT", f"/members/{before['id']}", {"email_address": NEW}).json()
    for key in ("contact_id", "web_id", "status", "tags", "merge_fields"):
        assert after[key] == before[key]
    assert after["id"] == digest(NEW)
    assert after["unique_email_id"] != before["unique_email_id"]
    assert api("GET", f"/members/{before['id']}").status_code == 404


def test_put_inserts_the_bodys_address_under_any_hash(api: Any) -> None:
    answer = api("PUT", f"/members/{digest('x@y.test')}", {"email_address": NEW, "status_if_new": "pending"})
    assert (answer.json()["id"], answer.json()["status"]) == (digest(NEW), "pending")


def test_put_of_a_present_address_under_a_foreign_hash(api: Any, ada: str, refused: Any) -> None:
    body = {"email_address": "Ada@lovelace.test", "status_if_new": "subscribed"}
    wrong_hash = md5(b"Ada@lovelace.test").hexdigest()
    refused("PUT", f"/members/{wrong_hash}", body, title="Member Exists")


@pytest.mark.parametrize("body", [{"email_address": NEW}, {"status_if_new": "subscribed"}])
def test_put_that_inserts_needs_address_and_status(refused: Any, body: dict[str, str]) -> None:
    refused("PUT", f"/members/{digest(NEW)}", body)


def test_put_leaves_the_status_of_a_known_member(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    mailchimp.unsubscribe(ada)
    body = {"email_address": "Ada@lovelace.test", "status_if_new": "subscribed", "merge_fields": {"FNAME": "Augusta"}}
    member = api("PUT", f"/members/{digest(OLD)}", body).json()
    assert (member["status"], member["merge_fields"]["FNAME"]) == ("unsubscribed", "Augusta")


# -- patch ----------------------------------------------------------------------------------------------------------


def test_patch_of_a_stranger(refused: Any) -> None:
    refused("PATCH", f"/members/{digest(OLD)}", {}, status=404, title="Resource Not Found")


@pytest.mark.parametrize("status", ["archived", "transactional", "", None, True])
def test_patch_takes_four_statuses(ada: str, refused: Any, status: Any) -> None:
    assert refused("PATCH", f"/members/{ada}", {"status": status})["errors"][0]["field"] == "status"


@pytest.mark.parametrize("status", ["unsubscribed", "cleaned", "pending", "archived"])
def test_only_subscribed_can_be_renamed(
    api: Any, mailchimp: Mailchimp, list_id: str, refused: Any, status: str
) -> None:
    contact_id = mailchimp.subscribe(list_id, OLD, status=status)
    problem = refused("PATCH", f"/members/{contact_id}", {"email_address": NEW})
    assert problem["detail"] == (
        f'This member\'s status is "{status}." You can only update email addresses for members with a status of'
        ' "subscribed."'
    )


@pytest.mark.parametrize("status", ["subscribed", "archived"])
def test_no_renaming_onto_a_present_address(
    api: Any, mailchimp: Mailchimp, list_id: str, ada: str, refused: Any, status: str
) -> None:
    mailchimp.subscribe(list_id, NEW, status=status)
    problem = refused("PATCH", f"/members/{ada}", {"email_address": NEW, "merge_fields": {"FNAME": "X"}})
    assert problem["detail"] == f'"{NEW}" is already in this list with a status of "{status}"'
    assert api.member(ada)["merge_fields"]["FNAME"] == "Ada"


@pytest.mark.parametrize("ending", ["person", "bounce"])
@pytest.mark.parametrize("verb", ["PUT", "PATCH", "POST"])
def test_api_cannot_subscribe_who_left(
    api: Any, mailchimp: Mailchimp, ada: str, refused: Any, ending: str, verb: str
) -> None:
    mailchimp.unsubscribe(ada) if ending == "person" else mailchimp.clean(ada)
    if verb == "POST":
        mailchimp.archive(ada)
    before = mailchimp.member(ada)
    path = "/members" if verb == "POST" else f"/members/{ada}"
    body = {"email_address": "Ada@lovelace.test", "status": "subscribed", "merge_fields": {"FNAME": "X"}}
    problem = refused(verb, path, body, title="Member In Compliance State")
    assert problem["detail"].endswith(
        "is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
    )
    assert "type" not in problem
    assert mailchimp.member(ada) == before


def test_api_can_subscribe_whom_the_api_unsubscribed(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    for status in ("unsubscribed", "subscribed"):
        assert api("PATCH", f"/members/{ada}", {"status": status}).json()["status"] == status
    assert [(step.before, step.after, step.by) for step in mailchimp.history] == [
        (None, "subscribed", "person"),
        ("subscribed", "unsubscribed", "api"),
        ("unsubscribed", "subscribed", "api"),
    ]


def test_no_way_round_the_compliance_state(api: Any, mailchimp: Mailchimp, ada: str, refused: Any) -> None:
    mailchimp.unsubscribe(ada)
    for status in ("cleaned", "unsubscribed", "pending"):
        assert api("PATCH", f"/members/{ada}", {"status": status}).status_code == 200
    refused("PATCH", f"/members/{ada}", {"status": "subscribed"}, title="Member In Compliance State")
    mailchimp.resubscribe(ada)
    assert api.member(ada)["status"] == "subscribed"
    assert api("PATCH", f"/members/{ada}", {"status": "subscribed"}).status_code == 200


def test_person_who_leaves_after_the_api_took_them_off_stays_off(
    mailchimp: Mailchimp, api: Any, ada: str, refused: Any
) -> None:
    api("PATCH", f"/members/{ada}", {"status": "unsubscribed"})
    mailchimp.unsubscribe(ada)
    refused("PATCH", f"/members/{ada}", {"status": "subscribed"}, title="Member In Compliance State")


# -- last_changed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "tail", "body", "expected"),
    [
        ("PUT", "", {}, STAYS),
        ("PUT", "", {"email_address": "Ada@lovelace.test", "merge_fields": {"FNAME": "Ada", "NOBODY": "x"}}, STAYS),
        ("PATCH", "", {"status": "subscribed", "interests": {}, "language": "", "tags": ["ignored"]}, STAYS),
        ("PATCH", "", {"merge_fields": {"FNAME": "Augusta"}}, MOVED),
        ("PATCH", "", {"language": "en"}, MOVED),
        ("PATCH", "", {"status": "unsubscribed"}, MOVED),
        ("PATCH", "", {"email_address": NEW}, MOVED),
        ("POST", "/tags", {"tags": []}, STAYS),
        ("POST", "/tags", {"tags": [{"name": "A", "status": "active"}]}, MOVED),
        ("DELETE", "", None, MOVED),
    ],
)
def test_what_moves_last_changed(
    api: Any, mailchimp: Mailchimp, ada: str, method: str, tail: str, body: Any, expected: str
) -> None:
    assert api(method, f"/members/{ada}{tail}", body).status_code in (200, 204)
    assert mailchimp.member(ada)["last_changed"] == expected
    assert mailchimp.member(ada)["tags_count"] == (tail == "/tags" and expected == MOVED)


def test_whole_seconds(api: Any, mailchimp: Mailchimp, clock: VirtualClock, ada: str) -> None:
    clock.advance(0.9)
    api("PATCH", f"/members/{ada}", {"language": "en"})
    assert api.member(ada)["last_changed"] == MOVED


def test_adding_a_tag_again_moves_it_too(api: Any, clock: VirtualClock, ada: str) -> None:
    seen = []
    for _ in range(2):
        clock.advance(1)
        api("POST", f"/members/{ada}/tags", {"tags": [{"name": "News", "status": "active"}], "is_syncing": True})
        seen.append(api.member(ada)["last_changed"])
    assert seen[0] < seen[1]
    assert [tag["name"] for tag in api("GET", f"/members/{ada}/tags").json()["tags"]] == ["News"]
    api("POST", f"/members/{ada}/tags", {"tags": [{"name": "NEWS", "status": "inactive"}]})
    assert api.member(ada)["tags"] == []


def test_tags_of_strangers_and_of_archived(api: Any, mailchimp: Mailchimp, ada: str) -> None:
    body = {"tags": [{"name": "News", "status": "active"}]}
    assert api("POST", f"/members/{digest(NEW)}/tags", body).status_code == 404
    mailchimp.archive(ada)
    assert api("POST", f"/members/{ada}/tags", body).status_code == 204


# -- archiving ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["archived", "cleaned", "pending"])
def test_what_cannot_be_archived(api: Any, mailchimp: Mailchimp, list_id: str, refused: Any, status: str) -> None:
    contact_id = mailchimp.subscribe(list_id, OLD, status=status)
    path = f"/members/{contact_id}"
    problem = refused("DELETE", path, status=405, title="Method Not Allowed")
    assert problem["detail"] == (
        "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived"
    )
    assert api("DELETE", path).headers["Allow"] == "GET, PUT"


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed"])
def test_archiving(api: Any, mailchimp: Mailchimp, list_id: str, status: str) -> None:
    contact_id = mailchimp.subscribe(list_id, OLD, status=status)
    answer = api("DELETE", f"/members/{contact_id}")
    assert (answer.status_code, answer.content, mailchimp.deletes) == (204, b"", 1)
    assert api.member(contact_id)["status"] == "archived"


# -- people ---------------------------------------------------------------------------------------------------------


def test_people_change_their_data(mailchimp: Mailchimp, list_id: str, ada: str) -> None:
    _, ids = mailchimp.add_group(list_id, "Topics", ["Art", "Music"])
    mailchimp.edit(ada, {"FNAME": "Augusta"}, ["Art"], language="fr")
    mailchimp.edit(ada, interests={"Music": True})
    mailchimp.change_email(ada, NEW)
    member = mailchimp.member(ada)
    assert (member["email_address"], member["language"], member["merge_fields"]["FNAME"]) == (NEW, "fr", "Augusta")
    assert member["interests"] == {ids["Art"]: True, ids["Music"]: True}
    mailchimp.remove_option(list_id, ids["Art"])
    assert mailchimp.member(ada)["interests"] == {ids["Music"]: True}


def test_people_leave_and_return(mailchimp: Mailchimp, list_id: str, ada: str) -> None:
    mailchimp.unsubscribe(ada)
    mailchimp.archive(ada)
    assert mailchimp.members(list_id, archived=False) == []
    assert mailchimp.subscribe(list_id, OLD) == ada
    mailchimp.delete_permanently(ada)
    with pytest.raises(KeyError):
        mailchimp.member(ada)
    assert [step.after for step in mailchimp.history] == ["subscribed", "unsubscribed", "archived", "subscribed", ""]


def test_people_cannot_do_everything(mailchimp: Mailchimp, list_id: str, ada: str) -> None:
    mailchimp.subscribe(list_id, NEW)
    for attempt in (
        lambda: mailchimp.change_email(ada, NEW),
        lambda: mailchimp.edit(ada, {"NOBODY": "x"}),
        lambda: mailchimp.edit(ada, interests=["Nothing"]),
        lambda: mailchimp.subscribe(list_id, "nobody"),
        lambda: mailchimp.add_merge_field(list_id, "fname", "Again", "text"),
    ):
        with pytest.raises(ValueError):
            attempt()
