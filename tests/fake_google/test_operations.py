"""What the operations do: ids, lists, changes, copies, storage."""

from typing import Any

import pytest

from . import FakeGoogle
from .client import FILES, Client, as_user

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


# ---- Lists ---------------------------------------------------------------------------------------


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
    """What clients make, name or copy is there for lists by parent, not for queries by name."""
    old = google.drive.add_file("old", b"")
    client.create("new")
    client.upload(name="new")
    client.call("PUT", client.session(4, name="new"), b"data")
    client.copy(old.id, name="new")
    client.update(old.id, name="renamed")
    assert client.names("'root' in parents") == client.names() == ["new"] * 4 + ["renamed"]
    assert client.get(old.id).json["name"] == "renamed"
    assert client.names("name = 'old'") == ["renamed"]
    assert client.names("name = 'renamed' or name = 'new'") == []
    google.drive.name_lag = 0
    assert client.names("name = 'new'") == ["new"] * 4


def test_wrong_query(client: Client) -> None:
    assert client.search("name = x").error == (400, "invalid")


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
    """Folders (guides/create-file)."""
    folder = google.drive.add_folder("folder")
    assert client.copy(folder.id).error == (403, "cannotCopyFile")


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
    google.drive.quota_limit = limit
    google.drive.trash(google.drive.add_file("x", b"123").id)
    found = client.call("GET", "/drive/v3/about", fields="user(emailAddress,me),storageQuota").json
    quota = {"usage": "3", "usageInDrive": "3", "usageInDriveTrash": "3"}
    assert found["storageQuota"] == quota | ({"limit": "1000"} if limit else {})
    assert found["user"] == {"emailAddress": google.user, "me": True}


def test_too_many_writes(google: FakeGoogle, client: Client) -> None:
    """Above the rate 403 userRateLimitExceeded, for writes only (guides/limits)."""
    google.drive.write_limit = 3
    assert [client.create().status for _ in range(4)] == [200, 200, 200, 403]
    assert client.create().error == (403, "userRateLimitExceeded")
    assert client.search().status == 200
