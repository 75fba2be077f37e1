"""What the user sees: in a pipe, on on terminals, on consoles that know few letters."""

import os
import re
import shlex
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import needs
import pytest
from fake_google import FakeGoogle
from situations import NAME, OLD, add_old_folder, folders, prepare
from workdir import Run, Workdir

if sys.platform != "win32":
    import pty
    import termios
    from fcntl import ioctl

LINK = "https://drive.google.com/drive/folders/"


def without_seconds(text: str) -> str:
    return re.sub(r"in \d+\.\d s", "in N s", text)


def test_whole_output_of_a_run(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    outcome = workdir.run()
    (new,) = google.drive.folders(NAME)
    assert (outcome.status, outcome.err) == (0, "")
    assert without_seconds(outcome.out) == (
        "copied (unchanged)  same.txt\n"
        "uploaded  new.txt  5 bytes\n"
        "uploaded  big.bin  1.6 MB\n"
        "2 uploaded, 1 copied unchanged, 1.6 MB sent in N s\n"
        f"{LINK}{new.id}\n"
    )


def test_whole_output_of_a_failed_run(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.fail("upload.last", "400-badRequest")
    outcome = workdir.run()
    assert (outcome.status, outcome.out) == (
        1,
        "copied (unchanged)  same.txt\nuploaded  new.txt  5 bytes\n",
    )
    assert outcome.err == (
        "Uploading: Google answered 400, Bad Request.\n"
        f'"{NAME}" is as it was; "{NAME} (uploading)" waits for the next run.\n'
    )


def test_dry_run_only_reads(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    old = add_old_folder(google)
    outcome = workdir.run("--dry-run")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == (
        "copy (unchanged)  same.txt  9 bytes\n"
        "upload  new.txt  5 bytes\n"
        "upload  big.bin  1.6 MB\n"
        f'replace "{NAME}", made {old.created}: {LINK}{old.id}\n'
    )
    assert {call.operation for call in google.log} == {"files.list"}
    assert folders(google) == [(NAME, OLD)]


@pytest.mark.parametrize("why", ["shared", "starred"])
def test_changed_link_is_told(workdir: Workdir, google: FakeGoogle, why: str) -> None:
    prepare(workdir)
    old = add_old_folder(google)
    if why == "shared":
        google.drive.share(old.id, type="anyone", role="reader")
    else:
        old.starred = True
    outcome = workdir.run()
    assert outcome.lines[-3] == "The old folder was shared or starred: its link has changed."


SHARING: list[dict[str, Any]] = [
    {"type": "user", "role": "reader", "email": "reader@example.com"},
    {"type": "user", "role": "writer", "email": "writer@example.com"},
    {"type": "group", "role": "commenter", "email": "group@example.com"},
    {"type": "domain", "role": "reader", "domain": "example.com"},
    {"type": "anyone", "role": "reader"},
    {
        "type": "user",
        "role": "reader",
        "email": "guest@example.com",
        "expiration": f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT00:00:00.000Z}",
    },
]


def sharing(google: FakeGoogle, folder_id: str) -> list[tuple[Any, ...]]:
    return sorted(
        (grant.type, grant.role, grant.email or "", grant.domain or "", grant.expiration or "")
        for grant in google.drive.file(folder_id).permissions
    )


def test_sharing_survives_and_nobody_is_mailed(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    old = add_old_folder(google)
    for grant in SHARING:
        google.drive.share(old.id, **grant)
    before = sharing(google, old.id)
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    (new,) = google.drive.folders(NAME)
    assert sharing(google, new.id) == before
    assert google.mails == []


def test_sharing_that_cannot_be_carried_over_is_named(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    old = add_old_folder(google)
    google.drive.share(old.id, type="user", role="reader", email="friend@example.com")
    google.fail("permissions.create", "403-sharingRateLimitExceeded")
    outcome = workdir.run()
    assert outcome.status == 0
    assert outcome.err.startswith(
        "Not shared with friend@example.com as reader: Google answered 403"
    )


def test_unshared_folder_costs_no_call(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    assert workdir.run().status == 0
    assert google.calls("permissions.list", "permissions.create") == []


@pytest.mark.parametrize("console", [{"PYTHONIOENCODING": "cp1252"}, {"LANG": "C", "LC_ALL": "C"}])
def test_names_that_the_console_does_not_know(workdir: Workdir, console: dict[str, str]) -> None:
    workdir.contents({"東京.txt": b"a", "Łódź.txt": b"b"})
    workdir.sign_in()
    workdir.environment |= console
    outcome = workdir.run(encoding="latin-1")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.count("uploaded") == 3


@needs.any_names
def test_control_characters_in_a_name_are_not_obeyed(workdir: Workdir) -> None:
    workdir.contents({"a\x1b[2Jb\rc\nd": b"a"})
    workdir.sign_in()
    outcome = workdir.run()
    assert outcome.lines[0].startswith("uploaded  a?[2Jb?c")
    assert not set("\r\x1b") & set(outcome.out + outcome.err)


def test_output_that_nobody_takes_stops_no_run(workdir: Workdir, google: FakeGoogle) -> None:
    content = prepare(workdir)
    run = workdir.start()
    assert run.process.stdout
    run.process.stdout.close()
    assert run.process.wait(60) == 0
    assert folders(google) == [(NAME, content)]


@needs.unix_shell
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_output_stops_no_run(workdir: Workdir, google: FakeGoogle, closed: str) -> None:
    content = prepare(workdir)
    command = f"exec {shlex.quote(sys.executable)} {shlex.quote(str(workdir.script))} {closed}"
    ended = subprocess.run(
        ["sh", "-c", command], env=workdir.environment, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert ended.stderr == b""
    assert (b"uploaded" in ended.stdout) == (closed == "2>&-")
    assert folders(google) == [(NAME, content)]


@pytest.mark.parametrize(
    ("operation", "standing"),
    [
        ("files.create.metadata", "waits for the next run."),
        ("files.update.rename", "is as it was, or is replaced already: "),
    ],
)
def test_interrupted_run_claims_nothing_that_may_be_false(
    workdir: Workdir, google: FakeGoogle, operation: str, standing: str
) -> None:
    """The work is done, the script is stopped before it hears of that."""
    prepare(workdir)
    run: list[Run] = []

    def interrupt(moment: str, call: Any) -> None:
        if (moment, call.operation) == ("after", operation):
            run[0].interrupt()
            run[0].process.wait(10)

    google.watch(interrupt)
    run.append(workdir.start())
    outcome = run[0].wait()
    assert outcome.status == 130
    assert standing in outcome.err.splitlines()[-1]


class Terminal:
    """A terminal of so many columns on stderr and stdout, and what a run wrote to it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.ours, self.theirs = pty.openpty()
        ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.text = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        data = b""
        try:
            while piece := os.read(self.ours, 65536):
                data += piece
        except OSError:  # the other side is closed
            pass
        self.text = data.decode()

    def run(self, workdir: Workdir) -> int:
        run = workdir.start(stdout=self.theirs, stderr=self.theirs)
        os.close(self.theirs)
        status = run.process.wait(60)
        self.reader.join()
        os.close(self.ours)
        return status

    @property
    def progress(self) -> list[str]:
        """The progress lines, one after another."""
        return [part for part in re.split(r"[\r\n]+", self.text) if re.match(r"\d+%", part)]

    @property
    def screen(self) -> list[str]:
        """What stands there in the end."""
        lines = [line.rpartition("\r")[2] for line in self.text.replace("\r\n", "\n").split("\n")]
        return [line for line in lines if line.strip()]


@needs.terminals
@pytest.mark.line(bandwidth=10_000_000)
@pytest.mark.parametrize("columns", [80, 40, 12])
def test_progress_on_a_terminal(workdir: Workdir, google: FakeGoogle, columns: int) -> None:
    workdir.contents({"a big file.bin": os.urandom(15_000_000), "small.txt": b"a"})
    workdir.sign_in()
    terminal = Terminal(columns)
    assert terminal.run(workdir) == 0
    percents = [int(line.partition("%")[0]) for line in terminal.progress]
    assert len(set(percents)) > 3, "it does not move during the big file"
    assert len(percents) <= 30
    assert max(map(len, terminal.progress)) < columns
    if columns == 80:
        assert re.match(
            r"\d+%  \d.*B of 15\.0 MB  .*B/s  0:00:0\d left  a big file\.bin", terminal.progress[1]
        )
    assert [line.split("  ")[0] for line in terminal.screen][:2] == ["uploaded", "uploaded"]
    assert terminal.screen[-1].startswith(LINK[:columns])


@needs.terminals
@pytest.mark.line(bandwidth=1_000_000)
def test_interrupted_terminal_is_left_clean(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents({"a big file.bin": os.urandom(3_000_000)})
    workdir.sign_in()
    terminal = Terminal(80)
    run = workdir.start(stdout=terminal.theirs, stderr=terminal.theirs)
    os.close(terminal.theirs)
    google.watch(
        lambda moment, call: (
            threading.Timer(0.5, run.interrupt).start()
            if (moment, call.operation) == ("before", "files.create.multipart")
            else None
        )
    )
    assert run.process.wait(60) == 130
    terminal.reader.join()
    assert terminal.screen == [
        "Uploading: Interrupted.",
        f'"{NAME}" is as it was; "{NAME} (uploading)" waits for the next run.',
    ]


@pytest.mark.line(bandwidth=4_000_000)
def test_pipe_gets_plain_lines(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents({"a big file.bin": os.urandom(2_000_000)})
    workdir.sign_in()
    # As bytes, since text has lost its \r.
    process: Any = workdir.start(encoding=None).process
    out, err = process.communicate(timeout=60)
    assert err == b""
    assert out.endswith(os.linesep.encode())
    assert not set(b"\r\x1b") & set(out.replace(os.linesep.encode(), b""))
