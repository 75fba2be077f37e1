"""Check on a real account what quickstart.py takes for granted: `python -m tests.real_drive`.

Signs in as quickstart.py does, with the credentials.json and token.json beside it. Everything lies
in one folder of its own, and is removed at the end, also after Ctrl-C. Exit status: 0 no claim was
contradicted, 1 a claim was, or the check failed, 2 it could not begin, 130 Ctrl-C, 143 SIGTERM.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

try:
    from . import report
    from .claims import AFTERWARDS, CLAIMS, SCRIPT, Claim
    from .drive import Contradicted, Drive, NotTried, Stopped
    from .report import CONFIRMED, CONTRADICTED, NOT_TRIED, Results, say
    from .script import REPOSITORY, Script
except ImportError as missing:
    raise SystemExit(f"{missing}. Run: pip install -r requirements.txt") from None

DRIVE_FILE = ["https://www.googleapis.com/auth/drive.file"]
SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGBREAK": 149}  # the exit status of each
QUESTION = """\
This asks the Google Drive of {account} {count} questions, and runs quickstart.py there.
It makes two folders named "{name}" in My Drive, and in them
about 150 small files and folders, a file of 12 MB and one of 5 MB.{sharing}
At the end it deletes both folders for good, with all that is in them: put nothing there meanwhile.
It touches nothing else. It takes up to 5 minutes, and sends about 25 MB.
Go on? [y/N] """


def last_part(address: str) -> str:
    """The ID, from an address as the browser shows it."""
    return address.rstrip("/").rpartition("/")[2]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.real_drive",
        description="Check on a real Google account what quickstart.py takes for granted.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--yes", action="store_true", help="do not ask before the check begins")
    add(
        "--lag-limit",
        type=float,
        default=240.0,
        metavar="SECONDS",
        help="how long to wait for Drive's index of names (default: 240)",
    )
    add(
        "--share-with",
        metavar="ADDRESS",
        help="a Google account to share some of the folders with for a moment, without mail",
    )
    add(
        "--folder-made-by-hand",
        type=last_part,
        metavar="ADDRESS",
        help="a folder that you made in the browser: see that drive.file does not reach it",
    )
    add(
        "--shared-drive",
        type=last_part,
        metavar="ADDRESS",
        help="a shared drive: see that drive.file does not reach its top folder",
    )
    add(
        "--any-scope",
        action="store_true",
        help="needed if SCOPES in quickstart.py is more than drive.file; else tries one claim more",
    )
    add(
        "--report",
        type=Path,
        default=Path("real_drive_report.md"),
        metavar="PATH",
        help="where the report goes (default: real_drive_report.md)",
    )
    return parser.parse_args(arguments)


def sign_in() -> tuple[Any, list[str]]:
    """Credentials, as quickstart.py gets them, and its SCOPES. Nothing else here knows how."""
    sys.path.insert(0, str(REPOSITORY))
    import quickstart

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the import has changed
    try:
        client = quickstart.read_client()
    except quickstart.Problem as problem:  # its text goes on after the name of the file
        raise NotTried(str(problem)) from None
    try:
        return quickstart.sign_in(client), quickstart.SCOPES
    except quickstart.Problem as problem:
        raise NotTried(str(problem)) from None
    except (quickstart.HttpError, *quickstart.NETWORK_ERRORS) as error:
        raise NotTried(quickstart.explain(error)) from None


def account_of(drive: Drive) -> str:
    address = "https://www.googleapis.com/drive/v3/about"
    answer = drive.call("GET", address, {"fields": "user(emailAddress)"}).prepared()
    return str(answer.get("user", {}).get("emailAddress", "this account"))


def agrees(drive: Drive, account: str) -> bool:
    sharing = (
        f"\nSome of them it shares with {drive.share_with}, without mail."
        if drive.share_with
        else ""
    )
    values = {"account": account, "count": len(CLAIMS), "name": drive.name, "sharing": sharing}
    try:
        return input(QUESTION.format(**values)).strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        say("")
        return False


def ask(claim: Claim, subject: Any, results: Results) -> None:
    try:
        results.add(claim, CONFIRMED, claim.ask(subject) or "")
    except Contradicted as error:
        results.add(claim, CONTRADICTED, str(error))
    except NotTried as error:
        results.add(claim, NOT_TRIED, str(error))
    except (LookupError, TypeError, ValueError) as error:
        # A question takes no more for granted of an answer than what Drive has promised.
        results.add(claim, CONTRADICTED, f"An answer is not as promised: {error!r}")


def ask_all(drive: Drive, results: Results) -> None:
    """Ask the strands side by side, until all are done or the person wants an end."""
    strands = dict.fromkeys(claim.strand for claim in CLAIMS if claim.strand != AFTERWARDS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        subjects = {SCRIPT: Script(drive, Path(home))}

        def work(strand: str) -> None:
            for claim in CLAIMS:
                if claim.strand == strand:
                    ask(claim, subjects.get(strand, drive), results)

        drive.make_folder()
        with ThreadPoolExecutor(len(strands)) as pool:
            pending = {pool.submit(work, strand) for strand in strands}
            while pending:
                done, pending = wait(pending, 0.2)  # Windows tells of signals in between
                for future in done:
                    future.result()
        work(AFTERWARDS)


def remove_all(drive: Drive) -> None:
    say("Removing all that was made ...")
    if drive.remove_everything():
        raise NotTried(f'Not all could be removed: delete the folders "{drive.name}" by hand.')


def problems(step: Callable[[], None], results: Results) -> list[str]:
    """What has kept a step from its end, if anything has. No step is skipped for that."""
    try:
        step()
    except Stopped:
        return ["The check was ended before its end."]
    except NotTried as error:
        return [results.clean(str(error))]
    except Exception as error:  # noqa: BLE001
        return [f"A mistake of the check's own: {results.clean(repr(error))}"]
    return []


def check(drive: Drive, results: Results) -> list[str]:
    """Ask everything, then remove everything; what went wrong."""
    wrong = problems(partial(ask_all, drive, results), results)
    return wrong + problems(partial(remove_all, drive), results)


def catch_signals(drive: Drive) -> list[int]:
    """Have the first signal end the check in order, and no other hinder it. Its exit status."""
    caught: list[int] = []

    def stop(number: int, _: Any) -> None:
        caught.append(SIGNALS[signal.Signals(number).name])
        drive.stopping.set()
        say("Ending. What was made is removed first: please wait.", sys.stderr)

    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    return caught


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # consoles that know few letters
    began = datetime.now(UTC)
    try:
        credentials, scopes = sign_in()
        drive = Drive(
            credentials,
            name=f"quickstart.py check {began:%Y-%m-%d %H:%M}",
            limited=scopes == DRIVE_FILE,
            lag_limit=options.lag_limit,
            share_with=options.share_with,
            folder_made_by_hand=options.folder_made_by_hand,
            shared_drive=options.shared_drive,
            any_scope=options.any_scope,
        )
        account = account_of(drive)
    except KeyboardInterrupt:
        return 130
    except NotTried as problem:
        say(f"{problem}\nNothing was asked.", sys.stderr)
        return 2
    if not drive.limited and not options.any_scope:
        say("SCOPES in quickstart.py is not drive.file alone: see --any-scope.", sys.stderr)
        return 2
    if not options.yes and not agrees(drive, account):
        say("Nothing was made.")
        return 1

    def private() -> list[str]:
        given = (options.share_with, options.folder_made_by_hand, options.shared_drive)
        return [text for text in (*drive.made, account, *given) if text]

    try:
        options.report.open("a").close()
    except OSError as error:
        say(f"The report can't be written: {error}", sys.stderr)
        return 2
    results = Results(len(CLAIMS), private)
    drive.begin()
    caught = catch_signals(drive)
    wrong = check(drive, results)
    report.write(options.report, results, drive, began, wrong or ["Everything was removed."])
    say("\n".join([*wrong, f"{results.summary()}. Report: {options.report}"]))
    return caught[0] if caught else int(bool(wrong or results.of(CONTRADICTED)))


if __name__ == "__main__":
    os._exit(main())  # without an error over output that nobody takes
