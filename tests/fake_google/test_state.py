"""The state, as tests set it up and look into it."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from . import FakeGoogle
from .client import KIB, Client
from .clock import parse
from .state import Drive


def test_everything(google: FakeGoogle) -> None:
    """Names and content of what is not in the trash; what is there twice shows twice."""
    folder = google.drive.add_folder("folder")
    for content in (b"1", b"2"):
        google.drive.add_file("same", content, folder.id)
    google.drive.trash(google.drive.add_file("trashed", b"").id)
    google.drive.add_file("large", bytes(17 * KIB * KIB))
    digest = hashlib.md5(bytes(17 * KIB * KIB)).hexdigest()
    assert google.drive.everything() == [
        ("folder", [("same", b"1"), ("same", b"2")]),
        ("large", f"{17 * KIB * KIB} bytes, MD5 {digest}"),
    ]


def test_creation_times_rise(google: FakeGoogle) -> None:
    """No two are the same, so that older and newer is never in doubt."""
    times = [google.drive.add_folder("x").created for _ in range(50)]
    assert sorted(set(times)) == times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in times)


def test_time_that_passes_at_once(google: FakeGoogle) -> None:
    before = google.drive.add_folder("x").created
    google.drive.pass_time(3600)
    later = parse(google.drive.add_folder("y").created) - parse(before)
    assert timedelta(minutes=59) < later < timedelta(minutes=61)


def test_skewed_folders(google: FakeGoogle, client: Client) -> None:
    """A test may have the clocks of Google's servers differ, for folders that clients make."""
    before = google.drive.add_folder("x").created
    google.drive.skew_folders(-3, 3, 0, before, before)
    assert client.upload().json["createdTime"] > before  # a file's is not concerned
    early, late, now, same, again, last = (client.create().json["createdTime"] for _ in range(6))
    assert early < before == same == again < now < last < late
    assert google.drive.add_folder("y").created > last


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: setattr(file, "md5", "0"),
        lambda file: setattr(file, "id", "other"),
        lambda file: setattr(file, "owner", None),
        lambda file: setattr(file, "parents", []),
        lambda file: setattr(file, "parents", ["nowhere"]),
        lambda file: setattr(file, "size", None),
        lambda file: setattr(file, "drive_id", "other"),
    ],
    ids=["content", "id", "owner", "parents", "parent", "size", "drive"],
)
def test_consistency_check(damage: Callable[[Any], None]) -> None:
    """A state that can't be is found."""
    drive = Drive("alex@example.com")
    file = drive.add_file("file", b"data", drive.add_folder("folder").id)
    drive.consistency_check()
    damage(file)
    with pytest.raises(AssertionError):
        drive.consistency_check()


def test_secrets(google: FakeGoogle) -> None:
    """All that was made to be kept secret can be searched for."""
    token, robot_info = google.token(), google.service_account()
    found = google.secrets()
    assert {token["token"], token["refresh_token"], token["client_secret"]} <= set(found)
    assert any(secret in robot_info["private_key"] for secret in found)
    assert len(set(found)) == len(found)
