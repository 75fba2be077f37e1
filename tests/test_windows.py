"""What is not alike on Windows, brought about on any system: clocks, NUL, paths, dates, types."""

import os
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import needs
import pytest
from fake_google import FakeGoogle
from situations import NAME
from test_settings import PATH_RULES, assert_refused, check
from workdir import Workdir

# ---- The system ----------------------------------------------------------------------------------

TICKS = """
import time
real = time.monotonic
time.monotonic = lambda: real() * 64 // 1 / 64
"""
STANDS_STILL = """
import time
time.monotonic = lambda: 1234.5
"""
TERMINAL = """
import os, sys
sys.stderr.isatty = lambda: True
os.get_terminal_size = lambda *_: os.terminal_size((200, 24))
"""
NUL = """
import os, sys
sys.stderr.isatty = lambda: True
def get_terminal_size(*_):
    raise OSError(6, "The handle is invalid")
os.get_terminal_size = get_terminal_size
"""
NO_DATES_BEFORE_1970 = """
import datetime
class WindowsDatetime(datetime.datetime):
    @classmethod
    def fromtimestamp(cls, seconds, tz=None):
        if seconds < 0:
            raise OSError(22, "Invalid argument")
        return super().fromtimestamp(seconds, tz)
    @classmethod
    def utcfromtimestamp(cls, seconds):
        return cls.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = WindowsDatetime
"""
# As the registry is where Office is installed, and as the tables of later Pythons are.
OTHER_TYPES = """
import mimetypes, os
mimetypes.knownfiles = [os.environ["HOOK_REGISTRY"]]
mimetypes._types_map_default |= {".wav": "audio/vnd.wave", ".avi": "video/vnd.avi",
    ".mkv": "video/matroska", ".js": "application/javascript", ".rtf": "text/rtf",
    ".gz": "application/gzip", ".docx": "application/x-docx", ".md": "text/x-markdown"}
for extension in (".webp", ".heic", ".flac", ".ogg", ".m4a", ".7z", ".epub", ".ods", ".yaml"):
    mimetypes._types_map_default.pop(extension, None)
"""


# ---- Clocks and terminals ------------------------------------------------------------------------

UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


@pytest.mark.parametrize("clock", [TICKS, STANDS_STILL], ids=["ticks", "stands still"])
def test_coarse_clock_ends_no_run_and_shows_no_absurd_rate(workdir: Workdir, clock: str) -> None:
    workdir.contents({f"{number}.txt": bytes(1000) for number in range(8)})
    workdir.sign_in()
    workdir.hook(clock + TERMINAL, is_early=True)
    outcome = workdir.run()
    assert outcome.status == 0, outcome.err
    assert re.search(r"8\.0 kB sent in \d+\.\d s\.\n", outcome.out)
    rates = re.findall(r"  (\d+(?:\.\d)?) (\w+)/s  ", outcome.err)
    assert rates
    assert max(float(number) * UNITS[unit] for number, unit in rates) <= 8000 / 0.1


def test_output_into_nul_loses_no_result(workdir: Workdir) -> None:
    """NUL says that it is a terminal, and has no size."""
    workdir.files(a_txt=b"a", b_txt=b"b")
    workdir.sign_in()
    workdir.hook(NUL, is_early=True)
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    assert sorted(outcome.lines[:2]) == ["uploaded  a.txt  1 byte", "uploaded  b.txt  1 byte"]
    assert outcome.lines[2].startswith(f'"{NAME}": 2 uploaded, ')
    assert outcome.lines[3].startswith("https://drive.google.com/drive/folders/")


# ---- Paths ---------------------------------------------------------------------------------------

# As typed in FILES, and how the script shows it.
PATHS = {
    "no r before the quotes": ("C:\new\table.txt", r"C:\new\table.txt"),
    "a backslash before a digit": ("C:\\data\2024.txt", r"C:\data\x824.txt"),
    "a NUL": ("C:\\data\0.txt", r"C:\data\x00.txt"),
    "quotes of Copy as path": (r'"C:\Users\me\a.txt"', r'"C:\Users\me\a.txt"'),
    "a comma forgotten": ("a.txtb.txt", "a.txtb.txt"),
    "a home folder": ("~/a.txt", os.path.join("~", "a.txt")),
    "a wildcard": ("*.txt", "*.txt"),
}


def refuse_as_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses names with such letters in words of its own."""
    real = os.stat

    def stat(path: Any, **options: Any) -> Any:
        if re.search(r'[\x01-\x1f"*?<>|]', str(path)):
            words = "The filename, directory name, or volume label syntax is incorrect"
            error = OSError(22, words, str(path))
            error.winerror = 123  # type: ignore[attr-defined]
            raise error
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)


@pytest.mark.parametrize("system", ["this one", "Windows"])
@pytest.mark.parametrize(("entry", "shown"), PATHS.values(), ids=PATHS.keys())
def test_path_is_shown_plainly_with_the_cure(
    workdir: Workdir, monkeypatch: pytest.MonkeyPatch, entry: str, shown: str, system: str
) -> None:
    workdir.files(a_txt=b"a", b_txt=b"b")
    workdir.set(FILES=[entry])
    if system == "Windows":
        refuse_as_windows(monkeypatch)
    outcome = check(workdir)
    what, *rules = outcome.err.splitlines()
    assert what.startswith("FILES: ")
    assert shown in what
    assert not re.search(r"\[Errno|\[WinError|\\\\", what)
    assert (outcome.status, rules) == (2, [*PATH_RULES, "Nothing was sent."])


def linked(path: Path, other: str) -> None:
    """Make another name for a file, unless the disk takes it for the same name anyway."""
    with suppress(FileExistsError):
        os.link(path, path.with_name(other))


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é.txt") for form in ("NFC", "NFD"))
TWINS = {
    "letter case": ("a.txt", "A.TXT"),
    "Unicode form": (COMPOSED, DECOMPOSED),
    "a link": ("a.txt", "b.txt"),
    "another way to write it": ("a.txt", "./a.txt"),
    "letter for letter": ("a.txt", "a.txt"),
}


@pytest.mark.parametrize(("one", "two"), TWINS.values(), ids=TWINS.keys())
def test_one_file_that_is_listed_twice(workdir: Workdir, one: str, two: str) -> None:
    linked(workdir.write(one, b"a"), two)
    workdir.set(FILES=[one, two])
    assert_refused(check(workdir), f'FILES: "{one}" and "{two}" are one file. List it once.')


class Unnumbered:
    """What stat() finds on a disk whose files have no numbers."""

    st_ino = 0

    def __init__(self, real: os.stat_result) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_disk_without_numbers_of_files(workdir: Workdir, monkeypatch: pytest.MonkeyPatch) -> None:
    workdir.files(a_txt=b"a", b_txt=b"b")
    real: Callable[..., os.stat_result] = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **options: Unnumbered(real(*args, **options)))
    outcome = check(workdir)
    assert (outcome.status, outcome.err) == (0, "")


# ---- Types and dates -----------------------------------------------------------------------------

OFFICE = "application/vnd.openxmlformats-officedocument"
OPEN = "application/vnd.oasis.opendocument"
OTHER = "application/octet-stream"
TYPES = {
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".md": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".xml": "text/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".ics": "text/calendar",
    ".eml": "message/rfc822",
    ".pdf": "application/pdf",
    ".rtf": "application/rtf",
    ".epub": "application/epub+zip",
    ".doc": "application/msword",
    ".docx": f"{OFFICE}.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": f"{OFFICE}.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": f"{OFFICE}.presentationml.presentation",
    ".odt": f"{OPEN}.text",
    ".ods": f"{OPEN}.spreadsheet",
    ".odp": f"{OPEN}.presentation",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".JPG": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".svg": "image/svg+xml",
    ".ico": "image/vnd.microsoft.icon",
    ".mp3": "audio/mpeg",
    ".wav": "audio/x-wav",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".zip": "application/zip",
    ".rar": "application/vnd.rar",
    ".7z": "application/x-7z-compressed",
    ".tar": "application/x-tar",
    ".py": "text/x-python",
    ".sh": "application/x-sh",
    # What is compressed is not what it would be without.
    ".gz": OTHER,
    ".tgz": OTHER,
    ".svgz": OTHER,
    ".exe": OTHER,
    ".unheard-of": OTHER,
    "": OTHER,
}


def test_types_and_dates_are_the_same_on_every_machine(
    workdir: Workdir, google: FakeGoogle
) -> None:
    names = {f"{number}{ending}": kind for number, (ending, kind) in enumerate(TYPES.items())}
    workdir.contents(dict.fromkeys(names, b"a"))
    for name in names:
        os.utime(workdir.path / name, (0, -86400.5))
    workdir.sign_in()
    registry = [f"application/wrong {' '.join(kind[1:] for kind in TYPES)}", "text/plain csv xlsx"]
    path = workdir.write("mime.types", "\n".join(registry).encode())
    workdir.hook(OTHER_TYPES + NO_DATES_BEFORE_1970, is_early=True, REGISTRY=path)
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = google.drive.folders(NAME)
    children = google.drive.children(folder.id)
    assert {file.name: file.mime_type for file in children} == names
    assert {file.modified for file in children} == {"1969-12-30T23:59:59.500Z"}


@needs.letter_case
def test_names_that_differ_in_case_both_go_up(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents({"a.txt": b"small", "A.TXT": b"LARGE"})
    workdir.sign_in()
    assert workdir.run().status == 0
    assert google.drive.everything() == [(NAME, [("A.TXT", b"LARGE"), ("a.txt", b"small")])]
