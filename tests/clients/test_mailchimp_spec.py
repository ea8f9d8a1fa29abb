"""Requests of the Mailchimp client against the official specification, which is not part of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.spec

ROOT = Path(__file__).resolve().parents[2]
SPEC = Path(os.environ.get("MAXCHIMP_TEST_MAILCHIMP_SPEC") or ROOT.parent / "shared/reference/mailchimp-openapi.json")


@pytest.fixture(scope="module")
def spec() -> Any:
    if not SPEC.is_file():
        pytest.skip(f"no Mailchimp specification at {SPEC.name}: set MAXCHIMP_TEST_MAILCHIMP_SPEC")
    from openapi_core import Config, OpenAPI

    document = json.loads(SPEC.read_text("utf-8"))
    document["servers"] = [{"url": "https://us6.api.mailchimp.com"}]
    return OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))


def test_requests_are_what_the_specification_allows(
    spec: Any, mailchimp: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openapi_core.contrib.requests import RequestsOpenAPIRequest

    sent: list[requests.PreparedRequest] = []
    adapter = mailchimp.session._http.get_adapter("https://us6.api.mailchimp.com")
    plain = adapter.send

    def send(request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(request)
        return plain(request, **options)  # type: ignore[no-any-return]

    monkeypatch.setattr(adapter, "send", send)
    exercise(mailchimp)
    for request in sent:
        # The specification writes the root without its final slash.
        request.url = str(request.url).removesuffix("/")
        errors = list(spec.iter_request_errors(RequestsOpenAPIRequest(request)))
        assert not errors, (request.method, request.path_url, errors)
    assert len({(request.method, len(request.path_url.split("/"))) for request in sent}) >= 8


def exercise(world: SimpleNamespace) -> None:
    client, box, list_id = world.client, world.box, world.list
    client.account()
    client.lists()
    client.list(list_id)
    client.create_merge_field(list_id, tag="CITY", name="City", type="text", public=True, required=False)
    client.merge_fields(list_id)
    group = client.create_group(list_id, "Topics", ["One", "Two"])
    client.options(list_id, group["id"])
    for n in range(3):
        who = box.subscribe(list_id, f"reader{n}@escona.test")
    for _ in client.members(list_id, page_size=2):
        pass
    for _ in client.members(list_id, status="archived", since="2026-01-01T00:00:00+00:00", fields=("status",)):
        pass
    member = client.member(list_id, who)
    client.members_with(list_id, unique_email_id=member["unique_email_id"])
    client.update_member(list_id, who, {"merge_fields": {"FNAME": "Anna"}, "language": "de"})
    client.update_member(list_id, who, {"email_address": "renamed@escona.test"})
    client.add_members(
        list_id,
        [{"email_address": "new@escona.test", "status": "subscribed", "merge_fields": {}, "interests": {}}],
    )


def test_the_check_can_fail(spec: Any) -> None:
    from openapi_core.contrib.requests import RequestsOpenAPIRequest

    url = "https://us6.api.mailchimp.com/3.0/lists/ab12/members?count=1001"
    assert list(spec.iter_request_errors(RequestsOpenAPIRequest(requests.Request("GET", url))))
