"""What passes between the layers: a request in, a reply out, and the log entry of the two."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

JSON_TYPE = "application/json; charset=UTF-8"


class Body(Protocol):
    """A request's body. It may still be on its way: what is read of it, is read once."""

    length: int | None  # None: sent in chunks of HTTP's own, so nobody knows
    taken: int  # bytes so far

    def pieces(self) -> Iterator[memoryview]: ...

    def read(self) -> bytes: ...

    def drain(self) -> None: ...


@dataclass(eq=False)
class Call:
    """One call as the log keeps it. For a batch, `parts` are the calls inside."""

    method: str
    host: str
    path: str
    params: dict[str, str]
    names: tuple[str, ...] = ("unknown",)  # the operation's, and its aliases
    status: int | None = None  # None: no answer was sent
    sent: int = 0  # bytes of the request's body that arrived
    content_bytes: int = 0  # those that are a file's content
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    token: str | None = None
    file_id: str | None = None
    fault: str | None = None  # the requested one that struck this call
    error: str | None = None  # the refusal's reason and text
    parts: list["Call"] = field(default_factory=list)

    @property
    def operation(self) -> str:
        return self.names[0]

    def __repr__(self) -> str:
        extra = "".join(f" {text}" for text in (self.fault, self.error) if text)
        return f"<{self.operation} {self.method} {self.path} {self.status}{extra}>"


class EmptyBody:
    """The body of what has none, and of a request that is at hand as a whole."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.length: int | None = len(content)
        self.taken = 0

    def pieces(self) -> Iterator[memoryview]:
        if content := self.read():
            yield memoryview(content)

    def read(self) -> bytes:
        content, self.content = self.content, b""
        self.taken += len(content)
        return content

    def drain(self) -> None:
        self.read()


@dataclass(eq=False)
class Request:
    method: str
    host: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    stream: Body
    call: Call
    params: dict[str, str] = field(default_factory=dict)
    captured: dict[str, str] = field(default_factory=dict)  # the variable parts of the path
    body: bytes = b""  # unless it is a stream
    fault: str | None = None  # one that the handler has to play itself
    base: str = ""  # "scheme://host" by which the client reached this server

    def __post_init__(self) -> None:
        self.params = dict(parse_qsl(self.query, keep_blank_values=True))
        self.call.params = self.params

    def flag(self, name: str, default: bool = False) -> bool:
        return self.params.get(name, str(default).lower()) == "true"

    @property
    def token(self) -> str | None:
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else None


@dataclass
class Reply:
    """An answer; `body` may be any JSON value, or bytes to be sent as they are."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        self.headers.setdefault("Content-Type", JSON_TYPE)
        return json.dumps(self.body, indent=1, ensure_ascii=False).encode()
