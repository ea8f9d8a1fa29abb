"""The API over HTTP: who may ask, which resource answers, and in which shape."""

import base64
import binascii
import hmac
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from sandbox.clock import Clock
from sandbox.door import Request, Response, json_response
from sandbox.mailchimp import api_fields, api_lists, api_members, problems
from sandbox.mailchimp.account import API_KEY, Account
from sandbox.mailchimp.asking import Ask, select
from sandbox.mailchimp.members import STATUSES
from sandbox.mailchimp.people import People
from sandbox.mailchimp.problems import Problem

Handler = Callable[[Account, Ask], Any]
PREFIX = "/3.0"


def _route(pattern: str, noun: str, **handlers: Handler) -> tuple[re.Pattern[str], str, dict[str, Handler]]:
    """`pattern` with {names} for single path segments."""
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
    return re.compile(expression + "/?"), noun, handlers


_LIST = "/lists/{list_id}"
_MEMBER = _LIST + "/members/{member}"
_CATEGORY = _LIST + "/interest-categories/{category_id}"
ROUTES = (
    _route("", "root", GET=api_lists.account_root),
    _route("/ping", "ping", GET=api_lists.ping),
    _route("/search-members", "search-members", GET=api_members.search_members),
    _route("/lists", "lists", GET=api_lists.list_lists),
    _route(_LIST, "list", GET=api_lists.get_list, POST=api_lists.post_list),
    _route(_LIST + "/members", "members", GET=api_members.list_members, POST=api_members.add_member),
    _route(
        _MEMBER,
        "member",
        GET=api_members.get_member,
        PUT=api_members.put_member,
        PATCH=api_members.patch_member,
        DELETE=api_members.archive_member,
    ),
    _route(_MEMBER + "/actions/delete-permanent", "delete-permanent", POST=api_members.delete_permanently),
    _route(_MEMBER + "/tags", "tags", GET=api_members.get_tags, POST=api_members.post_tags),
    _route(_MEMBER + "/activity", "activity", GET=api_members.get_activity),
    _route(_MEMBER + "/activity-feed", "activity-feed", GET=api_members.get_activity_feed),
    _route(_LIST + "/merge-fields", "merge-fields", GET=api_fields.list_fields, POST=api_fields.add_field),
    _route(_LIST + "/merge-fields/{merge_id}", "merge-field", GET=api_fields.get_field, PATCH=api_fields.patch_field),
    _route(
        _LIST + "/interest-categories",
        "interest-categories",
        GET=api_fields.list_categories,
        POST=api_fields.add_category,
    ),
    _route(_CATEGORY, "interest-category", GET=api_fields.get_category, PATCH=api_fields.patch_category),
    _route(_CATEGORY + "/interests", "interests", GET=api_fields.list_interests, POST=api_fields.add_interest),
    _route(
        _CATEGORY + "/interests/{interest_id}",
        "interest",
        GET=api_fields.get_interest,
        PATCH=api_fields.patch_interest,
    ),
)


class Mailchimp(People):
    """The simulated service. `deletes` counts requests that archive or erase; `history` holds every change of status.

    The switches are described in `sandbox.mailchimp.account.Account`.
    """

    name = "mailchimp"

    def __init__(self, clock: Clock, api_key: str = API_KEY, seed: int = 0) -> None:
        super().__init__(clock, api_key, seed)
        self._request_dice = random.Random(f"requests:{seed}")

    def operation(self, request: Request) -> str:
        """Method and resource, such as "GET members", "PATCH member", "POST list", "PUT member", "POST tags"."""
        return f"{request.method} {self._find(request)[0]}"

    def writes(self, request: Request) -> bool:
        return request.method != "GET"

    def failure(self, kind: str, request: Request) -> Response | None:
        """A full house or an internal error in the API's own words."""
        if kind == "429":
            return problems.too_many_requests().response(self._instance())
        if kind.startswith("500"):
            return problems.internal_error().response(self._instance())
        return None

    def state(self) -> dict[str, Any]:
        lists = [
            {
                "list_id": audience.id,
                "name": audience.name,
                "members": {status: len(audience.orders[status].keys) for status in STATUSES},
            }
            for audience in self.audiences.values()
        ]
        return {"service": self.name, "lists": lists, "deletes": self.deletes, "transitions": len(self.history)}

    def handle(self, request: Request) -> Response:
        instance = self._instance()
        try:
            response = self._answer(request)
        except Problem as problem:
            response = problem.response(instance)
        response.headers["X-Request-Id"] = instance
        return response

    def _answer(self, request: Request) -> Response:
        noun, path, handlers = self._find(request)
        if request.method == "DELETE" or noun == "delete-permanent":
            self.deletes += 1
        self._admit(request)
        if not handlers:
            raise problems.not_found()
        handler = handlers.get(request.method)
        if handler is None:
            raise problems.wrong_method(sorted(handlers))
        ask = Ask(request, path)
        answer = handler(self, ask)
        return Response(204) if answer is None else json_response(select(answer, ask))

    def _find(self, request: Request) -> tuple[str, dict[str, str], dict[str, Handler]]:
        """(noun, path parameters, handlers by method); no handlers for an unknown path."""
        if request.path == PREFIX or request.path.startswith(PREFIX + "/"):
            for pattern, noun, handlers in ROUTES:
                matched = pattern.fullmatch(request.path[len(PREFIX) :])
                if matched:
                    return noun, {key: unquote(text) for key, text in matched.groupdict().items()}, handlers
        return "unknown", {}, {}

    def _admit(self, request: Request) -> None:
        """Basic with any user name, or Bearer; the key must match. Raises Problem."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        key = credentials.strip()
        if scheme.lower() == "basic":
            try:
                key = base64.b64decode(key, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                key = ""
        elif scheme.lower() != "bearer":
            raise problems.key_missing()
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            raise problems.key_invalid()
        if self.disabled:
            raise problems.user_disabled()

    def _instance(self) -> str:
        digits = f"{self._request_dice.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
