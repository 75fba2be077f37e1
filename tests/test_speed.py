"""What a run costs: requests and bytes, counted exactly, and memory."""

import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle
from situations import once
from workdir import Workdir

NAME = "Quickstart uploads"
MIB = 1024 * 1024
NOTHING_NEW = [
    "files.list",
    "files.list",
    "files.generateIds",
    "files.create.metadata",
    "batch",
    "files.update.rename",
    "files.list",
    "files.update.trash",
]

# Loaded by Python itself before the script, which knows nothing of it: notes how many bytes each
# read brings from which file.
COUNT_READS = """
import builtins, io, os, sys

log = os.open(os.environ["HOOK_READS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
folder = os.environ["HOOK_READS_FROM"]
plain_open = io.open


class Counted(io.BufferedReader):
    def note(self, count):
        os.write(log, f"{count} {os.path.basename(self.name)}\\n".encode())

    def read(self, size=-1):
        data = super().read(size)
        self.note(len(data))
        return data

    def readinto(self, buffer):
        count = super().readinto(buffer)
        self.note(count)
        return count


def counting_open(file, mode="r", *more, **named):
    if mode == "rb" and os.path.dirname(os.fspath(file)) == folder:
        return Counted(io.FileIO(os.fspath(file)))
    return plain_open(file, mode, *more, **named)


io.open = builtins.open = counting_open
"""


class Cost:
    """What a run made Google do."""

    def __init__(self, workdir: Workdir) -> None:
        seen = len(workdir.google.log)
        outcome = workdir.run()
        assert (outcome.status, outcome.err) == (0, ""), outcome.err
        (counts,) = re.findall(r"\d+ uploaded, \d+ unchanged", outcome.out)
        self.counts = counts
        self.calls = workdir.google.log[seen:]
        self.operations = [call.operation for call in self.calls]
        self.content_bytes = sum(call.content_bytes for call in self.calls)
        self.body_bytes = sum(call.sent for call in self.calls)


def contents(count: int, size: int = 2000) -> dict[str, bytes]:
    """So many files, no two of them of one size."""
    dice = random.Random(count)
    blocks = [dice.randbytes(1000) for _ in range(count)]
    return {
        f"files/{number}.txt": (block * (size // 1000 + 1))[: size + number] + b"\n"
        for number, block in enumerate(blocks)
    }


def first(content: dict[str, bytes]) -> tuple[str, bytes]:
    return next(iter(content.items()))


def lengths(content: dict[str, bytes]) -> dict[str, int]:
    return {path: len(data) for path, data in content.items()}


def put_into_drive(google: FakeGoogle, content: dict[str, bytes], name: str = NAME) -> Any:
    folder = google.drive.add_folder(name)
    for path, data in content.items():
        google.drive.add_file(Path(path).name, data, parent=folder.id)
    return folder


def total(content: dict[str, bytes]) -> int:
    return sum(map(len, content.values()))


@pytest.fixture
def bytes_read(workdir: Workdir, tmp_path: Path) -> Callable[[], dict[str, int]]:
    """How many bytes of each of FILES the runs have read so far."""
    log = tmp_path / "reads.txt"
    log.touch()
    workdir.hook(COUNT_READS, READS=log, READS_FROM=workdir.path / "files")

    def count() -> dict[str, int]:
        found: dict[str, int] = {}
        for line in log.read_text(encoding="utf-8").splitlines():
            size, name = line.split(" ", 1)
            if size == "1":  # whether the file can be read is tried beforehand
                continue
            found[f"files/{name}"] = found.get(f"files/{name}", 0) + int(size)
        return found

    return count


# ---- First runs ----------------------------------------------------------------------------------

FIRST_RUNS = {
    "one": contents(1),
    "sixty": contents(60),
    "the largest that go up in one request": contents(2, 5 * MIB - 2),
}


@pytest.mark.parametrize("content", FIRST_RUNS.values(), ids=FIRST_RUNS.keys())
def test_first_run_makes_one_request_a_file_and_six_more(
    workdir: Workdir, bytes_read: Callable[[], dict[str, int]], content: dict[str, bytes]
) -> None:
    workdir.contents(content)
    workdir.sign_in(expires_in=-10)
    cost = Cost(workdir)
    assert cost.operations == [
        "oauth.token.refresh",
        "files.list",
        "files.generateIds",
        "files.create.metadata",
        *["files.create.multipart"] * len(content),
        "files.update.rename",
        "files.list",
    ]
    assert cost.content_bytes == total(content)
    assert bytes_read() == lengths(content)


def test_chunks_carry_each_byte_once(
    workdir: Workdir, bytes_read: Callable[[], dict[str, int]]
) -> None:
    content = contents(3, 40 * MIB + 4000)
    workdir.contents(content)
    workdir.sign_in()
    cost = Cost(workdir)
    assert cost.content_bytes == total(content)
    assert cost.operations.count("upload.chunk") == 3 * 3  # of 16 MiB each, or what is left
    assert bytes_read() == lengths(content)


def test_file_of_a_size_that_the_old_folder_lacks_is_read_once(
    workdir: Workdir, google: FakeGoogle, bytes_read: Callable[[], dict[str, int]]
) -> None:
    content = contents(3)
    path, data = first(content)
    put_into_drive(google, {path: data[::-1], "other": b"of no file's size"})
    workdir.contents(content)
    workdir.sign_in()
    assert Cost(workdir).content_bytes == total(content)
    # The one of a size that is there is hashed first, in case that it need not be sent.
    assert bytes_read() == lengths(content) | {path: 2 * len(data)}


# ---- Further runs --------------------------------------------------------------------------------


def test_sixty_files_with_nothing_new(
    workdir: Workdir, google: FakeGoogle, bytes_read: Callable[[], dict[str, int]]
) -> None:
    content = contents(60)
    put_into_drive(google, content)
    workdir.contents(content)
    workdir.sign_in()
    cost = Cost(workdir)
    assert cost.operations == NOTHING_NEW
    assert (cost.counts, cost.content_bytes) == ("0 uploaded, 60 unchanged", 0)
    assert cost.body_bytes <= 60 * 1000
    assert bytes_read() == lengths(content)


def add(content: dict[str, bytes]) -> dict[str, bytes]:
    return content | {"files/added.txt": b"added"}


def rename(content: dict[str, bytes]) -> dict[str, bytes]:
    path, data = first(content)
    return {name: of for name, of in content.items() if name != path} | {"files/renamed.pdf": data}


def edit(content: dict[str, bytes]) -> dict[str, bytes]:
    path, data = first(content)
    return content | {path: data[::-1]}


def exchange(content: dict[str, bytes]) -> dict[str, bytes]:
    return dict(zip(content, reversed(content.values()), strict=True))


def double(content: dict[str, bytes]) -> dict[str, bytes]:
    _, data = first(content)
    return content | {"files/double.txt": data}


def drop(content: dict[str, bytes]) -> dict[str, bytes]:
    return dict(list(content.items())[1:])


SECOND_RUNS: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], int, str]] = {
    # what changed: how, bytes of content sent, what the script says
    "times alone": (dict, 0, "0 uploaded, 5 unchanged"),
    "one file more": (add, 5, "1 uploaded, 5 unchanged"),
    "one file less": (drop, 0, "0 uploaded, 4 unchanged"),
    "one name": (rename, 0, "0 uploaded, 5 unchanged"),
    "all names": (exchange, 0, "0 uploaded, 5 unchanged"),
    "one content": (edit, 2001, "1 uploaded, 4 unchanged"),
    "one file twice": (double, 0, "0 uploaded, 6 unchanged"),
}


@pytest.mark.parametrize(("change", "sent", "counts"), SECOND_RUNS.values(), ids=SECOND_RUNS.keys())
def test_second_run_sends_only_what_is_new(
    workdir: Workdir,
    google: FakeGoogle,
    change: Callable[[dict[str, bytes]], dict[str, bytes]],
    sent: int,
    counts: str,
) -> None:
    content = contents(5)
    workdir.contents(content)
    workdir.sign_in()
    assert Cost(workdir).content_bytes == total(content)
    content = change(content)
    workdir.contents(content)
    for path in content:
        os.utime(workdir.path / path, (0, 1234567890))
    cost = Cost(workdir)
    assert (cost.content_bytes, cost.counts) == (sent, counts)
    (folder,) = google.drive.folders(NAME)
    found = {(file.name, file.content) for file in google.drive.children(folder.id)}
    assert found == {(Path(path).name, data) for path, data in content.items()}
    times = {file.modified for file in google.drive.children(folder.id)}
    assert times == {"2009-02-13T23:31:30.000Z"}


def test_run_after_a_killed_one_sends_only_what_is_missing(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = contents(20)
    workdir.contents(content)
    workdir.set(PARALLEL_UPLOADS=1)
    workdir.sign_in()

    def kill(moment: str, call: Any) -> None:
        if moment == "before" and len(google.calls("files.create.multipart")) == 13:
            workdir.running.kill()

    google.watch(kill)
    workdir.run()
    google.service.watchers.clear()
    cost = Cost(workdir)
    assert cost.counts == "8 uploaded, 12 unchanged"
    assert cost.content_bytes == total(dict(list(content.items())[12:]))


def test_copies_are_asked_for_a_hundred_at_a_time(workdir: Workdir, google: FakeGoogle) -> None:
    content = contents(250, 1)
    put_into_drive(google, content)
    workdir.contents(content)
    workdir.sign_in()
    cost = Cost(workdir)
    assert cost.counts == "0 uploaded, 250 unchanged"
    assert [len(call.parts) for call in google.calls("batch")] == [100, 100, 50]
    assert len(cost.calls) == len(NOTHING_NEW) + 2


def test_only_a_shared_folder_costs_calls_for_its_sharing(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = contents(2)
    old = put_into_drive(google, content)
    workdir.contents(content)
    workdir.sign_in()
    assert Cost(workdir).operations == NOTHING_NEW
    (old,) = google.drive.folders(NAME)
    google.drive.share(old.id, type="user", role="reader", email="friend@example.com")
    extra = ["permissions.list", "permissions.create"]
    assert Cost(workdir).operations == [*NOTHING_NEW[:5], *extra, *NOTHING_NEW[5:]]


# ---- Memory --------------------------------------------------------------------------------------


def peak_memory(pid: int) -> int:
    """In bytes, of a process that still runs."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells while a process runs")
def test_memory_does_not_grow_with_the_files(workdir: Workdir, google: FakeGoogle) -> None:
    names = [f"{number}.bin" for number in range(4)]
    workdir.set(FILES=names, PARALLEL_UPLOADS=4)
    workdir.sign_in()
    peaks: list[int] = []

    def look() -> None:
        peaks.append(peak_memory(workdir.running.process.pid))

    for size in (32 * MIB, 128 * MIB):
        for number, name in enumerate(names):
            workdir.write(name, b"")
            os.truncate(workdir.path / name, size + number)
        once(google, "before", "files.update.rename", look)
        assert workdir.run().status == 0
    small, large = peaks
    assert large < 200 * 1000 * 1000
    assert large - small < 16 * MIB
