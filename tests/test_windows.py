"""What is not alike on Windows, brought about on any system: clocks, NUL, paths, dates, types."""

import os
import re
import subprocess
import sys

import pytest
from user import NAME, WINDOWS, add_old_folder, my_drive

# ---- Clocks and terminals ------------------------------------------------------------------------
# Its monotonic clock ticks 64 times a second, or less.
CLOCKS = {
    "ticks": "import time; real = time.monotonic; time.monotonic = lambda: real() * 8 // 1 / 8",
    "stands still": "import time; time.monotonic = lambda: 1234.5",
}
TERMINAL = "\nimport os; os.get_terminal_size = lambda *_: os.terminal_size((200, 24))"


@pytest.mark.line(bandwidth=10_000_000)
@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_coarse_clock_ends_no_run_and_shows_no_absurd_rate(user, clock):
    user.files({"big.bin": bytes(4_000_000)})
    user.hook(clock + TERMINAL)
    outcome = user.run()
    assert outcome.status == 0
    assert re.search(r"; 4\.0 MB sent in \d\.\d s\.\n", outcome.out)
    rates = re.findall(r"  (\d+\.\d) MB/s  ", outcome.err)
    assert rates
    assert max(map(float, rates)) <= 40


@pytest.mark.skipif(not WINDOWS, reason="needs cmd of Windows")
def test_output_into_nul_loses_no_result(user):
    """It says that it is a terminal, and has no size."""
    command = f'"{sys.executable}" "{user.script}" >out.txt 2>NUL'
    options = {"cwd": user.path, "env": user.environment, "stdin": subprocess.PIPE}
    assert subprocess.run(command, shell=True, timeout=60, **options).returncode == 0
    assert "is complete: 3 uploaded; " in (user.path / "out.txt").read_text(encoding="utf-8")


# ---- Paths ---------------------------------------------------------------------------------------
ADVICE = r"""Write r"C:\new\a.jpg" or "C:/new/a.jpg": else, Python changes \n and \t."""
# As FILES has it, what is shown of it, and whether there is advice.
PATHS = {
    "no r before the quotes": ("C:\temp\files\a.txt", "C:?emp?iles?.txt", True),
    "a NUL": ("C:\\data\0.txt", "C:\\data?.txt", True),
    "a file that is missing": (r"C:\data\gone.txt", r"C:\data\gone.txt", True),
    "forward slashes": ("C:/data/gone.txt", "C:/data/gone.txt", False),
    "a wildcard": ("*.txt", "*.txt", False),
}


@pytest.mark.parametrize(("entry", "shown", "is_advised"), PATHS.values(), ids=PATHS)
def test_path_as_windows_has_it(user, entry, shown, is_advised):
    says = [f"FILES: There is no file at {user.path / shown}."] + [ADVICE] * is_advised
    assert user.check(FILES=[entry]) == (2, "", "\n".join([*says, "Nothing was sent.", ""]))


@pytest.mark.needs("file names in any letters and cases")
def test_names_that_differ_in_case_both_go_up(user, google):
    content = {"a.txt": b"small", "A.TXT": b"LARGE"}
    user.files(content)
    assert user.run().status == 0
    assert my_drive(google) == [(NAME, content)]


# ---- Types and dates -----------------------------------------------------------------------------
NO_DATES_BEFORE_1970 = """
import datetime


class WindowsDatetime(datetime.datetime):
    @classmethod
    def fromtimestamp(cls, seconds, tz=None):
        if seconds < 0:
            raise OSError(22, "Invalid argument")
        return super().fromtimestamp(seconds, tz)


datetime.datetime = WindowsDatetime
"""
# As the registry is where Office is installed.
OTHER_TYPES = """
import mimetypes, os

mimetypes.knownfiles = [os.environ["HOOK_REGISTRY"]]
"""
UNKNOWN = "application/octet-stream"
TYPES = {
    "a.txt": "text/plain",
    "a.csv": "text/csv",
    "a.html": "text/html",
    "a.JPG": "image/jpeg",
    "a.pdf": "application/pdf",
    "a.doc": "application/msword",
    "a.tar": "application/x-tar",
    "a.eml": "message/rfc822",
    # What is compressed is not what it would be without.
    "a.tar.gz": UNKNOWN,
    "a.tgz": UNKNOWN,
    "a.svgz": UNKNOWN,
    "a.unheard-of": UNKNOWN,
    "txt": UNKNOWN,
}


@pytest.mark.parametrize("system", ["this one", "Windows"])
def test_types_and_dates_are_the_same_on_every_machine(user, google, system):
    """Copies keep the type that the file had in Drive, unless they are given one."""
    user.files(dict.fromkeys(TYPES, b"a"))
    add_old_folder(google, {"a": b"a"})
    for name in TYPES:
        os.utime(user.path / name, (0, -86400.5))
    if system == "Windows":
        registry = "application/wrong txt csv html jpg pdf doc tar eml unheard-of\n"
        path = user.write("mime.types", registry.encode())
        user.hook(OTHER_TYPES + NO_DATES_BEFORE_1970, REGISTRY=path)
    outcome = user.run()
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = google.drive.folders(NAME)
    files = google.drive.children(folder.id)
    assert {file.name: file.mime_type for file in files} == TYPES
    assert {file.modified for file in files} == {"1969-12-30T23:59:59.500Z"}
