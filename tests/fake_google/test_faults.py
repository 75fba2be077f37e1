"""Faults on request."""

import hashlib
import http.client
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from . import FakeGoogle
from .client import (
    API,
    CLOSED,
    FILES,
    GRAIN,
    KIB,
    UP_MULTIPART,
    UPLOAD,
    ZEROS,
    Client,
    answers,
    batch,
    caught,
    refresh,
    wait_for,
    wish,
)
from .faults import FAULTS, OAUTH_ERRORS, OPERATIONS, STATUS, Ending, allowed
from .server import part


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


def test_every_fault_is_explained() -> None:
    """In README's table; of statuses and OAuth's errors a few stand for all."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| "))
    assert [name for name in FAULTS - STATUS - set(OAUTH_ERRORS) if f"`{name}`" not in rows] == []


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


def test_what_is_sent_of_a_cut_answer() -> None:
    """The blank line after the headers is what the end comes before."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 4\r\n\r\nbody"
    for ending, sent in {
        Ending.ANSWER: answer,
        Ending.HALF: answer[:-2],
        Ending.HEAD: answer[:-6],
        Ending.SHORT_HEAD: b"HTTP/1.1 200 OK\r\nContent-Type: x\r\n",
    }.items():
        assert part(answer, ending) == sent, ending


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
    shapes = ("empty-object", "empty-list", "empty-body")
    google.fail("files.create.multipart", "truncated-json", *shapes, *digests)
    answer = client.upload()
    assert answer.status == 200
    with pytest.raises(ValueError, match="line"):
        _ = answer.json
    assert client.upload().json == {}
    assert client.upload().json == []
    assert client.upload().content == b""
    assert client.upload(fields="id,md5Checksum").json.keys() == {"id"}
    assert client.upload(fields="md5Checksum").json == {"md5Checksum": "0" * 32}
    assert client.upload(fields="id,sha256Checksum").json.keys() == {"id"}
    assert client.upload(fields="sha256Checksum").json == {"sha256Checksum": "0" * 64}
    assert len(google.drive.children()) == 8


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


def test_bad_answers_inside_a_batch(google: FakeGoogle, client: Client) -> None:
    google.fail("files.copy", "empty-object", "no-sha256", "wrong-sha256")
    source = google.drive.add_file("source", b"data")
    copy: Any = ("POST", f"{FILES}/{source.id}/copy?fields=sha256Checksum", {})
    found = [value for _, _, value in answers(batch(client, copy, copy, copy, copy))]
    assert found == [{}, {}, {"sha256Checksum": "0" * 64}, {"sha256Checksum": source.sha256}]


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
        ("html-407", 407, None),
        ("empty-list", 200, None),
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
