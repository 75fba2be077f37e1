"""What the fake itself has to keep: it is strict, its faults are what they are called.

The rules of Drive that it plays are tested in tests/test_drive.py. What most faults do shows in the
exact lists of calls in test_faults.py and test_streams.py, a slow line in test_output.py.
"""

import base64
import hashlib
import http.client
import json
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from . import FOR_GOOD, FakeGoogle
from .faults import OAUTH_ERRORS, OPERATIONS, STATUS, allowed
from .state import FOLDER, GRAIN

API, SIGN_IN, TOKENS = "www.googleapis.com", "accounts.google.com", "oauth2.googleapis.com"
FILES = "/drive/v3/files"
UPLOAD = "/upload/drive/v3/files"
DOC = "application/vnd.google-apps.document"
RELATED = {"Content-Type": 'multipart/related; boundary="edge"'}
LOST = (http.client.RemoteDisconnected, ssl.SSLError, ConnectionError)


class Client:
    """A plain HTTP client, so that a test sees just what is on the wire."""

    def __init__(self, google, token=None):
        self.google, self.token, self.connections = google, token, {}

    def connect(self, host=API):
        proxy = urlsplit(self.google.proxy)
        context = ssl.create_default_context(cafile=self.google.ca_file)
        found = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=9, context=context)
        found.set_tunnel(host, 443)
        return found

    def __call__(self, method, target, body=None, headers=(), host=API, **params):
        """(status, headers, content), of which JSON is parsed."""
        target += ("&" if "?" in target else "?") + urlencode(params) if params else ""
        headers = ({"Authorization": f"Bearer {self.token}"} if self.token else {}) | dict(headers)
        if isinstance(body, dict):
            headers = {"Content-Type": "application/json"} | headers
            body = json.dumps(body)
        connection = self.connections.setdefault(host, self.connect(host))
        try:
            connection.request(method, target, body, headers)
            reply = connection.getresponse()
            content = reply.read()
        except BaseException:
            connection.close()
            raise
        is_json = "json" in reply.headers.get("Content-Type", "")
        return reply.status, reply.headers, json.loads(content) if is_json else content

    def error(self, *args, **params):
        """(status, reason) of what must be an error in Drive's form."""
        status, _, content = self(*args, **params)
        (entry,) = content["error"]["errors"]
        return status, entry["reason"]

    def create(self, **body):
        return self("POST", FILES, {"name": "x", "mimeType": FOLDER} | body, fields="*")

    def names(self, q="trashed = false", **params):
        _, _, content = self("GET", FILES, q=q, fields="files(name)", **params)
        return sorted(file["name"] for file in content["files"])

    def session(self, total):
        headers = {"X-Upload-Content-Length": str(total)}
        answer = self("POST", UPLOAD, {"name": "x"}, headers, uploadType="resumable", fields="*")
        return answer[1]["Location"].removeprefix(f"https://{API}")

    def put(self, session, content, span):
        return self("PUT", session, content, {"Content-Range": f"bytes {span}"})


@pytest.fixture
def client(google):
    """One with the scope drive.file, like the script."""
    found = Client(google, google.token()["token"])
    yield found
    for connection in found.connections.values():
        connection.close()


# ---- Strictness ----------------------------------------------------------------------------------
BAD, INVALID, WRONG = (400, "badRequest"), (400, "invalid"), (400, "invalidParameter")
PARSE, NOT_WRITABLE = (400, "parseError"), (403, "fieldNotWritable")
REFUSED = [
    ("unknown parameter", FILES + "?fields=*&page_size=1", None, BAD),
    ("parameter that is not played", FILES + "?fields=*&orderBy=name", None, BAD),
    ("number too small", FILES + "?fields=*&pageSize=0", None, WRONG),
    ("no boolean", FILES + "?fields=*&supportsAllDrives=1", None, WRONG),
    ("no fields", FILES, None, (400, "required")),
    ("field of another thing", FILES + "?fields=name", None, WRONG),
    ("open bracket", FILES + "?fields=files(id", None, WRONG),
    ("bracket too many", FILES + "?fields=files(id))", None, WRONG),
    ("unknown term", FILES + "?fields=*&q=starred=true", None, INVALID),
    ("open query", FILES + "?fields=*&q=trashed=false+and", None, INVALID),
    ("terms unjoined", FILES + "?fields=*&q=name='a'+name='b'", None, INVALID),
    ("call in a query", FILES + "?fields=*&q=name='a'(name='b')", None, INVALID),
    ("page token of nobody", FILES + "?fields=*&pageToken=x", None, INVALID),
    ("drive without corpora", FILES + "?fields=*&driveId=x", None, INVALID),
    ("unknown key", FILES + "?fields=*", {"nam": "x"}, BAD),
    ("key of the wrong type", FILES + "?fields=*", {"name": 5}, INVALID),
    ("no JSON", FILES + "?fields=*", "{", PARSE),
    ("Google's own key", FILES + "?fields=*", {"createdTime": "x"}, NOT_WRITABLE),
    ("Google's own type", FILES + "?fields=*", {"mimeType": DOC}, INVALID),
    ("id of one's own making", FILES + "?fields=*", {"id": "1abc"}, INVALID),
    ("two parents", FILES + "?fields=*", {"parents": ["root", "root"]}, INVALID),
    ("date without a time", FILES + "?fields=*", {"modifiedTime": "2020-01-01"}, INVALID),
    ("upload of one part", UPLOAD + "?uploadType=multipart&fields=*", "--edge--", BAD),
]


@pytest.mark.parametrize(("what", "target", "body", "error"), REFUSED, ids=lambda value: value)
def test_request_is_refused(google, client, what, target, body, error):
    headers = RELATED if body == "--edge--" else {}
    assert client.error("POST" if body else "GET", target, body, headers) == error
    assert google.drive.everything() == []


PIECE = bytes(GRAIN)
UNFIT = {  # after 1 of 4 grains has arrived
    "beyond the total": (PIECE * 4, f"{GRAIN}-{5 * GRAIN - 1}/{4 * GRAIN}"),
    "another total": (PIECE, f"{GRAIN}-{2 * GRAIN - 1}/{5 * GRAIN}"),
    "another length": (PIECE, f"{GRAIN}-{2 * GRAIN}/{4 * GRAIN}"),
    "odd length": (b"odd", f"{GRAIN}-{GRAIN + 2}/{4 * GRAIN}"),
    "no range": (PIECE, "x"),
    "content with a question": (iter([PIECE]), f"*/{4 * GRAIN}"),
}


@pytest.mark.parametrize("row", UNFIT)
def test_content_that_does_not_fit_its_session(google, client, row):
    session = client.session(4 * GRAIN)
    assert client.put(session, PIECE, f"0-{GRAIN - 1}/{4 * GRAIN}")[0] == 308
    content, span = UNFIT[row]
    headers = {"Content-Range": f"bytes {span}"}
    assert client.error("PUT", session, content, headers) == BAD
    assert client.put(session, b"", "*/*")[1]["Range"] == f"bytes=0-{GRAIN - 1}"


VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]
REDIRECT = "http://127.0.0.1:4321/"
WRONG_CODES = {
    "nothing": ({}, None),
    "verifier": ({"code_verifier": "w" * 64}, (400, "invalid_grant")),
    "address": ({"redirect_uri": "http://127.0.0.1:4322/"}, (400, "invalid_grant")),
    "code": ({"code": "4/x"}, (400, "invalid_grant")),
    "secret": ({"client_secret": "x"}, (401, "invalid_client")),
}


@pytest.mark.parametrize(("wrong", "error"), WRONG_CODES.values(), ids=WRONG_CODES)
def test_code_works_once_for_who_asked_for_it(google, wrong, error):
    google.consent.answer = "allow"
    installed = google.credentials()["installed"]
    wish = {"client_id": installed["client_id"], "redirect_uri": REDIRECT, "state": "s"}
    wish |= {"scope": "https://www.googleapis.com/auth/drive.file", "code_challenge": CHALLENGE}
    _, headers, _ = Client(google)("GET", "/o/oauth2/auth", host=SIGN_IN, **wish)
    answer = dict(parse_qsl(urlsplit(headers["Location"]).query))
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": REDIRECT}
    form |= {"client_id": installed["client_id"], "client_secret": installed["client_secret"]}
    form |= {"code_verifier": VERIFIER} | wrong
    found = [Client(google)("POST", "/token", urlencode(form), host=TOKENS) for _ in range(2)]
    seen = [(status, content.get("error")) for status, _, content in found]
    assert seen == ([(200, None), (400, "invalid_grant")] if error is None else [error] * 2)


def test_what_google_does_not_have_is_noted(google, client):
    assert client("GET", "/drive/v3/changes")[0] == 404
    with pytest.raises(OSError, match="403"):
        client("GET", "/", host="example.com")
    assert [str(call.path) for call in google.unknown] == ["/drive/v3/changes"]
    assert google.strangers == ["example.com:443"]
    with pytest.raises(AssertionError, match="not Google's"):
        google.check()
    google.strangers.clear()
    with pytest.raises(AssertionError, match="does not have"):
        google.check()
    google.unknown.clear()


# ---- Faults --------------------------------------------------------------------------------------
@pytest.mark.needs("Unix")  # Wine shows the end of a connection where Windows shows a reset.
@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("reset", "reset"),
        ("cut", "reset"),
        ("answer-reset", "reset"),
        ("answer-lost", "end"),
        ("stall", "silence"),
    ],
)
def test_how_the_line_ends_below_tls(google, client, fault, ending):
    """Half of the content is sent, or all: then nothing unread makes a reset of an end."""
    google.fail("upload.content", fault)
    session, found = client.session(4 * GRAIN), "end"
    connection = client.connect()
    connection.putrequest("PUT", session)
    connection.putheader("Content-Length", str(4 * GRAIN))
    connection.endheaders(PIECE * (2 if fault in ("reset", "cut") else 4))
    connection.sock.settimeout(0.1 if fault == "stall" else 9)
    try:
        while socket.socket.recv(connection.sock, GRAIN):
            pass
    except ConnectionError:
        found = "reset"
    except TimeoutError:
        found = "silence"
    assert found == ending
    connection.close()


def test_faults_come_in_order_after_so_many_calls(google, client):
    google.fail("files.list", "500", "429-retry-after", after=1, repeat=2)
    google.fail("files.list", "404")
    google.retry_after = 7
    assert google.unused_faults()[1:3] == ["files.list: 429-retry-after", "files.list: 500"]
    found = [client("GET", FILES, fields="*") for _ in range(7)]
    assert [answer[0] for answer in found] == [200, 500, 429, 500, 429, 404, 200]
    assert found[2][1]["Retry-After"] == "7"
    google.fail("files.list", "503", repeat=None)
    with pytest.raises(AssertionError, match="never happened"):
        google.check()
    assert {client("GET", FILES, fields="*")[0] for _ in range(3)} == {503}
    google.check()


@pytest.mark.parametrize(
    "wrong",
    [
        ("files.lists", "500"),
        ("files.list", "five hundred"),
        ("files.list", "cut"),
        ("files.list", "invalid_grant"),
        ("oauth.token.refresh", "403-notFound"),
        ("files.list",),
    ],
    ids=" ".join,
)
def test_fault_that_is_none_is_refused(google, wrong):
    with pytest.raises(ValueError, match=r"none of|nothing"):
        google.fail(*wrong)


def test_readme_explains_every_fault():
    """Of statuses and OAuth's errors a few stand for all."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| "))
    names = set().union(*map(allowed, OPERATIONS)) - STATUS - set(OAUTH_ERRORS)
    assert [name for name in sorted(names) if f"`{name}`" not in rows] == []


# ---- Lists that are late, watchers, memory ------------------------------------------------------
def test_lists_show_how_it_was_so_long_ago(google, client):
    folders = {
        name: google.drive.add_folder(name) for name in ("named", "moved", "trashed", "gone")
    }
    inner = google.drive.add_file("inner", b"", folders["trashed"].id)
    google.drive.lag = 60
    assert client.names() == ["gone", "inner", "moved", "named", "trashed"]
    _, _, new = client.create(name="new")
    client("PATCH", f"{FILES}/{folders['named'].id}", {"name": "renamed"}, fields="id")
    google.drive.move(folders["moved"].id, folders["named"].id)
    client("PATCH", f"{FILES}/{folders['trashed'].id}", {"trashed": True}, fields="id")
    client("DELETE", f"{FILES}/{folders['gone'].id}")
    here = "'root' in parents and trashed = false"
    assert client.names(here) == ["gone", "moved", "named", "trashed"]
    assert client.names("name = 'new'") == []
    assert "inner" in client.names()
    assert client("GET", f"{FILES}/{new['id']}", fields="id")[0] == 200
    assert client("GET", f"{FILES}/{folders['gone'].id}", fields="id")[0] == 404
    assert client("GET", f"{FILES}/{inner.id}", fields="*")[2]["trashed"] is True
    google.drive.pass_time(61)
    assert client.names(here) == ["new", "renamed"]
    google.drive.lag = FOR_GOOD
    assert client.names(here) == ["gone", "moved", "named", "trashed"]
    google.drive.lag = 0
    assert client.names() == ["moved", "new", "renamed"]


def test_what_a_watcher_raises_comes_out():
    def watch(moment, call):
        raise ZeroDivisionError("the watcher's own words")

    google = FakeGoogle().__enter__()
    google.watch(watch)
    with pytest.raises(LOST):
        Client(google, google.token()["token"]).create()
    for look in (google.check, google.calls, lambda: google.__exit__(None)):
        with pytest.raises(ZeroDivisionError, match="the watcher's own words"):
            look()


def test_client_that_left_while_a_watcher_held_its_call_gets_nothing_done(google, client):
    connection = client.connections[API] = client.connect()
    connection.connect()
    # Below TLS, whose own class would mind.
    google.watch(lambda *_: socket.socket.shutdown(connection.sock, socket.SHUT_RDWR))
    with pytest.raises(LOST):
        client.create()
    while google.log[0].ended is None:
        time.sleep(0.001)
    assert (google.drive.children(), google.log[0].status) == ([], None)


def test_large_content_is_not_kept(google, client):
    session = client.session(65 * GRAIN)
    answer = client.put(session, PIECE * 65, f"0-{65 * GRAIN - 1}/{65 * GRAIN}")[2]
    assert answer["md5Checksum"] == hashlib.md5(PIECE * 65).hexdigest()
    assert google.drive.file(answer["id"]).content is None
