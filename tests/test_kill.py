"""At every instant a complete folder is there, whoever dies or whoever else runs."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import pytest
from fake_google import FakeGoogle
from situations import (
    CALLS,
    CHUNK,
    NAME,
    OLD,
    add_old_folder,
    assert_complete,
    assert_replaced,
    assert_run_replaces,
    folders,
    once,
    prepare,
    prepare_shared,
)
from workdir import KILLED, WINDOWS, Run, Workdir

pytestmark = pytest.mark.usefixtures("no_forks")
POINTS = [(number, moment) for number in range(len(CALLS)) for moment in ("before", "after")]
MADE = POINTS.index((CALLS.index("files.create.metadata"), "after"))
RENAMED = POINTS.index((CALLS.index("files.update.rename"), "after"))


def point_id(point: tuple[int, str]) -> str:
    number, moment = point
    return f"{moment} {number} {CALLS[number]}"


def test_the_points_are_all_calls(workdir: Workdir, google: FakeGoogle) -> None:
    prepare_shared(workdir, google)
    assert workdir.run().status == 0
    assert [call.operation.replace("upload.chunk", "upload") for call in google.log] == [
        call if not call.startswith("upload") else "upload" for call in CALLS
    ]


@pytest.mark.parametrize("point", POINTS, ids=point_id)
def test_killed_run_harms_nothing_and_the_next_goes_on(
    workdir: Workdir, google: FakeGoogle, point: tuple[int, str]
) -> None:
    number, moment = point
    content = prepare_shared(workdir, google)

    def kill(when: str, call: Any) -> None:
        if when == moment and google.log.index(call) == number:
            workdir.running.kill()

    google.watch(kill)
    assert workdir.run().status == KILLED
    google.service.watchers.clear()
    assert_complete(google, content)
    there = {name for _, held in folders(google) for name in held}

    seen = len(google.log)
    workdir.sign_in()
    assert_run_replaces(workdir, content)
    assert all(folder.shared for folder in google.drive.folders())
    again = sum(call.content_bytes for call in google.log[seen:])
    assert again == sum(len(data) for name, data in content.items() if name not in there)


@pytest.mark.parametrize("point", POINTS[2:], ids=point_id)
def test_second_run_in_the_middle_of_a_first(
    workdir: Workdir, google: FakeGoogle, tmp_path: Path, point: tuple[int, str]
) -> None:
    number, moment = point
    first_content = prepare_shared(workdir, google)
    second = Workdir(tmp_path / "other", google)
    second_content = prepare(second, seed=2)
    versions = (first_content, second_content)
    second_token = second.token["token"]
    calls: list[Any] = []

    def interrupt(when: str, call: Any) -> None:
        if when == "after":
            assert_complete(google, *versions)
        if call.token == second_token:
            return
        if when == "before":
            calls.append(call)
        if (when, len(calls) - 1) == (moment, number):
            calls.append(None)
            outcome = second.run()
            assert outcome.status == 0, outcome.err

    google.watch(interrupt)
    outcome = workdir.run()
    assert None in calls, "the point was not reached"
    # Once the first run's folder is there, the second run is the later one.
    is_made = POINTS.index(point) >= MADE
    is_renamed = POINTS.index(point) >= RENAMED
    assert outcome.status == (1 if is_made and not is_renamed else 0), outcome.err
    assert ("by a later run" in outcome.err) == (outcome.status == 1)
    assert_replaced(google, second_content if is_made else first_content)
    google.service.watchers.clear()
    assert_run_replaces(workdir, first_content)


def test_three_runs_at_full_speed(google: FakeGoogle, tmp_path: Path) -> None:
    add_old_folder(google)
    workdirs, versions = [], []
    for number in range(3):
        workdirs.append(Workdir(tmp_path / str(number), google))
        versions.append(prepare(workdirs[-1], seed=number))

    def check(moment: str, call: Any) -> None:
        if moment == "after":
            assert_complete(google, *versions)

    google.watch(check)
    outcomes = [run.wait() for run in [workdir.start() for workdir in workdirs]]
    assert all("Traceback" not in outcome.err for outcome in outcomes)
    assert 0 in [outcome.status for outcome in outcomes]
    assert workdirs[0].run().status == 0
    assert_replaced(google, versions[0])


@pytest.mark.line(bandwidth=4 * CHUNK)
@pytest.mark.parametrize(
    ("signal", "status", "word"),
    [
        (Run.interrupt, 130, "Interrupted."),
        pytest.param(Run.terminate, 143, "Terminated.", marks=needs.sigterm),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_signal_in_the_middle_of_a_chunk(
    workdir: Workdir,
    google: FakeGoogle,
    signal: Callable[[Run], None],
    status: int,
    word: str,
) -> None:
    content = prepare(workdir) | {"big.bin": os.urandom(16 * CHUNK)}
    workdir.contents(content)
    workdir.set(CHUNK_SIZE=16 * CHUNK)  # which takes 4 seconds
    add_old_folder(google)
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        signal(workdir.running)

    once(google, "before", "upload.chunk", interrupt)
    outcome = workdir.run()
    assert time.monotonic() - sent[0] < 3
    assert outcome.status == status
    assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert (NAME, OLD) in folders(google)
    google.service.watchers.clear()
    google.server.throttle.rate = None
    seen = len(google.log)
    assert_run_replaces(workdir, content)
    assert sum(call.content_bytes for call in google.log[seen:]) == len(content["big.bin"])


def vanish(path: Path) -> None:
    path.unlink()


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def rewrite_keeping_the_time(path: Path) -> None:
    before = path.stat()
    time.sleep(0.01)
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(os.urandom(path.stat().st_size))
    other.replace(path)


CHANGES = [
    vanish,
    shrink,
    grow,
    rewrite,
    pytest.param(rewrite_keeping_the_time, marks=needs.change_times),
    replace,
]
MOMENTS = {
    "same.txt": ["files.list", "batch"],
    "new.txt": ["files.list", "files.create.metadata", "files.create.multipart"],
    "big.bin": ["files.list", "files.create.resumable", "upload.chunk"],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("name", "moment"), [(name, moment) for name, moments in MOMENTS.items() for moment in moments]
)
def test_file_that_changes_is_named(
    workdir: Workdir, google: FakeGoogle, change: Any, name: str, moment: str
) -> None:
    prepare(workdir)
    add_old_folder(google)
    done: list[Any] = []

    def meddle() -> None:
        try:
            done.append(change(workdir.path / name))
        except PermissionError:
            done.append("refused")

    once(google, "before", moment, meddle)
    outcome = workdir.run()
    if WINDOWS and done == ["refused"]:
        pytest.skip("Windows lets nobody remove a file that is open")
    assert outcome.status == 1, outcome.out
    assert str(workdir.path / name) in outcome.err
    assert "Traceback" not in outcome.err
    assert (NAME, OLD) in folders(google)
    assert not google.calls("files.update.rename")


def test_token_file_survives_a_kill_while_written(workdir: Workdir, google: FakeGoogle) -> None:
    """The script is stopped at the moment when the new token.json takes the place of the old."""
    prepare(workdir)
    old = workdir.sign_in(expires_in=-10)
    workdir.hook("import os\nos.replace = lambda *_: os.kill(os.getpid(), 9)\n")
    assert workdir.run().status in (9, -9)
    assert workdir.token == old
    del workdir.environment["PYTHONPATH"]
    assert workdir.run().status == 0
    assert workdir.token["refresh_token"] == old["refresh_token"]
