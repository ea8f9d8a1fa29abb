"""Mailchimp's own Python client against the sandbox, over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from mailchimp_marketing import Client
from mailchimp_marketing.api_client import ApiClientError

from sandbox.mailchimp import Mailchimp
from sandbox.web import Server, serve


@pytest.fixture
def server(api: Any) -> Iterator[Server]:
    with serve(api.door) as running:
        yield running


@pytest.fixture
def client(server: Server, mailchimp: Mailchimp) -> Any:
    """The client puts the data centre into its host; without the word "server" the host stays as it is."""
    official = Client({"api_key": mailchimp.api_key, "timeout": 5})
    official.api_client.host = f"{server.url}/3.0"
    return official


def test_ping(client: Any) -> None:
    assert client.ping.get() == {"health_status": "Everything's Chimpy!"}


def test_bearer(server: Server, mailchimp: Mailchimp) -> None:
    official = Client({"access_token": mailchimp.api_key, "server": "us6"})
    official.api_client.host = f"{server.url}/3.0"
    assert official.root.get_root()["role"] == "owner"


def test_a_members_life(client: Any, list_id: str) -> None:
    made = client.lists.add_list_member(list_id, {"email_address": "ann@lee.test", "status": "subscribed"})
    client.lists.update_list_member(list_id, made["id"], {"merge_fields": {"FNAME": "Ann"}})
    renamed = client.lists.set_list_member(
        list_id, made["id"], {"email_address": "ann@may.test", "status_if_new": "subscribed"}
    )
    assert (renamed["contact_id"], renamed["full_name"]) == (made["contact_id"], "Ann")
    client.lists.update_list_member_tags(list_id, renamed["id"], {"tags": [{"name": "A", "status": "active"}]})
    assert client.lists.get_list_member_tags(list_id, renamed["id"])["total_items"] == 1
    client.lists.delete_list_member(list_id, renamed["id"])
    assert client.lists.get_list_member(list_id, renamed["id"])["status"] == "archived"


def test_listing(client: Any, mailchimp: Mailchimp, list_id: str, ada: str) -> None:
    page = client.lists.get_list_members_info(
        list_id, count=1000, fields=["members.contact_id", "total_items"], sort_field="last_changed", sort_dir="ASC"
    )
    assert page == {"members": [{"contact_id": ada}], "total_items": 1}
    assert client.lists.get_list_members_info(list_id, since_last_changed="2030-01-01T00:00:00+00:00")["members"] == []
    assert client.searchMembers.search("lovelace", list_id=list_id)["full_search"]["total_items"] == 1


def test_batch_fields_and_groups(client: Any, list_id: str) -> None:
    rows = [{"email_address": f"p{n}@some.test", "status": "subscribed"} for n in range(3)]
    assert client.lists.batch_list_members(list_id, {"members": rows, "update_existing": False})["total_created"] == 3
    client.lists.add_list_merge_field(list_id, {"name": "Client", "type": "text", "tag": "CLIENTID"})
    assert client.lists.get_list_merge_fields(list_id, count=1000)["total_items"] == 3
    group = client.lists.create_list_interest_category(list_id, {"title": "Topics", "type": "checkboxes"})
    client.lists.create_interest_category_interest(list_id, group["id"], {"name": "Art"})
    assert client.lists.list_interest_category_interests(list_id, group["id"])["total_items"] == 1


def test_problems_arrive(client: Any, list_id: str) -> None:
    with pytest.raises(ApiClientError) as problem:
        client.lists.get_list_member(list_id, "nobody@some.test")
    assert problem.value.status_code == 404
