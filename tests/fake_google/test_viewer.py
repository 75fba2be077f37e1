"""Who may do what: tokens, scopes, other people's files."""

from collections.abc import Callable

import pytest

from . import FakeGoogle
from .client import DRIVE, Client, as_user


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


def test_scope_that_does_not_suffice(google: FakeGoogle) -> None:
    """403 insufficientPermissions, with the reason once more in details (guides/handle-errors)."""
    answer = Client(google, google.token(scopes=[DRIVE + ".readonly"])["token"]).create()
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
