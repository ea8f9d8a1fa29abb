"""Requests that the sandbox accepts and all its answers, against Mailchimp's official specification.

The specification is licensed and not part of this project: MAXCHIMP_TEST_MAILCHIMP_SPEC names it, or it lies beside
the project. The real service deviates from it in exactly four ways (fact sheet, opening): these are let through, and
each must be met, so that the list cannot outlive its reasons.
"""

import json
import os
import re
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator

from sandbox.mailchimp import Mailchimp

pytestmark = pytest.mark.spec

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "mailchimp-openapi.json"
LATER = {"merge_field_limit"}  # documented in newer versions of the specification only

EMPTY_DATE = '"" in a date-time'
NO_TYPE = "a problem without a type"
NO_STATUS = "PUT of a known member without status_if_new"
NO_ADDRESS = "PUT of a known member without email_address"


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    path = Path(os.environ.get("MAXCHIMP_TEST_MAILCHIMP_SPEC") or BESIDE)
    if not path.is_file():
        pytest.skip(f"no specification at {path}; name it in MAXCHIMP_TEST_MAILCHIMP_SPEC")
    return dict(json.loads(path.read_text(), object_hook=_without_discriminator))


def _without_discriminator(node: dict[str, Any]) -> dict[str, Any]:
    """Its targets lie outside the cut-out; the alternatives themselves are complete."""
    return {key: value for key, value in node.items() if key != "discriminator"}


class Judge:
    """Looks at every exchange of a session; `met` collects the allowed deviations, `wrong` everything else."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.met: set[str] = set()
        self.wrong: list[str] = []
        self.seen: set[tuple[str, str]] = set()
        self.formats = FormatChecker(["date-time"])

    def __call__(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        request = response.request
        path, _, query = str(request.path_url).partition("?")
        path = path.rstrip("/")
        template = self._template(path)
        operation = self.spec["paths"].get(template, {}).get(str(request.method).lower())
        if operation is None:
            self.wrong += [] if response.status_code in (404, 405) else [f"{request.method} {path} is not documented"]
            return
        self.seen.add((str(request.method), template))
        if response.ok:
            self._query(operation, template, query)
            self._body(operation, template, request)
        self._answer(operation, template, response)

    def _template(self, path: str) -> str:
        shape = [
            re.sub(r"\{\w+\}", "[^/]+", re.escape(known).replace(r"\{", "{").replace(r"\}", "}"))
            for known in self.spec["paths"]
        ]
        fits = [known for known, pattern in zip(self.spec["paths"], shape, strict=True) if re.fullmatch(pattern, path)]
        return min(fits, key=lambda known: known.count("{"), default="")

    def _query(self, operation: dict[str, Any], template: str, query: str) -> None:
        known = {one["name"] for one in map(self._resolve, operation.get("parameters", [])) if one["in"] == "query"}
        for name in {part.partition("=")[0] for part in query.split("&") if part} - known:
            self.wrong.append(f"{template}: parameter {name} is not documented")

    def _body(self, operation: dict[str, Any], template: str, request: requests.PreparedRequest) -> None:
        if "requestBody" not in operation:
            return
        schema = self._schema(self._resolve(operation["requestBody"]))
        for error in OAS30WriteValidator(schema, format_checker=self.formats).iter_errors(
            json.loads(request.body or "")
        ):
            missing = {"'status_if_new'": NO_STATUS, "'email_address'": NO_ADDRESS}.get(error.message.partition(" ")[0])
            if request.method == "PUT" and error.validator == "required" and missing and not error.path:
                self.met.add(missing)
            else:
                self.wrong.append(f"accepted {request.method} {template}: {error.json_path} {error.message}")

    def _answer(self, operation: dict[str, Any], template: str, response: requests.Response) -> None:
        described = operation["responses"].get(str(response.status_code)) or operation["responses"]["default"]
        described = self._resolve(described)
        if "content" not in described:
            self.wrong += [f"{template}: a body"] if response.content else []
            return
        schema, body = self._schema(described), response.json()
        for error in OAS30ReadValidator(schema, format_checker=self.formats).iter_errors(body):
            if error.validator == "format" and error.instance == "":
                self.met.add(EMPTY_DATE)
            elif error.message == "'type' is a required property" and not response.ok and not error.path:
                self.met.add(NO_TYPE)
            else:
                self.wrong.append(f"{template} {response.status_code}: {error.json_path} {error.message}")
        self.wrong += [f"{template}: {name} is not documented" for name in _undocumented(body, schema) if response.ok]

    def _schema(self, part: dict[str, Any]) -> dict[str, Any]:
        return dict(self._resolve(part["content"]["application/json"]["schema"]))

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self.spec
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node


def _undocumented(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for item in value[:3]:
            yield from _undocumented(item, schema.get("items", {}), path)
    elif isinstance(value, dict) and "properties" in schema and "additionalProperties" not in schema:
        for key, inner in value.items():
            if key not in schema["properties"] and key not in LATER:
                yield f"{path}.{key}"
            yield from _undocumented(inner, schema["properties"].get(key, {}), f"{path}.{key}")


@pytest.fixture
def judge(api: Any, spec: dict[str, Any]) -> Judge:
    witness = Judge(spec)
    api.session.hooks["response"] = [witness]
    return witness


def digest(email: str) -> str:
    return md5(email.encode()).hexdigest()


def walk_through_everything(api: Any, mailchimp: Mailchimp) -> None:
    for path in ("//", "//ping", "//lists?include_total_contacts=true", "", "/interest-categories"):
        assert api("GET", path).status_code == 200
    api("POST", "/merge-fields", {"name": "Address", "type": "address", "tag": "ADDRESS"})
    api("POST", "/merge-fields", {"name": "Level", "type": "radio", "options": {"choices": ["A", "B"]}})
    api("PATCH", "/merge-fields/1", {"name": "First"})
    group = api("POST", "/interest-categories", {"title": "Topics", "type": "checkboxes"}).json()["id"]
    interests = f"/interest-categories/{group}/interests"
    interest = api("POST", interests, {"name": "Art"}).json()["id"]
    api("PATCH", f"/interest-categories/{group}", {"title": "Subjects", "type": "checkboxes"})
    api("PATCH", f"{interests}/{interest}", {"name": "Arts"})
    for path in ("/merge-fields?count=1000", "/merge-fields/1", f"/interest-categories/{group}"):
        api("GET", path)
    for path in ("/interest-categories?count=1000", f"{interests}?count=1000", f"{interests}/{interest}"):
        api("GET", path)
    write_members(api, mailchimp, interest)
    read_members(api, group, interest)
    be_refused(api)


def write_members(api: Any, mailchimp: Mailchimp, interest: str) -> None:
    body = {"email_address": "ann@lee.test", "status": "subscribed", "tags": ["News"], "interests": {interest: True}}
    api("POST", "/members", body)
    path = f"/members/{digest('ann@lee.test')}"
    api("PUT", path, {"email_address": "ann@lee.test", "status_if_new": "subscribed", "language": "en"})
    api("PUT", path, {"merge_fields": {"FNAME": "Ann"}})
    api("PATCH", path, {"vip": True, "location": {"latitude": 1.5, "longitude": 2}})
    api("POST", f"{path}/tags", {"tags": [{"name": "More", "status": "active"}], "is_syncing": True})
    rows = [{"email_address": f"p{n}@some.test", "status": "subscribed"} for n in range(3)]
    api("POST", "", {"members": [*rows, {"email_address": "bad", "status": "subscribed"}]})
    api("POST", "?skip_duplicate_check=true", {"members": rows, "update_existing": True, "sync_tags": False})
    api("DELETE", f"/members/{digest('p0@some.test')}")
    api("POST", f"/members/{digest('p1@some.test')}/actions/delete-permanent")
    mailchimp.unsubscribe(mailchimp.subscribe(api.list_id, "gone@some.test"), "No time")
    mailchimp.clean(mailchimp.subscribe(api.list_id, "bounced@some.test"))


def read_members(api: Any, group: str, interest: str) -> None:
    path = f"/members/{digest('ann@lee.test')}"
    for tail in ("", "?fields=id,status", "/tags", "/activity?action=open,click", "/activity-feed?count=5"):
        assert api("GET", path + tail).status_code == 200
    for email in ("gone@some.test", "bounced@some.test", "p0@some.test"):
        for tail in ("", "/activity", "/activity-feed"):
            api("GET", f"/members/{digest(email)}{tail}")
    when = "2020-01-01T00:00:00Z"
    for query in (
        f"since_last_changed={when}&sort_field=last_changed&sort_dir=DESC&count=1000",
        f"interest_category_id={group}&interest_ids={interest}&interest_match=any",
        f"status=unsubscribed&unsubscribed_since={when}&exclude_fields=members._links",
        f"since_timestamp_opt={when}&vip_only=true&email_type=html",
    ):
        assert api("GET", f"/members?{query}").status_code == 200
    assert api("GET", "//search-members?query=ann@lee.test").status_code == 200


def be_refused(api: Any) -> None:
    body = {"email_address": "ann@lee.test", "status": "subscribed"}
    assert api("POST", "/members", body).status_code == 400
    assert api("PATCH", f"/members/{digest('ann@lee.test')}", {"merge_fields": {"MMERGE4": "C"}}).status_code == 400
    assert api("PATCH", f"/members/{digest('gone@some.test')}", {"status": "subscribed"}).status_code == 400
    assert api("DELETE", f"/members/{digest('p0@some.test')}").status_code == 405
    assert api("GET", "/members/nobody").status_code == 404
    assert api("DELETE", "/merge-fields/1").status_code == 405
    api.door.faults.next("mailchimp", "429")
    assert api("GET", "//ping").status_code == 429


def test_exchanges_follow_the_specification(api: Any, mailchimp: Mailchimp, judge: Judge) -> None:
    walk_through_everything(api, mailchimp)
    assert sorted(set(judge.wrong)) == []
    assert judge.met == {EMPTY_DATE, NO_TYPE, NO_STATUS, NO_ADDRESS}
    assert len(judge.seen) > 25


def test_judge_sees_a_wrong_answer(api: Any, mailchimp: Mailchimp, judge: Judge, ada: str) -> None:
    member = mailchimp.locate(ada)[1]
    object.__setattr__(member, "status", "vanished")
    object.__setattr__(member, "vip", "no")
    mailchimp.audiences[api.list_id].tags[1] = "x"
    api("GET", f"/members/{ada}")
    assert sorted(problem.partition("$.")[2].partition(" ")[0] for problem in judge.wrong) == ["status", "vip"]


def test_judge_sees_an_accepted_wrong_request(api: Any, judge: Judge) -> None:
    api("PATCH", "/merge-fields/1?undocumented=1", {"required": True})
    assert len(judge.wrong) == 2
