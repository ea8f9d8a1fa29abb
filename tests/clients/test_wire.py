"""Over real sockets: what the HTTP library makes of refused, cut, slow and redirected answers, and what it logs."""

from __future__ import annotations

import datetime
import itertools
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.mailchimp import Mailchimp
from clients.maximizer import Maximizer
from clients.session import Session
from domain.errors import Ambiguous, BrokenAnswer, CredentialsRefused, Misconfigured, NotApplied, Unreachable

KEY = "0123456789abcdef0123456789abcdef-us6"
# Every connection is answered once: a client that kept it might send into its end.
CLOSE = b"Connection: close\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n" + CLOSE + b'\r\n{"ok":true}'


@contextmanager
def server(
    answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None, *, whole: bool = True
) -> Iterator[tuple[str, list[int]]]:
    """Hands every connection to ``answer`` after a ``whole`` request, or its first bytes; its address and a count."""
    listener, hits = socket.create_server(("127.0.0.1", 0)), [0]

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    secure = context.wrap_socket(connection, server_side=True) if context else connection
                    take_request(secure) if whole else secure.recv(65536)
                    hits[0] += 1
                    answer(secure)
                    if not whole:  # unread bytes would reset the connection before the answer is read
                        secure.shutdown(socket.SHUT_WR)
                        while secure.recv(65536):
                            pass
                    secure.close()
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}", hits
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=60)


def take_request(connection: socket.socket) -> None:
    """Read all of a request: closing with unread bytes would reset the connection before the answer is read."""
    taken = b""
    while True:
        more = connection.recv(65536)
        if not more:
            raise OSError("the client left")
        taken += more
        head, end, body = taken.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            return


def session(**options: Any) -> Session:
    return Session("mailchimp", secrets=[], sleep=lambda seconds: None, **options)


def go(url: str, retry: Any = "read", made: Session | None = None) -> Any:
    made = made or session()
    try:
        return made.send("POST", url, operation="try it", retry=retry, json={})
    finally:
        made.close()


def test_a_plain_answer() -> None:
    with server(lambda s: s.sendall(OK)) as (url, hits):
        assert go(url).json() == {"ok": True}
    assert hits == [1]


def test_refused_connection_is_unreachable_for_a_create_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    made = session()
    with pytest.raises(Unreachable):
        go(f"http://127.0.0.1:{port}", "never", made)
    assert made.sends == 4


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed without a word"),
        pytest.param(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"ok"', id="less than announced"),
        pytest.param(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"ok', id="half a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", id="not gzip"),
        pytest.param(b"rubbish\r\n\r\n", id="not http"),
    ],
)
def test_cut_answers_leave_a_create_ambiguous_and_are_sent_once(answer: bytes) -> None:
    with server(lambda s: s.sendall(answer)) as (url, hits):
        with pytest.raises(Ambiguous):
            go(url, "never")
        assert hits == [1]
        made = session()
        with pytest.raises((NotApplied, BrokenAnswer)):
            go(url, made=made)
        assert made.sends == 4


def test_s17_redirects_are_not_followed() -> None:
    with server(lambda s: s.sendall(OK)) as (canary, canary_hits):
        moved = f"HTTP/1.1 302 Found\r\nLocation: {canary}/x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        with server(lambda s: s.sendall(moved)) as (url, hits), pytest.raises(BrokenAnswer):
            go(url)
    assert (hits, canary_hits) == ([1], [0])


def test_s17_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with server(lambda s: s.sendall(OK)) as (url, _):
        assert go(url).status_code == 200


def test_s17_an_unknown_certificate_is_refused_and_an_own_authority_accepted(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(lambda s: s.sendall(OK), context) as (url, hits):
        with pytest.raises(Unreachable, match="certificate"):
            go(url, "never")
        assert hits == [0]
        assert go(url, made=session(ca_file=str(certificate))).status_code == 200


def test_d15_a_dripping_body_meets_the_deadline() -> None:
    """Every packet is 100 s of the clock: the fourth one is too late, though each came in time."""
    ticks = itertools.count(0, 100)

    def drip(s: socket.socket) -> None:
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        for _ in range(999_999):  # until the client leaves
            s.sendall(b" " * 100)

    with server(drip) as (url, hits), pytest.raises(BrokenAnswer, match="slow"):
        go(url, made=session(clock=lambda: float(next(ticks))))
    assert hits == [1]


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b""])
def test_s22_s27_no_secret_and_no_address_in_any_record(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "maxchimp")
    who, digest = "anna.canary@escona.test", "5eb0d7933f4c6b1d2a9e8c7b6a5d4e3f"
    with server(lambda s: s.sendall(answer)) as (url, _):
        made = session()
        client = Mailchimp(made, KEY, f"{url}/3.0")
        for ask in (
            lambda: client.member("ab12", who),
            lambda: client.update_member("ab12", digest, {"merge_fields": {"FNAME": "Canary"}}),
            lambda: client.add_members("ab12", [{"email_address": who, "status": "subscribed"}]),
        ):
            with pytest.raises((NotApplied, BrokenAnswer, Ambiguous)) as caught:
                ask()
            assert "canary" not in f"{caught.value!r} {caught.value.__dict__}".casefold()
        made.close()
    text = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records).casefold()
    assert "read member" in text
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    for canary in ("canary", digest, KEY, KEY[:32], "bwf4y2hpbxa6", "ab12/members/anna"):
        assert canary not in text


# --- who is not there, and who answers instead -------------------------------------------------------------------


def unreachable(url: str, **options: Any) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        go(f"{url}/3.0/lists?email=ann%40x.test", made=session(sends=1, **options))
    assert "ann" not in str(caught.value) + caught.value.remedy
    assert caught.value.remedy
    return caught.value


def test_no_connection_names_address_cause_and_what_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens, so that no other process takes it meanwhile
        port = taken.getsockname()[1]
        refused = unreachable(f"http://127.0.0.1:{port}")
    assert refused.problem == f"no connection to 127.0.0.1:{port}: it was refused"
    assert "port" in refused.remedy
    with server(lambda s: s.sendall(OK), whole=False) as (plain, _):
        place = plain.removeprefix("http://")
        assert unreachable(f"https://{place}").problem == f"no connection to {place}: it does not speak TLS"
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(lambda s: s.sendall(OK), context) as (url, _):
        assert unreachable(url).problem.endswith(": its certificate is not trusted")
        other = unreachable(url.replace("127.0.0.1", "localhost"), ca_file=str(certificate))
        assert other.problem.endswith(": its certificate is for another name")

    def nowhere(*given: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    unknown = unreachable("https://crm.escona.test")
    assert unknown.problem == "no connection to crm.escona.test:443: its name is not found"
    assert "DNS" in unknown.remedy


@pytest.mark.parametrize(
    ("status", "kind", "body", "seen"),
    [
        ("200 OK", "text/html", b"<html>Please sign in, ann@x.test</html>", "HTTP 200 with a web page"),
        ("401 Unauthorized", "text/html", b"\r\n<!DOCTYPE html>", "HTTP 401 with a web page"),
        ("401 Unauthorized", "application/json", b'{"message": "ann@x.test"}', "HTTP 401 with JSON"),
        ("404 Not Found", "text/html", b"<html>nginx</html>", "HTTP 404 with a web page"),
        (
            "407 Proxy Authentication Required",
            "text/html",
            b"<html>",
            "HTTP 407, a proxy or network asks for a sign-in",
        ),
        ("502 Bad Gateway", "text/html", b"<html>proxy</html>", "HTTP 502 with a web page"),
        ("200 OK", "text/plain", b"hello", "HTTP 200 with other text"),
        ("200 OK", "application/json", b'["something", "else"]', "HTTP 200 with JSON"),
        ("302 Found", "text/html", b"", "HTTP 302, a redirect is not followed"),
    ],
)
def test_somebody_else_who_answers_refuses_no_key(status: str, kind: str, body: bytes, seen: str) -> None:
    """A proxy, a sign-in page, another web server: told as what it looks like, and where."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode() + CLOSE + b"\r\n"
    with server(lambda s: s.sendall(head + body)) as (url, _):
        place = url.removeprefix("http://")
        mailchimp = Mailchimp(session(sends=1), KEY, f"{url}/3.0")
        maximizer = Maximizer(
            session(sends=1), f"{url}/MaximizerWebData/Data.svc", database="E", user="u", password="p"
        )
        for ask in (mailchimp.account, maximizer.session_info):
            with pytest.raises((BrokenAnswer, NotApplied)) as caught:
                ask()
            told = str(caught.value)
            assert seen in told
            assert place in told
            assert "ann" not in told
            assert caught.value.remedy
        if not status.startswith("5"):
            with pytest.raises(Misconfigured, match="does not answer like a Maximizer API") as wrong:
                maximizer.discover()
            assert not isinstance(wrong.value, CredentialsRefused)
        mailchimp.session.close()
        maximizer.session.close()


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
