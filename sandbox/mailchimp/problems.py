"""The problem documents of the API, with their recorded titles and texts (Mailchimp fact sheet section 11).

Texts without a record are marked (assumed).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.door import Response, json_response

GLOSSARY = "https://mailchimp.com/developer/marketing/docs/errors/"
CONTENT_TYPE = "application/problem+json; charset=utf-8"
NOT_VALIDATED = (
    "The resource submitted could not be validated. For field-specific details, see the 'errors' array."  # schema layer
)

FieldErrors = Sequence[tuple[str, str]]


class Problem(Exception):
    """A refusal; `errors` are (field, message) pairs. Nothing of the request that met it is stored."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: FieldErrors = (),
        *,
        typed: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.typed = typed
        self.headers = dict(headers or {})

    def response(self, instance: str) -> Response:
        """`instance` is also the answer's X-Request-Id."""
        body: dict[str, Any] = {"type": GLOSSARY} if self.typed else {}
        body |= {"title": self.title, "status": self.status, "detail": self.detail, "instance": instance}
        if self.errors:
            body["errors"] = [{"field": field, "message": message} for field, message in self.errors]
        response = json_response(body, self.status, CONTENT_TYPE)
        response.headers |= self.headers
        return response


def key_missing() -> Problem:
    return Problem(401, "API Key Missing", "Your request did not include an API key.")


def key_invalid() -> Problem:
    detail = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
    return Problem(401, "API Key Invalid", detail)


def user_disabled() -> Problem:
    return Problem(403, "User Disabled", "This account has been deactivated.")


def not_found() -> Problem:
    return Problem(404, "Resource Not Found", "The requested resource could not be found.")


def wrong_method(allowed: Sequence[str]) -> Problem:
    detail = "The requested method and resource are not compatible. See the Allow header for the available methods."
    return Problem(405, "Method Not Allowed", detail, headers={"Allow": ", ".join(allowed)})


def cannot_archive() -> Problem:
    detail = (
        "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived"  # recorded
    )
    return Problem(405, "Method Not Allowed", detail, headers={"Allow": "GET, PUT"})


def too_many_requests() -> Problem:
    return Problem(429, "TooManyRequests", "You have exceeded the limit of 10 simultaneous connections.")


def internal_error() -> Problem:
    detail = "An unexpected internal error has occurred. Please contact Support for more information."  # (assumed)
    return Problem(500, "InternalServerError", detail)


def not_json() -> Problem:
    return Problem(400, "JSON Parse Exception", "We encountered an unspecified JSON parsing error.")


def invalid(detail: str) -> Problem:
    return Problem(400, "Invalid Resource", detail)


def schema(errors: FieldErrors) -> Problem:
    return Problem(400, "Invalid Resource", NOT_VALIDATED, errors)


def merge_fields(errors: FieldErrors) -> Problem:
    return Problem(400, "Invalid Resource", "Your merge fields were invalid.", errors)


def unknown_interest(interest_id: str) -> Problem:
    return invalid(f"Invalid interest ID: '{interest_id}'.")


def bad_address() -> Problem:
    return invalid("Please provide a valid email address.")


def fake_address(email: str) -> Problem:
    return invalid(f"{email} looks fake or invalid, please enter a real email address.")


def too_many_lists(email: str) -> Problem:
    return invalid(f"{email} has signed up to a lot of lists very recently; we're not allowing more signups for now")


def member_exists(email: str) -> Problem:
    detail = f"{email} is already a list member. Use PUT to insert or update list members."
    return Problem(400, "Member Exists", detail, typed=False)


def compliance_state(email: str) -> Problem:
    detail = (
        f"{email} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
    )
    return Problem(400, "Member In Compliance State", detail, typed=False)


def forgotten(email: str) -> Problem:
    detail = (
        f"{email} was permanently deleted and cannot be re-imported."
        " The contact must re-subscribe to get back on the list."
    )
    return Problem(400, "Forgotten Email Not Subscribed", detail, typed=False)


def cannot_rename(status: str) -> Problem:
    return invalid(
        f'This member\'s status is "{status}." You can only update email addresses for members with a status of'
        ' "subscribed."'
    )


def address_taken(email: str, status: str) -> Problem:
    """The title of this refusal is not recorded (assumed)."""
    return invalid(f'"{email}" is already in this list with a status of "{status}"')
