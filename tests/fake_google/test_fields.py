"""What a request and its answer may hold: parameters, bodies, fields, addresses."""

from typing import Any

import pytest

from . import FakeGoogle
from .client import FILES, FOLDER, UPLOAD, Client


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


def test_fields_are_demanded(client: Client) -> None:
    """By about.get (discovery), and by our rule for all calls that return a resource."""
    for answer in (
        client.call("GET", "/drive/v3/about"),
        client.call("GET", FILES),
        client.call("POST", FILES, {"name": "x"}),
    ):
        assert answer.error == (400, "required")
    assert client.call("POST", FILES, {"name": "x"}, fields="").json.keys() == {"id"}  # rclone


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
