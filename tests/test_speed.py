"""What a run costs: requests and bytes, counted exactly, and memory."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle
from workdir import Outcome, Workdir

NAME = "Quickstart uploads"
MB = 1_000_000
CHUNK = 256 * 1024
FIRST_RUN = ["files.list", "files.generateIds", "files.create.metadata"]
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
# read takes from which file.
COUNT_READS = """
import builtins, io, os, sys

log = os.open(os.environ["READS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
folder = os.environ["READS_FROM"]
plain_open = io.open


class Counted(io.FileIO):
    def note(self, count):
        os.write(log, f"{count} {os.path.basename(self.name)}\\n".encode())

    def read(self, size=-1):
        data = super().read(size)
        self.note(len(data))
        return data

    def readall(self):
        data = super().readall()
        self.note(len(data))
        return data

    def readinto(self, buffer):
        count = super().readinto(buffer)
        self.note(count)
        return count


def counting_open(file, mode="r", *more, **named):
    if mode == "rb" and os.path.dirname(os.fspath(file)) == folder:
        return io.BufferedReader(Counted(os.fspath(file)))
    return plain_open(file, mode, *more, **named)


io.open = builtins.open = counting_open
"""


class Cost:
    """What a run made Google do."""

    def __init__(self, workdir: Workdir) -> None:
        self.google = workdir.google
        self.seen = len(self.google.log)
        self.outcome: Outcome = workdir.run()
        assert (self.outcome.status, self.outcome.err) == (0, "")
        self.calls = self.google.log[self.seen :]

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    @property
    def content_bytes(self) -> int:
        return sum(call.content_bytes for call in self.calls)

    @property
    def request_bytes(self) -> int:
        return sum(call.sent for call in self.calls)

    @property
    def counts(self) -> str:
        """Such as "2 uploaded, 1 copied unchanged"."""
        return self.outcome.lines[-2].rpartition(",")[0]


def contents(count: int) -> dict[str, bytes]:
    """So many files, no two of the same content, some of them large."""
    sizes = {0: 0, 1: 1, 2: 5 * 1024 * 1024}
    return {
        f"{number}.txt": f"{number} ".encode() + os.urandom(sizes.get(number, 2000))
        for number in range(count)
    }


def in_files(workdir: Workdir, names: list[str]) -> None:
    """As contents(), into a folder of their own."""
    workdir.set(FILES=[f"files/{name}" for name in names])


@pytest.fixture
def reads(workdir: Workdir, tmp_path: Path) -> Any:
    """A function that tells how many bytes the runs so far have read of each of FILES."""
    log = tmp_path / "reads.txt"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(COUNT_READS)
    workdir.environment |= {
        "PYTHONPATH": str(tmp_path / "hook"),
        "READS": str(log),
        "READS_FROM": str(workdir.path / "files"),
    }

    def count() -> dict[str, int]:
        found: dict[str, int] = {}
        for line in log.read_text().splitlines() if log.exists() else []:
            size, name = line.split(" ", 1)
            found[name] = found.get(name, 0) + int(size)
        return found

    return count


# ---- Requests and bytes --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4, 60])
def test_first_run_makes_a_request_a_file_and_six_more(
    workdir: Workdir, google: FakeGoogle, count: int
) -> None:
    content = contents(count)
    content["just.bin"] = os.urandom(5 * 1024 * 1024)  # the largest that goes up in one request
    workdir.contents(content)
    workdir.sign_in(expires_in=-10)
    cost = Cost(workdir)
    assert sorted(cost.operations) == sorted(
        [
            *("oauth.token.refresh", "files.list", "files.generateIds", "files.create.metadata"),
            *["files.create.multipart"] * len(content),
            *("files.update.rename", "files.list"),
        ]
    )
    assert cost.content_bytes == sum(map(len, content.values()))
