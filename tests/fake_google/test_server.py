"""Sockets, the log, watchers."""

import ctypes
import http.client
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlencode

import pytest

from . import FakeGoogle
from .client import API, CLOSED, GRAIN, UP_MULTIPART, UPLOAD, Client, ask, caught, related, wait_for
from .messages import Call


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
@pytest.mark.parametrize("is_told", [True, False])
def test_client_that_is_gone(
    google: FakeGoogle, client: Client, monkeypatch: pytest.MonkeyPatch, is_told: bool, size: int
) -> None:
    """What it asked for is not done, if it left while a watcher held the call.

    Linux tells at once that it left, other systems when all that it sent has been read.
    """
    if not is_told:
        monkeypatch.delattr("select.POLLRDHUP", raising=False)
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


UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
KILLED = """
import http.client, ssl, sys
port, ca, token, size = sys.argv[1:]
connection = http.client.HTTPSConnection(
    "127.0.0.1", int(port), context=ssl.create_default_context(cafile=ca)
)
connection.set_tunnel("www.googleapis.com", 443)
headers = {"Authorization": "Bearer " + token}
headers["Content-Type"] = "multipart/related; boundary=edge"
target = "/upload/drive/v3/files?uploadType=multipart&fields=id"
head = b"--edge\\nContent-Type: application/json\\n\\n{}\\n--edge\\n\\n"
connection.request("POST", target, head + bytes(int(size)) + b"\\n--edge--", headers)
print(connection.getresponse().status)
"""


@pytest.mark.skipif(UNDER_WINE, reason="Wine closes the sockets of a killed program late, or never")
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
        assert 0.15 <= time.monotonic() - started <= 5


def test_nothing_is_left(google: FakeGoogle) -> None:
    """Sockets and threads end with the block, also those of idle connections."""
    before = threading.active_count()
    with FakeGoogle() as other:
        client = Client(other, other.token()["token"])
        client.search()
    assert threading.active_count() == before
    with pytest.raises(CLOSED):
        client.search()
