"""Uploads: in one request, and in a session."""

import hashlib
import socket
from urllib.parse import parse_qsl, urlsplit

import pytest

from . import FakeGoogle
from .client import API, GRAIN, KIB, UP_MULTIPART, UPLOAD, ZEROS, Client, related, wait_for

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
    body, kind = related({"name": "new"}, b"multipart")
    params = {"uploadType": "multipart", "fields": "id"}
    client.call("PATCH", target, body, {"Content-Type": kind}, **params)
    assert (file.name, file.content) == ("new", b"multipart")
    middle = file.modified
    answer = client.call("PATCH", target, {}, uploadType="resumable", fields="id")
    client.call("PUT", answer.headers["Location"].removeprefix(f"https://{API}"), b"resumed")
    assert (file.content, len(google.drive.children())) == (b"resumed", 1)
    assert before < middle < file.modified  # (google-drive-mock)
