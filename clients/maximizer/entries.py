"""Reading and writing Address Book entries (fact sheet sections 3.4, 4.4 and 10)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clients.maximizer import queries
from clients.maximizer.queries import PEOPLE, Query
from clients.maximizer.rows import KEY_ONLY, Row, Scope, check_time, id_of, key_of, look, respell, scope_of
from domain.errors import Ambiguous, BrokenAnswer, NotFound, Refused

if TYPE_CHECKING:
    from clients.maximizer.client import Maximizer

PAGE = 1000
COMPANIES: Query = {"Type": {"$IN": ["Company"]}}
_MISSING = object()


def people(
    client: Maximizer, scope: Sequence[str], *, since: str | None, page_size: int, where: Query | None
) -> Iterator[list[Row]]:
    """All Individuals and Contacts, oldest first, each once; ``since`` (ISO, UTC): those modified from then on.

    Rows hold the fields of ``scope`` under exactly these names, values untouched. A server that cannot search by
    modification date is read in full: what came back is then more than asked for. Raises BrokenAnswer when rows are
    withheld because of a field that the server does not know, or when it ignores paging.
    """
    if where:
        queries.check(where)
    conditions = [PEOPLE, *([where] if where else [])]
    wanted = scope_of(scope)
    full = queries.all_of(*conditions)
    query = queries.all_of(*conditions, queries.changed_since(since)) if since else full
    pages = _pages(client, wanted, query, page_size)
    try:
        first = next(pages, None)
    except Refused:
        if not since:
            raise
        query = full
        pages = _pages(client, wanted, full, page_size)
        first = next(pages, None)
    if first is None:
        _believe_empty(client, query)
        return
    yield first
    yield from pages


def find(client: Maximizer, scope: Sequence[str], query: Query) -> list[Row]:
    """All Individuals and Contacts that ``query`` finds.

    Where a server refuses it: what its weaker forms find, or else everybody, looked through here.
    """
    queries.check(query)
    rows = [row for part in queries.parts(query) for row in _find(client, scope, part)]
    return list({id_of(row): row for row in rows}.values())


def _find(client: Maximizer, scope: Sequence[str], query: Query) -> list[Row]:
    if client.unsearchable & queries.fields(query):
        return _looked_through(client, scope, query)
    try:
        return _found(client, scope_of(scope), queries.all_of(PEOPLE, query))
    except Refused:
        instead = queries.weaker(query)
        if not instead:
            client.unsearchable |= queries.fields(query)
            return _looked_through(client, scope, query)
    rows, left = [], []
    for part in instead:
        if client.unsearchable & queries.fields(part):
            left.append(part)
        else:
            rows += _find(client, scope, part)
    return [*rows, *(_looked_through(client, scope, queries.any_of(left)) if left else [])]


def _looked_through(client: Maximizer, scope: Sequence[str], query: Query) -> list[Row]:
    """All people, each looked at here: for a server that does not search by a field of ``query``."""
    wanted = scope_of([*scope, "Email1", "Email2", "Email3", *queries.fields(query) - {"Email", "Key"}])
    return [row for page in _pages(client, wanted, PEOPLE, PAGE) for row in page if queries.holds(query, row)]


def entry(client: Maximizer, scope: Sequence[str], client_id: str, number: int) -> Row | None:
    rows = _found(client, scope_of(scope), queries.by_id(client_id, number))
    return next((row for row in rows if id_of(row) == (client_id, number)), None)


def companies(client: Maximizer) -> list[tuple[str, int]]:
    """(Client ID, Contact Number) of every Company: they are counted, never synchronised (R4)."""
    return [id_of(row) for page in _pages(client, KEY_ONLY, COMPANIES, PAGE) for row in page]


def entry_by_key(client: Maximizer, scope: Sequence[str], key: str) -> Row | None:
    return next(iter(_found(client, scope_of(scope), queries.by_key(key))), None)


def create(client: Maximizer, data: Mapping[str, Any]) -> str:
    body = {"AbEntry": {"Data": {"Key": None, **data}}, "Compatibility": {"AbEntryKey": "2.0"}}
    method = client.dialect.methods["create"]
    answer = client.call(method, body, retry="never")
    made = look(answer, "AbEntry", "Data")
    made = made[0] if isinstance(made, list) and len(made) == 1 else made
    key = look(made, "Key")
    key = look(key, "Value") if isinstance(key, dict) else key
    if not isinstance(key, str) or not key:
        raise Ambiguous("maximizer", method, "the answer does not name the new entry")
    return key


def update(client: Maximizer, key: str, data: Mapping[str, Any]) -> None:
    body = {"AbEntry": {"Data": {"Key": key, **data}}, "Compatibility": {"AbEntryKey": "2.0"}}
    method = client.dialect.methods["update"]
    try:
        client.call(method, body, retry="idempotent")
    except Refused as error:
        # No documented code says "no such entry": the entry itself is asked.
        if error.code != "other" or _rows(client.read_entries(_request(KEY_ONLY, queries.by_key(key))), KEY_ONLY):
            raise
        raise NotFound(
            "maximizer", method, "not found", status=error.status, code="not-found", detail=error.detail
        ) from None


def probe(client: Maximizer) -> None:
    """Read one entry at most: Refused where this server cannot be searched as we do."""
    _rows(client.read_entries(_request(KEY_ONLY, PEOPLE, size=1)), KEY_ONLY)


def _found(client: Maximizer, scope: Scope, query: Query) -> list[Row]:
    """All rows; "none" is believed only where these fields brought rows before, or the key alone finds none either."""
    names = frozenset(scope)
    rows = [row for page in _pages(client, scope, query, PAGE) for row in page]
    if rows:
        client.proven_scopes.add(names)
    elif names not in client.proven_scopes:
        _believe_empty(client, query)
    return rows


def _believe_empty(client: Maximizer, query: Query) -> None:
    """A field that the server does not know can give no rows instead of an error (fact sheet 2.3)."""
    if _rows(client.read_entries(_request(KEY_ONLY, query, size=1)), KEY_ONLY):
        raise BrokenAnswer("maximizer", "read entries", "rows are withheld: a field in the request is unknown there")


def _pages(client: Maximizer, scope: Scope, query: Query, size: int) -> Iterator[list[Row]]:
    """Non-empty pages of rows not met before.

    The next page's key stands in one of several places, or nowhere: then it is the number of rows so far. Null means
    the end; after a full page even that is tried once more, because a server may only repeat the request.
    """
    met: set[tuple[str, int]] = set()
    received, key, over = 0, None, False
    while True:
        try:
            data = client.read_entries(_request(scope, query, key=key, size=size))
        except Refused:
            if over:
                return
            raise
        rows = _rows(data, scope)
        received += len(rows)
        new = {id_of(row): row for row in rows if id_of(row) not in met}
        if not rows or (over and not new):
            return
        if not new:
            raise BrokenAnswer("maximizer", "read entries", "the same entries came twice: paging is ignored")
        met |= new.keys()
        yield list(new.values())
        told = _next_key(data)
        over = told is None
        if over and len(rows) < size:
            return
        computed = base64.b64encode(str(received).encode()).decode()
        key = told if isinstance(told, str) and told != key else computed


def _request(scope: Scope, query: Query, *, key: str | None = None, size: int = PAGE) -> dict[str, Any]:
    # By creation: the only order that does not move while people edit.
    order = {"Fields": [{"CreationDate": "ASC"}], "PageKey": key, "PageSize": size}
    return {"Scope": {"Fields": scope}, "Criteria": {"SearchQuery": query}, "OrderBy": order}


def _rows(data: Any, scope: Scope) -> list[Row]:
    rows = look(data, "AbEntry", "Data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BrokenAnswer("maximizer", "read entries", "Data is not a list of entries")
    return [_named(respell(row, scope)) for row in rows]


def _named(row: Row) -> Row:
    """The row with its identity in the detailed key, where a server tells it in the key string only."""
    client_id, number = id_of(row)
    check_time(row)
    return {**row, "Key": {"Value": key_of(row), "ID": client_id, "Number": number}}


def _next_key(data: Any) -> object:
    """The next page's key, None at the end, ``_MISSING`` where the answer does not speak of it."""
    places = (look(data, "AbEntry", "OrderBy"), look(data, "AbEntry"), look(data, "AbEntry", "Page"), data)
    for place in places:
        for name in place if isinstance(place, dict) else ():
            if str(name).casefold() in ("pagekey", "nextpagekey"):
                value = place[name]
                return None if value in (None, "") else value
    return _MISSING
