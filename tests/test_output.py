"""What the user sees: in a pipe, on terminals, on consoles that know few letters."""

import os
import re
import shlex
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import needs
import pytest
from fake_google import FakeGoogle
from situations import NAME, WORKING_NAME, add_old_folder, folders, once, prepare
from test_settings import load
from workdir import Workdir

if sys.platform != "win32":
    import pty
    import termios
    from fcntl import ioctl

LINK = "https://drive.google.com/drive/folders/"


def without_seconds(text: str) -> str:
    return re.sub(r"in \d+\.\d s", "in N s", text)


NOT_REPLACED = f'"{NAME}" was not replaced by this run.'
NEXT_RUN = f'{NOT_REPLACED} The next run continues with "{WORKING_NAME}", if that is still there.'
CHANGED_NOTHING = "Nothing in Drive was changed."


def test_whole_output_of_a_run(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    outcome = workdir.run()
    (new,) = google.drive.folders(NAME)
    assert (outcome.status, outcome.err) == (0, "")
    assert without_seconds(outcome.out) == (
        "copied within Drive (unchanged)  same.txt\n"
        "uploaded  new.txt  5 bytes\n"
        "uploaded  big.bin  1.6 MB\n"
        f'"{NAME}": 2 uploaded, 1 unchanged, 1.6 MB sent in N s.\n'
        "The old folder is in the trash for 30 days. The new one has another link.\n"
        f"{LINK}{new.id}\n"
    )


def test_whole_output_of_a_run_with_much_to_tell(workdir: Workdir, google: FakeGoogle) -> None:
    """And of a dry run before it, which only reads."""
    prepare(workdir)
    workdir.set(DELETE_PERMANENTLY=True)
    old = add_old_folder(google)
    old.starred = True
    google.drive.share(old.id, type="user", role="reader", email="friend@example.com")
    stranger = google.drive.add_folder(WORKING_NAME)
    before = google.drive.everything()
    outcome = workdir.run("--dry-run")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == (
        "copy within Drive (unchanged)  same.txt  9 bytes\n"
        "upload  new.txt  5 bytes\n"
        "upload  big.bin  1.6 MB\n"
        "leave out (not in FILES)  gone.txt\n"
        f'delete for good  "{NAME}" {LINK}{old.id}\n'
        "The old folder is shared or starred. The new one has another link.\n"
        "leave alone (not made by this script, or not removable)  "
        f'"{WORKING_NAME}" {LINK}{stranger.id}\n'
    )
    assert {call.operation for call in google.log} == {"files.list", "files.generateIds"}
    assert google.drive.everything() == before
    google.fail("permissions.create", "403-sharingRateLimitExceeded")
    outcome = workdir.run()
    (new,) = google.drive.folders(NAME)
    assert (outcome.status, outcome.err) == (0, "")
    *_, counts, fate, lost, stays, link = without_seconds(outcome.out).splitlines()
    assert counts.startswith(f'"{NAME}": 2 uploaded, 1 unchanged, ')
    assert fate == "The old folder was deleted for good. The new one has another link."
    assert lost.startswith(
        "Not carried over from the old folder: its star, friend@example.com as reader (Google: 403 "
        "sharingRateLimitExceeded "
    )
    assert stays == (
        "Not made by this script, or not removable, so it stays: "
        f'"{WORKING_NAME}" {LINK}{stranger.id}.'
    )
    assert link == f"{LINK}{new.id}"


def test_whole_output_of_a_failed_run(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.fail("upload.last", "400-badRequest")
    outcome = workdir.run()
    assert (outcome.status, outcome.out) == (
        1,
        "copied within Drive (unchanged)  same.txt\nuploaded  new.txt  5 bytes\n",
    )
    assert outcome.err.splitlines() == [
        "Uploading: Google refused this. (Google: 400 badRequest Bad Request)",
        NEXT_RUN,
    ]


NO_PARENT = "PARENT_FOLDER_ID is not in Drive, or out of reach. See SCOPES in README.md."
NOT_A_PARENT = "PARENT_FOLDER_ID is a file, or in the trash. Choose another folder."


def in_the_trash(drive: Any) -> str:
    folder = drive.add_folder("old")
    drive.trash(folder.id)
    return str(folder.id)


PARENTS: dict[str, tuple[Callable[[Any], str], str]] = {
    "no such ID": (lambda drive: "1aB-c_9", NO_PARENT),
    "made by hand": (lambda drive: drive.add_folder("by hand", app=False).id, NO_PARENT),
    "a file": (lambda drive: drive.add_file("file", b"").id, NOT_A_PARENT),
    "in the trash": (in_the_trash, NOT_A_PARENT),
}


@pytest.mark.parametrize(("make", "message"), PARENTS.values(), ids=PARENTS.keys())
def test_parent_that_cannot_be_one(
    workdir: Workdir, google: FakeGoogle, make: Callable[[Any], str], message: str
) -> None:
    prepare(workdir)
    workdir.set(PARENT_FOLDER_ID=make(google.drive))
    before = google.drive.everything()
    outcome = workdir.run()
    assert outcome.err.splitlines() == [
        f"Comparing the files with Drive: {message}",
        CHANGED_NOTHING,
    ]
    assert (outcome.status, outcome.out) == (1, "")
    assert google.drive.everything() == before


def test_parent_is_taken_by_its_address(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    parent = google.drive.add_folder("parent")
    address = f"https://drive.google.com/drive/u/0/folders/{parent.id}?usp=sharing"
    workdir.set(PARENT_FOLDER_ID=address)
    assert workdir.run().status == 0
    assert [folder.name for folder in google.drive.folders(parent=parent.id)] == [NAME]


def test_sizes_are_told_in_units(workdir: Workdir) -> None:
    sizes = [
        0,
        1,
        999,
        1000,
        999_960,
        1_250_000,
        999_900_000,
        1_500_000_000,
        2_500_000_000_000,
        12.34,
    ]
    assert [load(workdir).amount(size) for size in sizes] == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1.0 kB",
        "1.0 MB",
        "1.2 MB",
        "999.9 MB",
        "1.5 GB",
        "2500.0 GB",
        "12.3 bytes",
    ]


# ---- Sharing -------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("console", [{"PYTHONIOENCODING": "cp1252"}, {"LANG": "C", "LC_ALL": "C"}])
def test_names_that_the_console_does_not_know(workdir: Workdir, console: dict[str, str]) -> None:
    workdir.contents({"東京.txt": b"a", "Łódź.txt": b"b"})
    workdir.sign_in()
    workdir.environment |= console
    outcome = workdir.run(encoding="latin-1")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.count("uploaded  ") == 2


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
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
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


INTERRUPTED = {
    "files.create.metadata": (
        "Creating the folder",
        f"{NOT_REPLACED} If the new folder was created, the next run uses it.",
    ),
    "files.update.rename": (
        "Renaming",
        f'"{NAME}" is still the old folder, or the complete new one: {LINK}',
    ),
}


@pytest.mark.parametrize("operation", INTERRUPTED)
def test_interrupted_run_claims_nothing_that_may_be_false(
    workdir: Workdir, google: FakeGoogle, operation: str
) -> None:
    """The work is done, the script is stopped before it hears of that."""
    prepare(workdir)

    def interrupt() -> None:
        workdir.running.interrupt()
        workdir.running.process.wait(10)

    once(google, "after", operation, interrupt)
    outcome = workdir.run()
    step, standing = INTERRUPTED[operation]
    if standing.endswith(LINK):
        standing += google.drive.folders(NAME)[0].id
    assert outcome.err.splitlines() == [f"{step}: Interrupted.", standing]
    assert outcome.status == 130


# ---- Terminals -----------------------------------------------------------------------------------


class Terminal:
    """A terminal of so many columns on stderr and stdout, and what a run wrote to it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.ours, self.theirs = pty.openpty()
        ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.data = b""  # so far
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        with suppress(OSError):  # once the other side is closed
            while piece := os.read(self.ours, 65536):
                self.data += piece

    def run(self, workdir: Workdir) -> int:
        run = workdir.start(stdout=self.theirs, stderr=self.theirs)
        os.close(self.theirs)
        status = run.process.wait(60)
        self.reader.join()
        os.close(self.ours)
        return status

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def progress(self) -> list[str]:
        """The progress lines, one after another."""
        return [part for part in re.split(r"[\r\n]+", self.text) if part.startswith("Uploading ")]

    @property
    def screen(self) -> list[str]:
        """What stands there in the end."""
        lines = [line.rpartition("\r")[2] for line in self.text.replace("\r\n", "\n").split("\n")]
        return [line for line in lines if line.strip()]


@needs.terminals
@pytest.mark.line(bandwidth=20_000_000)
@pytest.mark.parametrize(
    ("columns", "name"), [(100, "a big file.bin"), (70, "東京東京東京.bin"), (12, "a")]
)
def test_progress_on_a_terminal(workdir: Workdir, columns: int, name: str) -> None:
    workdir.contents({name: os.urandom(15_000_000), "small.txt": b"a"})
    workdir.sign_in()
    terminal = Terminal(columns)
    assert terminal.run(workdir) == 0
    widths = [sum(1 + (letter > "\u10ff") for letter in line) for line in terminal.progress]
    assert 3 < len(widths) <= 30
    assert max(widths) < columns
    if columns > 12:
        percents = [re.findall(r"(\d+)%", line)[0] for line in terminal.progress]
        assert len(set(percents)) > 3, "it does not move during the big file"
        whole = rf"Uploading  \d+%  \d.*B of 15\.0 MB  .*B/s  0:00:0\d left  {name[:3]}"
        assert any(re.match(whole, line) for line in terminal.progress)
    else:
        assert terminal.progress[0] == "Uploading  "
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
        NEXT_RUN,
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
