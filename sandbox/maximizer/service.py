"""Methods of the API by name, for both profiles, and what stands before them: tokens, the rate limit, discovery."""

from collections import deque
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from sandbox.door import Request, Response, json_response
from sandbox.maximizer.database import Database
from sandbox.maximizer.definitions import Definitions
from sandbox.maximizer.entries import Entries
from sandbox.maximizer.envelope import GENERAL, ApiError, find, mapping, objects, refusal, success, value
from sandbox.maximizer.items import Items
from sandbox.maximizer.render import user
from sandbox.maximizer.sessions import Session, Sessions, given_token

PREFIXES = {
    "on-premise": ("/MaximizerWebData/Data.svc/json/", "/MaximizerWebData/Data.svc/"),
    "cloud": ("/octopus/Data.svc/json/", "/octopus/"),
}
WEB_ACCESS = "/maximizerwebaccess"
VERBS = ("Read", "Create", "Update", "Delete", "Validate")
OBJECTS = ("AbEntry", "Schema", "SchemaFolder", "Folder", "Address", "User")
WRITING = ("Create", "Update", "Delete")
OLD_GENERIC = ("Schema", "SchemaFolder")
RATE_WINDOW = 10.0


class Api:
    """Requests of one profile, answered from one database."""

    def __init__(self, database: Database, sessions: Sessions, profile: str) -> None:
        self.database = database
        self.sessions = sessions
        self.profile = profile
        self.entries = Entries(database)
        self.definitions = Definitions(database)
        self.items = Items(database)
        self._recent: deque[float] = deque()
        self._frames: list[str] = []

    @property
    def cloud(self) -> bool:
        return self.profile == "cloud"

    def method(self, request: Request) -> str:
        """`Read`, `AbEntryCreate`; "" for a path outside the API."""
        for prefix in PREFIXES[self.profile]:
            if request.path.casefold().startswith(prefix.casefold()):
                return request.path[len(prefix) :].strip("/")
        return ""

    def operation(self, request: Request) -> str:
        """`AbEntryCreate` for a per-object method, `Create AbEntry` for a generic one."""
        method = self.method(request)
        if method not in VERBS:
            return method or f"{request.method} {request.path}"
        body = _body(request)
        found = [name for name in OBJECTS if next(objects(body, name), None)] if body else []
        return f"{method} {found[0]}" if found else method

    def writes(self, request: Request) -> bool:
        operation = self.operation(request)
        verb, _, name = operation.partition(" ")
        return (verb in WRITING and bool(name)) or any(
            operation == f"{kind}{verb}" for kind in OBJECTS for verb in WRITING
        )

    def handle(self, request: Request) -> Response:
        if request.path.casefold().startswith(WEB_ACCESS):
            return self._web_access(request)
        method = self.method(request)
        limited = self._limited() if method else None
        if limited is not None:
            return limited
        if method == "VerifyToken":
            return json_response({"Code": 0}, 200 if self._session(request, {}) else 401)
        if request.method != "POST":
            return Response(405 if method else 404)
        body = _body(request)
        if body is None:
            return Response(400, b"<html><body>Request Error</body></html>", {"Content-Type": "text/html"})
        try:
            answer = self._answer(method, request, body)
        except ApiError as error:
            return refusal(error, self.database.quirks)
        return success(answer, self.database.quirks) if answer is not None else Response(404)

    def too_many(self) -> Response:
        response = json_response({"Code": GENERAL, "Msg": ["Too Many Requests"]}, 429)
        response.headers["Retry-After"] = str(int(RATE_WINDOW))
        return response

    # --- methods ----------------------------------------------------------------------------------------------------

    def _answer(self, method: str, request: Request, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """None: there is no such method."""
        if method == "Authenticate":
            return {"Data": {"Token": self.sessions.authenticate(body, self.database.quirks).token}}
        if method in ("GetSystemInfo", "GetVersionInfo"):
            return {"Data": {"Version": "18.0" if self.cloud else "14.0", "ApiVersion": "2.7"}}
        if method == "TokenValid":
            if self._session(request, body) is None:
                raise ApiError("Token is invalid")
            return {}
        verb, name = _split(method)
        if not verb and method not in ("GetSessionInfo", *_FIELD_METHODS):
            return None
        session = self.sessions.of(request, body, self.database.quirks, self.cloud)
        if "no-drivers" in self.database.quirks and find(body, "Configuration"):
            raise ApiError("The request doesn't support property 'Configuration'.")
        if method == "GetSessionInfo":
            return {"Data": self._session_info(session, body)}
        if method in _FIELD_METHODS:
            return self._fields(method, body)
        return self._objects(session, verb, name, body)

    def _objects(self, session: Session, verb: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Every object of the request in turn; the first refusal ends it (fact sheet section 3.5)."""
        answer: dict[str, Any] = {}
        for known in (name,) if name else OBJECTS:
            generic_refused = "per-object" in self.database.quirks and not name and known not in OLD_GENERIC
            for spelled, asked in objects(body, known):
                if generic_refused or (known == "Folder" and self._modern(body, known) is None):
                    raise ApiError(f"Object '{spelled}' is not supported.")
                answer[spelled] = self._one(session, verb, known, asked, body)
        if not answer:
            raise ApiError(f"{verb} names no object that is supported.")
        return answer if verb != "Delete" else {}

    def _one(
        self, session: Session, verb: str, name: str, asked: Mapping[str, Any], body: Mapping[str, Any]
    ) -> dict[str, Any]:
        modern = bool(self._modern(body, name))
        entries, definitions = self.entries, self.definitions
        if name == "AbEntry" and find(asked, "FieldOptions") and verb in ("Read", "Update"):
            if not modern:
                raise ApiError("AbEntry doesn't support property 'FieldOptions'.")
            if verb == "Update":
                return self.items.change(asked)
            return {"FieldOptions": self.items.read(value(asked, "FieldOptions"))}
        does: dict[str, Callable[[], dict[str, Any]]] = {
            "Read AbEntry": lambda: entries.read(session, asked, body),
            "Create AbEntry": lambda: entries.create(session, asked),
            "Update AbEntry": lambda: entries.update(session, asked),
            "Delete AbEntry": lambda: entries.delete(session, asked),
            "Validate AbEntry": lambda: entries.validate(session, asked),
            "Read Address": lambda: entries.read_addresses(session, asked),
            "Update Address": lambda: entries.update_address(session, asked),
            "Read Schema": lambda: definitions.read(asked, modern),
            "Create Schema": lambda: definitions.create(asked, modern),
            "Update Schema": lambda: definitions.update(asked, modern),
            "Delete Schema": lambda: definitions.delete(asked),
            "Read Folder": lambda: definitions.read_folders(asked),
            "Create Folder": lambda: definitions.create_folder(asked),
            "Read SchemaFolder": lambda: definitions.read_folders(asked),
            "Create SchemaFolder": lambda: definitions.create_folder(asked),
            "Read User": lambda: {"Data": [user(session.user, mapping(value(asked, "Scope", "Fields"), "Fields"))]},
        }
        action = does.get(f"{verb} {name}")
        if action is None:
            raise ApiError(f"{name} does not support {verb}.")
        return action()

    def _modern(self, body: Mapping[str, Any], name: str) -> bool | None:
        """Whether the request speaks the 1.0 dialect of definitions; None where the server does not know it."""
        quirks = self.database.quirks
        if "schema-0x" in quirks or (name == "Folder" and "old-folders" in quirks):
            return None
        wanted = "FolderObject" if name == "Folder" else "SchemaObject"
        return name == "Folder" or str(value(body, "Compatibility", wanted)).startswith("1")

    def _fields(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        name = "Schema" if method.startswith("Schema") else "AbEntry"
        for spelled, asked in objects(body, name):
            if method == "AbEntryGetFieldInfo":
                return {spelled: self.definitions.field_info(asked)}
            return {spelled: {"Data": self.items.read(value(asked, "Options"))}}
        raise ApiError(f"{method} needs an object {name}.")

    def _session_info(self, session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
        """Mirrors the request (fact sheet section 1.5)."""
        name = self.database.name
        book = {"udbid": 1, "database": name, "displayvalue": name, "workspaceid": self.database.workspace}
        answer: dict[str, Any] = {}
        asked = find(body, "AddressBook")
        if asked and isinstance(asked.value, Mapping):
            answer[asked.name] = {name: book.get(name.casefold()) for name in asked.value}
        asked = find(body, "User")
        if asked and isinstance(asked.value, Mapping):
            answer[asked.name] = user(session.user, asked.value)
        return answer

    def _session(self, request: Request, body: Mapping[str, Any]) -> Session | None:
        body = body or _body(request) or {}
        return self.sessions.find(given_token(request, body, self.database.quirks), self.database.quirks)

    def _web_access(self, request: Request) -> Response:
        """`?request=api` and `?request=ab` as plain text (fact sheet section 1.1)."""
        asked = request.query.get("request", [""])[0]
        root = f"http://{request.headers.get('host', 'localhost')}"
        base = "/octopus" if self.cloud else "/MaximizerWebData"
        text = {"api": root + base, "ab": self.database.name}.get(asked)
        if text is None and (framing := self._framing(request)):
            return framing
        if text is None:
            page = b"<!DOCTYPE html><html><head><title>Maximizer</title></head><body>Log in</body></html>"
            return Response(200, page, {"Content-Type": "text/html; charset=utf-8"})
        return Response(200, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def frame(self, url: str) -> int:
        """Number of a page of Web Access that holds `url` in an iframe, as a following tab is held."""
        self._frames.append(url)
        return len(self._frames) - 1

    def _framing(self, request: Request) -> Response | None:
        number = request.query.get("tab", [""])[0]
        if not number.isdigit() or int(number) >= len(self._frames):
            return None
        page = (
            "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Address Book</title></head>"
            "<body><h1>Address Book</h1>"
            f'<iframe title="MailChimp" width="100%" height="700" src="{escape(self._frames[int(number)])}"></iframe>'
            "</body></html>"
        )
        return Response(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})

    def _limited(self) -> Response | None:
        limit = self.database.quirks.number("rate-limit")
        if limit is None:
            return None
        now = self.database.clock.now()
        while self._recent and now - self._recent[0] >= RATE_WINDOW:
            self._recent.popleft()
        if len(self._recent) >= limit:
            response = self.too_many()
            response.headers["Retry-After"] = str(max(1, round(RATE_WINDOW - (now - self._recent[0]) + 0.5)))
            return response
        self._recent.append(now)
        return None


_FIELD_METHODS = ("AbEntryGetFieldInfo", "AbEntryGetFieldOptions", "SchemaGetFieldOptions")


def _split(method: str) -> tuple[str, str]:
    """`AbEntryCreate` is ("Create", "AbEntry"), `Create` is ("Create", ""); ("", "") for anything else."""
    if method in VERBS:
        return method, ""
    for name in OBJECTS:
        verb = method.removeprefix(name)
        if verb != method and verb in VERBS:
            return verb, name
    return "", ""


def _body(request: Request) -> Mapping[str, Any] | None:
    """{} for an empty body, None for what is no JSON object."""
    if not request.body.strip():
        return {}
    try:
        body = request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
