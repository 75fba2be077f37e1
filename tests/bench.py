"""How long a run takes, beside rclone and the usual few lines: `python tests/bench.py`.

All of them talk to the fake, which has a process of its own and the round trip time and bandwidth
of each case. Prints tables, keeps no file. Takes some minutes, on a machine that is otherwise idle.
"""

import http.client
import json
import multiprocessing
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from fake_google import FakeGoogle
from rclone_remote import rclone_environment
from workdir import REPOSITORY, clean_environment

FOLDER_NAME = "Quickstart uploads"
TRANSFERS = 4
RCLONE = Path(sys.executable).parent / "rclone"
MB = 1_000_000

# What Google's own examples add up to: delete the old folder, then one file after the other.
NAIVE = """
import json
import os.path

from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import InstalledAppFlow
from googleapiclient.discovery import build
from googleapiclient.http import MediaFileUpload

SCOPES = ["https://www.googleapis.com/auth/drive.file"]
with open("files.json") as file:
    paths = json.load(file)
credentials = Credentials.from_authorized_user_file("token.json", SCOPES)
if not credentials.valid:
    credentials.refresh(Request())
files = build("drive", "v3", credentials=credentials).files()
query = "name = 'Quickstart uploads' and trashed = false"
for folder in files.list(q=query, fields="files(id)").execute()["files"]:
    files.delete(fileId=folder["id"]).execute()
body = {"name": "Quickstart uploads", "mimeType": "application/vnd.google-apps.folder"}
parent = files.create(body=body, fields="id").execute()["id"]
for path in paths:
    body = {"name": os.path.basename(path), "parents": [parent]}
    media = MediaFileUpload(path, resumable=True)
    print(files.create(body=body, media_body=media, fields="id").execute()["id"])
"""


# ---- The fake, in a process of its own -----------------------------------------------------------


@dataclass(frozen=True)
class Line:
    round_trip: float = 0.0  # seconds a call
    bandwidth: float | None = None  # bytes a second


@dataclass(frozen=True)
class Seen:
    """A call, as the fake saw it."""

    operation: str
    started: float  # by time.monotonic(), which all processes share
    ended: float
    content_bytes: int


@dataclass
class Remote:
    pipe: Connection
    environment: dict[str, str]
    credentials: dict[str, Any]
    token: dict[str, Any]

    def calls(self) -> list[Seen]:
        """The calls since the last time that this was asked."""
        self.pipe.send(True)
        found: list[Seen] = self.pipe.recv()
        return found


def serve(pipe: Connection, line: Line) -> None:
    with FakeGoogle(line.round_trip, line.bandwidth) as google:
        google.drive.name_lag = 0  # the other contenders look for their folder by its name
        pipe.send((google.environment(), google.credentials(), google.token()))
        told = 0
        while pipe.recv():
            calls = google.log[told:]
            told += len(calls)
            pipe.send(
                [
                    Seen(call.operation, call.started, call.ended or 0, call.content_bytes)
                    for call in calls
                ]
            )


@contextmanager
def fake(line: Line) -> Iterator[Remote]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, line))
    process.start()
    try:
        yield Remote(ours, *ours.recv())
    finally:
        ours.send(False)
        process.join()


def fake_throughput(size: int = 600 * MB, connections: int = 2) -> float:
    """Bytes a second that the fake takes, from senders that do nothing but send."""
    with fake(Line()) as remote:
        proxy = urlsplit(remote.environment["https_proxy"])
        trust = ssl.create_default_context(cafile=remote.environment["SSL_CERT_FILE"])
        content = bytes(16 * MB)

        def send() -> None:
            to = http.client.HTTPSConnection(proxy.hostname or "", proxy.port, context=trust)
            to.set_tunnel("www.googleapis.com", 443)
            bearer = {"Authorization": f"Bearer {remote.token['token']}"}
            address = "/upload/drive/v3/files?uploadType=resumable&fields=id"
            to.request("POST", address, b"{}", bearer | {"Content-Type": "application/json"})
            answer = to.getresponse()
            answer.read()
            where = urlsplit(answer.headers["Location"])
            pieces = (content for _ in range(size // connections // len(content)))
            length = size // connections // len(content) * len(content)
            to.request(
                "PUT", f"{where.path}?{where.query}", pieces, {"Content-Length": str(length)}
            )
            assert to.getresponse().status == 200

        threads = [threading.Thread(target=send) for _ in range(connections)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return size / (time.monotonic() - began)


# ---- The three ---------------------------------------------------------------------------------


@dataclass
class Contender:
    """A program, in a folder of its own, with a fake of its own."""

    name: str
    folder: Path
    remote: Remote
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *options: str) -> tuple[float, list[Seen], str]:
        """(seconds, the calls made, stderr)"""
        self.remote.calls()
        command = [*self.command[:1], *options, *self.command[1:]]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        seconds = time.monotonic() - began
        assert done.returncode == 0, f"{self.name}: {done.stderr}"
        return seconds, self.remote.calls(), done.stderr


def set_up_script(contender: Contender, files: Path) -> None:
    text = (REPOSITORY / "quickstart.py").read_text()
    lines = text.splitlines(keepends=True)
    settings = {
        "FILES": sorted(str(path) for path in files.iterdir()),
        "PARALLEL_UPLOADS": TRANSFERS,
    }
    for name, value in settings.items():
        (at,) = (number for number, line in enumerate(lines) if line.startswith(f"{name} = "))
        lines[at] = f"{name} = {value!r}\n"
    (contender.folder / "quickstart.py").write_text("".join(lines))
    contender.command = [sys.executable, "quickstart.py"]


def set_up_naive(contender: Contender, files: Path) -> None:
    (contender.folder / "naive.py").write_text(NAIVE)
    paths = sorted(str(path) for path in files.iterdir())
    (contender.folder / "files.json").write_text(json.dumps(paths))
    contender.command = [sys.executable, "naive.py"]


def set_up_rclone(contender: Contender, files: Path) -> None:
    remote = contender.remote
    contender.environment |= rclone_environment(remote.credentials, remote.token)
    transfers = f"--transfers={TRANSFERS}"
    contender.command = [str(RCLONE), "sync", transfers, str(files), f"fake:{FOLDER_NAME}"]


CONTENDERS: dict[str, Callable[[Contender, Path], None]] = {
    "quickstart.py": set_up_script,
    "rclone sync": set_up_rclone,
    "naive script": set_up_naive,
}


@contextmanager
def contender(name: str, line: Line, files: Path) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as folder, fake(line) as remote:
        environment = clean_environment(Path(folder)) | remote.environment
        # As it is for every script that has run before; the temporary folder goes.
        del environment["PYTHONDONTWRITEBYTECODE"]
        made = Contender(name, Path(folder), remote, environment=environment)
        for file, content in [
            ("token.json", remote.token),
            ("credentials.json", remote.credentials),
        ]:
            (made.folder / file).write_text(json.dumps(content))
        CONTENDERS[name](made, files)
        yield made


# ---- The cases -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    title: str
    count: int
    size: int
    line: Line
    rounds: int

    @property
    def limit(self) -> float:
        """Seconds that the line alone takes."""
        return self.count * self.size / self.line.bandwidth if self.line.bandwidth else 0.0


SMALL = Case("60 files of 20 kB, 100 ms a call", 60, 20_000, Line(0.1), 3)
LARGE = Case("2 files of 150 MB, 40 MB/s, 50 ms a call", 2, 150 * MB, Line(0.05, 40 * MB), 3)
TINY = Case("1 file of 5 bytes, no delay", 1, 5, Line(), 7)
AGAIN = "again, nothing new"


@contextmanager
def files_of(case: Case) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        block = os.urandom(1_000_003)
        for number in range(case.count):
            with (Path(folder) / f"file {number:03}.bin").open("wb") as file:
                file.write(str(number).encode()[:5].ljust(5))
                while file.tell() < case.size:
                    file.write(block[: case.size - file.tell()])
        yield Path(folder)


def measure(case: Case) -> dict[str, dict[str, tuple[float, int]]]:
    """(seconds, calls) of each contender: of the first run, and of the same again.

    The best of some rounds, in which they take turns: whatever else the machine does, adds time.
    """
    found: dict[str, dict[str, tuple[float, int]]] = {"": {}, AGAIN: {}}
    with files_of(case) as files:
        for name in [*CONTENDERS] * case.rounds:
            with contender(name, case.line, files) as made:
                for best in found.values():
                    seconds, seen, _ = made.run()
                    took = seconds, len(seen)
                    best[name] = min(best.get(name, took), took)
    return found


@dataclass(frozen=True)
class Bar:
    """What is asked for: quickstart.py takes at most so many times what the other one does."""

    case: Case
    which: str
    other: str  # a contender, or "line"
    most: float


BARS = [
    Bar(SMALL, "", "rclone sync", 1.0),
    Bar(SMALL, "", "naive script", 1 / 4),
    Bar(SMALL, AGAIN, "naive script", 1 / 8),
    Bar(LARGE, "", "line", 1.15),
    Bar(LARGE, "", "rclone sync", 1.1),
    Bar(LARGE, AGAIN, "naive script", 1 / 8),
    Bar(TINY, "", "naive script", 1.0),
]


def print_results(results: dict[Case, dict[str, dict[str, tuple[float, int]]]]) -> None:
    print("\nseconds (calls)".ljust(58) + "".join(name.rjust(18) for name in CONTENDERS))
    for case, runs in results.items():
        for which, found in runs.items():
            title = case.title + (f", {AGAIN}" if which else "")
            columns = (f"{seconds:.2f} ({calls})".rjust(18) for seconds, calls in found.values())
            print(title.ljust(57) + "".join(columns))
    print("\nquickstart.py takes, of what the other does:")
    for bar in BARS:
        found = results[bar.case][bar.which]
        other = bar.case.limit if bar.other == "line" else found[bar.other][0]
        ratio = found["quickstart.py"][0] / other
        verdict = "ok" if ratio <= bar.most else "MISSED"
        title = bar.case.title + (f", {AGAIN}" if bar.which else "")
        print(f"{title.ljust(57)} {bar.other:>13} {ratio:6.3f}  at most {bar.most:.3f}  {verdict}")


# ---- Where the time goes -------------------------------------------------------------------------


def print_imports(most: int = 15) -> None:
    """The modules that take longest by themselves, of starting up."""
    with files_of(TINY) as files:
        for name in ("quickstart.py", "naive script"):
            with contender(name, TINY.line, files) as made:
                made.run()  # compiles
                _, _, text = made.run("-X", "importtime")
            rows = []
            for line in text.splitlines():
                columns = line.removeprefix("import time:").split("|")
                if len(columns) == 3 and columns[0].strip().isdecimal():
                    rows.append((int(columns[0]), int(columns[1]), columns[2].strip()))
            total = sum(alone for alone, _, _ in rows)
            print(f"\n{name}: {len(rows)} modules, {total / 1000:.0f} ms; ms alone, with all below")
            for alone, below, module in sorted(rows, reverse=True)[:most]:
                print(f"{alone / 1000:8.1f} {below / 1000:8.1f}  {module}")


def print_calls(case: Case) -> None:
    """The calls of a second run, each with the moment it came, after the start of the program."""
    with files_of(case) as files, contender("quickstart.py", case.line, files) as made:
        made.run()
        began = time.monotonic()
        seconds, seen, _ = made.run()
    print(f"\nquickstart.py, {case.title}, {AGAIN}: {seconds:.2f} s; ms since the start, ms taken")
    for call in seen:
        came, took = 1000 * (call.started - began), 1000 * (call.ended - call.started)
        print(f"{came:8.0f} {took:8.0f}  {call.operation}")


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: is anything else running?")
    print(f"The fake takes {fake_throughput() / MB:.0f} MB/s.")
    print_results({case: measure(case) for case in (TINY, SMALL, LARGE)})
    print_calls(TINY)
    print_calls(SMALL)
    print_imports()


if __name__ == "__main__":
    main()
