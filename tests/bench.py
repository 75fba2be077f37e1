"""How long a run takes, beside rclone and the usual few lines: `python tests/bench.py --help`.

Each program talks to a fake in a process of its own, which has the round trip and the bandwidth of
the case. It runs twice: first into an empty Drive, then again with nothing new. Figures are medians.
The bars are what quickstart.py is held to on two cores that have nothing else to do. For Linux.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rclone_remote import rclone_environment
from real_drive.settings import edit_settings
from workdir import REPOSITORY, clean_environment

MIB = 1024 * 1024
# What Google's own examples add up to: delete the old folder, then one file after the other.
NAIVE = """
import os, sys
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.http import MediaFileUpload

account = Credentials.from_authorized_user_file("token.json")
files = build("drive", "v3", credentials=account).files()
query = "name = 'Quickstart uploads' and trashed = false"
for folder in files.list(q=query, fields="files(id)").execute()["files"]:
    files.delete(fileId=folder["id"]).execute()
body = {"name": "Quickstart uploads", "mimeType": "application/vnd.google-apps.folder"}
parent = files.create(body=body, fields="id").execute()["id"]
for path in sys.argv[1:]:
    body = {"name": os.path.basename(path), "parents": [parent]}
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


def serve(pipe, case):
    # Not above: Linux counts the memory of whoever starts a program as the program's, too.
    from fake_google import FakeGoogle

    with FakeGoogle(case.round_trip, case.bandwidth) as google:
        google.drive.name_lag = 0
        pipe.send((google.environment(), google.credentials(), google.token()))
        while pipe.recv():
            pipe.send(sum(call.content_bytes > 0 for call in google.calls()))


@contextmanager
def fake(case):
    """Yield a pipe: out of it come environment, credentials and token, then counts of sends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, case))
    process.start()
    try:
        yield ours
    finally:
        ours.send(False)
        process.join()


def command(program, folder, paths):
    """Return what runs a program, which is put into the folder unless it is rclone."""
    if program == "rclone":
        rclone = Path(sysconfig.get_path("scripts"), "rclone")
        return [rclone, "sync", "--transfers=4", paths[0].parent, "fake:Quickstart uploads"]
    script = folder / "script.py"
    script.write_text(NAIVE if program == "naive" else Path(program).read_text(encoding="utf-8"))
    if program == "naive":
        return [sys.executable, script, *paths]
    edit_settings(script, FILES=[str(path) for path in paths], PARALLEL_UPLOADS=4)
    return [sys.executable, script]


def run_twice(program, case, paths):
    """Yield seconds, MiB of memory at its peak, and sends of content for each file, of each run."""
    with tempfile.TemporaryDirectory() as name, fake(case) as google:
        environment, credentials, token = google.recv()
        environment |= clean_environment(Path(name)) | rclone_environment(credentials, token)
        Path(name, "credentials.json").write_text(json.dumps(credentials))
        Path(name, "token.json").write_text(json.dumps(token))
        before = 0
        for _ in range(2):
            line, began = command(program, Path(name), paths), time.monotonic()
            with Path(name, "output").open("w+") as output:
                process = subprocess.Popen(
                    line, cwd=name, env=environment, stdout=output, stderr=output
                )
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.monotonic() - began
                output.seek(0)
                assert status == 0, f"{program}: {output.read()}"
            google.send(True)
            sends = google.recv()
            yield seconds, usage.ru_maxrss / 1024, (sends - before) / case.count
            before = sends


def measure(case, programs, rounds):
    """Return {(program, run): medians of what run_twice() yields}. The programs take turns."""
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"file {number:04}.bin") for number in range(case.count)]
        for path in paths:
            path.write_text(path.name)
            os.truncate(path, case.size)  # which adds zeros
        for program in programs * rounds:
            for run, figures in enumerate(run_twice(program, case, paths), 1):
                found[program, run].append(figures)
    return {key: [*map(statistics.median, zip(*rows, strict=True))] for key, rows in found.items()}


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
        case = CASES[title]
        print(
            f"\n{title}: {case.count} x {case.size:,} bytes, {case.round_trip:g} s a call", end=""
        )
        print(
            f" (bar: {case.bar})\n{'program':30} run   seconds  x rclone    x line  sends    + MiB"
        )
        # rclone, which allows itself ten calls a second, takes minutes for 1,000 files.
        programs = [name for name in options.programs if case.count < 1000 or ".py" in name]
        found = measure(case, programs, options.rounds)
        for (program, run), (seconds, memory, sends) in found.items():
            rclone = found["rclone", run][0] if "rclone" in programs else 0
            bytes_alone = case.count * case.size / case.bandwidth if case.bandwidth else 0
            ratios = [f"{seconds / of:.2f}" if of else "" for of in (rclone, bytes_alone)]
            print(
                f"{program[-30:]:30} {run:3} {seconds:9.2f} {ratios[0]:>9} {ratios[1]:>9}", end=""
            )
            print(f"{sends:7.2f} {memory - base[program, run][1]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
