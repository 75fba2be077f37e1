"""The language of queries, on a Drive without a server around it."""

import pytest

from . import query
from .errors import Refusal
from .state import Drive


@pytest.fixture
def drive() -> Drive:
    return Drive("alex@example.com")


def found(drive: Drive, q: str) -> list[str]:
    parsed = query.parse(q, drive.root_id)
    return sorted(file.name for file in drive.files.values() if file.parents and parsed.finds(file))


def test_names_and_case(drive: Drive) -> None:
    """`name =` takes upper and lower case for the same (rclone's code)."""
    for name in ("Backup", "BACKUP", "Backup 2"):
        drive.add_folder(name)
    assert found(drive, "name = 'bACKUP'") == ["BACKUP", "Backup"]


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("name = 'it\\'s a \\\\ b'", ["it's a \\ b"]),
        ("name != 'one'", ["gone", "it's a \\ b", "two words"]),
        ("mimeType = 'text/plain'", ["one"]),
        ("mimeType != 'text/plain' and trashed = false", ["it's a \\ b", "two words"]),
        ("trashed = false", ["it's a \\ b", "one", "two words"]),
        ("trashed=true", ["gone"]),
        ("trashed != false", ["gone"]),
        ("not trashed = true and (name = 'one' or name = 'gone')", ["one"]),
        ("name = 'gone' or name = 'one' and trashed = true", ["gone"]),
        ("trashed = true and name = 'one' or name = 'gone'", ["gone"]),
        ("'root' in parents and name = 'one'", ["one"]),
        ("'elsewhere' in parents", []),
        ("", ["gone", "it's a \\ b", "one", "two words"]),
    ],
)
def test_queries(drive: Drive, q: str, names: list[str]) -> None:
    """What queries mean; trashed files are found like others (guides/ref-search-terms).

    "and" binds closer than "or" (assumed; that both go without brackets: google-drive-mock).
    """
    drive.add_file("one", b"", mime_type="text/plain")
    for name in ("two words", "it's a \\ b", "gone"):
        drive.add_file(name, b"")
    drive.trash(drive.children()[-1].id)
    assert found(drive, q) == names


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
    ],
)
def test_wrong_query(drive: Drive, q: str) -> None:
    """400 invalid (guides/ref-search-terms)."""
    with pytest.raises(Refusal) as caught:
        query.parse(q, drive.root_id)
    assert (caught.value.name, caught.value.location) == ("400-invalid", "q")


def test_queries_by_name_lag(drive: Drive) -> None:
    """They never learn of a new name, while lists by parent know it at once (kopia issue 90)."""
    drive.add_folder("old")
    drive.rename(drive.children()[0].id, "renamed")
    drive.pass_time(1e6)
    for q, names in {
        "'root' in parents": ["renamed"],
        "name = 'old'": ["renamed"],
        "name = 'renamed'": [],
        "name != 'old'": [],
        "'root' in parents and (trashed = true or not name = 'x')": ["renamed"],
    }.items():
        assert found(drive, q) == names, q


def test_lag_of_names(drive: Drive) -> None:
    """A new name shows in queries by name when the lag is over (assumed)."""
    drive.name_lag = 60
    drive.rename(drive.add_folder("old").id, "renamed")
    drive.pass_time(30)
    assert (found(drive, "name = 'old'"), found(drive, "name = 'renamed'")) == (["renamed"], [])
    drive.pass_time(30)
    assert (found(drive, "name = 'old'"), found(drive, "name = 'renamed'")) == ([], ["renamed"])


def test_no_lag(drive: Drive) -> None:
    drive.name_lag = 0
    drive.rename(drive.add_folder("old").id, "new")
    assert (found(drive, "name = 'old'"), found(drive, "name = 'new'")) == ([], ["new"])


def test_what_is_gone_is_found_no_more(drive: Drive) -> None:
    """Only names lag: trashed and deleted is so at once, also for queries by name (assumed)."""
    drive.trash(drive.add_folder("x").id)
    drive.delete(drive.add_folder("x").id)
    assert found(drive, "name = 'x' and trashed = false") == []
    assert found(drive, "name = 'x'") == ["x"]
