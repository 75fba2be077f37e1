"""A plain HTTP client for the fake's own tests, so that they see just what is on the wire."""

import base64
import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from . import FakeGoogle

API = "www.googleapis.com"
FILES = "/drive/v3/files"
UPLOAD = "/upload/drive/v3/files"
FOLDER = "application/vnd.google-apps.folder"
DRIVE = "https://www.googleapis.com/auth/drive"
ALL: dict[str, Any] = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
KIB = 1024
GRAIN = 256 * KIB
ZEROS = bytes(GRAIN)
UP_MULTIPART = {"uploadType": "multipart", "fields": "size"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> tuple[int, str]:
        """(status, reason) of what must be an error in Drive's form."""
        (entry,) = self.json["error"]["errors"]
        assert self.json["error"]["code"] == self.status
        return self.status, entry["reason"]


@dataclass
class Client:
    """A plain HTTP client, so that a test sees just what is on the wire."""

    google: FakeGoogle
    token: str | None = None
    connections: dict[str, http.client.HTTPSConnection] = field(default_factory=dict)
    all_of_them: ClassVar[list[http.client.HTTPSConnection]] = []

    def connect(self, host: str) -> http.client.HTTPSConnection:
        if host not in self.connections:
            context = ssl.create_default_context(cafile=self.google.ca_file)
            proxy = urlsplit(self.google.proxy)
            found = http.client.HTTPSConnection(
                proxy.hostname or "", proxy.port, context=context, timeout=5
            )
            found.set_tunnel(host, 443)
            self.connections[host] = found
            self.all_of_them.append(found)
        return self.connections[host]

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        host: str = API,
        **params: Any,
    ) -> Answer:
        if params:
            target += ("&" if "?" in target else "?") + urlencode(params)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json; charset=UTF-8"
        connection = self.connect(host)
        try:
            connection.request(method, target, body, sent | (headers or {}))
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.headers), reply.read())
        except BaseException:
            connection.close()
            raise

    # What the tests do often:

    def ids(self, count: int = 1) -> list[str]:
        found: list[str] = self.call("GET", FILES + "/generateIds", count=count).json["ids"]
        return found

    def create(self, name: str = "x", fields: str = "*", **body: Any) -> Answer:
        return self.call("POST", FILES, {"name": name, "mimeType": FOLDER} | body, fields=fields)

    def upload(self, content: bytes = b"data", fields: str = "*", **body: Any) -> Answer:
        data, kind = related({"name": "x"} | body, content)
        return self.call(
            "POST", UPLOAD, data, {"Content-Type": kind}, uploadType="multipart", fields=fields
        )

    def get(self, file_id: str, fields: str = "*", **params: Any) -> Answer:
        return self.call("GET", f"{FILES}/{file_id}", fields=fields, **params)

    def search(self, q: str = "", fields: str = "*", **params: Any) -> Answer:
        return self.call("GET", FILES, q=q, fields=fields, **params)

    def names(self, q: str = "", **params: Any) -> list[str]:
        return sorted(file["name"] for file in self.search(q, **params).json["files"])

    def update(self, file_id: str, fields: str = "*", params: Any = None, **body: Any) -> Answer:
        return self.call("PATCH", f"{FILES}/{file_id}", body, fields=fields, **(params or {}))

    def delete(self, file_id: str, **params: Any) -> Answer:
        return self.call("DELETE", f"{FILES}/{file_id}", **params)

    def copy(self, file_id: str, **body: Any) -> Answer:
        return self.call("POST", f"{FILES}/{file_id}/copy", body, fields="*")

    def share(self, file_id: str, body: Any, **params: Any) -> Answer:
        path = f"{FILES}/{file_id}/permissions"
        return self.call("POST", path, body, **({"fields": "*"} | params))

    def start(self, total: int | None, params: Any = None, **body: Any) -> Answer:
        headers = {} if total is None else {"X-Upload-Content-Length": str(total)}
        params = {"uploadType": "resumable", "fields": "*"} | (params or {})
        return self.call("POST", UPLOAD, {"name": "x"} | body, headers, **params)

    def session(self, total: int | None = None, **body: Any) -> str:
        location = self.start(total, **body).headers["Location"]
        return location.removeprefix(f"https://{API}")

    def send(self, session: str, content: bytes, start: int = 0, total: Any = "*") -> Answer:
        span = f"bytes {start}-{start + len(content) - 1}/{total}"
        return self.call("PUT", session, content, {"Content-Range": span})

    def ask(self, session: str, total: Any = "*") -> Answer:
        return self.call("PUT", session, b"", {"Content-Range": f"bytes */{total}"})

    def form(self, target: str, host: str = "oauth2.googleapis.com", **form: str) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.call("POST", target, urlencode(form).encode(), kind, host=host)


def related(metadata: Any, content: bytes) -> tuple[bytes, str]:
    """(body, its type) of a multipart upload."""
    head = b"--edge\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
    middle = b"\r\n--edge\r\nContent-Type: text/plain\r\n\r\n"
    body = head + json.dumps(metadata).encode() + middle + content + b"\r\n--edge--"
    return body, 'multipart/related; boundary="edge"'


def as_user(google: FakeGoogle, user: str) -> Client:
    return Client(google, google.token(user=user, scopes=[DRIVE])["token"])


# ---- Batches -------------------------------------------------------------------------------------


def batch(client: Client, *calls: tuple[str, str, Any], token: str | None = None) -> Answer:
    parts = []
    for number, (method, target, body) in enumerate(calls):
        text = json.dumps(body) if body is not None else ""
        lines = ["--edge", "Content-Type: application/http", f"Content-ID: <id + {number}>", ""]
        lines += [f"{method} {target} HTTP/1.1", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        parts += [*lines, "", text]
    content = "\r\n".join([*parts, "--edge--"]).encode()
    headers = {"Content-Type": "multipart/mixed; boundary=edge"}
    return client.call("POST", "/batch/drive/v3", content, headers)


def answers(answer: Answer) -> list[tuple[str, int, Any]]:
    """(Content-ID, status, JSON) of each part."""
    assert answer.status == 200, answer.content
    edge = answer.headers["Content-Type"].partition("boundary=")[2]
    found = []
    for part in answer.content.decode().split(f"--{edge}")[1:-1]:
        head, _, inner = part.partition("\r\n\r\n")
        text = inner.partition("\r\n\r\n")[2].strip()
        (content_id,) = re.findall(r"Content-ID: <(.*)>", head)
        found.append((content_id, int(inner.split()[1]), json.loads(text) if text else None))
    return found


def answers_of_status(answer: Answer) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer.content)]


# ---- Signing in ----------------------------------------------------------------------------------

REDIRECT = "http://127.0.0.1:4321/"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


def wish(google: FakeGoogle, **changes: str | None) -> dict[str, str]:
    params: dict[str, str | None] = {
        "client_id": google.credentials()["installed"]["client_id"],
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": DRIVE + ".file",
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "access_type": "offline",
    }
    return {key: value for key, value in (params | changes).items() if value is not None}


def ask(google: FakeGoogle, decision: str | None = None, **changes: str | None) -> Answer:
    """Open the consent page, or send its form."""
    client = Client(google)
    target = "/o/oauth2/auth?" + urlencode(wish(google, **changes))
    if decision is None:
        return client.call("GET", target, host="accounts.google.com")
    return client.form(target, "accounts.google.com", decision=decision)


def redirected(answer: Answer) -> dict[str, str]:
    assert answer.status == 302, answer.content
    address, _, query = answer.headers["Location"].partition("?")
    assert address == REDIRECT
    return dict(parse_qsl(query))


def exchange(google: FakeGoogle, the_code: str, **changes: str) -> Answer:
    client = google.credentials()["installed"]
    form = {
        "grant_type": "authorization_code",
        "code": the_code,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    return Client(google).form("/token", **(form | changes))


def refresh(google: FakeGoogle, token: dict[str, Any], **changes: str) -> Answer:
    form = {"grant_type": "refresh_token"} | changes
    for key in ("refresh_token", "client_id", "client_secret"):
        form.setdefault(key, token[key])
    return Client(google).form("/token", **form)


# ---- Waiting, and what goes wrong ----------------------------------------------------------------

CLOSED = (http.client.RemoteDisconnected, ssl.SSLError, ConnectionError)


def caught(action: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as found:  # noqa: PT011
        action()
    return found.value


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
