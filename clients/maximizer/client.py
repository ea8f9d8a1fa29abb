"""Sign-in and calls: everything that is said to Maximizer passes through ``Maximizer.call``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from clients.maximizer import answers, entries, schema
from clients.maximizer.dialect import Dialect, base_of, server_of
from clients.maximizer.queries import Query
from clients.maximizer.rows import Row, look
from clients.session import SENDS, Answer, Retry, Session
from domain.errors import BrokenAnswer, CredentialsRefused, Misconfigured, NotApplied, Refused

SQL_DRIVER = {"Drivers": {"IAbEntrySearcher": "Maximizer.Model.Access.Sql.AbEntrySearcher"}}
ENTRY_KEYS = {"AbEntryKey": "2.0"}
_SESSION_INFO = {
    "AddressBook": {"Udbid": 1, "Database": 1, "DisplayValue": 1, "WorkspaceId": 1},
    "User": {"Key": {"Value": 1, "Uid": 1}, "DisplayName": 1},
}
_LONG, _MIXED = 16, 5  # characters, different ones, of an id that no other server gives: no number, no row of zeros


class Maximizer:
    """One Address Book on one server; there is no call that deletes. Safe to share between threads.

    Either ``database``, ``user`` and ``password``, or a personal access ``token``. Every method may raise Unreachable,
    NotApplied, BrokenAnswer, CredentialsRefused and Refused; writes also Ambiguous.
    """

    def __init__(
        self,
        session: Session,
        url: str,
        *,
        database: str = "",
        user: str = "",
        password: str = "",
        token: str = "",
        dialect: Dialect | None = None,
    ) -> None:
        self._url, (self._base, family) = url, base_of(url)
        if not all(c.isprintable() and c.isascii() for c in token) or token != token.strip():
            raise Misconfigured("the Maximizer token holds characters that no token has", remedy="copy it again")
        session.hide([password, token])
        self.session = session
        self.dialect = dialect or family
        self.schema_known = dialect is not None
        self.driver_proven = False
        self.proven_scopes: set[frozenset[str]] = set()
        self.unsearchable: set[str] = set()  # fields by which this server has refused to search
        self._database, self._user, self._password, self._personal = database, user, password, token
        self._token = ""
        self._lock = threading.Lock()
        if session.pacing is None:
            session.pacing = self.dialect.pacing

    # Signing in

    def discover(self) -> Dialect:
        """Sign in, find out how this server wants to be spoken to, and keep it.

        Raises Misconfigured (no Maximizer at this address), CredentialsRefused, Unreachable.
        """
        try:
            self._sign_in("")
            self.session_info()
            self.fields()
            entries.probe(self)
        except BrokenAnswer as error:
            raise Misconfigured(
                f"this address does not answer like a Maximizer API: {error.problem}",
                remedy="check the Web.Data address in a browser on this machine",
            ) from error
        except Refused as error:
            raise Misconfigured(
                "this Maximizer refuses to read its field definitions or its entries",
                remedy="it must have API 2.7 or newer, and the user must be allowed to read the Address Book",
            ) from error
        return self.dialect

    @property
    def server(self) -> str:
        """See ``clients.maximizer.dialect.server_of``."""
        return server_of(self._url)

    def session_info(self) -> dict[str, str]:
        """{"database", "display", "id", "user"} of the signed-in session; falls back to what is configured.

        ``id``: the Address Book's own, by which it is known under every address; "" where the server tells none.
        """
        try:
            data = self.call("GetSessionInfo", _SESSION_INFO)
        except Refused:
            data = {}
        user = look(data, "Data", "User", "Key", "Uid") or look(data, "Data", "User", "DisplayName") or self._user
        database = look(data, "Data", "AddressBook", "Database") or self._database
        display = look(data, "Data", "AddressBook", "DisplayValue") or database
        ids = [look(data, "Data", "AddressBook", name) for name in ("WorkspaceId", "Udbid")]
        own = [one.casefold() for one in ids if isinstance(one, str) and len(one) >= _LONG and len({*one}) >= _MIXED]
        return {
            "database": str(database),
            "display": str(display),
            "id": next(iter(own), ""),
            "user": str(user),
        }

    def confirmed_session(self) -> dict[str, str]:
        """{"database", "user"} of a token that the server calls valid, only as the server itself says; never assumed.

        Raises CredentialsRefused for a token that it does not accept, BrokenAnswer when it does not tell both.
        """
        self.call("TokenValid", {})
        data = self.call("GetSessionInfo", _SESSION_INFO)
        database, user = look(data, "Data", "AddressBook", "Database"), look(data, "Data", "User", "Key", "Uid")
        if not (isinstance(database, str) and database and isinstance(user, str) and user):
            raise BrokenAnswer("maximizer", "GetSessionInfo", "the Address Book or the user is not named")
        return {"database": database, "user": user}

    def call(self, method: str, body: Mapping[str, Any], *, retry: Retry | None = None) -> dict[str, Any]:
        """One call with the token added; the answer's object, whose Code is 0.

        A token that ran out is renewed once and the same call repeated (hazards A9), within the same number of sends.
        ``retry`` follows from the method's name: a create is never sent twice, an update may be, the rest are reads.
        """
        kind: Retry = retry or ("never" if "Create" in method else "idempotent" if "Update" in method else "read")
        thing = next((name for name in body if name not in ("Compatibility", "Configuration")), "")
        operation = method if thing in method or method.startswith("Get") else f"{method} {thing}"
        token, left = self._token or self._sign_in(""), SENDS
        answer = self._post(method, body, token, operation, kind, left)
        if answers.expired(answer):
            left -= answer.sends
            if left <= 0:
                raise NotApplied("maximizer", operation, "the token ran out", status=answer.status_code)
            answer = self._post(method, body, self._sign_in(token), operation, kind, left)
            if answers.expired(answer) and not answers.foreign(answer):
                raise CredentialsRefused(
                    "maximizer",
                    "Maximizer refuses the token, even a new one",
                    remedy="check the user's access in Maximizer, or enter a new personal access token",
                )
        return answers.checked(answer, operation, write=kind != "read")

    def _post(
        self, method: str, body: Mapping[str, Any], token: str, operation: str, retry: Retry, tries: int
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if self.dialect.bearer or self._personal else {}
        if self.dialect.name == "on-premise":
            body = {"Token": token, **body}
        url = f"{self._base}/{method}"
        return self.session.send("POST", url, operation=operation, retry=retry, json=body, headers=headers, tries=tries)

    def _sign_in(self, stale: str) -> str:
        """A token newer than ``stale``, shared by all threads; without a password a personal one stays as it is."""
        with self._lock:
            if not self._token or self._token == stale:
                use_own = self._personal and (self._personal != stale or not self._password)
                self._token = self._personal if use_own else self._authenticate()
            return self._token

    def _authenticate(self) -> str:
        body = {"Database": self._database, "UID": self._user, "Password": self._password}
        url = f"{self._base}/Authenticate"
        answer = self.session.send("POST", url, operation="Authenticate", retry="read", json=body)
        code = answers.code_of(answer.data)
        if (answer.status_code == 401 and not answers.foreign(answer)) or code not in (None, 0):
            remedy = "check database, user and password"
            if self.dialect.name == "cloud":
                remedy = "the cloud wants a personal access token: set MAXCHIMP_MAXIMIZER_TOKEN"
            raise CredentialsRefused("maximizer", "Maximizer refuses this sign-in", remedy=remedy)
        token = look(answers.checked(answer, "Authenticate", write=False), "Data", "Token")
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise BrokenAnswer("maximizer", "Authenticate", "no token in the answer")
        self.session.hide([token])
        return token

    # Fields

    def fields(self) -> list[Row]:
        """Definitions of all fields of entries; see ``clients.maximizer.schema.read_fields``."""
        return schema.read_fields(self)

    def options(self, refs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """(key, label) of every choice of these table fields."""
        return schema.read_options(self, refs)

    def create_udf(
        self,
        path: str,
        kind: str,
        max_length: int = 29,
        applies_to: Sequence[str] = ("Individual", "Contact"),
    ) -> str:
        r"""The ref of the UDF at ``path`` (``Folder\Name``), made when it is missing, with its folder."""
        return schema.create_udf(self, path, kind, max_length=max_length, applies_to=applies_to)

    def knows_schema(self, version: Literal["1.0", "0.x"]) -> None:
        """Remember which form of field definitions this server has."""
        self.dialect, self.schema_known = replace(self.dialect, schema=version), True

    # Entries

    def people(
        self, scope: Sequence[str], *, since: str | None = None, page_size: int = 1000, where: Query | None = None
    ) -> Iterator[list[Row]]:
        """Individuals and Contacts, page by page; see ``clients.maximizer.entries.people``."""
        return entries.people(self, scope, since=since, page_size=page_size, where=where)

    def find(self, scope: Sequence[str], query: Query) -> list[Row]:
        """Individuals and Contacts that a search finds; see ``clients.maximizer.entries.find``."""
        return entries.find(self, scope, query)

    def entry(self, scope: Sequence[str], client_id: str, number: int) -> Row | None:
        """One entry of any type, or None."""
        return entries.entry(self, scope, client_id, number)

    def companies(self) -> list[tuple[str, int]]:
        """(Client ID, Contact Number) of every Company, for counting."""
        return entries.companies(self)

    def entry_by_key(self, scope: Sequence[str], key: str) -> Row | None:
        """One entry of any type by its key string of this session, or None."""
        return entries.entry_by_key(self, scope, key)

    def create_entry(self, data: Mapping[str, Any]) -> str:
        """Create an entry and answer its key; Ambiguous when the answer does not name it."""
        return entries.create(self, data)

    def update_entry(self, key: str, data: Mapping[str, Any]) -> None:
        """Change what ``data`` holds; NotFound when there is no such entry."""
        entries.update(self, key, data)

    def read_entries(self, request: dict[str, Any]) -> dict[str, Any]:
        """One ``Read`` of AbEntry; a server that does not know the SQL searcher is asked without it from then on."""
        body = {"AbEntry": request, "Compatibility": ENTRY_KEYS}
        method = self.dialect.methods["read"]
        if not self.dialect.sql_driver:
            return self.call(method, body, retry="read")
        try:
            data = self.call(method, {**body, "Configuration": SQL_DRIVER}, retry="read")
        except Refused as error:
            if self.driver_proven or self.dialect.name == "cloud":
                raise
            try:
                data = self.call(method, body, retry="read")
            except Refused:
                raise error from None
            self.dialect = replace(self.dialect, sql_driver=False)
        self.driver_proven = True
        return data
