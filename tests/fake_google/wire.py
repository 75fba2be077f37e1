"""HTTP/1.1 on a socket: reading heads and bodies, writing replies."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.client import responses

from .messages import Reply
from .state import GRAIN

BUFFER = 4 * GRAIN
LONGEST_HEAD = 256 * 1024


class Gone(Exception):
    """The other side closed the connection, or broke it."""


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


@dataclass
class Head:
    method: str
    target: str
    headers: dict[str, str]  # names in lower case


class Wire:
    """One connection, before or after TLS begins on it."""

    def __init__(self, sock: socket.socket, throttle: Throttle) -> None:
        self.sock = sock
        self.throttle = throttle
        self.rest = b""  # read, but not asked for yet

    def receive(self, view: memoryview) -> int:
        """Fill some of view; at least one byte."""
        if self.rest:
            count = min(len(view), len(self.rest))
            view[:count], self.rest = self.rest[:count], self.rest[count:]
            return count
        try:
            count = self.sock.recv_into(view)
        except OSError:
            raise Gone from None
        if not count:
            raise Gone
        return count

    def is_gone(self) -> bool:
        """Whether the other side has closed, or died."""
        if hasattr(select, "POLLRDHUP"):  # Linux tells, whatever is still unread
            poll = select.poll()
            poll.register(self.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            return bool(poll.poll(0))
        with suppress(OSError):  # of a line that the fake itself has closed meanwhile
            self.sock.setblocking(False)
            try:  # elsewhere only who has read everything can
                while piece := self.sock.recv(BUFFER):
                    self.rest += piece
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            finally:
                self.sock.setblocking(True)
        return True

    def read_until(self, mark: bytes, most: int = LONGEST_HEAD) -> bytes:
        found = bytearray()
        buffer = memoryview(bytearray(16 * 1024))
        while mark not in found:
            if len(found) > most:
                raise Gone
            found += buffer[: self.receive(buffer)]
        at = found.index(mark) + len(mark)
        self.rest = bytes(found[at:]) + self.rest
        return bytes(found[:at])

    def read_head(self) -> Head:
        """The next request's head; Gone where there comes none."""
        text = self.read_until(b"\r\n\r\n").decode("latin-1").lstrip("\r\n")
        line, *lines = text.rstrip("\r\n").split("\r\n")
        words = line.split()
        if len(words) != 3:
            raise Gone
        pairs = (entry.partition(":") for entry in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Head(words[0], words[1], headers)

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def acknowledge(self) -> None:
        """Tell the client at once that its head arrived: it may hold back the body until then."""
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def body(self, headers: dict[str, str]) -> "StreamedBody":
        if not self.rest:
            self.acknowledge()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return StreamedBody(self, None)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise Gone
        return StreamedBody(self, int(length))


class StreamedBody:
    """A request's body as it comes in."""

    def __init__(self, wire: Wire, length: int | None) -> None:
        self.wire = wire
        self.length = length
        self.taken = 0
        self.ended = length == 0

    def pieces(self) -> Iterator[memoryview]:
        """What is left, in pieces that are gone once the next is asked for.

        Of a body that breaks off, whole multiples of 256 KiB are still handed out.
        """
        while self.length is None and not self.ended:
            line = self.wire.read_until(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            yield from self._exactly(size)
            self.wire.read_until(b"\r\n")
            self.ended = size == 0
        if not self.ended:
            yield from self._exactly((self.length or 0) - self.taken)
            self.ended = True

    def _exactly(self, count: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(count, BUFFER)))
        while count:
            view = buffer[: min(count, BUFFER)]
            filled = 0
            try:
                while filled < len(view):
                    filled += self.wire.receive(view[filled:])
            except Gone:
                self.taken += filled
                yield view[: filled // GRAIN * GRAIN]
                raise
            self.wire.throttle.take(filled)
            self.taken += filled
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


def encode(reply: Reply, keep_alive: bool) -> bytes:
    body = b"" if reply.status == 204 else reply.encoded()
    lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Resume Incomplete')}"]
    lines.append(f"Date: {formatdate(usegmt=True)}")
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.status != 204:
        lines.append(f"Content-Length: {len(body)}")
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
