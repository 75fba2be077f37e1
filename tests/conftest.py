"""The fixtures of all tests: a fresh fake of Google's servers, a user's folder that it serves."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_google import FakeGoogle
from workdir import Workdir

# By hand, only each so manieth row of these modules' long tables is run. With CI=true, all are.
SAMPLED = {"test_network": 3, "test_faults": 2, "test_people": 2}
LONG = 6  # rows


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true":
        return
    tables: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tables[item.nodeid.partition("[")[0]].append(item)
    kept: list[pytest.Item] = []
    for rows in tables.values():
        step = SAMPLED.get(rows[0].path.stem, 1) if len(rows) > LONG else 1
        kept += rows[::step]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


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
def workdir(tmp_path: Path, google: FakeGoogle) -> Workdir:
    path = tmp_path / "a user's folder"
    path.mkdir()
    return Workdir(path, google)
