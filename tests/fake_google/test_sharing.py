"""Permissions, and shared drives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from . import FakeGoogle
from .client import ALL, FILES, Client, as_user

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
    assert not found.keys() & {"owners", "ownedByMe", "shared", "permissions"}


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
