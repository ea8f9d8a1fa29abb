"""A Maximizer and a signed-in program: in process, or over real HTTP in both profiles."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.clock import VirtualClock
from sandbox.faults import Faults
from sandbox.maximizer import Maximizer
from sandbox.web import Door, InProcess, serve

SQL = {"Configuration": {"Drivers": {"IAbEntrySearcher": "Maximizer.Model.Access.Sql.AbEntrySearcher"}}}
START = 1_767_603_600.0


class Caller:
    """A signed-in program; `methods` is the family of method names it uses."""

    def __init__(self, maximizer: Maximizer, session: requests.Session, root: str, door: Door) -> None:
        self.maximizer = maximizer
        self.session = session
        self.root = root
        self.door = door
        self.base = root + maximizer.base_path
        self.generic = maximizer.profile == "cloud"
        self.token = maximizer.token or self.sign_in()

    def sign_in(self) -> str:
        m = self.maximizer
        answer = self.raw("Authenticate", {"Database": m.database.name, "UID": m.user, "Password": m.password})
        token: str = answer["Data"]["Token"]
        self.token = token
        return token

    def raw(self, method: str, body: Any, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = self.session.post(f"{self.base}/{method}", json=body, headers=headers, timeout=60)
        assert response.status_code == 200
        return response.json()

    def entry(self, verb: str, asked: dict[str, Any], **more: Any) -> Any:
        """An AbEntry request in the profile's own family of methods."""
        method = verb if self.generic else f"AbEntry{verb}"
        return self.raw(method, {"AbEntry": asked, **SQL, **more}, self.token)

    def read(self, query: dict[str, Any], fields: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        answer = self.entry("Read", {"Scope": {"Fields": fields}, "Criteria": {"SearchQuery": query}, **more})
        assert answer["Code"] == 0, answer
        rows: list[dict[str, Any]] = answer["AbEntry"]["Data"]
        return rows

    def key(self, key: tuple[str, int]) -> str:
        rows = self.read({"Key": {"$EQ": {"ID": key[0], "Number": key[1]}}}, {"Key": 1})
        value: str = rows[0]["Key"]
        return value

    def create(self, data: dict[str, Any]) -> Any:
        return self.entry("Create", {"Data": {"Key": None, **data}})

    def update(self, key: tuple[str, int], data: dict[str, Any]) -> Any:
        return self.entry("Update", {"Data": {"Key": self.key(key), **data}})


@pytest.fixture
def make() -> Callable[..., Caller]:
    """A caller without sockets; keyword arguments are Maximizer's."""

    def build(profile: str = "on-premise", faults: Faults | None = None, **options: Any) -> Caller:
        clock = VirtualClock(START)
        maximizer = Maximizer(clock, profile, **options)
        door = Door(maximizer, clock, faults)
        session = requests.Session()
        session.mount("http://", InProcess(door))
        return Caller(maximizer, session, "http://crm.test", door)

    return build


@pytest.fixture(params=["on-premise", "cloud"])
def served(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """A caller over real HTTP, one for each profile."""
    clock = VirtualClock(START)
    maximizer = Maximizer(clock, request.param)
    door = Door(maximizer, clock)
    with serve(door) as server, requests.Session() as session:
        yield Caller(maximizer, session, server.url, door)
