"""What the user sees: whole outputs, into pipes and on terminals, and what ends a run."""

import os
import re
import struct
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from user import NAME, NEW, WINDOWS, WORKING_NAME, add_old_folder, at, my_drive

if not WINDOWS:
    import termios
    from fcntl import ioctl

LINK = "https://drive.google.com/drive/folders/"
KEPT = f'"{NAME}" was not replaced by this run.'
NEXT_RUN = f"{KEPT} The next run copies what has reached Drive."
COPIED = "copied within Drive (unchanged)"


def lines(text):
    """Without what a clock decides. Files that are done at one time come in either order."""
    found = re.sub(r"in \d+\.\d s\.", "in N s.", text).splitlines()
    is_file = re.compile(f"uploaded|{re.escape(COPIED)}")
    files = [line for line in found if is_file.match(line)]
    assert found[: len(files)] == files
    return sorted(files) + found[len(files) :]


# ---- Whole outputs -------------------------------------------------------------------------------
def test_later_run(user, google):
    old = add_old_folder(google)
    outcome = user.run()
    (new,) = google.drive.folders(NAME)
    assert (outcome.status, outcome.err) == (0, "")
    assert lines(outcome.out) == [
        f"{COPIED}  same.txt  9 bytes",
        "uploaded  big.bin  1.3 MB",
        "uploaded  new.txt  3 bytes",
        f'moved to the trash (for 30 days)  "{NAME}" {LINK}{old.id}',
        f'"{NAME}" is complete: 1 {COPIED}, 2 uploaded; 1.3 MB sent in N s.',
        "It has a new link:",
        f"{LINK}{new.id}",
    ]


def test_run_with_much_to_tell(user, google):
    """And a dry run before it, which only reads."""
    user.set(DELETE_PERMANENTLY=True)
    stays = add_old_folder(google, {})
    old = add_old_folder(google, generation=2)
    google.drive.share(old.id, email="bob@example.com", role="writer")
    stranger = google.drive.add_folder(WORKING_NAME)
    before = google.drive.everything()
    assert user.run("--dry-run") == (
        0,
        "to be copied within Drive (unchanged)  same.txt  9 bytes\n"
        "to be uploaded  new.txt  3 bytes\n"
        "to be uploaded  big.bin  1.3 MB\n"
        "to be left out (not in FILES)  gone.txt\n"
        f'to be deleted for good  "{NAME}" {LINK}{old.id}\n'
        f'to be deleted for good  "{NAME}" {LINK}{stays.id}\n'
        f'to be left alone (not made by this script)  "{WORKING_NAME}" {LINK}{stranger.id}\n',
        "",
    )
    reading = ["files.list", "files.generateIds", "files.list", "files.list"]
    assert [call.operation for call in google.calls()] == reading
    assert google.drive.everything() == before
    google.fail("permissions.create", "403-sharingRateLimitExceeded")
    google.fail("files.delete", "403-insufficientFilePermissions", after=1)
    outcome = user.run()
    (new,) = (folder for folder in google.drive.folders(NAME) if folder.id != stays.id)
    refused = "403 insufficientFilePermissions "
    refused += "You do not have sufficient permissions for this file."
    limited = "403 sharingRateLimitExceeded Rate limit exceeded. These items could not be shared."
    assert outcome.status == 0
    assert outcome.err.splitlines() == [
        f"not carried over from the old folder  bob@example.com as writer ({limited})",
        f'not removable, so it stays  "{NAME}" {LINK}{stays.id}  ({refused})',
    ]
    assert lines(outcome.out) == [
        f"{COPIED}  same.txt  9 bytes",
        "uploaded  big.bin  1.3 MB",
        "uploaded  new.txt  3 bytes",
        f'deleted for good  "{NAME}" {LINK}{old.id}',
        f'left alone (not made by this script)  "{WORKING_NAME}" {LINK}{stranger.id}',
        f'"{NAME}" is complete: 1 {COPIED}, 2 uploaded; 1.3 MB sent in N s.',
        "It has a new link:",
        f"{LINK}{new.id}",
    ]


def test_sizes_have_units(user):
    """Files that are not there but for their size, which a dry run tells."""
    sizes = [0, 1, 99_999, 100_000, 1_250_000, 1_500_000_000]
    for size in sizes:
        os.truncate(user.write(f"{size}", b""), size)
    user.set(FILES=[str(size) for size in sizes])
    told = [line.split("  ")[2] for line in user.run("--dry-run").out.splitlines()]
    assert told == ["0 bytes", "1 byte", "99,999 bytes", "0.1 MB", "1.2 MB", "1,500.0 MB"]


# ---- How a run ends ------------------------------------------------------------------------------
def test_refused_run_says_how_it_leaves_drive(user, google):
    """Of other moments, test_ctrl_c.py has the same: here, Drive is asked what it has done."""
    old = add_old_folder(google)
    google.fail("files.update.rename", "400-badRequest")
    outcome = user.run()
    refused = f"Renaming: Google refused this. (400 badRequest Bad Request)\n{NEXT_RUN}\n"
    assert (outcome.status, outcome.err) == (1, refused)
    assert [folder.id for folder in google.drive.folders(NAME)] == [old.id]


def test_results_of_a_run_that_fails_are_those_until_then(user, google):
    add_old_folder(google)

    def wait_for_results():
        while "new.txt" not in user.running.text("stdout"):
            time.sleep(0.01)

    at(google, "before", "files.create.resumable", wait_for_results)
    google.fail("upload.content", "403-storageQuotaExceeded")
    outcome = user.run()
    assert outcome.status == 1
    assert lines(outcome.out) == [f"{COPIED}  same.txt  9 bytes", "uploaded  new.txt  3 bytes"]
    assert outcome.err.splitlines()[-1] == NEXT_RUN


# ---- Output that is not taken, or not in full ----------------------------------------------------
CLOSED = {
    "stdout": (">&-", False),
    "stderr": ("2>&-", True),
    "all": ("<&- >&- 2>&-", False),
    "disk full": (">/dev/full 2>/dev/full", False),
}


@pytest.mark.needs("Linux")
@pytest.mark.parametrize(("redirected", "is_shown"), CLOSED.values(), ids=CLOSED)
def test_output_that_is_closed_or_full_stops_no_run(user, google, redirected, is_shown):
    command = ["sh", "-c", f'exec "$0" "$1" {redirected}', sys.executable, str(user.script)]
    ended = subprocess.run(command, env=user.environment, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (b"is complete" in ended.stdout) == is_shown
    assert my_drive(google) == [(NAME, NEW)]


STREAMS = {
    "of pythonw": "import sys; sys.stdout = sys.stderr = None",
    "of IDLE": "import io, sys; sys.stdout = io.StringIO(); sys.stderr = io.StringIO()",
}


@pytest.mark.parametrize("program", STREAMS.values(), ids=STREAMS)
def test_streams_that_are_no_files_stop_no_run(user, google, program):
    user.hook(program)
    assert user.run() == (0, "", "")
    assert my_drive(google) == [(NAME, NEW)]


def test_reader_that_goes_away_stops_no_run(user, google):
    run = user.start(stdout=subprocess.PIPE)
    run.process.stdout.close()
    assert run.wait() == (0, "", "")
    assert my_drive(google) == [(NAME, NEW)]


LETTERS = {
    "utf-8": "Łódź 東京",
    "cp1252": "\\u0141ód\\u017a \\u6771\\u4eac",
    "ascii": "\\u0141\\xf3d\\u017a \\u6771\\u4eac",
}


@pytest.mark.parametrize(("encoding", "shown"), LETTERS.items(), ids=LETTERS)
def test_letters_that_a_console_lacks_stop_no_run(user, encoding, shown):
    """As bytes, since text has lost its \\r: into a pipe, there is no progress line."""
    user.files({"Łódź 東京": b"a"})
    user.environment["PYTHONIOENCODING"] = encoding
    run = user.start(stdout=subprocess.PIPE)
    out = run.process.stdout.read()
    assert run.wait() == (0, "", "")
    assert out.startswith(f"uploaded  {shown}  1 byte{os.linesep}".encode(encoding))
    assert not set(b"\r\x1b") & set(out.replace(os.linesep.encode(), b""))


def test_remarks_of_packages_on_an_old_python_are_not_shown(user):
    """cron would mail them, run by run. Here, Python is old because of the clock."""
    user.hook("import time; time.time = lambda: 2e9")
    run = user.start(stdout=subprocess.PIPE)
    run.process.stdout.read()
    assert run.wait() == (0, "", "")


@pytest.mark.needs("file names in any letters and cases")
def test_control_characters_in_a_name_are_not_obeyed(user):
    user.files({"a\x1b[2Jb\rc\x9bd\x7fe\n.txt": b"a"})
    assert user.run().out.splitlines()[0] == "uploaded  a?[2Jb?c?d?e?.txt  1 byte"


# ---- Terminals -----------------------------------------------------------------------------------
class Terminal:
    """Of so many columns, on stdout and stderr of a run."""

    def __init__(self, columns=100):
        self.ours, self.theirs = os.openpty()
        ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.written = b""  # so far

    def run(self, user):
        run = user.start(stdout=self.theirs, stderr=self.theirs)
        os.close(self.theirs)
        with suppress(OSError):  # which Linux has for the end
            while piece := os.read(self.ours, 65536):
                self.written += piece
        os.close(self.ours)
        return run.wait().status

    @property
    def progress(self):
        """The progress lines, one after another."""
        parts = re.split(r"[\r\n]+", self.written.decode())
        return [part for part in parts if re.match(r"\d+%", part)]

    @property
    def percents(self):
        return [int(line.split("%")[0]) for line in self.progress]

    @property
    def screen(self):
        """The lines that stand there in the end: what follows \\r goes over what was there."""
        shown = []
        for line in self.written.decode().replace("\r\n", "\n").split("\n"):
            shown.append("")
            for part in line.split("\r"):
                shown[-1] = part + shown[-1][len(part) :]
        return [line.rstrip() for line in shown if line.strip()]


@pytest.mark.needs("terminals")
@pytest.mark.line(bandwidth=10_000_000)
@pytest.mark.parametrize("columns", [100, 20])
def test_progress_line_moves_during_a_big_file(user, google, columns):
    user.files({"big.bin": bytes(6_000_000), "small.txt": b"a"})
    terminal = Terminal(columns)
    assert terminal.run(user) == 0
    whole = r"\d+%  \d\.\d MB of 6\.0 MB  \d+\.\d MB/s  0:00:0\d left"
    assert any(re.match(whole, line) for line in terminal.progress) == (columns == 100)
    assert terminal.percents == sorted(terminal.percents)
    assert len(set(terminal.percents)) > 2
    assert max(terminal.percents) <= 100
    assert max(map(len, terminal.progress)) < columns
    (new,) = google.drive.folders(NAME)
    assert lines("\n".join(terminal.screen)) == [
        "uploaded  big.bin  6.0 MB",
        "uploaded  small.txt  1 byte",
        f'"{NAME}" is complete: 2 uploaded; 6.0 MB sent in N s.',
        "It has a new link:",
        f"{LINK}{new.id}",
    ]


@pytest.mark.needs("terminals")
@pytest.mark.line(bandwidth=16_000_000)
@pytest.mark.parametrize("fault", ["cut", "503", "session-404"])
def test_progress_never_passes_the_end(user, google, fault):
    """What is sent a second time, the half or all of it, is not counted twice."""
    google.fail("upload.content", fault)
    user.files({"big.bin": bytes(6_000_000)})
    terminal = Terminal()
    assert terminal.run(user) == 0
    assert len(terminal.percents) > 2
    assert max(terminal.percents) <= 100


@pytest.mark.needs("terminals")
def test_interrupted_terminal_is_left_clean(user, google):
    terminal = Terminal()

    def interrupt():
        while b"%" not in terminal.written:
            time.sleep(0.01)
        user.running.interrupt()
        user.running.process.wait(10)

    user.set(FILES=["big.bin"])
    at(google, "before", "upload.content", interrupt)
    assert terminal.run(user) == 130
    assert terminal.screen == ["Uploading: Interrupted.", NEXT_RUN]
