"""Where the two kinds of server differ (fact sheet sections 1 and 3.2): all of it stands here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from domain.errors import Misconfigured


@dataclass(frozen=True)
class Dialect:
    """How one server wants to be spoken to.

    ``methods``: what reading, creating, updating an entry and listing options are called. ``bearer``: the token goes
    into the header; on-premise servers (all of them) want it in the body. ``schema``: which form field definitions
    have. ``sql_driver``: reads name the SQL searcher. ``pacing``: (calls, seconds) that the server allows.
    """

    name: Literal["on-premise", "cloud"]
    methods: Mapping[str, str] = field(hash=False)
    bearer: bool
    schema: Literal["1.0", "0.x"]
    sql_driver: bool = True
    pacing: tuple[int, float] | None = None


ON_PREMISE = Dialect(
    name="on-premise",
    # The per-object names work on servers of every age.
    methods={
        "read": "AbEntryRead",
        "create": "AbEntryCreate",
        "update": "AbEntryUpdate",
        "options": "AbEntryGetFieldOptions",
    },
    bearer=False,
    schema="0.x",
)
CLOUD = Dialect(
    name="cloud",
    methods={"read": "Read", "create": "Create", "update": "Update", "options": "Read"},
    bearer=True,
    schema="1.0",
    # The smallest plan allows 30 calls in 10 s; two are left for travelling time.
    pacing=(28, 10.0),
)


def base_of(url: str) -> tuple[str, Dialect]:
    """(address to which ``/{Method}`` is added, family) of a configured Web.Data address.

    ``.../Data.svc`` with or without ``/json`` is on-premise, ``.../octopus`` is the cloud. Raises Misconfigured.
    """
    parts = urlsplit(url.strip())
    path = parts.path.rstrip("/")
    steps = path.casefold().split("/")
    if steps[-1] == "data.svc":
        path += "/json"
    elif steps[-1] == "maximizerwebdata":
        path += "/Data.svc/json"
    on_premise = "data.svc" in path.casefold().split("/")
    if not on_premise and steps[-1] != "octopus":
        raise Misconfigured(
            "this is not the address of a Maximizer API",
            remedy="it ends in /MaximizerWebData/Data.svc (on-premise) or in /octopus (cloud)",
        )
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), ON_PREMISE if on_premise else CLOUD


_OF_THE_API = ("maximizerwebdata", "data.svc", "json", "octopus")


def server_of(url: str) -> str:
    """The server of a Web.Data address: the same text however the address is written and whatever it ends in.

    ``HOST:PORT`` and what stands before the API's own path; this machine is ``localhost`` under all its names. A host
    with several names of its own keeps several.
    """
    parts = urlsplit(base_of(url)[0])
    port = parts.port or (80 if parts.scheme == "http" else 443)
    steps = [step for step in parts.path.casefold().split("/") if step and step not in _OF_THE_API]
    return "/".join([f"{_host((parts.hostname or '').rstrip('.'))}:{port}", *steps])


def _host(name: str) -> str:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "localhost" if name.endswith(".localhost") else name
    address = getattr(address, "ipv4_mapped", None) or address
    return "localhost" if address.is_loopback else str(address)
