"""The fake's own tests: each names the rule that it proves, and where the rule comes from.

Sources in brackets: guides/..., reference/... are pages below
https://developers.google.com/workspace/drive/api/ ; oauth2/... below
https://developers.google.com/identity/protocols/ ; "discovery" is the document that
google-api-python-client brings along. "assumed" marks what no page settles: there the fake takes
the outcome that is the harder one for a client.
"""

import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests
from fake_google import FakeGoogle
from fake_google.faults import FAULTS, OPERATIONS, STATUS, allowed
from fake_google.messages import Call
from fake_google.state import Drive
from google.auth import crypt, jwt
from google.auth.transport import requests as google_requests
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

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


# ---- A client ------------------------------------------------------------------------------------


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


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    yield
    while Client.all_of_them:
        Client.all_of_them.pop().close()


@pytest.fixture
def client(google: FakeGoogle) -> Client:
    """One with the scope drive.file, like the script."""
    return Client(google, google.token()["token"])


@pytest.fixture
def wide(google: FakeGoogle) -> Client:
    """One that reaches all of the user's files."""
    return Client(google, google.token(scopes=[DRIVE])["token"])


def as_user(google: FakeGoogle, user: str) -> Client:
    return Client(google, google.token(user=user, scopes=[DRIVE])["token"])


# ---- Ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "given"), [(None, 10), (1, 1), (1000, 1000)])
def test_ids_are_handed_out(client: Client, count: int | None, given: int) -> None:
    """1 to 1000 ids a call, 10 by default, none twice (discovery: files.generateIds)."""
    params: dict[str, Any] = {} if count is None else {"count": count}
    ids = client.call("GET", FILES + "/generateIds", **params).json["ids"]
    assert len(set(ids)) == given


@pytest.mark.parametrize("count", ["0", "1001", "-1", "many"])
def test_wrong_number_of_ids(client: Client, count: str) -> None:
    """1 to 1000 ids a call (discovery: files.generateIds)."""
    answer = client.call("GET", FILES + "/generateIds", count=count)
    assert answer.error == (400, "invalidParameter")


def test_given_id_is_used(client: Client) -> None:
    """A file or folder gets the id that its body names (guides/create-file)."""
    first, second = client.ids(2)
    assert client.create(id=first).json["id"] == first
    assert client.upload(id=second).json["id"] == second


def test_id_in_use(google: FakeGoogle, client: Client) -> None:
    """Creating once more with the same id is a conflict, and makes nothing (guides/create-file)."""
    (given,) = client.ids()
    client.create(id=given)
    for again in (client.create(id=given), client.upload(id=given), client.start(4, id=given)):
        assert again.error == (409, "fileIdInUse")
    assert len(google.drive.children()) == 1


def test_id_is_never_used_again(client: Client) -> None:
    """An id is in use for good, whatever becomes of its file (assumed)."""
    (given,) = client.ids()
    client.create(id=given)
    client.delete(given)
    assert client.create(id=given).error == (409, "fileIdInUse")


def test_invented_id(google: FakeGoogle, client: Client) -> None:
    """An id must have been handed out, and to the same user (reference/files/generateIds)."""
    (someone_elses,) = as_user(google, "sam@example.com").ids()
    for given in ("1" + "x" * 32, someone_elses):
        assert client.create(id=given).error == (400, "invalid")


# ---- Simple uploads ------------------------------------------------------------------------------


def test_multipart(google: FakeGoogle, client: Client) -> None:
    """Metadata and content in one request (guides/manage-uploads#multipart)."""
    content = b"a\r\n--not the edge\r\n\0\xff"
    found = client.upload(content, modifiedTime="2001-02-03T04:05:06.789+01:00").json
    file = google.drive.file(found["id"])
    assert (file.content, file.how, file.mime_type) == (content, "multipart", "text/plain")
    assert found["modifiedTime"] == "2001-02-03T03:05:06.789Z"
    assert found["size"] == str(len(content))
    assert found["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert found["sha256Checksum"] == hashlib.sha256(content).hexdigest()


def test_large_multipart_is_taken(google: FakeGoogle, client: Client) -> None:
    """5 MB is advice; File.how tells whether it was heeded (guides/manage-uploads)."""
    found = client.upload(bytes(6 * KIB * KIB)).json
    assert google.drive.file(found["id"]).how == "multipart"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"data"),
        ("multipart/mixed; boundary=edge", related({}, b"data")[0]),
        ("multipart/related", related({}, b"data")[0]),
        ("multipart/related; boundary=other", related({}, b"data")[0]),
        ("multipart/related; boundary=edge", related({}, b"data")[0].removesuffix(b"--edge--")),
        ("multipart/related; boundary=edge", b"--edge\r\n\r\ndata\r\n--edge\r\n\r\n{}\r\n--edge--"),
    ],
    ids=["no multipart", "mixed", "no boundary", "wrong boundary", "no end", "no JSON first"],
)
def test_malformed_multipart(client: Client, kind: str, body: bytes) -> None:
    """multipart/related, the metadata first (guides/manage-uploads#multipart)."""
    headers = {"Content-Type": kind}
    answer = client.call("POST", UPLOAD, body, headers, uploadType="multipart", fields="id")
    assert answer.error == (400, "badRequest")


def test_media(google: FakeGoogle, client: Client) -> None:
    """Content alone, without metadata (guides/manage-uploads#simple)."""
    headers = {"Content-Type": "text/css"}
    answer = client.call("POST", UPLOAD, b"data", headers, uploadType="media", fields="*")
    file = google.drive.file(answer.json["id"])
    assert (file.name, file.mime_type, file.content) == ("Untitled", "text/css", b"data")


def test_chunked_request(client: Client) -> None:
    """HTTP's own chunks are fine for what is no resumable upload (RFC 9112, section 7.1)."""
    body, kind = related({"name": "x"}, b"data")
    answer = client.call(
        "POST", UPLOAD, iter([body[:50], body[50:]]), {"Content-Type": kind}, **UP_MULTIPART
    )
    assert answer.json["size"] == "4"


# ---- Resumable uploads ---------------------------------------------------------------------------


def test_session_address(client: Client) -> None:
    """The start is answered with a secret address, a new one each time (guides/manage-uploads)."""
    addresses = {client.session(4) for _ in range(3)}
    ids = {dict(parse_qsl(urlsplit(address).query))["upload_id"] for address in addresses}
    assert len(ids) == 3
    assert ids <= set(client.google.secrets())


def test_in_chunks(google: FakeGoogle, client: Client) -> None:
    """308 and Range until the last chunk, which brings the file (guides/manage-uploads)."""
    session = client.session(3 * GRAIN + 5, name="big", mimeType="text/x")
    first = client.send(session, ZEROS * 2, 0, 3 * GRAIN + 5)
    assert (first.status, first.headers["Range"]) == (308, f"bytes=0-{2 * GRAIN - 1}")
    last = client.send(session, ZEROS + b"12345", 2 * GRAIN, 3 * GRAIN + 5)
    file = google.drive.file(last.json["id"])
    assert last.json["md5Checksum"] == hashlib.md5(ZEROS * 3 + b"12345").hexdigest()
    assert last.json["sha256Checksum"] == hashlib.sha256(ZEROS * 3 + b"12345").hexdigest()
    assert (file.name, file.how, file.mime_type) == ("big", "resumable", "text/x")
    assert file.content == ZEROS * 3 + b"12345"


@pytest.mark.parametrize("size", [0, 1, 1000, GRAIN])
def test_in_one_request(google: FakeGoogle, client: Client, size: int) -> None:
    """All the content at once needs no Content-Range (guides/manage-uploads#single)."""
    answer = client.call("PUT", client.session(size), bytes(size))
    assert google.drive.file(answer.json["id"]).size == size


def test_total_may_come_last(client: Client) -> None:
    """The total may be unknown, "*", until the last chunk (guides/manage-uploads)."""
    session = client.session()
    assert client.send(session, ZEROS).status == 308
    assert client.send(session, b"end", GRAIN, GRAIN + 3).json["size"] == str(GRAIN + 3)


def test_content_that_is_not_kept(google: FakeGoogle, client: Client) -> None:
    """Above 16 MiB the fake keeps size and digests only; of copies as well."""
    content = bytes(range(256)) * (17 * 4 * KIB)
    found = client.call("PUT", client.session(len(content)), content).json
    file = google.drive.file(found["id"])
    assert (file.content, file.size) == (None, len(content))
    assert file.md5 == hashlib.md5(content).hexdigest()
    digest = hashlib.sha256(content).hexdigest()
    assert client.copy(file.id).json["sha256Checksum"] == file.sha256 == digest


@pytest.mark.parametrize("size", [1, GRAIN - 1, GRAIN + 1])
def test_chunk_of_odd_size(client: Client, size: int) -> None:
    """All chunks but the last are multiples of 256 KiB (guides/manage-uploads)."""
    session = client.session(4 * GRAIN)
    assert client.send(session, bytes(size), 0, 4 * GRAIN).error == (400, "badRequest")
    assert "Range" not in client.ask(session).headers


@pytest.mark.parametrize(
    ("start", "total"),
    [(GRAIN + 1, 4 * GRAIN), (2 * GRAIN, 4 * GRAIN), (GRAIN, 4 * GRAIN + 1)],
    ids=["byte left out", "chunk left out", "other total"],
)
def test_chunk_that_does_not_fit(client: Client, start: int, total: int) -> None:
    """A chunk goes on from what has arrived, towards one total (guides/manage-uploads)."""
    session = client.session(4 * GRAIN)
    client.send(session, ZEROS, 0, 4 * GRAIN)
    assert client.send(session, ZEROS, start, total).error == (400, "badRequest")


def test_chunk_beyond_the_total(client: Client) -> None:
    """An upload ends at its total (guides/manage-uploads)."""
    session = client.session(GRAIN + 1)
    client.send(session, ZEROS, 0, GRAIN + 1)
    assert client.send(session, ZEROS, GRAIN, GRAIN + 1).error == (400, "badRequest")


@pytest.mark.parametrize("text", ["bytes 0-", "bytes 5-4/9", "chunks 0-1/2", "bytes 0-262142/9"])
def test_malformed_range(client: Client, text: str) -> None:
    """Content-Range must be one, and agree with Content-Length (RFC 9110, section 14.4)."""
    answer = client.call("PUT", client.session(), ZEROS, {"Content-Range": text})
    assert answer.error == (400, "badRequest")


def test_bytes_sent_again_are_passed_over(google: FakeGoogle, client: Client) -> None:
    """A chunk may begin before what has arrived (assumed, as storage-testbench has it)."""
    content = bytes(range(256)) * (3 * KIB)
    session = client.session(len(content))
    client.send(session, content[: 2 * GRAIN], 0, len(content))
    found = client.send(session, content[GRAIN:], GRAIN, len(content)).json
    assert google.drive.file(found["id"]).content == content


def test_status_query(client: Client) -> None:
    """How much has arrived: 308 with a Range, none for nothing (guides/manage-uploads#resume)."""
    session = client.session(2 * GRAIN)
    nothing = client.ask(session)
    assert (nothing.status, nothing.headers.get("Range")) == (308, None)
    client.send(session, ZEROS, 0, 2 * GRAIN)
    assert client.ask(session, 2 * GRAIN).headers["Range"] == f"bytes=0-{GRAIN - 1}"


def test_status_query_after_the_end(client: Client) -> None:
    """Then the answer is the file once more (guides/manage-uploads#resume)."""
    session = client.session(4)
    found = client.call("PUT", session, b"data").json
    assert client.ask(session, 4).json == found
    assert client.call("PUT", session, b"data").json == found


def test_unknown_session(client: Client) -> None:
    """404: the upload has to begin again (guides/manage-uploads)."""
    session = f"{UPLOAD}?uploadType=resumable&fields=id&upload_id=guessed"
    assert client.call("PUT", session, b"data").error == (404, "notFound")


def test_session_metadata_is_checked_at_once(client: Client) -> None:
    """What can't be created is refused before its content is sent (assumed)."""
    assert client.start(4, parents=["nowhere"]).error == (404, "notFound")
    assert client.start(4, params={"fields": "bogus"}).error == (400, "invalidParameter")
    headers = {"Content-Type": "text/plain"}
    answer = client.call("POST", UPLOAD, b"{}", headers, uploadType="resumable", fields="id")
    assert answer.error == (400, "badRequest")


def test_id_taken_while_uploading(client: Client) -> None:
    """Then the conflict comes at the end (assumed)."""
    (given,) = client.ids()
    sessions = [client.session(4, id=given) for _ in range(2)]
    assert client.call("PUT", sessions[0], b"data").status == 200
    assert client.call("PUT", sessions[1], b"data").error == (409, "fileIdInUse")


def test_address_alone_authorises(google: FakeGoogle, client: Client) -> None:
    """A session needs no token, but a bad one is refused (assumed)."""
    session = client.session(4)
    assert Client(google, "bad").call("PUT", session, b"data").error == (401, "authError")
    assert Client(google).call("PUT", session, b"data").status == 200


def test_what_arrived_before_a_break_is_kept(google: FakeGoogle, client: Client) -> None:
    """In multiples of 256 KiB (guides/manage-uploads#resume: never count on the whole chunk)."""
    session = client.session(4 * GRAIN)
    breaking = Client(google, client.token)
    connection = breaking.connect(API)
    connection.putrequest("PUT", session)
    connection.putheader("Content-Length", str(4 * GRAIN))
    connection.endheaders()
    connection.send(ZEROS + b"some more")
    socket.socket.shutdown(connection.sock, socket.SHUT_WR)
    wait_for(lambda: any(call.ended for call in google.calls("upload.chunk")))
    assert client.ask(session).headers["Range"] == f"bytes=0-{GRAIN - 1}"


def test_short_body_is_waited_for(google: FakeGoogle, client: Client) -> None:
    """Fewer bytes than Content-Length: the server waits for the rest (RFC 9112, section 6.2)."""
    connection = client.connect(API)
    connection.putrequest("PUT", client.session(4))
    connection.putheader("Content-Length", "4")
    connection.endheaders(b"da")
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert google.drive.children() == []


def test_new_content(google: FakeGoogle, client: Client) -> None:
    """PATCH replaces a file's content, by any of the protocols (guides/manage-uploads)."""
    file = google.drive.add_file("old", b"before")
    before, target = file.modified, f"{UPLOAD}/{file.id}"
    client.call("PATCH", target, b"media", {}, uploadType="media", fields="id")
    assert file.content == b"media"
    assert file.modified > before  # (google-drive-mock)
    body, kind = related({"name": "new"}, b"multipart")
    params = {"uploadType": "multipart", "fields": "id"}
    client.call("PATCH", target, body, {"Content-Type": kind}, **params)
    assert (file.name, file.content) == ("new", b"multipart")
    answer = client.call("PATCH", target, {}, uploadType="resumable", fields="id")
    client.call("PUT", answer.headers["Location"].removeprefix(f"https://{API}"), b"resumed")
    assert (file.content, len(google.drive.children())) == (b"resumed", 1)


# ---- What a request may hold ---------------------------------------------------------------------


def test_unknown_parameter(client: Client) -> None:
    """Parameters are those of the discovery document; Google ignores others, the fake does not."""
    assert client.search(supportsAllDisks="true").error == (400, "badRequest")
    assert client.get("x", sendNotificationEmail="false").error == (400, "badRequest")
    assert client.search(supportsAllDrives="True").error == (400, "invalidParameter")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"title": "x"}, (400, "badRequest")),
        ({"name": ["x"]}, (400, "invalid")),
        ({"md5Checksum": "0"}, (403, "fieldNotWritable")),
        ({"modifiedTime": "yesterday"}, (400, "invalid")),
        ({"parents": ["root", "root"]}, (400, "invalid")),
        ({"mimeType": "application/vnd.google-apps.document"}, (400, "invalid")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_metadata(client: Client, body: Any, error: tuple[int, str]) -> None:
    """Fields are the File resource's, by name and type (discovery); one parent (guides/folder)."""
    assert client.create(**body).error == error
    assert client.upload(**body).error == error


def test_malformed_body(client: Client) -> None:
    for body in (b"{", b"[]"):
        assert client.call("POST", FILES, body, fields="id").error == (400, "parseError")


@pytest.mark.parametrize(
    "fields", ["bogus", "id,", "id)", "files(id)", "capabilities(canFly)", "("]
)
def test_wrong_fields(client: Client, fields: str) -> None:
    """Partial responses name fields that there are (guides/fields-parameter)."""
    assert client.create(fields=fields).error == (400, "invalidParameter")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("name", {"name": "x"}),
        ("name , mimeType", {"name": "x", "mimeType": FOLDER}),
        ("capabilities/canTrash", {"capabilities": {"canTrash": True}}),
        ("capabilities(canTrash,canCopy)", {"capabilities": {"canTrash": True, "canCopy": False}}),
        ("owners(me)", {"owners": [{"me": True}]}),
        ("md5Checksum,size", {}),
    ],
)
def test_partial_response(client: Client, fields: str, expected: Any) -> None:
    """Just what was asked for, as far as there is any (guides/fields-parameter)."""
    assert client.create(fields=fields).json == expected


def test_fields_are_demanded(google: FakeGoogle, client: Client) -> None:
    """Our rule: without, four keys are all one gets. about.get always demands them (discovery)."""
    about = "/drive/v3/about"
    assert client.call("GET", about).error == (400, "required")
    assert client.call("GET", FILES).error == (400, "required")
    google.world.strict_fields = False
    assert client.call("POST", FILES, {"name": "x"}).json.keys() == {
        "kind",
        "id",
        "name",
        "mimeType",
    }
    assert client.call("GET", about).error == (400, "required")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/drive/v2/files"), ("PUT", FILES + "/x"), ("POST", UPLOAD), ("PUT", UPLOAD)],
)
def test_unknown_path(google: FakeGoogle, client: Client, method: str, path: str) -> None:
    """404, and noted."""
    assert client.call(method, path, b"").status == 404
    (call,) = google.unknown
    assert (call.method, call.path, call.operation) == (method, path, "unknown")
    google.unknown.clear()


def test_get_in_a_post(google: FakeGoogle, client: Client) -> None:
    """What is too long for an address comes as a form (googleapiclient/http.py: MAX_URI_LENGTH)."""
    google.drive.add_file("x", b"")
    headers = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"q": "name = 'x'", "fields": "files(name)"}).encode()
    assert client.call("POST", FILES, body, headers).json == {"files": [{"name": "x"}]}
    assert google.log[-1].operation == "files.list"


# ---- Who may do what -----------------------------------------------------------------------------


def revoked(google: FakeGoogle) -> str:
    token = google.token()
    google.revoke(token, access=True)
    return str(token["token"])


@pytest.mark.parametrize(
    "token",
    [
        lambda google: None,
        lambda google: "ya29.invented",
        lambda google: google.token(expires_in=-1)["token"],
        lambda google: google.token()["refresh_token"],
        revoked,
    ],
    ids=["none", "invented", "expired", "a refresh token", "revoked"],
)
def test_bad_token(google: FakeGoogle, token: Callable[[FakeGoogle], str | None]) -> None:
    """401 authError, with WWW-Authenticate (guides/handle-errors; RFC 6750, section 3)."""
    answer = Client(google, token(google)).search()
    assert answer.error == (401, "authError")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_revoking_a_refresh_token_leaves_the_access_token(google: FakeGoogle) -> None:
    """Unless it is asked for: access tokens live on until they expire (assumed)."""
    token = google.token()
    google.revoke(token)
    assert Client(google, token["token"]).search().status == 200


def test_scope_that_does_not_suffice(google: FakeGoogle, client: Client) -> None:
    """403 insufficientPermissions, with the reason once more in details (guides/handle-errors)."""
    narrow = Client(google, google.token(scopes=[DRIVE + ".readonly"])["token"])
    for answer in (client.call("GET", "/drive/v3/drives", fields="*"), narrow.create()):
        assert answer.error == (403, "insufficientPermissions")
        (detail,) = answer.json["error"]["details"]
        assert detail["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


def test_drive_file_sees_only_what_the_app_made(
    google: FakeGoogle, client: Client, wide: Client
) -> None:
    """The scope drive.file does not reach the user's other files (guides/api-specific-auth)."""
    other = google.drive.add_file("other", b"", app=False)
    google.drive.add_file("own", b"")
    assert client.names() == ["own"]
    assert wide.names() == ["other", "own"]
    for answer in (client.get(other.id), client.copy(other.id), client.delete(other.id)):
        assert answer.error == (404, "notFound")


def test_root_under_drive_file(google: FakeGoogle, client: Client, wide: Client) -> None:
    """files.get("root") is 404, its text holds the id; as a parent root will do (rclone's code)."""
    answer = client.get("root")
    assert answer.error == (404, "notFound")
    assert google.drive.root_id in answer.json["error"]["message"]
    assert client.create(parents=["root"]).json["parents"] == [google.drive.root_id]
    assert client.create().json["parents"] == [google.drive.root_id]
    assert len(client.names("'root' in parents")) == 2
    assert wide.get("root").json["id"] == google.drive.root_id


def test_unknown_parent(google: FakeGoogle, client: Client) -> None:
    """404, and its text names no id; likewise where the app can't see it (issue trackers)."""
    hidden = google.drive.add_folder("by hand", app=False)
    for parent in ("nowhere", hidden.id):
        for answer in (
            client.create(parents=[parent]),
            client.upload(parents=[parent]),
            client.search(f"'{parent}' in parents"),
        ):
            assert answer.error == (404, "notFound")
            assert answer.json["error"]["message"] == "File not found: ."


def test_parent_that_is_none(google: FakeGoogle, client: Client) -> None:
    """A file is no folder; one in the trash is one still (assumed)."""
    file, folder = google.drive.add_file("file", b""), google.drive.add_folder("folder")
    google.drive.trash(folder.id)
    assert client.create(parents=[file.id]).error == (403, "parentNotAFolder")
    assert client.create(parents=[folder.id]).json["trashed"] is True


def test_parent_that_is_read_only(google: FakeGoogle, wide: Client) -> None:
    folder = google.drive.add_folder("theirs", owner="sam@example.com")
    google.drive.share(folder.id, "user", "reader", email=google.user)
    folder.parents = [google.drive.root("sam@example.com")]
    assert wide.create(parents=[folder.id]).error == (403, "insufficientParentPermissions")


def test_someone_elses_files(google: FakeGoogle, wide: Client) -> None:
    """Only its owner may trash or delete a file of My Drive (guides/delete)."""
    file = google.drive.add_file("theirs", b"", owner="sam@example.com")
    can = wide.get(file.id, "capabilities(canTrash,canDelete,canRename)").json["capabilities"]
    assert can == {"canTrash": False, "canDelete": False, "canRename": True}
    assert wide.update(file.id, trashed=True).error == (403, "insufficientFilePermissions")
    assert wide.delete(file.id).error == (403, "insufficientFilePermissions")
    assert wide.update(file.id, name="renamed").status == 200
    assert wide.get(file.id, "ownedByMe,owners(emailAddress)").json == {
        "ownedByMe": False,
        "owners": [{"emailAddress": "sam@example.com"}],
    }


def test_files_of_strangers_are_not_there(google: FakeGoogle, wide: Client) -> None:
    file = google.drive.add_file("mine", b"")
    stranger = as_user(google, "sam@example.com")
    assert stranger.get(file.id).error == (404, "notFound")
    assert stranger.names() == []


# ---- Lists ---------------------------------------------------------------------------------------


def test_names_and_case(google: FakeGoogle, client: Client) -> None:
    """`name =` takes upper and lower case for the same (rclone's code)."""
    for name in ("Backup", "BACKUP", "Backup 2"):
        google.drive.add_folder(name)
    assert client.names("name = 'bACKUP'") == ["BACKUP", "Backup"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("name = 'it\\'s a \\\\ b'", ["it's a \\ b"]),
        ("name != 'one'", ["it's a \\ b", "two words", "gone"]),
        ("name contains 'wor'", ["two words"]),
        ("name contains 'ords'", []),
        ("mimeType = 'text/plain'", ["one"]),
        ("mimeType contains 'text/'", ["one"]),
        ("trashed = false", ["it's a \\ b", "one", "two words"]),
        ("trashed=true", ["gone"]),
        ("starred = true", []),
        ("not trashed = true and (name = 'one' or name = 'gone')", ["one"]),
        ("name = 'gone' or name = 'one' and trashed = true", ["gone"]),
        ("trashed = true and name = 'one' or name = 'gone'", ["gone"]),
        ("'root' in parents and name = 'one'", ["one"]),
        ("'me' in owners and name = 'one'", ["one"]),
        ("'sam@example.com' in owners", []),
        ("modifiedTime > '2020-01-01T00:00:00' and name='one'", []),
        ("modifiedTime <= '2020-01-01T00:00:00Z'", ["one"]),
        ("", ["gone", "it's a \\ b", "one", "two words"]),
    ],
)
def test_queries(google: FakeGoogle, client: Client, q: str, found: list[str]) -> None:
    """What queries mean; trashed files are found like others (guides/ref-search-terms).

    "and" binds closer than "or" (assumed; that both go without brackets: google-drive-mock).
    """
    old = "2001-01-01T00:00:00.000Z"
    google.drive.add_file("one", b"", mime_type="text/plain", modified=old)
    for name in ("two words", "it's a \\ b", "gone"):
        google.drive.add_file(name, b"")
    google.drive.trash(google.drive.children()[-1].id)
    assert client.names(q) == sorted(found)


@pytest.mark.parametrize(
    "q",
    [
        "name = 'it's'",
        'name = "x"',
        "name",
        "title = 'x'",
        "name = x",
        "name < 'x'",
        "trashed = maybe",
        "trashed = 'false'",
        "(name = 'x'",
        "name = 'x')",
        "name = 'x' name = 'y'",
        "name = 'x' and",
        "'root' in folders",
        "modifiedTime > 'yesterday'",
    ],
)
def test_wrong_query(client: Client, q: str) -> None:
    """400 invalid (guides/ref-search-terms)."""
    assert client.search(q).error == (400, "invalid")


def test_pages(google: FakeGoogle, client: Client) -> None:
    """A page holds 100 entries or what pageSize says; a token leads on (guides/search-files)."""
    for number in range(250):
        google.drive.add_folder(str(number))
    first = client.search().json
    second = client.search(pageToken=first["nextPageToken"], pageSize=1000).json
    assert (len(first["files"]), len(second["files"])) == (100, 150)
    assert "nextPageToken" not in second
    assert len({file["id"] for file in first["files"] + second["files"]}) == 250
    assert len(client.search(pageSize=1001).json["files"]) == 250


def test_unasked_page_token(google: FakeGoogle, client: Client) -> None:
    """A token that `fields` leaves out is missing: the list just ends (discovery: FileList)."""
    for name in "ab":
        google.drive.add_folder(name)
    assert client.search(fields="files(name)", pageSize=1).json.keys() == {"files"}


def test_page_token_of_another_query(google: FakeGoogle, client: Client) -> None:
    """A token is good for its own query only (discovery: files.list)."""
    for name in "ab":
        google.drive.add_folder(name)
    token = client.search("trashed = false", pageSize=1).json["nextPageToken"]
    assert client.search("", pageToken=token).error == (400, "invalid")
    assert client.search("trashed = false", pageToken="invented").error == (400, "invalid")
    assert client.search("trashed = false", pageToken=token).status == 200


@pytest.mark.parametrize("size", ["0", "-1", "x"])
def test_wrong_page_size(client: Client, size: str) -> None:
    """At least 1 (discovery: files.list)."""
    assert client.search(pageSize=size).error == (400, "invalidParameter")


def test_order(google: FakeGoogle, client: Client) -> None:
    """Entries come in the order that is asked for (discovery: files.list)."""
    for name in ("b", "a", "c"):
        google.drive.add_file(name, b"")
    orders = {"name": "abc", "name asc": "abc", "name desc": "cba", "createdTime": "bac"}
    for order, expected in orders.items():
        files = client.search(orderBy=order).json["files"]
        assert "".join(file["name"] for file in files) == expected
    for wrong in ("colour", "name up"):
        assert client.search(orderBy=wrong).error == (400, "invalid")


def test_queries_by_name_lag(google: FakeGoogle, client: Client) -> None:
    """Lists by parent, and get by id, know what is new; queries by name never (kopia issue 90)."""
    old = google.drive.add_folder("old")
    client.create("new")
    client.update(old.id, name="renamed")
    assert client.names("'root' in parents") == client.names() == ["new", "renamed"]
    assert client.get(old.id).json["name"] == "renamed"
    google.drive.pass_time(1e6)
    for q, found in {
        "name = 'old'": ["renamed"],
        "name = 'renamed' or name = 'new'": [],
        "name contains 'new'": [],
        "name != 'old'": [],
        "not name = 'old'": [],
        "'root' in parents and (trashed = true or not name contains 'x')": ["renamed"],
    }.items():
        assert client.names(q) == found, q


def test_lag_of_names(google: FakeGoogle, client: Client) -> None:
    """A creation or a new name shows in queries by name when the lag is over (assumed)."""
    google.drive.name_lag = 60
    client.create("new")
    google.drive.rename(google.drive.add_folder("old").id, "renamed")
    google.drive.pass_time(30)
    assert client.names("name = 'new' or name = 'renamed'") == []
    google.drive.pass_time(30)
    assert client.names("name = 'new' or name = 'renamed'") == ["new", "renamed"]
    assert client.names("name = 'old'") == []


def test_no_lag(google: FakeGoogle, client: Client) -> None:
    google.drive.name_lag = 0
    client.update(client.create("old").json["id"], name="new")
    assert (client.names("name = 'new'"), client.names("name = 'old'")) == (["new"], [])


def test_what_is_gone_is_found_no_more(google: FakeGoogle, client: Client) -> None:
    """Only names lag: trashed and deleted is so at once, also for queries by name (assumed)."""
    trashed, deleted = google.drive.add_folder("x"), google.drive.add_folder("x")
    client.update(trashed.id, trashed=True)
    client.delete(deleted.id)
    assert client.names("name = 'x' and trashed = false") == []
    assert client.names("name = 'x'") == ["x"]


# ---- Changing and removing -----------------------------------------------------------------------


def test_rename(google: FakeGoogle, client: Client) -> None:
    """An update changes what it names, and nothing else (reference/files/update)."""
    folder = google.drive.add_folder("before", starred=True)
    found = client.update(folder.id, name="after").json
    assert (found["name"], found["starred"], found["createdTime"]) == (
        "after",
        True,
        folder.created,
    )


def test_app_properties(google: FakeGoogle, client: Client) -> None:
    """An update changes those that it names; null removes one (guides/properties)."""
    (given,) = client.ids()
    made = client.create(id=given, appProperties={"a": "1", "b": "2"})
    assert made.json["appProperties"] == {"a": "1", "b": "2"}
    client.update(given, appProperties={"a": None, "b": "3", "c": "4"})
    client.update(given, name="renamed")
    assert client.get(given, "appProperties").json == {"appProperties": {"b": "3", "c": "4"}}
    listed = client.search("'root' in parents", "files(appProperties)").json["files"]
    assert listed == [{"appProperties": {"b": "3", "c": "4"}}]
    for wrong in ({"a": 1}, {"a": ["x"]}, "text"):
        assert client.create(appProperties=wrong).error == (400, "invalid")
    marked = google.drive.add_folder("marked", mark={"a": "1"})
    assert client.get(marked.id).json["appProperties"] == {"a": "1"}


def test_copy_takes_properties_along(client: Client) -> None:
    """A copy is the source, patched (reference/files/copy; assumed for appProperties)."""
    source = client.upload(appProperties={"a": "1", "b": "2"}).json["id"]
    copied = client.copy(source, appProperties={"b": "3"}).json
    assert copied["appProperties"] == {"a": "1", "b": "3"}


@pytest.mark.parametrize("body", [{"parents": ["root"]}, {"id": "x"}, {"size": "1"}])
def test_what_no_update_may_write(google: FakeGoogle, client: Client, body: Any) -> None:
    """Moving goes by addParents; ids stay (reference/files/update)."""
    folder = google.drive.add_folder("x")
    assert client.update(folder.id, **body).error == (403, "fieldNotWritable")


def test_move(google: FakeGoogle, client: Client) -> None:
    """A file has one parent: addParents moves it, with removeParents or without (guides/folder,
    google-drive-mock)."""
    folder, file = google.drive.add_folder("folder"), google.drive.add_file("file", b"")
    both = {"addParents": folder.id, "removeParents": google.drive.root_id}
    back = {"addParents": google.drive.root_id}
    for params, parent in ((both, folder.id), (back, google.drive.root_id)):
        assert client.update(file.id, params=params).json["parents"] == [parent]
    assert client.update(folder.id, params=both).error == (403, "forbidden")


def test_trash(google: FakeGoogle, client: Client) -> None:
    """What is in a trashed folder is trashed too, though not explicitly (guides/delete)."""
    folder = google.drive.add_folder("folder")
    file = google.drive.add_file("file", b"12345", folder.id)
    client.update(folder.id, trashed=True)
    flags = "trashed,explicitlyTrashed"
    assert client.get(folder.id, flags).json == {"trashed": True, "explicitlyTrashed": True}
    assert client.get(file.id, flags).json == {"trashed": True, "explicitlyTrashed": False}
    assert google.drive.usage_in_trash == google.drive.usage == 5
    client.update(folder.id, trashed=False)
    assert google.drive.everything() == [("folder", [("file", b"12345")])]


def test_delete(google: FakeGoogle, client: Client) -> None:
    """At once and for good, with an empty 204; after that it is 404 (guides/delete)."""
    folder = google.drive.add_folder("folder")
    google.drive.add_file("file", b"", google.drive.add_folder("sub", folder.id).id)
    answer = client.delete(folder.id)
    assert (answer.status, answer.content) == (204, b"")
    assert len(google.drive.files) == 1
    assert client.delete(folder.id).error == (404, "notFound")


def test_delete_spares_what_others_own(google: FakeGoogle, client: Client) -> None:
    """A folder takes along what its owner owns; the rest goes to its owners (guides/delete)."""
    folder = google.drive.add_folder("folder")
    google.drive.add_file("mine", b"", folder.id, app=False)
    theirs = google.drive.add_file("theirs", b"", folder.id, owner="sam@example.com")
    client.delete(folder.id)
    assert google.drive.everything() == []
    assert theirs.parents == [google.drive.root("sam@example.com")]


@pytest.mark.parametrize(("may_trash", "may_delete"), [(False, True), (True, False)])
def test_what_nobody_may(
    google: FakeGoogle, client: Client, may_trash: bool, may_delete: bool
) -> None:
    """Capabilities may be missing even to the owner (discovery: File.capabilities)."""
    folder = google.drive.add_folder("x", can_trash=may_trash, can_delete=may_delete)
    can = client.get(folder.id, "capabilities(canTrash,canDelete)").json["capabilities"]
    assert can == {"canTrash": may_trash, "canDelete": may_delete}
    assert client.update(folder.id, trashed=True).status == (200 if may_trash else 403)
    assert client.delete(folder.id).status == (204 if may_delete else 403)


def test_root_stays(google: FakeGoogle, wide: Client) -> None:
    """My Drive itself can be neither renamed, trashed nor deleted (discovery: File.name)."""
    for answer in (
        wide.update("root", name="x"),
        wide.update("root", trashed=True),
        wide.delete("root"),
    ):
        assert answer.error == (403, "insufficientFilePermissions")


# ---- Copies --------------------------------------------------------------------------------------


def test_copy(google: FakeGoogle, client: Client) -> None:
    """The same bytes; what the body does not name is the source's (reference/files/copy)."""
    place, folder = google.drive.add_folder("place"), google.drive.add_folder("folder")
    source = google.drive.add_file("source", b"data", place.id, mime_type="text/x")
    (given,) = client.ids()
    found = client.copy(source.id, id=given, parents=[folder.id]).json
    assert (found["id"], found["name"], found["md5Checksum"]) == (given, "source", source.md5)
    copied = google.drive.file(given)
    assert (copied.how, copied.content, copied.mime_type) == ("copy", b"data", "text/x")
    assert copied.modified == source.modified
    assert client.copy(source.id, name="beside").json["parents"] == [place.id]
    assert client.copy(source.id, id=given).error == (409, "fileIdInUse")


def test_copy_takes_no_sharing_along(google: FakeGoogle, client: Client) -> None:
    """Its permissions are those of the folder that it is put into (guides/create-file)."""
    source, folder = google.drive.add_file("source", b""), google.drive.add_folder("folder")
    google.drive.share(source.id, "anyone", "reader")
    google.drive.share(folder.id, "user", "writer", email="sam@example.com")
    copied = google.drive.file(client.copy(source.id, parents=[folder.id]).json["id"])
    assert {p.email: p.inherited for p in copied.permissions if p.role != "owner"} == {
        "sam@example.com": True
    }


def test_what_can_not_be_copied(google: FakeGoogle, client: Client) -> None:
    """Folders (guides/create-file), and what the test says."""
    folder, file = google.drive.add_folder("folder"), google.drive.add_file("file", b"")
    assert client.copy(folder.id).error == (403, "cannotCopyFile")
    google.drive.refuse_copy(file.id, "404-notFound")
    assert client.copy(file.id).error == (404, "notFound")
    with pytest.raises(KeyError):
        google.drive.refuse_copy(file.id, "403-noSuchReason")


# ---- Storage, limits -----------------------------------------------------------------------------


def test_full_drive(google: FakeGoogle, client: Client) -> None:
    """Whatever brings bytes is refused, trash counts, deleting helps (guides/handle-errors)."""
    google.drive.quota_limit = 10
    file = google.drive.add_file("file", b"12345")
    for answer in (client.upload(b"123456"), client.start(6)):
        assert answer.error == (403, "storageQuotaExceeded")
    session = client.session()
    assert client.call("PUT", session, b"123456").error == (403, "storageQuotaExceeded")
    assert client.copy(file.id).status == 200
    assert client.copy(file.id).error == (403, "storageQuotaExceeded")
    assert client.create().status == 200
    google.drive.trash(file.id)
    assert client.upload(b"1").error == (403, "storageQuotaExceeded")
    client.delete(file.id)
    assert client.upload(b"1").status == 200


@pytest.mark.parametrize("limit", [None, 1000])
def test_about(google: FakeGoogle, client: Client, limit: int | None) -> None:
    """Numbers are texts; without a limit there is no such key (reference/about)."""
    google.drive.quota_limit, google.drive.usage_elsewhere = limit, 7
    google.drive.trash(google.drive.add_file("x", b"123").id)
    found = client.call("GET", "/drive/v3/about", fields="user(emailAddress,me),storageQuota").json
    quota = {"usage": "10", "usageInDrive": "3", "usageInDriveTrash": "3"}
    assert found["storageQuota"] == quota | ({"limit": "1000"} if limit else {})
    assert found["user"] == {"emailAddress": google.user, "me": True}


def test_too_many_writes(google: FakeGoogle, client: Client) -> None:
    """Above the rate 403 userRateLimitExceeded, for writes only (guides/limits)."""
    google.drive.write_limit = 3
    assert [client.create().status for _ in range(4)] == [200, 200, 200, 403]
    assert client.create().error == (403, "userRateLimitExceeded")
    assert client.search().status == 200


# ---- Sharing -------------------------------------------------------------------------------------

SAM = {"type": "user", "role": "reader", "emailAddress": "sam@example.com"}


def test_share(google: FakeGoogle, client: Client) -> None:
    """A permission lets its holder in, to what is below as well (guides/manage-sharing)."""
    folder = google.drive.add_folder("folder")
    file = google.drive.add_file("file", b"", folder.id)
    assert client.get(folder.id).json["shared"] is False
    assert client.share(folder.id, SAM, sendNotificationEmail="false").json["role"] == "reader"
    assert client.get(file.id).json["shared"] is True
    sam = as_user(google, "sam@example.com")
    assert sam.get(file.id).status == 200
    assert sam.update(file.id, name="x").error == (403, "insufficientFilePermissions")
    assert "permissions" not in sam.get(file.id).json


def test_list_permissions(google: FakeGoogle, client: Client) -> None:
    """The owner is among them; what comes from a folder above says so (reference/permissions)."""
    folder = google.drive.add_folder("folder")
    file = google.drive.add_file("file", b"", folder.id)
    google.drive.share(folder.id, "domain", "commenter", domain="example.com")
    google.drive.share(file.id, "anyone", "reader")
    google.drive.page_size_cap = 2
    path = f"{FILES}/{file.id}/permissions"
    first = client.call("GET", path, fields="*").json
    second = client.call("GET", path, fields="*", pageToken=first["nextPageToken"]).json
    entries = first["permissions"] + second["permissions"]
    assert [
        (entry["type"], entry["role"], entry["permissionDetails"][0]["inherited"])
        for entry in entries
    ] == [("user", "owner", False), ("anyone", "reader", False), ("domain", "commenter", True)]
    assert client.get(file.id, "permissions").json["permissions"] == entries


def test_share_again(google: FakeGoogle, client: Client) -> None:
    """The same person has the same permission id, and keeps the higher role (assumed)."""
    folder, other = google.drive.add_folder("folder"), google.drive.add_folder("other")
    quiet = {"sendNotificationEmail": "false"}
    first = client.share(folder.id, SAM | {"role": "writer"}, **quiet).json
    assert client.share(folder.id, SAM, **quiet).json == first
    assert client.share(other.id, SAM, **quiet).json["id"] == first["id"]
    assert len(folder.permissions) == 2


def test_mails(google: FakeGoogle, client: Client) -> None:
    """People get a mail unless told otherwise, others never (reference/permissions/create)."""
    folder = google.drive.add_folder("folder")
    anyone = {"type": "anyone", "role": "reader"}
    client.share(folder.id, SAM, sendNotificationEmail="false")
    client.share(folder.id, anyone)
    assert google.mails == []
    client.share(folder.id, SAM)
    assert [(mail.file_id, mail.to) for mail in google.mails] == [(folder.id, "sam@example.com")]
    answer = client.share(folder.id, anyone, sendNotificationEmail="true")
    assert answer.error == (400, "invalid")


def moment(**distance: float) -> str:
    return (datetime.now(UTC) + timedelta(**distance)).isoformat()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (SAM | {"role": "owner"}, (403, "forbidden")),
        (SAM | {"role": "organizer"}, (400, "invalid")),
        (SAM | {"type": "robot"}, (400, "required")),
        (SAM | {"domain": "example.com"}, (400, "invalid")),
        (SAM | {"allowFileDiscovery": True}, (400, "invalid")),
        (SAM | {"id": "x"}, (403, "fieldNotWritable")),
        (SAM | {"expirationTime": moment(days=-1)}, (403, "forbidden")),
        (SAM | {"expirationTime": moment(days=400)}, (403, "forbidden")),
        ({"type": "user", "role": "reader"}, (400, "invalid")),
        ({"type": "domain", "role": "reader"}, (400, "invalid")),
        (
            {"type": "anyone", "role": "reader", "expirationTime": moment(days=1)},
            (403, "forbidden"),
        ),
    ],
)
def test_wrong_permission(
    google: FakeGoogle, client: Client, body: Any, error: tuple[int, str]
) -> None:
    """What a permission may hold (reference/permissions, guides/manage-sharing)."""
    folder = google.drive.add_folder("folder")
    assert client.share(folder.id, body).error == error
    assert (google.mails, len(folder.permissions)) == ([], 1)


def test_expiring_permission(google: FakeGoogle, client: Client) -> None:
    folder = google.drive.add_folder("folder")
    at = "2999-01-01T00:00:00.000Z"
    google.drive.share(folder.id, "user", "reader", email="sam@example.com", expiration=at)
    assert client.get(folder.id).json["permissions"][1]["expirationTime"] == at
    sam = as_user(google, "sam@example.com")
    assert sam.get(folder.id).status == 200
    past = moment(seconds=-1)
    google.drive.share(folder.id, "user", "reader", email="sam@example.com", expiration=past)
    assert sam.get(folder.id).error == (404, "notFound")


def test_remove_permission(google: FakeGoogle, client: Client) -> None:
    """The owner's stays (reference/permissions/delete)."""
    folder = google.drive.add_folder("folder")
    held = google.drive.share(folder.id, "anyone", "reader")
    path = f"{FILES}/{folder.id}/permissions"
    assert client.call("DELETE", f"{path}/{held.id}").status == 204
    assert client.call("DELETE", f"{path}/{held.id}").error == (404, "notFound")
    (owner,) = folder.permissions
    assert client.call("DELETE", f"{path}/{owner.id}").error == (403, "forbidden")


# ---- Shared drives -------------------------------------------------------------------------------


@pytest.fixture
def team(google: FakeGoogle) -> str:
    members = {google.user: "organizer", "sam@example.com": "writer", "kim@example.com": "reader"}
    return google.drive.add_shared_drive("Team", members)


def test_shared_drive_must_be_expected(google: FakeGoogle, wide: Client, team: str) -> None:
    """Without supportsAllDrives its items are not found (guides/enable-shareddrives)."""
    file = google.drive.add_file("file", b"", team)
    assert wide.get(file.id).error == (404, "notFound")
    assert wide.create(parents=[team]).error == (404, "notFound")
    assert wide.update(file.id, name="x").error == (404, "notFound")
    assert wide.delete(file.id).error == (404, "notFound")
    assert wide.get(file.id, supportsAllDrives="true").json["driveId"] == team


def test_lists_of_shared_drives(google: FakeGoogle, wide: Client, team: str) -> None:
    """corpora=drive goes with driveId and both flags (guides/search-shareddrives)."""
    google.drive.add_file("in team", b"", team)
    google.drive.add_file("own", b"")
    assert wide.names() == ["own"]
    assert wide.names(supportsAllDrives="true") == ["own"]
    assert wide.names(corpora="drive", driveId=team, **ALL) == ["in team"]
    assert wide.names(f"'{team}' in parents", **ALL) == ["in team"]
    one: dict[str, Any] = {"supportsAllDrives": "true"}
    assert wide.search(corpora="drive", driveId=team, **one).error == (403, "forbidden")
    assert wide.search(includeItemsFromAllDrives="true").error == (403, "forbidden")
    assert wide.search(driveId=team, **ALL).error == (400, "invalid")
    assert wide.search(corpora="drive", **ALL).error == (400, "invalid")
    assert wide.search(corpora="drive", driveId="nowhere", **ALL).error == (404, "notFound")
    assert wide.search(f"'{team}' in parents").error == (404, "notFound")


def test_what_is_not_filled(google: FakeGoogle, wide: Client, team: str) -> None:
    """Items of shared drives have no owners, and do not say what is shared (discovery: File)."""
    file = google.drive.add_file("file", b"", team)
    found = wide.get(file.id, supportsAllDrives="true").json
    assert not found.keys() & {"owners", "ownedByMe", "shared", "permissions", "permissionIds"}


@pytest.mark.parametrize(
    ("user", "add", "trash", "delete"),
    [
        ("kim@example.com", 403, 403, 403),
        ("sam@example.com", 200, 403, 403),
        ("pat@example.com", 200, 200, 403),
        ("alex@example.com", 200, 200, 204),
    ],
    ids=["reader", "writer", "fileOrganizer", "organizer"],
)
def test_roles_in_a_shared_drive(
    google: FakeGoogle, team: str, user: str, add: int, trash: int, delete: int
) -> None:
    """Writers add, file organizers trash, organizers delete (guides/about-shareddrives)."""
    google.drive.share(team, "user", "fileOrganizer", email="pat@example.com")
    folder = google.drive.add_folder("folder", team)
    one: dict[str, Any] = {"supportsAllDrives": "true"}
    client = as_user(google, user)
    can = client.get(folder.id, "capabilities", **one).json["capabilities"]
    body = {"name": "x", "parents": [folder.id]}
    assert client.call("POST", FILES, body, fields="id", **one).status == add
    assert client.update(folder.id, params=one, trashed=True).status == trash
    assert client.delete(folder.id, **one).status == delete
    assert (can["canAddChildren"], can["canTrash"], can["canDelete"]) == (
        add == 200,
        trash == 200,
        delete == 204,
    )


def test_shared_drive_under_drive_file(google: FakeGoogle, client: Client, team: str) -> None:
    """Its top is hidden from the scope drive.file unless the test says otherwise (assumed)."""
    body = {"name": "x", "parents": [team]}
    one: dict[str, Any] = {"supportsAllDrives": "true"}
    assert client.call("POST", FILES, body, fields="id", **one).error == (404, "notFound")
    open_drive = google.drive.add_shared_drive("Open", app=True)
    body["parents"] = [open_drive]
    found = client.call("POST", FILES, body, fields="driveId,createdTime", **one).json
    assert found["driveId"] == open_drive


def test_shared_drives_are_listed(google: FakeGoogle, wide: Client, team: str) -> None:
    """Those that one is a member of (reference/drives)."""
    google.drive.add_shared_drive("Others", {"sam@example.com": "organizer"})
    found = wide.call("GET", "/drive/v3/drives", fields="drives(id,name)").json
    assert found == {"drives": [{"id": team, "name": "Team"}]}
    assert wide.call("GET", f"/drive/v3/drives/{team}", fields="name").json == {"name": "Team"}
    assert wide.call("GET", "/drive/v3/drives/x", fields="name").error == (404, "notFound")


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


def test_batch(google: FakeGoogle, client: Client) -> None:
    """Answers bear their request's Content-ID; one failure is no other's (guides/performance)."""
    source = google.drive.add_file("source", b"data")
    folder = f"{FILES}?fields=name"
    found = answers(
        batch(
            client,
            ("POST", folder, {"name": "first", "mimeType": FOLDER}),
            ("POST", f"{FILES}/nowhere/copy?fields=id", {}),
            ("POST", f"{FILES}/{source.id}/copy?fields=name", {"name": "copy"}),
            ("DELETE", f"{FILES}/{source.id}", None),
        )
    )
    assert [(key, status) for key, status, _ in found] == [
        ("response-id + 0", 200),
        ("response-id + 1", 404),
        ("response-id + 2", 200),
        ("response-id + 3", 204),
    ]
    assert found[0][2] == {"name": "first"}
    assert google.drive.everything() == [("copy", b"data"), ("first", [])]
    (call,) = google.calls("batch")
    assert [part.operation for part in call.parts] == [
        "files.create.metadata",
        "files.copy",
        "files.copy",
        "files.delete",
    ]
    assert [part.status for part in call.parts] == [200, 404, 200, 204]


def test_batch_authorisation(google: FakeGoogle, client: Client) -> None:
    """A part's own header counts; without one, that of the whole (guides/performance)."""
    get = ("GET", FILES + "?fields=files(id)", None)
    assert answers(batch(Client(google), get))[0][1] == 401
    assert answers(batch(Client(google), get, token=client.token))[0][1] == 200
    assert answers(batch(client, get, token="bad"))[0][1] == 401


def test_batch_limits(google: FakeGoogle, client: Client) -> None:
    """At most 100 calls, no content, no batch in a batch (guides/performance)."""
    get = ("GET", FILES + "?fields=files(id)", None)
    assert len(answers(batch(client, *[get] * 100))) == 100
    assert batch(client, *[get] * 101).error == (400, "badRequest")
    headers = {"Content-Type": "application/json"}
    assert client.call("POST", "/batch/drive/v3", b"{}", headers).error == (400, "badRequest")
    upload: tuple[str, str, Any] = ("POST", UPLOAD + "?uploadType=media&fields=id", {})
    found = answers_of_status(batch(client, upload, ("POST", "/batch/drive/v3", {})))
    assert found == [404, 404]
    google.unknown.clear()


def test_batch_without_blank_lines(google: FakeGoogle, client: Client) -> None:
    """Before the next boundary the line that ends a head may be missing (google-drive-mock)."""
    source = google.drive.add_file("source", b"data")
    head = "--edge\r\nContent-Type: application/http\r\n\r\n"
    plain = head + f"GET {FILES}/{source.id}?fields=name HTTP/1.1\r\n"
    with_header = plain + "Accept: application/json\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=edge"}
    body = (plain + with_header + "--edge--").encode()
    assert answers_of_status(client.call("POST", "/batch/drive/v3", body, headers)) == [200, 200]


def test_content_in_a_batch(google: FakeGoogle, client: Client) -> None:
    """Of content, only the address comes (google-drive-mock)."""
    source = google.drive.add_file("source", b"data")
    target = f"{FILES}/{source.id}?alt=media"
    answer = batch(client, ("GET", target, None))
    assert answers_of_status(answer) == [302]
    assert f"Location: https://{API}{target}\r\n".encode() in answer.content
    assert client.call("GET", target).content == b"data"
    assert google.log[0].parts[0].status == 302


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


def test_consent_page(google: FakeGoogle) -> None:
    """It tells who asks for what, for whose account, and that it is a fake."""
    answer = ask(google)
    text = answer.content.decode()
    assert answer.status == 200
    for part in ("a fake for tests", google.user, "only the specific", "Allow", "Cancel"):
        assert part in text
    assert google.log[-1].operation == "oauth.consent"


def test_consent_in_a_browser_without_proxy(google: FakeGoogle) -> None:
    """The page and its form also work on the fake's own address."""
    address = urlsplit(google.proxy)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    target = "/o/oauth2/auth?" + urlencode(wish(google))
    connection.request("GET", target)
    page = connection.getresponse().read().decode()
    (action,) = re.findall(r'action="([^"]*)"', page)
    connection.request("POST", "/o/oauth2/auth" + action.replace("&amp;", "&"), "decision=allow")
    reply = connection.getresponse()
    assert reply.status == 302
    assert "code" in parse_qs(urlsplit(reply.headers["Location"]).query)
    connection.close()


def test_allow(google: FakeGoogle) -> None:
    """Code and state go back to the app; the code brings both tokens (oauth2/native-app)."""
    back = redirected(ask(google, "allow"))
    assert back["state"] == "the-state"
    found = exchange(google, back["code"]).json
    assert found["scope"] == DRIVE + ".file"
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 3599)
    assert Client(google, found["access_token"]).search().status == 200
    assert {back["code"], found["access_token"], found["refresh_token"]} <= set(google.secrets())


def test_cancel(google: FakeGoogle) -> None:
    """error=access_denied goes back (oauth2/native-app)."""
    assert redirected(ask(google, "deny")) == {"error": "access_denied", "state": "the-state"}


@pytest.mark.parametrize(
    ("answer", "back"),
    [
        ("allow", {"state": "the-state", "scope": DRIVE + ".file"}),
        ("deny", {"state": "the-state", "error": "access_denied"}),
        ("admin_policy_enforced", {"state": "the-state", "error": "admin_policy_enforced"}),
        ("wrong-state", {"state": "forgedate", "scope": DRIVE + ".file"}),
        ("other-scopes", {"state": "the-state", "scope": DRIVE + ".appdata"}),
    ],
)
def test_prepared_answer(google: FakeGoogle, answer: str, back: dict[str, str]) -> None:
    google.consent.answer = answer
    found = redirected(ask(google))
    code = found.pop("code", None)
    assert found == back
    if code and answer == "other-scopes":
        assert exchange(google, code).json["scope"] == back["scope"]


@pytest.mark.parametrize("answer", ["never", "org_internal", "deleted_client"])
def test_answer_that_stays_on_the_page(google: FakeGoogle, answer: str) -> None:
    """Some errors Google shows to the person and never tells the app (oauth2/native-app)."""
    google.consent.answer = answer
    assert "Location" not in ask(google).headers


def test_unknown_answer(google: FakeGoogle) -> None:
    with pytest.raises(ValueError, match="maybe"):
        google.consent.answer = "maybe"


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "123-x.apps.googleusercontent.com"},
        {"redirect_uri": "https://example.com/"},
        {"redirect_uri": "http://192.168.0.1:80/"},
        {"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"},
        {"redirect_uri": None},
        {"response_type": "token"},
        {"scope": None},
        {"state": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"approval_prompt": "force"},
    ],
    ids=lambda change: "-".join(f"{key}" for key in change),
)
def test_wrong_wish(google: FakeGoogle, change: dict[str, str | None]) -> None:
    """A page for the person, and no redirect (oauth2/native-app, #step-2)."""
    google.consent.answer = "allow"
    answer = ask(google, **change)
    assert (answer.status, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_loopback_addresses(google: FakeGoogle, host: str) -> None:
    """Any port of the machine itself (oauth2/native-app#redirect-uri_loopback)."""
    google.consent.answer = "allow"
    answer = ask(google, redirect_uri=f"http://{host}:5/")
    assert answer.headers["Location"].startswith(f"http://{host}:5/?")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "4/invented"}, (400, "invalid_grant")),
        ({"code_verifier": "w" * 64}, (400, "invalid_grant")),
        ({"code_verifier": ""}, (400, "invalid_grant")),
        ({"redirect_uri": "http://127.0.0.1:9/"}, (400, "invalid_grant")),
        ({"client_secret": "GOCSPX-wrong"}, (401, "invalid_client")),
        ({"client_secret": ""}, (400, "invalid_request")),
        ({"client_id": "unknown"}, (401, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_exchange(google: FakeGoogle, change: Any, error: tuple[int, str]) -> None:
    """A code goes with its verifier, address and client (oauth2/native-app; RFC 7636)."""
    code = redirected(ask(google, "allow"))["code"]
    answer = exchange(google, code, **change)
    assert (answer.status, answer.json["error"]) == error


def test_code_works_once(google: FakeGoogle) -> None:
    """(RFC 6749, section 4.1.2)"""
    code = redirected(ask(google, "allow"))["code"]
    assert exchange(google, code).status == 200
    assert exchange(google, code).json["error"] == "invalid_grant"


def refresh(google: FakeGoogle, token: dict[str, Any], **changes: str) -> Answer:
    form = {"grant_type": "refresh_token"} | changes
    for key in ("refresh_token", "client_id", "client_secret"):
        form.setdefault(key, token[key])
    return Client(google).form("/token", **form)


def test_refresh(google: FakeGoogle) -> None:
    """A refresh token brings a new access token, and stays good itself (oauth2/native-app)."""
    token = google.token(expires_in=-1)
    for _ in range(2):
        found = refresh(google, token, scope=DRIVE + ".file").json
        assert "refresh_token" not in found
        assert Client(google, found["access_token"]).search().status == 200


def test_refresh_that_is_refused(google: FakeGoogle) -> None:
    """Revoked or another client's: invalid_grant. More than was granted: invalid_scope."""
    token, other = google.token(), google.credentials(new=True)["installed"]
    ids = {key: other[key] for key in ("client_id", "client_secret")}
    assert refresh(google, token, **ids).json["error"] == "invalid_grant"
    assert refresh(google, token, scope=DRIVE).json["error"] == "invalid_scope"
    google.revoke(token)
    answer = refresh(google, token)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


def test_token_of_another_client(google: FakeGoogle) -> None:
    other = google.credentials(new=True)
    assert other["installed"]["client_id"] != google.credentials()["installed"]["client_id"]
    token = google.token(client=other)
    assert token["client_id"] == other["installed"]["client_id"]
    assert refresh(google, token).status == 200


def test_revoke(google: FakeGoogle) -> None:
    """The app itself may give back a grant: both tokens end (oauth2/native-app#tokenrevoke)."""
    token = google.token()
    client = Client(google)
    assert client.form("/revoke", token=token["refresh_token"]).status == 200
    assert client.form("/revoke", token=token["refresh_token"]).status == 400
    assert Client(google, token["token"]).search().status == 401


# ---- Service accounts ----------------------------------------------------------------------------


def robot(google: FakeGoogle, info: dict[str, Any], key: str = "", **claims: Any) -> Answer:
    """Ask for a token by a signed assertion, as google-auth makes it."""
    now = int(time.time())
    usual = {
        "iss": info["client_email"],
        "scope": DRIVE,
        "aud": info["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    signer = crypt.RSASigner.from_string(key or info["private_key"])
    assertion = jwt.encode(signer, usual | claims).decode()
    kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return Client(google).form("/token", grant_type=kind, assertion=assertion)


def test_service_account_has_no_storage(google: FakeGoogle) -> None:
    """It may make folders, but no content, except in a shared drive (guides/handle-errors)."""
    info = google.service_account()
    client = Client(google, robot(google, info).json["access_token"])
    assert client.create().status == 200
    for answer in (client.upload(), client.start(4)):
        assert answer.error == (403, "storageQuotaExceeded")
        assert answer.json["error"]["message"].startswith("Service Accounts do not have storage")
    team = google.drive.add_shared_drive("Team", {info["client_email"]: "writer"})
    body, kind = related({"name": "x", "parents": [team]}, b"data")
    params = {"uploadType": "multipart", "fields": "id", "supportsAllDrives": "true"}
    assert client.call("POST", UPLOAD, body, {"Content-Type": kind}, **params).status == 200


def test_delegation(google: FakeGoogle) -> None:
    """It acts for those users that the administrator allowed (oauth2/service-account)."""
    info = google.service_account(delegated=[google.user])
    answer = robot(google, info, sub=google.user)
    found = Client(google, answer.json["access_token"]).upload().json
    assert google.drive.file(found["id"]).owner == google.user
    refused = robot(google, info, sub="sam@example.com")
    assert (refused.status, refused.json["error"]) == (401, "unauthorized_client")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": "https://example.com/"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"exp": 9999999999}, "invalid_grant"),
        ({"iss": "nobody@example.com"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
    ],
    ids=["audience", "expired", "lives too long", "unknown", "no scope"],
)
def test_wrong_assertion(google: FakeGoogle, claims: Any, error: str) -> None:
    """Its claims are checked (oauth2/service-account#authorizingrequests) ..."""
    assert robot(google, google.service_account(), **claims).json["error"] == error


def test_forged_assertion(google: FakeGoogle) -> None:
    """... and so is its signature."""
    info, other = google.service_account(), google.service_account()
    answer = robot(google, info, key=other["private_key"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


def test_google_auth_signs_in(google: FakeGoogle) -> None:
    """Google's own library makes do with what the fake hands out."""
    session = requests.Session()
    session.trust_env = False
    session.proxies, session.verify = {"https": google.proxy}, google.ca_file
    info = google.service_account()
    robots = service_account.Credentials.from_service_account_info(info, scopes=[DRIVE])
    users = Credentials.from_authorized_user_info(google.token(expires_in=-1))
    for credentials in (robots, users):
        assert not credentials.valid
        credentials.refresh(google_requests.Request(session))
        assert credentials.valid
        assert Client(google, credentials.token).search().status == 200


# ---- Faults on request ---------------------------------------------------------------------------


def test_closed_vocabulary(google: FakeGoogle) -> None:
    """A name that is none of the lists is refused when it is asked for."""
    wrong: list[tuple[str, ...]] = [
        ("files.lists", "500"),
        ("files.list", "five hundred"),
        ("files.list", "keep-part"),
        ("files.get", "bad-page-token"),
        ("files.list", "invalid_grant"),
        ("oauth.token.refresh", "403-notFound"),
        ("files.list",),
    ]
    for operation, *faults in wrong:
        with pytest.raises(ValueError, match=r"none of|nothing"):
            google.fail(operation, *faults)
    assert google.unused_faults() == []


def test_every_fault_has_its_operations() -> None:
    assert set.union(*map(allowed, OPERATIONS)) == FAULTS


def test_queue(google: FakeGoogle, client: Client) -> None:
    """Faults come in order, after so many calls, then it is over."""
    google.fail("files.list", "500", "429", after=1, repeat=2)
    google.fail("files.list", "404")
    assert google.unused_faults() == [
        "files.list: 500",
        "files.list: 429",
        "files.list: 500",
        "files.list: 429",
        "files.list: 404",
    ]
    found = [client.search().status for _ in range(7)]
    assert found == [200, 500, 429, 500, 429, 404, 200]
    assert google.unused_faults() == []
    assert google.log[1].fault == "500"


def test_for_ever(google: FakeGoogle, client: Client) -> None:
    google.fail("files.list", "503", repeat=None)
    assert google.unused_faults() == ["files.list: 503"]
    assert {client.search().status for _ in range(5)} == {503}
    assert google.unused_faults() == []


@pytest.mark.parametrize("fault", sorted(STATUS))
def test_status_faults(google: FakeGoogle, client: Client, fault: str) -> None:
    """Status and reason, nothing is done, the connection goes on (guides/handle-errors)."""
    google.fail("files.create.metadata", fault)
    answer = client.create()
    status, _, reason = fault.partition("-")
    assert answer.status == int(status)
    if fault == "502-html":
        assert answer.headers["Content-Type"].startswith("text/html")
    elif reason and reason != "retry-after":
        assert answer.error == (int(status), reason)
    assert google.drive.children() == []
    connection = client.connections[API]
    assert client.create().status == 200
    assert client.connections[API] is connection


def test_disabled_api(google: FakeGoogle, client: Client) -> None:
    """The reason comes under two names, a link says where to enable it (guides/handle-errors)."""
    google.fail("files.list", "403-accessNotConfigured")
    error = client.search().json["error"]
    reason, help_link = error["details"]
    assert (error["errors"][0]["reason"], reason["reason"]) == (
        "accessNotConfigured",
        "SERVICE_DISABLED",
    )
    assert help_link["links"][0]["url"].startswith("https://console.developers.google.com/")


def test_retry_after(google: FakeGoogle, client: Client) -> None:
    """Seconds or a date (RFC 9110, section 10.2.3); or whatever a test wants there."""
    google.fail("files.list", "429-retry-after", "503-retry-after", repeat=2)
    assert client.search().headers["Retry-After"] == "1"
    for value in (0.05, 86400, "Thu, 01 Jan 2099 00:00:00 GMT"):
        google.retry_after = value
        assert client.search().headers["Retry-After"] == str(value)


def test_token_that_stays_bad(google: FakeGoogle, client: Client) -> None:
    """A 401 may outlive all refreshes."""
    google.fail("files.list", "401", repeat=None)
    token = google.token()
    for _ in range(2):
        client.token = refresh(google, token).json["access_token"]
        assert client.search().error == (401, "authError")
    assert client.create().status == 200


@pytest.mark.parametrize("status", [200, 403, 404, 407, 503])
def test_web_page(google: FakeGoogle, client: Client, status: int) -> None:
    """What a proxy answers is long, and full of Google's words; the work is done for 200 alone."""
    google.fail("files.create.metadata", f"html-{status}")
    answer = client.create()
    assert (answer.status, answer.headers["Content-Type"][:9]) == (status, "text/html")
    assert len(answer.content.splitlines()) >= 295
    assert b"notFound" in answer.content
    assert b"invalid_grant" in answer.content
    assert len(google.drive.children()) == (status == 200)


@pytest.mark.parametrize("fault", ["403-storageQuotaExceeded-early", "503-early"])
@pytest.mark.parametrize("operation", ["files.create.multipart", "upload.last"])
def test_early_answer(google: FakeGoogle, client: Client, fault: str, operation: str) -> None:
    """The answer comes when half of the body has; the rest meets a reset. Nothing is kept."""
    google.fail(operation, fault)
    session = client.session(8 * GRAIN)
    is_chunk = operation == "upload.last"
    connection = Client(google).connect(API)
    target = session if is_chunk else UPLOAD + "?" + urlencode(UP_MULTIPART)
    connection.putrequest("PUT" if is_chunk else "POST", target)
    connection.putheader("Content-Length", str(8 * GRAIN))
    connection.endheaders(bytes(4 * GRAIN))
    reply = http.client.HTTPResponse(connection.sock)  # getresponse() would close the connection
    reply.begin()
    assert (reply.status, "error" in json.loads(reply.read())) == (int(fault[:3]), True)
    assert google.log[-1].status == reply.status
    assert isinstance(caught(lambda: connection.sock.sendall(bytes(99 * GRAIN))), CLOSED)
    assert client.ask(session).headers.get("Range") is None
    assert google.drive.children() == []


@pytest.mark.parametrize(("fault", "complete"), [("head-cut", False), ("head-cut-no-length", True)])
def test_head_cut(google: FakeGoogle, client: Client, fault: str, complete: bool) -> None:
    """The end comes before the blank line after the headers; the work is done.

    http.client takes that for the end of the headers: it misses the body only where a length
    has been told.
    """
    google.fail("files.create.metadata", fault)
    if complete:
        answer = client.create()
        assert (answer.status, answer.content, answer.headers.keys()) == (
            200,
            b"",
            {"Date", "Content-Type"},
        )
    else:
        assert type(caught(client.create)) is http.client.IncompleteRead
    assert len(google.drive.children()) == 1


def test_slow(google: FakeGoogle, client: Client) -> None:
    """The work is done, the answer takes its time."""
    google.fail("files.create.metadata", "slow")
    google.slowness = 0.07
    assert client.create().status == 200
    call = google.log[-1]
    assert 0.07 <= (call.ended or 0) - call.started < 2


def test_page_token_again(google: FakeGoogle, client: Client) -> None:
    """Each page brings the same token, and the same entries again."""
    google.drive.add_folder("x")
    google.fail("files.list", "page-token-again", repeat=3)
    assert client.search(fields="files(name)").json == {"files": [{"name": "x"}]}
    first = client.search(fields="*").json
    for _ in range(2):
        again = client.search(fields="*", pageToken=first["nextPageToken"])
        assert again.json == first
    assert google.log[-1].params["pageToken"] == first["nextPageToken"]


def test_no_ids(google: FakeGoogle, client: Client) -> None:
    google.fail("files.generateIds", "no-ids")
    assert client.ids(10) == []
    assert len(client.ids(10)) == 10


def test_no_trash_usage(google: FakeGoogle, client: Client) -> None:
    """Google may leave out what it does not know."""
    google.fail("about.get", "no-trash-usage")
    quota = client.call("GET", "/drive/v3/about", fields="storageQuota").json["storageQuota"]
    assert quota.keys() == {"usage", "usageInDrive"}


CLOSED = (http.client.RemoteDisconnected, ssl.SSLError, ConnectionError)


@pytest.mark.parametrize(
    "fault", ["close-unread", "reset", "close-read", "answer-lost", "answer-reset"]
)
@pytest.mark.parametrize("size", [10, 20 * GRAIN])
def test_lost_connection(google: FakeGoogle, client: Client, fault: str, size: int) -> None:
    """No byte of an answer; the work is done only where an answer is lost."""
    google.fail("files.create.multipart", fault)
    with pytest.raises(CLOSED):
        client.upload(bytes(size))
    wait_for(lambda: google.log[-1].ended)
    assert len(google.drive.children()) == fault.startswith("answer-")
    assert (google.log[-1].status, google.log[-1].fault) == (None, fault)


@pytest.mark.parametrize(
    ("fault", "done"), [("reset", 0), ("answer-reset", 1), ("close-unread", 0)]
)
def test_reset_is_one(google: FakeGoogle, fault: str, done: int) -> None:
    """A reset of TCP, not merely an end; so is the loss of a body that nobody read.

    Without TLS, below which older Pythons take a reset for an end
    (https://github.com/python/cpython/issues/115627), and without a time-out, with which Wine does.
    """
    google.fail("oauth.consent", fault)
    connection = http.client.HTTPConnection("127.0.0.1", google.server.port)
    connection.request("POST", "/o/oauth2/auth?" + urlencode(wish(google)), "decision=allow")
    assert type(caught(connection.getresponse)) is ConnectionResetError
    assert len(google.world.accounts.codes) == done


def test_reset_comes_half_way(google: FakeGoogle, client: Client) -> None:
    google.fail("upload.last", "reset")
    session = client.session(40 * GRAIN)
    with pytest.raises(CLOSED):
        client.call("PUT", session, bytes(40 * GRAIN))
    wait_for(lambda: google.log[-1].ended)
    assert 20 * GRAIN <= google.log[-1].sent <= 30 * GRAIN
    assert "Range" not in client.ask(session).headers


def test_body_cut(google: FakeGoogle, client: Client) -> None:
    """Content-Length promises more than comes; the work is done."""
    google.fail("files.create.metadata", "body-cut")
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.create()
    assert abs(len(caught.value.partial) - (caught.value.expected or 0)) <= 1
    assert len(google.drive.children()) == 1


def test_stall(google: FakeGoogle, client: Client) -> None:
    """Silence, until the client gives up."""
    google.fail("files.create.metadata", "stall")
    connection = client.connect(API)
    connection.connect()
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.create()
    wait_for(lambda: google.log[-1].ended)
    assert (google.log[-1].status, google.drive.children()) == (None, [])


def test_stall_ends_with_the_fake(google: FakeGoogle) -> None:
    with FakeGoogle() as other:
        other.fail("files.list", "stall")
        client = Client(other, other.token()["token"])
        lost: list[BaseException] = []
        thread = threading.Thread(target=lambda: lost.append(caught(client.search)))
        thread.start()
        wait_for(lambda: other.log)
    thread.join(5)
    assert isinstance(lost[0], CLOSED)


def caught(action: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as found:  # noqa: PT011
        action()
    return found.value


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


CONTENT = bytes(range(256)) * (8 * KIB)  # eight times 256 KiB


@pytest.mark.parametrize(
    ("fault", "status", "held"),
    [
        ("keep-part", 308, 2),
        ("503-keep-part", 503, 2),
        ("308-no-range", 308, 0),
        ("answer-lost", None, 4),
        ("answer-reset", None, 4),
        ("close-read", None, 0),
        ("503", 503, 0),
        ("401", 401, 0),
    ],
)
def test_what_a_fault_leaves_of_a_chunk(
    google: FakeGoogle, client: Client, fault: str, status: int | None, held: int
) -> None:
    """A later status query tells what was kept, and the upload can go on from there."""
    google.fail("upload.first", fault)
    session = client.session(8 * GRAIN)
    if status is None:
        with pytest.raises(CLOSED):
            client.send(session, CONTENT[: 4 * GRAIN], 0, 8 * GRAIN)
    else:
        assert client.send(session, CONTENT[: 4 * GRAIN], 0, 8 * GRAIN).status == status
    kept = f"bytes=0-{held * GRAIN - 1}" if held else None
    assert client.ask(session).headers.get("Range") == kept
    rest = CONTENT[held * GRAIN :]
    found = client.send(session, rest, held * GRAIN, 8 * GRAIN).json
    assert google.drive.file(found["id"]).content == CONTENT


def test_all_kept_but_not_finished(google: FakeGoogle, client: Client) -> None:
    """308 with all bytes; the file is there once it is asked for."""
    google.fail("upload.last", "308-all-kept")
    session = client.session(4)
    answer = client.send(session, b"data", 0, 4)
    assert (answer.status, answer.headers["Range"]) == (308, "bytes=0-3")
    assert google.drive.children() == []
    assert client.ask(session, 4).json["size"] == "4"


def test_chunk_too_small_for_a_part(google: FakeGoogle, client: Client) -> None:
    """A part is 256 KiB at least, so it takes a chunk of twice that; the fault waits for one."""
    google.fail("upload.chunk", "keep-part")
    session = client.session(3 * GRAIN)
    assert client.send(session, ZEROS, 0, 3 * GRAIN).headers["Range"] == f"bytes=0-{GRAIN - 1}"
    assert google.unused_faults() == ["upload.chunk: keep-part"]
    answer = client.send(session, ZEROS * 2, GRAIN, 3 * GRAIN)
    assert (answer.status, answer.headers["Range"]) == (308, f"bytes=0-{2 * GRAIN - 1}")


def test_all_forgotten(google: FakeGoogle, client: Client) -> None:
    """308 without a Range in the middle: the upload is to begin again."""
    google.fail("upload.middle", "308-no-range")
    session = client.session(8 * GRAIN)
    client.send(session, CONTENT[:GRAIN], 0, 8 * GRAIN)
    answer = client.send(session, CONTENT[GRAIN : 2 * GRAIN], GRAIN, 8 * GRAIN)
    assert (answer.status, "Range" in answer.headers) == (308, False)
    found = client.send(session, CONTENT, 0, 8 * GRAIN).json
    assert found["md5Checksum"] == hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize(("fault", "status"), [("session-404", 404), ("session-410", 410)])
@pytest.mark.parametrize("operation", ["upload.last", "upload.status"])
def test_dead_session(
    google: FakeGoogle, client: Client, fault: str, status: int, operation: str
) -> None:
    """It is dead for good; a new one with the same id works."""
    google.fail(operation, fault)
    (given,) = client.ids()
    session = client.session(4, id=given)
    client.ask(session) if operation == "upload.status" else client.send(session, b"data", 0, 4)
    assert client.send(session, b"data", 0, 4).status == status
    assert client.ask(session).status == status
    assert client.call("PUT", client.session(4, id=given), b"data").status == 200


@pytest.mark.parametrize(
    ("start", "size", "total", "names"),
    [
        (0, 1, 4, {"upload.chunk", "upload.first"}),
        (1, 1, 4, {"upload.chunk", "upload.middle"}),
        (2, 2, 4, {"upload.chunk", "upload.last"}),
        (0, 4, 4, {"upload.chunk", "upload.last"}),
    ],
)
def test_names_of_chunks(
    google: FakeGoogle, client: Client, start: int, size: int, total: int, names: set[str]
) -> None:
    """first, middle, last; the only one is the last."""
    session = client.session(total * GRAIN)
    client.send(session, bytes(start * GRAIN), 0, total * GRAIN)
    client.send(session, bytes(size * GRAIN), start * GRAIN, total * GRAIN)
    assert set(google.log[-1].names) == names
    assert google.calls(*names)[-1] is google.log[-1]


def test_bad_answers(google: FakeGoogle, client: Client) -> None:
    """The work is done, only the answer is spoilt."""
    digests = ("no-md5", "wrong-md5", "no-sha256", "wrong-sha256")
    google.fail("files.create.multipart", "truncated-json", "empty-object", "empty-list", *digests)
    answer = client.upload()
    assert answer.status == 200
    with pytest.raises(ValueError, match="line"):
        _ = answer.json
    assert client.upload().json == {}
    assert client.upload().json == []
    assert client.upload(fields="id,md5Checksum").json.keys() == {"id"}
    assert client.upload(fields="md5Checksum").json == {"md5Checksum": "0" * 32}
    assert client.upload(fields="id,sha256Checksum").json.keys() == {"id"}
    assert client.upload(fields="sha256Checksum").json == {"sha256Checksum": "0" * 64}
    assert len(google.drive.children()) == 7


def test_faults_wait_for_a_call_that_they_fit(google: FakeGoogle, client: Client) -> None:
    """A page token's needs one, an MD5's an answer that has one."""
    for name in "ab":
        google.drive.add_file(name, b"")
    google.fail("files.list", "bad-page-token")
    google.fail("files.get", "no-md5")
    token = client.search(pageSize=1).json["nextPageToken"]
    assert client.search(pageSize=1, pageToken=token).error == (400, "invalid")
    file_id = google.drive.children()[0].id
    assert client.get(file_id, "id").json == {"id": file_id}
    assert client.get(file_id, "md5Checksum").json == {}


def test_faults_inside_a_batch(google: FakeGoogle, client: Client) -> None:
    """A part can fail on its own; a connection can't be lost for one part only."""
    google.fail("files.copy", "403-userRateLimitExceeded", after=1)
    source = google.drive.add_file("source", b"data")
    copy = ("POST", f"{FILES}/{source.id}/copy?fields=id", {"name": "copy"})
    found = answers(batch(client, copy, copy, copy))
    assert [status for _, status, _ in found] == [200, 403, 200]
    assert google.log[-1].parts[1].fault == "403-userRateLimitExceeded"
    google.fail("batch", "part-missing")
    found = answers(batch(client, *[("GET", f"{FILES}/{source.id}?fields=id", None)] * 3))
    assert [key for key, _, _ in found] == ["response-id + 0", "response-id + 2"]
    assert len(google.log[-1].parts) == 3
    google.fail("batch", "answer-lost")
    google.fail("files.delete", "answer-lost")
    with pytest.raises(CLOSED):
        batch(client, copy, ("DELETE", f"{FILES}/{source.id}", None))
    assert google.unused_faults() == ["files.delete: answer-lost"]
    with pytest.raises(CLOSED):
        client.delete(google.drive.children()[0].id)
    assert len(google.drive.children()) == 2


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("invalid_grant", 400, "invalid_grant"),
        ("invalid_client", 401, "invalid_client"),
        ("deleted_client", 401, "deleted_client"),
        ("admin_policy_enforced", 400, "admin_policy_enforced"),
        ("503-json", 503, "internal_failure"),
        ("503", 503, None),
    ],
)
def test_faults_of_the_token_server(
    google: FakeGoogle, fault: str, status: int, code: str | None
) -> None:
    """In OAuth's form (RFC 6749, section 5.2), or none at all; the token is as good as before."""
    google.fail("oauth.token.refresh", fault)
    token = google.token()
    answer = refresh(google, token)
    assert answer.status == status
    if code:
        assert answer.json["error"] == code
    assert refresh(google, token).status == 200


# ---- Sockets, log, watchers ----------------------------------------------------------------------


@pytest.mark.parametrize("target", ["example.com:443", "www.googleapis.com:80", "127.0.0.1:443"])
def test_strangers(google: FakeGoogle, target: str) -> None:
    """The proxy leads to Google only; other wishes are noted."""
    with socket.create_connection(("127.0.0.1", google.server.port), timeout=5) as sock:
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 403 ")
    assert google.strangers == [target]
    google.strangers.clear()


def test_certificates(google: FakeGoogle) -> None:
    """They are those of the fake's own CA, for each of Google's hosts."""
    client = Client(google)
    for host in ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com"):
        client.call("GET", "/", host=host)
    google.unknown.clear()
    connection = http.client.HTTPSConnection("127.0.0.1", google.server.port, timeout=5)
    connection.set_tunnel(API, 443)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.connect()


def test_date(google: FakeGoogle, client: Client) -> None:
    """Every answer bears one (RFC 9110, section 6.6.1)."""
    google.fail("files.list", "502-html")
    for answer in (client.search(), client.create(), client.get("x"), ask(google)):
        moment = parsedate_to_datetime(answer.headers["Date"])
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_log(google: FakeGoogle, client: Client) -> None:
    """A call tells what it was, what it brought, how it ended."""
    found = client.upload(b"data").json
    client.search("bad query")
    upload, bad = google.log
    assert (upload.operation, upload.method, upload.path) == (
        "files.create.multipart",
        "POST",
        UPLOAD,
    )
    assert upload.params == {"uploadType": "multipart", "fields": "*"}
    assert (upload.status, upload.content_bytes, upload.file_id) == (200, 4, found["id"])
    assert upload.sent == len(related({"name": "x"}, b"data")[0])
    assert upload.token == client.token
    assert upload.started < (upload.ended or 0)
    assert (bad.status, bad.error) == (400, "400-invalid: Invalid Value")
    assert google.calls() == [upload, bad]
    assert google.calls("files.list", "files.get") == [bad]


def test_mistakes_come_to_light() -> None:
    """What goes wrong in a watcher, or in the fake itself, is raised at the end."""

    def watch(moment: str, call: Call) -> None:
        raise ZeroDivisionError

    def use() -> None:
        with FakeGoogle() as google:
            google.watch(watch)
            caught(Client(google, google.token()["token"]).search)

    with pytest.raises(ZeroDivisionError):
        use()


def test_watchers(google: FakeGoogle, client: Client) -> None:
    """ "before" nothing is done, "after" all is, but the client does not know yet."""
    seen: list[tuple[str, str, int | None, int]] = []

    def watch(moment: str, call: Call) -> None:
        seen.append((moment, call.operation, call.status, len(google.drive.children())))

    google.watch(watch)
    client.upload()
    name = "files.create.multipart"
    assert seen == [("before", name, None, 0), ("after", name, None, 1)]


@pytest.mark.parametrize("size", [10, 20 * GRAIN])
def test_client_that_is_gone(google: FakeGoogle, client: Client, size: int) -> None:
    """What it asked for is not done, if it left while a watcher held the call."""
    connection = client.connect(API)
    connection.connect()
    # Below TLS, whose own class would mind.
    shut = partial(socket.socket.shutdown, connection.sock, socket.SHUT_RDWR)
    google.watch(lambda moment, call: shut())
    with pytest.raises(CLOSED):
        client.upload(bytes(size))
    wait_for(lambda: google.log[0].ended)
    assert (google.drive.children(), google.log[0].status) == ([], None)


def test_request_of_a_client_that_left(google: FakeGoogle, client: Client) -> None:
    """Without a watcher it is done all the same, as it has arrived (assumed)."""
    body, kind = related({"name": "x"}, b"data")
    connection = client.connect(API)
    headers = {"Content-Type": kind, "Authorization": f"Bearer {client.token}"}
    connection.request("POST", UPLOAD + "?" + urlencode(UP_MULTIPART), body, headers)
    connection.close()
    wait_for(lambda: google.drive.children())


KILLED = """
import http.client, ssl, sys
port, ca, token, size = sys.argv[1:]
connection = http.client.HTTPSConnection(
    "127.0.0.1", int(port), context=ssl.create_default_context(cafile=ca)
)
connection.set_tunnel("www.googleapis.com", 443)
headers = {"Authorization": "Bearer " + token}
target = "/upload/drive/v3/files?uploadType=media&fields=id"
connection.request("POST", target, bytes(int(size)), headers)
print(connection.getresponse().status)
"""


@pytest.mark.parametrize(("moment", "done"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("size", [10, 20 * GRAIN])
def test_killed_client(google: FakeGoogle, moment: str, done: int, size: int) -> None:
    """Likewise for a process that the watcher kills, once that has ended."""
    token = google.token()["token"]
    arguments = [str(google.server.port), google.ca_file, token, str(size)]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])

    def watch(now: str, call: Call) -> None:
        if now == moment:
            process.kill()
            process.wait()

    google.watch(watch)
    wait_for(lambda: google.log and google.log[0].ended)
    assert len(google.drive.children()) == done


def test_out_of_reach(google: FakeGoogle, client: Client) -> None:
    """Connections are refused for a while, then taken on the same port."""
    assert client.search().status == 200
    port = google.server.port
    google.stop_listening()
    for lost in (CLOSED, ConnectionRefusedError):
        with pytest.raises(lost):
            client.search()
    google.listen_again()
    assert google.server.port == port
    assert client.search().status == 200


def test_many_at_once(google: FakeGoogle, client: Client) -> None:
    """Connections don't wait for each other, and nothing gets lost."""

    def work(number: int) -> None:
        own = Client(google, client.token)
        for step in range(10):
            own.upload(b"data", name=f"{number}-{step}")

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = google.drive.children()
    assert len({file.name for file in files}) == len({file.created for file in files}) == 80


def test_round_trip() -> None:
    """Seconds that each call takes."""
    with FakeGoogle(round_trip=0.05) as google:
        Client(google, google.token()["token"]).search()
        assert (google.log[0].ended or 0) - google.log[0].started >= 0.05


def test_bandwidth() -> None:
    """Bytes a second that all connections have together."""
    with FakeGoogle(bandwidth=40 * GRAIN) as google:
        clients = [Client(google, google.token()["token"]) for _ in range(2)]
        threads = [
            threading.Thread(target=client.upload, args=[bytes(4 * GRAIN)]) for client in clients
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.15 <= time.monotonic() - started <= 1


def test_nothing_is_left(google: FakeGoogle) -> None:
    """Sockets and threads end with the block, also those of idle connections."""
    before = threading.active_count()
    with FakeGoogle() as other:
        client = Client(other, other.token()["token"])
        client.search()
    assert threading.active_count() == before
    with pytest.raises(CLOSED):
        client.search()


# ---- The state, as tests use it ------------------------------------------------------------------


def test_everything(google: FakeGoogle) -> None:
    """Names and content of what is not in the trash; what is there twice shows twice."""
    folder = google.drive.add_folder("folder")
    for content in (b"1", b"2"):
        google.drive.add_file("same", content, folder.id)
    google.drive.trash(google.drive.add_file("trashed", b"").id)
    google.drive.add_file("large", bytes(17 * KIB * KIB))
    digest = hashlib.md5(bytes(17 * KIB * KIB)).hexdigest()
    assert google.drive.everything() == [
        ("folder", [("same", b"1"), ("same", b"2")]),
        ("large", f"{17 * KIB * KIB} bytes, MD5 {digest}"),
    ]


def test_creation_times_rise(google: FakeGoogle) -> None:
    """No two are the same, so that older and newer is never in doubt."""
    times = [google.drive.add_folder("x").created for _ in range(50)]
    assert sorted(set(times)) == times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in times)


def test_skewed_folders(google: FakeGoogle, client: Client) -> None:
    """A test may have the clocks of Google's servers differ, for folders that clients make."""
    before = google.drive.add_folder("x").created
    google.drive.skew_folders(-3, 3, 0, before, before)
    assert client.upload().json["createdTime"] > before  # a file's is not concerned
    early, late, now, same, again, last = (client.create().json["createdTime"] for _ in range(6))
    assert early < before == same == again < now < last < late
    assert google.drive.add_folder("y").created > last


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: setattr(file, "md5", "0"),
        lambda file: setattr(file, "id", "other"),
        lambda file: setattr(file, "owner", None),
        lambda file: setattr(file, "parents", []),
        lambda file: setattr(file, "parents", ["nowhere"]),
        lambda file: setattr(file, "size", None),
        lambda file: setattr(file, "drive_id", "other"),
    ],
    ids=["content", "id", "owner", "parents", "parent", "size", "drive"],
)
def test_consistency_check(damage: Callable[[Any], None]) -> None:
    """A state that can't be is found."""
    drive = Drive("alex@example.com")
    file = drive.add_file("file", b"data", drive.add_folder("folder").id)
    drive.consistency_check()
    damage(file)
    with pytest.raises(AssertionError):
        drive.consistency_check()


def test_secrets(google: FakeGoogle) -> None:
    """All that was made to be kept secret can be searched for."""
    token, robot_info = google.token(), google.service_account()
    found = google.secrets()
    assert {token["token"], token["refresh_token"], token["client_secret"]} <= set(found)
    assert any(secret in robot_info["private_key"] for secret in found)
    assert len(set(found)) == len(found)
