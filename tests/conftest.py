"""The fixtures of all tests: a fresh fake of Google's servers, a user's folder that it serves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_google import FakeGoogle
from workdir import Workdir


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: while a test waits for a slow line, another one runs."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def google(request: pytest.FixtureRequest) -> Iterator[FakeGoogle]:
    """A fake of its own for the test, which accounts for all that happened to it at the end."""
    marker = request.node.get_closest_marker("line")
    with FakeGoogle(**(marker.kwargs if marker else {})) as fake:
        yield fake
    assert fake.service.crashes == [], "a watcher of the test, or the fake itself, failed"
    assert fake.unused_faults() == [], "faults that were asked for and never happened"
    assert fake.strangers == [], "hosts that are not Google's were called"
    assert fake.unknown == [], "addresses that Google does not have were called"
    fake.drive.consistency_check()


@pytest.fixture
def no_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI, each run starts a Python of its own, as it does for a user."""
    if os.environ.get("CI") == "true":
        monkeypatch.setattr("workdir.FORKS", False)


@pytest.fixture
def workdir(tmp_path: Path, google: FakeGoogle) -> Workdir:
    return Workdir(tmp_path / "a user's folder", google)
