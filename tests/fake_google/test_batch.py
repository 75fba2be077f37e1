"""Batch requests."""

from typing import Any

from . import FakeGoogle
from .client import API, FILES, FOLDER, UPLOAD, Client, answers, answers_of_status, batch


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
    upload: tuple[str, str, Any] = ("POST", UPLOAD + "?uploadType=multipart&fields=id", {})
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
