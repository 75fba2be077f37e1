"""Lists: queries, pages, order, the index of names."""

import pytest

from . import FakeGoogle
from .client import Client


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
