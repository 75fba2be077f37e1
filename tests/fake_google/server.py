"""Sockets: an HTTP proxy that ends TLS for Google's hosts itself, with a CA of its own."""

import atexit
import os
import select
import shutil
import socket
import socketserver
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trustme

from .messages import Call, Reply, Request
from .service import HOSTS, Service
from .state import GRAIN

# Closing sends RST. Windows has other sizes here.
LINGER_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
SMALL_BUFFER = 256 * 1024


class Gone(Exception):
    """The other side closed the connection, or broke it."""


@cache
def certificates() -> tuple[ssl.SSLContext, str]:
    """What TLS needs, and the file of the CA to trust: the same for all fakes of one process."""
    directory = tempfile.mkdtemp(prefix="fake-google-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    ca_file = os.path.join(directory, "ca.pem")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*sorted(HOSTS)).configure_cert(tls)
    return tls, ca_file


class Throttle:
    """A rate in bytes a second, shared by all who take from it."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.lock = threading.Lock()
        self.free_at = 0.0

    def take(self, count: int) -> None:
        if not self.rate:
            return
        with self.lock:
            # The time that receiving took is not to be paid for twice.
            start = max(self.free_at, time.monotonic() - 0.05)
            self.free_at = start + count / self.rate
            wait = self.free_at - time.monotonic()
        time.sleep(max(wait, 0))


class Body:
    """A request's body as it comes in. What is read of it, is read once."""

    def __init__(self, file: Any, headers: dict[str, str], throttle: Throttle) -> None:
        self.file = file
        self.throttle = throttle
        self.length = int(headers.get("content-length", "0"))
        self.in_chunks = "transfer-encoding" in headers  # of HTTP's own
        self.taken = 0  # bytes so far

    def pieces(self) -> Iterator[memoryview]:
        """What is left, in pieces that are gone once the next is asked for.

        Of a body that breaks off, whole multiples of 256 KiB are handed out.
        """
        while self.in_chunks and (size := int(self.file.readline().partition(b";")[0], 16)):
            yield from self._exactly(size)
            self.file.readline()
        if self.in_chunks:
            self.file.readline()
            self.in_chunks, self.length = False, self.taken
        yield from self._exactly(self.length - self.taken)

    def _exactly(self, count: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(count, GRAIN)))
        while count:
            view = buffer[:count]
            filled = 0
            while filled < len(view):
                try:
                    more = self.file.readinto1(view[filled:])
                except OSError:
                    more = 0
                self.taken += more
                filled += more
                if not more:
                    raise Gone
            self.throttle.take(filled)
            count -= filled
            yield view

    def read(self) -> bytes:
        found = bytearray()
        for piece in self.pieces():
            found += piece
        return bytes(found)

    def drain(self) -> None:
        for _ in self.pieces():
            pass


class Connection(BaseHTTPRequestHandler):
    """One client's, served by a thread of its own until it ends."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"
    host = ""  # Google's that it is for; "": asked directly
    busy = False

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self)

    def finish(self) -> None:
        self.server.connections.discard(self)
        with suppress(OSError, ValueError):
            super().finish()
        self.request.close()

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if host not in HOSTS or port != "443":
            self.turn_away()
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.host = host
        try:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError:
            raise Gone from None
        self.setup()
        self.close_connection = False

    def turn_away(self) -> None:
        self.server.service.strangers.append(self.path)
        self.send(Reply(403, b"This proxy leads to Google only.\n"), keep_alive=False)

    def exchange(self) -> None:
        """Answer one request."""
        if not self.host and not self.path.startswith("/"):
            self.turn_away()
            return
        self.busy = True
        call = self.call()
        headers = {name.lower(): value for name, value in self.headers.items()}
        base = f"https://{self.host}" if self.host else self.server.address
        request = Request(call, headers, Body(self.rfile, headers, self.server.throttle), base)
        self.acknowledge()
        self.server.service.log.append(call)
        try:
            reply, ending = self.server.service.answer(request, self.is_gone)
            call.sent = request.stream.taken
            if reply and ending in ("", "half"):
                # Before the client has it, and may look into the log.
                call.status, call.ended = reply.status, time.monotonic()
                self.send(reply, half=ending == "half")
            self.end(ending)
        except (Gone, ConnectionError, ssl.SSLError):
            raise Gone from None
        except BaseException as error:  # a mistake of the fake's own, or a watcher's
            self.server.service.crashes.append(error)
            raise Gone from None
        finally:
            call.sent = request.stream.taken
            call.ended = call.ended or time.monotonic()
            self.busy = False
            self.close_connection = self.close_connection or not self.server.is_listening

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = exchange

    def call(self) -> Call:
        parts = urlsplit(self.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        call = Call(self.command, self.host, parts.path, params)
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        call.token = token.strip() if kind.lower() == "bearer" else None
        return call

    def send(self, reply: Reply, keep_alive: bool = True, half: bool = False) -> None:
        body = reply.encoded()
        self.send_response_only(reply.status)
        self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(body)))
        if not keep_alive or not self.server.is_listening:
            self.send_header("Connection", "close")  # which ends it here, too
        # Both in one piece: else, the client may wait between them.
        self._headers_buffer.append(b"\r\n" + body[: len(body) // 2 if half else None])
        self.flush_headers()

    def end(self, ending: str) -> None:
        """Do with the connection what a fault wants."""
        if ending:
            self.close_connection = True
        while ending == "silence" and self.server.is_listening and not self.is_gone():
            time.sleep(0.01)
        if ending.endswith("reset"):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)

    def acknowledge(self) -> None:
        """Tell the client at once, not 40 ms later, that its head arrived.

        It may hold back the body until then.
        """
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def is_gone(self) -> bool:
        """Whether the other side has closed, or died."""
        if hasattr(select, "POLLRDHUP"):  # Linux tells, whatever is still unread
            poll = select.poll()
            poll.register(self.request, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            return bool(poll.poll(0))
        try:  # elsewhere, only if everything has been read
            readable, _, _ = select.select([self.request], [], [], 0)
            return bool(readable) and not socket.socket.recv(self.request, 1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def shut(self) -> None:
        """Wake the thread that serves, and let it end."""
        with suppress(OSError):
            # Not TLS's own, which would pull the rug from under a read in another thread.
            socket.socket.shutdown(self.request, socket.SHUT_RDWR)
        if sys.platform == "win32":  # where a read goes on until the socket is closed
            self.request.close()


class Server(socketserver.ThreadingTCPServer):
    """Takes connections from its start until it is stopped."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: Service, throttle: Throttle, port: int = 0) -> None:
        self.service = service
        self.throttle = throttle
        self.connections: set[Connection] = set()
        self.tls, self.ca_file = certificates()
        self.is_listening = True
        super().__init__(("127.0.0.1", port), Connection)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def server_bind(self) -> None:
        if self.throttle.rate:  # else the system would take megabytes at once
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        super().server_bind()

    def stop(self, at_once: bool = False) -> None:
        """Refuse connections. Those that have a request under way still get its answer."""
        self.is_listening = False
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            if at_once or not connection.busy:
                connection.shut()
        deadline = time.monotonic() + 5
        while at_once and self.connections and time.monotonic() < deadline:
            time.sleep(0.001)
        self.thread.join()

    def handle_error(self, *_: Any) -> None:
        """Of lines that break, nobody needs to know."""
