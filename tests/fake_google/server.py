"""Sockets: an HTTP proxy that ends TLS for Google's hosts itself, with a CA of its own."""

import atexit
import os
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Self
from urllib.parse import urlsplit

import trustme

from . import routes
from .faults import Ending
from .messages import Call, Reply, Request
from .service import Service
from .wire import Gone, Head, Throttle, Wire, encode

# Closing sends RST. Windows has other sizes here.
LINGER_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
SMALL_BUFFER = 256 * 1024
UNANSWERED = {Ending.CLOSE, Ending.RESET, Ending.SILENCE}


@cache
def certificates() -> tuple[ssl.SSLContext, str]:
    """What TLS needs, and the file of the CA to trust: the same for all fakes of one process."""
    directory = tempfile.mkdtemp(prefix="fake-google-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    ca_file = os.path.join(directory, "ca.pem")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("*.googleapis.com", *sorted(routes.HOSTS)).configure_cert(tls)
    return tls, ca_file


def part(answer: bytes, ending: Ending) -> bytes:
    """What is sent of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if ending is Ending.HEAD:
        return head + b"\r\n"
    if ending is Ending.SHORT_HEAD:
        return (head + b"\r\n").partition(b"Content-Length:")[0]
    if ending is Ending.HALF:
        return answer[: len(answer) - (len(body) + 1) // 2]
    return answer


class Connection:
    """One client's, served by a thread of its own until it ends."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        self.server = server
        self.service = server.service
        self.sock = sock
        self.wire = Wire(sock, server.throttle)
        self.host = ""  # Google's that it is for; "": asked directly
        self.busy = False

    def serve(self) -> None:
        try:
            if self._open():
                while self.server.is_listening and self._exchange(self.wire.read_head()):
                    pass
        except Gone:
            pass
        except Exception as error:  # a mistake of the fake's own, or a watcher's: never swallowed
            self.service.crashes.append(error)
        finally:
            self.close()

    def _open(self) -> bool:
        """Get as far as TLS, if it is a CONNECT; whether there is more to do."""
        head = self.wire.read_head()
        if head.method != "CONNECT":
            return self._exchange(head)
        host, _, port = head.target.rpartition(":")
        if host not in routes.HOSTS or port != "443":
            self._turn_away(head.target)
            return False
        self.wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.host = host
        try:
            self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        except OSError:
            raise Gone from None
        self.wire = Wire(self.sock, self.server.throttle)
        return True

    def _turn_away(self, target: str) -> None:
        self.service.strangers.append(target)
        self.wire.send(encode(Reply(403, b"This proxy leads to Google only.\n"), False))

    def _exchange(self, head: Head) -> bool:
        """Answer one request; whether the connection goes on."""
        self.busy = True
        if not self.host and not head.target.startswith("/"):
            self._turn_away(head.target)
            return False
        request = self._request(head)
        call = request.call
        self.service.note(call)
        try:
            outcome = self.service.outcome(request, self.wire.is_gone)
            call.sent = request.stream.taken
            if outcome.reply and outcome.ending not in UNANSWERED:
                # Before the client has it, and may look into the log.
                call.status, call.ended = outcome.reply.status, time.monotonic()
            return self._end(head, outcome.reply, outcome.ending)
        finally:
            call.sent = request.stream.taken
            call.ended = call.ended or time.monotonic()
            self.busy = False

    def _request(self, head: Head) -> Request:
        parts = urlsplit(head.target)
        stream = self.wire.body(head.headers)
        call = Call(head.method, self.host, parts.path, {})
        request = Request(
            method=head.method,
            host=self.host,
            path=parts.path,
            query=parts.query,
            headers=head.headers,
            stream=stream,
            call=call,
            base=f"https://{self.host}" if self.host else self.server.address,
        )
        call.token = request.token
        return request

    def _end(self, head: Head, reply: Reply | None, ending: Ending) -> bool:
        keep_alive = head.headers.get("connection", "").lower() != "close"
        keep_alive = keep_alive and self.server.is_listening and ending is Ending.ANSWER
        if ending is Ending.SILENCE:
            self._wait_until_gone()
        if reply and ending not in UNANSWERED:
            # A reply that is to be cut looks like any other until then.
            cut = ending in (Ending.HEAD, Ending.SHORT_HEAD, Ending.HALF)
            self.wire.send(part(encode(reply, keep_alive or cut), ending))
        if ending in (Ending.RESET, Ending.EARLY):
            self.reset()
        return keep_alive

    def _wait_until_gone(self) -> None:
        while self.server.is_running and not self.wire.is_gone():
            time.sleep(0.01)

    def reset(self) -> None:
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            self.sock.close()

    def shut(self) -> None:
        """Wake the thread that serves, and let it end."""
        with suppress(OSError):
            # Not TLS's own, which would pull the rug from under a read in another thread.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        if sys.platform == "win32":  # where a read goes on until the socket is closed
            self.sock.close()

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()
        self.server.connections.discard(self)


class Server:
    def __init__(self, service: Service, bandwidth: float | None = None) -> None:
        self.service = service
        self.throttle = Throttle(bandwidth)
        self.connections: set[Connection] = set()
        self.threads: list[threading.Thread] = []
        self.is_running = False
        self.is_listening = False
        self.port = 0
        self.listening = threading.Thread()
        self.tls, self.ca_file = certificates()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.is_running = True
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_running = False
        self.stop_listening()
        for connection in list(self.connections):
            connection.shut()
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)

    def listen(self) -> None:
        """Take connections, on the same port every time."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.throttle.rate:  # else the system would take megabytes at once
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.is_listening = True
        self.listening = self._spawn(self._accept, listener)

    def stop_listening(self) -> None:
        """Refuse connections. Those that have a request under way still get its answer."""
        if not self.is_listening:
            return
        self.is_listening = False
        # No system but Linux wakes who waits for a connection when the socket is closed.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.listening.join()
        for connection in list(self.connections):
            if not connection.busy:
                connection.shut()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                sock, _ = listener.accept()
                if not self.is_listening:
                    sock.close()
                    return
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self, sock)
                self.connections.add(connection)
                self._spawn(connection.serve)

    def _spawn(self, work: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self.threads = [entry for entry in self.threads if entry.is_alive()]
        self.threads.append(thread)
        thread.start()
        return thread
