"""What passes between sockets and operations: a request in, a reply out, a log entry of both."""

import json
from dataclasses import dataclass, field
from typing import Any

JSON_TYPE = "application/json; charset=UTF-8"
HTML_TYPE = "text/html; charset=UTF-8"


@dataclass(eq=False)
class Call:
    """One call as the log keeps it."""

    method: str
    host: str
    path: str
    params: dict[str, str]
    operation: str = "unknown"
    status: int | None = None  # None: no answer was sent
    sent: int = 0  # bytes of the request's body that arrived
    content_bytes: int = 0  # those that are a file's content
    ended: float | None = None
    token: str | None = None
    file_id: str | None = None
    fault: str | None = None  # the requested one that struck this call
    error: str | None = None  # the refusal's reason and text

    def __repr__(self) -> str:
        extra = "".join(f" {text}" for text in (self.fault, self.error) if text)
        return f"<{self.operation} {self.method} {self.path} {self.status}{extra}>"


@dataclass(eq=False)
class Request:
    call: Call
    headers: dict[str, str]  # names in lower case
    stream: Any  # the body, which may still be on its way: see server.Body
    base: str  # "scheme://host" by which the client reached this server
    body: bytes = b""  # unless the operation reads the stream itself
    captured: dict[str, str] = field(default_factory=dict)  # the variable parts of the path

    @property
    def params(self) -> dict[str, str]:
        return self.call.params

    def flag(self, name: str, default: bool = False) -> bool:
        return self.params.get(name, str(default).lower()) == "true"


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
