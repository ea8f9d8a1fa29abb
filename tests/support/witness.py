"""Compares every body that leaves with the plan that announced it: what is sent is what the plan says.

It stands between our clients and the sandbox, reads the announced changes from the store and the record from the
service, and has encoders of its own. A body may hold beside the plan only what changes nothing: mapped mandatory merge
fields and the other parts of a touched address, at the values that the member has.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import requests
from sqlalchemy import select

from domain.countries import country_code
from sandbox.web import Door, InProcess, Request
from storage.engine import reading
from storage.tables import change, field_mapping, link, run

if TYPE_CHECKING:
    from harness import Office

OURS = ("CLIENTID", "CONTACTNO")


class Witness(InProcess):
    """The way to one service; ``wrong``: what left and was not planned."""

    def __init__(self, office: Office, side: str, door: Door) -> None:
        super().__init__(door)
        self.office, self.side = office, side
        self.tries: Counter[int] = Counter()
        self.read: dict[str, Any] = {}  # members as our client has read them last, by contact_id
        self.wrong: list[str] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        if request.method != "GET" and request.body and self.office.witnessing:
            body = json.loads(request.body)
            path = (request.path_url or "").partition("?")[0]
            (self._to_mailchimp if self.side == "mailchimp" else self._to_maximizer)(request, path, body)
        answer = super().send(request, *args, **more)
        if self.side == "mailchimp" and request.method == "GET" and "/members/" in (request.url or ""):
            self._remember(answer)
        return answer

    def _remember(self, answer: requests.Response) -> None:
        try:
            member = answer.json()
        except ValueError:  # a broken answer tells nothing
            return
        if isinstance(member, dict) and isinstance(member.get("contact_id"), str):
            self.read[member["contact_id"]] = member

    # ------------------------------------------------------------- what was announced

    def _announced(self, **named: str) -> dict[str, Any] | None:
        """The one change of this side under way that is named so: its columns, ``set`` by field, ``then``."""
        ours = [change.c.side == self.side, change.c.state == "sent"]
        ours += [change.c[name] == value for name, value in named.items()]
        with reading(self.office.engine) as db:
            found = db.execute(select(change).where(*ours)).mappings().all()
        if len(found) != 1:
            self.wrong.append(f"{len(found)} announced changes of {self.side} for a write of {named}")
            return None
        body = json.loads(found[0]["fields"])
        return {**found[0], "set": {item["field"]: item["new"] for item in body["set"]}}

    def _rows(self, table: Any, **named: Any) -> list[dict[str, Any]]:
        with reading(self.office.engine) as db:
            wanted = [table.c[name] == value for name, value in named.items()]
            return [dict(row) for row in db.execute(select(table).where(*wanted)).mappings()]

    def _running(self) -> bool:
        """Set-up makes what a list and an Address Book need; a cycle writes to people alone."""
        return bool(self._rows(run, state="running"))

    def _kinds(self, row: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
        """Tag -> (kind in Mailchimp, ref in Maximizer, kind there)."""
        rows = self._rows(field_mapping, connection_id=row["connection_id"])
        return {m["tag"]: (m["mailchimp_kind"], m["maximizer_ref"], m["maximizer_kind"]) for m in rows}

    def _compare(self, row: dict[str, Any], planned: dict[str, Any], sent: dict[str, Any]) -> None:
        """Both by field. A second try may leave out what the service has refused."""
        self.tries[row["id"]] += 1
        again = self.tries[row["id"]] > 1
        for name in planned.keys() | sent.keys():
            if name not in sent and again:
                continue
            if name not in planned or name not in sent or planned[name] != sent[name]:
                told = f"planned {planned.get(name, 'nothing')!r}, sent {sent.get(name, 'nothing')!r}"
                self.wrong.append(f"{self.side} {row['op']} of {row['target']}, {name}: {told}")

    # ------------------------------------------------------------- Mailchimp

    def _to_mailchimp(self, request: requests.PreparedRequest, path: str, body: Any) -> None:
        parts = path.strip("/").split("/")
        if request.method == "POST" and parts[-2:-1] == ["lists"]:
            assert body["update_existing"] is False
            for member in body["members"]:
                self._new_member(member)
        elif request.method == "PATCH" and parts[-2:-1] == ["members"]:
            self._member(parts[-1], body)
        elif self._running():
            self.wrong.append(f"{request.method} {path} is no planned write")

    def _new_member(self, body: dict[str, Any]) -> None:
        address = body["email_address"]
        rows = self._rows(change, side="mailchimp", state="sent", op="create")
        named = [row for row in rows if f'"field":"EMAIL","old":"","new":{json.dumps(address)}' in row["fields"]]
        row = self._announced(target=named[0]["target"]) if len(named) == 1 else None
        if row is None:
            self.wrong.append(f"{len(named)} announced creates for a new member")
            return
        if body.pop("status") != self.office.connection.settings.new_member_status:
            self.wrong.append("a new member with another status than the setting's")
        self._fields(row, body, {})

    def _member(self, contact_id: str, body: dict[str, Any]) -> None:
        row = self._announced(target=contact_id)
        if row is not None:
            self._fields(row, body, self.read.get(contact_id, {}))

    def _fields(self, row: dict[str, Any], body: dict[str, Any], held: dict[str, Any]) -> None:
        planned, kinds = dict(row["set"]), self._kinds(row)
        sent: dict[str, Any] = {}
        body, had = dict(body), held.get("merge_fields") or {}
        merge = dict(body.pop("merge_fields", {}))
        if "#stamp" in planned:
            planned["#stamp"] = row["entry_id"]
            sent["#stamp"] = "#".join(str(merge.pop(name, "")) for name in OURS)
        for tag, value in merge.items():
            address = {name for name in planned if name.startswith(f"{tag}.")}
            if address:
                sent |= self._address(planned, address, value, had.get(tag))
            elif tag in planned:
                kind = kinds.get(tag, ("", "", ""))[0] or self._kind(tag)
                sent[tag] = _from_mailchimp(kind, self._day_first(tag), value)
            elif value != had.get(tag) or not self._required(tag) or not any(t.split(".")[0] == tag for t in kinds):
                sent[tag] = value
        for name, value in planned.items():
            if name.startswith("group:"):
                wanted = set(json.loads(value or "[]"))
                asked = {i: flag for i, flag in body.get("interests", {}).items() if i in self._interests(name)}
                sent[name] = value if {i for i, flag in asked.items() if flag} == wanted else asked
        others = set(body.pop("interests", {})) - {i for n in planned for i in self._interests(n)}
        sent |= {f"interest {i}": True for i in others}
        names = {"email_address": "EMAIL", "status": "#status"}
        sent |= {names.get(name, name): value for name, value in body.items()}
        self._compare(row, planned, sent)

    def _address(self, planned: dict[str, Any], names: set[str], value: Any, had: Any) -> dict[str, Any]:
        """The parts of one address as sent; those that nothing was planned for only where they are others now."""
        whole = value if isinstance(value, dict) else {}
        before = had if isinstance(had, dict) else {}
        parts = {name.partition(".")[2]: name for name in names}
        tag = next(iter(names)).partition(".")[0]
        sent = {name: str(whole.get(part, "")) for part, name in parts.items()}
        rest = whole.keys() - parts.keys()
        return sent | {f"{tag}.{p}": whole[p] for p in rest if (whole[p] or "") != (before.get(p) or "")}

    def _interests(self, name: str) -> set[str]:
        audience = self.office.mailchimp.audiences[self.office.list_id]
        title = name.removeprefix("group:")
        categories = {c.id for c in audience.categories.values() if name.startswith("group:") and c.title == title}
        return {interest.id for interest in audience.interests.values() if interest.category_id in categories}

    def _merge_field(self, tag: str) -> Any:
        fields = self.office.mailchimp.audiences[self.office.list_id].fields
        return next(field for field in fields.values() if field.tag == tag)

    def _kind(self, tag: str) -> str:
        return str(self._merge_field(tag).type)

    def _required(self, tag: str) -> bool:
        return bool(self._merge_field(tag).required)

    def _day_first(self, tag: str) -> bool:
        return str(getattr(self._merge_field(tag), "options", {}).get("date_format", "")).upper().startswith("DD")

    # ------------------------------------------------------------- Maximizer

    def _to_maximizer(self, request: requests.PreparedRequest, path: str, body: Any) -> None:
        data = (body.get("AbEntry") or {}).get("Data")
        verb = path.rpartition("/")[2].removeprefix("AbEntry")
        if verb not in ("Create", "Update"):
            return
        if data is None:
            if self._running():
                self.wrong.append(f"{verb} of something else than an entry")
            return
        data, connection = dict(data), self.office.connection
        key = data.pop("Key")
        if verb == "Create":
            row = self._announced(op="create", marker=str(data.get(connection.marker_ref, "")))
        elif named := self._entry_id(request, body, key):
            row = self._announced(entry_id=named)
        else:
            return  # whoever is not signed in writes nothing
        if row is None:
            return
        planned, kinds = dict(row["set"]), self._kinds(row)
        if planned.get("#marker") == "":
            planned["#marker"] = self._rows(link, id=row["link_id"])[0]["unique_email_id"]
        sent: dict[str, Any] = {}
        if verb == "Create" and data.pop("Type", None) != "Individual":
            self.wrong.append("a new entry that is no Individual")
        flag = next(
            u for u in self.office.maximizer.database.schema.udfs.values() if u.ref == connection.flag_ref
        ).options
        tags = {ref: tag for tag, (_, ref, _) in kinds.items()}
        tags |= {connection.marker_ref: "#marker", connection.flag_ref: "#flag", "Email1": "EMAIL"}
        for ref, value in _flat(data).items():
            tag = "#lastname" if ref == "LastName" and "#lastname" in planned else tags.get(ref, ref)
            if tag == "#flag":
                sent[tag] = flag.get(str(value[0]), value)
            else:
                kind = kinds[tag][2] if tag in kinds else ""
                country = tag in kinds and kinds[tag][0] == "country"
                sent[tag] = country_code(value) if country else _from_maximizer(kind, value)
        self._compare(row, planned, sent)

    def _entry_id(self, request: requests.PreparedRequest, body: Any, key: str) -> str:
        asked = Request.of("POST", request.url or "/", dict(request.headers), b"")
        session = self.office.maximizer._api._session(asked, body)
        found = session and session.keys.read(key)
        return f"{found[0]}#{found[1]}" if found else ""


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """Ref -> value: parts of the address one by one, numbers and addresses out of their objects."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name == "Address":
            found |= {f"Address/{part}": text for part, text in value.items()}
        elif isinstance(value, dict):
            found[name] = value["Number"] if "Number" in value else value["Address"]
        else:
            found[name] = value
    return found


def _from_mailchimp(kind: str, day_first: bool, value: Any) -> str:
    if kind == "number" and value != "":
        return _plain(value)
    if kind == "birthday" and value:
        first, second = str(value).split("/")
        return f"{second}-{first}" if day_first else f"{first}-{second}"
    return str(value)


def _from_maximizer(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind in ("single", "yesno"):
        return "".join(str(key) for key in value)
    if kind == "multi":
        return json.dumps(sorted(str(key) for key in value), separators=(",", ":")) if value else ""
    if kind == "numeric":
        return _plain(value)
    if kind == "annual":
        return str(value)[5:10]
    return str(value)


def _plain(value: Any) -> str:
    exact = Decimal(str(value))
    return str(int(exact)) if exact == exact.to_integral_value() else str(exact.normalize())
