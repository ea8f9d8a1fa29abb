"""Ways to a simulated service: real HTTP/1.1 with kept connections on 127.0.0.1, and an adapter without sockets.

This module carries every name of the plumbing; `sandbox.door` holds what both ways share.
"""

import contextlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter

from sandbox.door import (
    Call,
    Door,
    Dropped,
    Hang,
    Refused,
    Request,
    Response,
    Service,
    Untrusted,
    control,
    html_response,
    json_response,
)

__all__ = [
    "Call",
    "Door",
    "Dropped",
    "Hang",
    "InProcess",
    "Refused",
    "Request",
    "Response",
    "Server",
    "Service",
    "Untrusted",
    "control",
    "html_response",
    "json_response",
    "serve",
]


class InProcess(BaseAdapter):
    """A `requests` adapter that hands a prepared request straight to a door, without sockets and without waiting."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        asked = Request.of(request.method or "GET", request.url or "/", dict(request.headers), body)
        try:
            answer = control(self.door, asked) or self.door.handle(asked)
        except Untrusted as error:
            text = f"certificate verify failed: {error}"
            raise requests.exceptions.SSLError(text, request=request) from None
        except Refused as error:
            raise requests.exceptions.ConnectTimeout(str(error), request=request) from None
        except Dropped as error:
            raise requests.exceptions.ConnectionError(str(error), request=request) from None
        except Hang as error:
            raise requests.exceptions.ReadTimeout(str(error), request=request) from None
        if answer.truncated:
            raise requests.exceptions.ChunkedEncodingError("the answer broke off", request=request)
        return _as_requests(answer, request)

    def close(self) -> None:
        pass


def _as_requests(answer: Response, request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(answer.headers)
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.url = request.url or ""
    response.request = request
    response.raw = BytesIO(answer.body)
    response._content = answer.body
    response._content_consumed = True  # type: ignore[attr-defined]
    return response


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave in one packet
    server: "_HTTPServer"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request.of(self.command, self.path, dict(self.headers.items()), body)
        try:
            self._send(control(self.server.door, request) or self.server.door.handle(request))
        except Dropped:
            self._cut()
        except Hang:
            self._hold()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if response.truncated:
            self.wfile.write(response.body[: len(response.body) // 2])
            self.wfile.flush()
            self._cut()
        elif self.command != "HEAD":
            self.wfile.write(response.body)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _hold(self) -> None:
        """Says nothing until the caller hangs up or the server closes."""
        self.close_connection = True
        self.connection.settimeout(0.1)
        while not self.server.closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the door keeps the list of calls."""


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, door: Door, port: int) -> None:
        self.door = door
        self.closing = threading.Event()
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that vanishes in mid-answer is everyday life here; anything else is a mistake of the sandbox."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server:
    """A running door. `url` is without a trailing slash. Use it as a context manager or call `close`."""

    def __init__(self, door: Door, port: int = 0) -> None:
        self.door = door
        self._http = _HTTPServer(door, port)
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and cuts every open connection."""
        self._http.closing.set()
        self._http.shutdown()
        self._thread.join()
        for connection in list(self._http.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def serve(door: Door, port: int = 0) -> Server:
    """Port 0 takes a free one. Raises OSError when the port is taken."""
    return Server(door, port)
