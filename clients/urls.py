"""Which addresses may be called at all (hazards S16, S17)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from domain.errors import Misconfigured

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_REMEDY = (
    "give an address such as https://server/MaximizerWebData/Data.svc for MAXCHIMP_MAXIMIZER_URL, "
    "https://us6.api.mailchimp.com/3.0 for MAXCHIMP_MAILCHIMP_URL"
)
# Cloud machines answer these with their own credentials.
_METADATA = {ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")}


def check_url(url: str) -> None:
    """Raise Misconfigured unless ``url`` is https to a plain host name or address, or http to this machine.

    Refused: user names in the address, link-local and metadata addresses, numbers that stand for an address in
    disguise, and ports below 1024 other than 443. Private addresses are where an on-premise CRM lives: allowed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Misconfigured("this is not a web address", remedy=_REMEDY) from None
    if parts.scheme not in ("http", "https") or not host or any(c <= " " or c == "\\" for c in url):
        raise Misconfigured("only http(s) addresses can be used", remedy=_REMEDY)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Misconfigured("the address must hold no user name, password or fragment", remedy=_REMEDY)
    address = _address(host)
    loopback = host.rstrip(".") == "localhost" or (address is not None and address.is_loopback)
    if address is not None and (address.is_link_local or address.is_unspecified or address in _METADATA):
        raise Misconfigured("this network address is never a CRM or Mailchimp", remedy=_REMEDY)
    if parts.scheme == "http" and not loopback:
        raise Misconfigured("http:// is accepted for this machine only, use https://", remedy=_REMEDY)
    if not loopback and port is not None and port != 443 and port < 1024:
        raise Misconfigured("this port is not used by web services", remedy=_REMEDY)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The network address that ``host`` spells, None for a name; raises Misconfigured for a disguised one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rstrip(".").rsplit(".", 1)[-1].casefold()
        if not _NAME.fullmatch(host) or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
            raise Misconfigured("the host of the address is not a plain name", remedy=_REMEDY) from None
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
