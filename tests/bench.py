"""How long a run takes, beside rclone and the usual few lines: `python tests/bench.py --help`.

Each program talks to the fake, which has the round trip and the bandwidth of the case. It runs
twice: first into an empty Drive, then again with nothing new. The figures are medians, the bars
what quickstart.py is held to on two cores with nothing else to do. For Linux.
"""

import argparse
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from fake_google import FakeGoogle
from rclone_remote import rclone_environment
from user import NAME, REPOSITORY, User

MIB = 1024 * 1024
# What Google's own examples add up to: delete the old folder, then one file after the other.
NAIVE = f"""
import os, sys
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.http import MediaFileUpload

account = Credentials.from_authorized_user_file("token.json")
files = build("drive", "v3", credentials=account).files()
query = "name = '{NAME}' and trashed = false"
for folder in files.list(q=query, fields="files(id)").execute()["files"]:
    files.delete(fileId=folder["id"]).execute()
body = dict(name="{NAME}", mimeType="application/vnd.google-apps.folder")
parent = files.create(body=body, fields="id").execute()["id"]
for path in sys.argv[1:]:
    body = dict(name=os.path.basename(path), parents=[parent])
    media = MediaFileUpload(path, resumable=True)
    files.create(body=body, media_body=media, fields="id").execute()
"""


class Case(NamedTuple):
    count: int  # files
    size: int  # bytes of each
    bar: str = ""
    round_trip: float = 0  # seconds
    bandwidth: float | None = None  # bytes a second


CASES = {
    "large": Case(1, 256 * MIB, "first run: 0.97 x rclone, 1.16 x line", 0.2, 10e6),
    "two": Case(2, 150 * MIB, "first run: 1.05 x rclone, 1.30 x line", 0.1, 40e6),
    "small": Case(60, 20_000, "first run: no slower than earlier versions", 0.1),
    "unchanged": Case(1000, 20_000, "second run: 12 s", 0.02),
    "memory": Case(4, 300 * MIB, "both runs: + 12 MiB"),
}


def command(program, folder, paths):
    """Return what runs a program, which is put into the folder unless it is rclone."""
    if program == "rclone":
        rclone = Path(sysconfig.get_path("scripts"), "rclone")
        return [rclone, "sync", "--transfers=4", paths[0].parent, f"fake:{NAME}"]
    script = folder / "script.py"
    if program == "naive":
        script.write_text(NAIVE)
        return [sys.executable, script, *paths]
    text = re.sub(r"(?m)^FILES = .*", f"FILES = {[*map(str, paths)]}", Path(program).read_text())
    script.write_text(re.sub(r"(?m)^PARALLEL_UPLOADS = .*", "PARALLEL_UPLOADS = 4", text))
    return [sys.executable, script]


def run_once(line, folder, environment):
    """Return how many seconds a program takes, and its peak of memory in MiB."""
    memory, began = 0, time.monotonic()
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=output, stderr=output)
        while process.poll() is None:
            # Not from os.wait4(), where the memory of whoever starts a program counts as well.
            status = Path(f"/proc/{process.pid}/status").read_text()
            if peak := re.search(r"VmHWM:\s*(\d+) kB", status):
                memory = int(peak[1]) / 1024
            time.sleep(0.01)
        seconds = time.monotonic() - began
        output.seek(0)
        assert process.returncode == 0, f"{line[:2]}: {output.read()}"
    return seconds, memory


def run_twice(program, case, paths):
    """Yield the seconds, MiB, and sends of content for each file, of each run."""
    with (
        tempfile.TemporaryDirectory() as name,
        FakeGoogle(case.round_trip, case.bandwidth) as google,
    ):
        user = User(Path(name, "user"), google)
        environment = user.environment | rclone_environment(google.credentials(), user.sign_in())
        for _ in range(2):
            before = len(google.calls())
            seconds, memory = run_once(command(program, user.path, paths), user.path, environment)
            sends = sum(call.content_bytes > 0 for call in google.calls()[before:])
            yield seconds, memory, sends / case.count


def measure(case, programs, rounds):
    """Return {(program, run): medians of what run_twice() yields}. The programs take turns."""
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"file {number:04}.bin") for number in range(case.count)]
        for path in paths:
            with path.open("wb") as file:
                file.write(path.name.encode())
                file.truncate(case.size)  # which adds zeros
        for program in programs * rounds:
            for run, figures in enumerate(run_twice(program, case, paths), 1):
                found[program, run].append(figures)
    return {key: [*map(statistics.median, zip(*rows, strict=True))] for key, rows in found.items()}


def show(title, programs, rounds, base):
    """Print a case's table. `base` has the figures of a single small file."""
    case = CASES[title]
    print(f"\n{title}: {case.count} x {case.size:,} bytes, {case.round_trip} s a call ({case.bar})")
    print(f"{'program':30} run   seconds  x rclone    x line     sends     + MiB")
    # rclone, which allows itself ten calls a second, takes minutes for 1,000 files.
    chosen = [name for name in programs if case.count < 1000 or name.endswith(".py")]
    found = measure(case, chosen, rounds)
    for (program, run), (seconds, memory, sends) in found.items():
        by_rclone = "rclone" in chosen and seconds / found["rclone", run][0]
        by_line = case.bandwidth and seconds / (case.count * case.size / case.bandwidth)
        columns = [f"{x:.2f}" if x else "" for x in (seconds, by_rclone, by_line)]
        columns += [f"{sends:.2f}", f"{memory - base[program, run][1]:.1f}"]
        print(f"{program[-30:]:30} {run:3}" + "".join(f"{x:>10}" for x in columns), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="once or more; else all")
    parser.add_argument("--rounds", type=int, default=3, help="how often, 3 unless told otherwise")
    usual = [str(REPOSITORY / "quickstart.py"), "rclone", "naive"]
    known = "versions of quickstart.py, rclone, naive; without any, each of these once"
    parser.add_argument("programs", nargs="*", default=usual, help=known)
    options = parser.parse_args()
    base = measure(Case(1, 1000), options.programs, options.rounds)
    for title in options.case or CASES:
        show(title, options.programs, options.rounds, base)


if __name__ == "__main__":
    main()
