"""What the check has found out: a line for each claim as it comes, and a report at the end."""

import hashlib
import platform
import re
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from .claims import CLAIMS, Claim
from .drive import Drive

CONFIRMED, CONTRADICTED, NOT_TRIED = "confirmed", "contradicted", "not tried"
PACKAGES = ("google-api-python-client", "google-auth", "google-auth-httplib2", "httplib2")
# What looks like an ID or a token of Google's, an email address, the number of a project.
PRIVATE = re.compile(r"(?=[\w.-]*\d)[\w-]{19,}(?:\.[\w-]+)*|[\w.+-]+@[\w.-]+\w|\b\d{9,}\b")


def say(text: str, stream: TextIO | None = None) -> None:
    """Print, also where nobody takes it any more: what was made is removed all the same."""
    with suppress(OSError, ValueError, RuntimeError):
        print(text, file=stream or sys.stdout, flush=True)


@dataclass(frozen=True)
class Result:
    claim: Claim
    outcome: str
    text: str = ""

    def __str__(self) -> str:
        line = f"{self.outcome:12}  {self.claim.name}: {self.claim.sentence}"
        return f"{line} ({self.text})" if self.text else line


@dataclass
class Results:
    """The results so far, free of what is nobody else's business."""

    total: int
    private: Callable[[], Iterable[str]] = list  # texts that must not be shown
    found: list[Result] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, claim: Claim, outcome: str, text: str = "") -> None:
        result = Result(claim, outcome, self.clean(text))
        with self.lock:
            self.found.append(result)
            say(f"{len(self.found):2}/{self.total}  {result}")

    def clean(self, text: str) -> str:
        for each in self.private():
            text = text.replace(each, "...")
        text = PRIVATE.sub("...", " ".join(text.split()))
        return text if len(text) <= 300 else f"{text[:300]} ..."

    def of(self, outcome: str) -> list[Result]:
        return [result for result in self.found if result.outcome == outcome]

    def summary(self) -> str:
        kinds = (CONFIRMED, CONTRADICTED, NOT_TRIED)
        return ", ".join(f"{len(self.of(kind))} {kind}" for kind in kinds)


def write(path: Path, results: Results, drive: Drive, began: datetime, endings: list[str]) -> None:
    """Write the report, in Markdown."""
    path.write_text("\n".join(_lines(results, drive, began, endings)) + "\n", encoding="utf-8")


def _lines(results: Results, drive: Drive, began: datetime, endings: list[str]) -> list[str]:
    script = (Path(__file__).resolve().parent.parent.parent / "quickstart.py").read_bytes()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# quickstart.py, checked on a real Google Drive",
        "",
        f"- {results.summary()}",
        *(f"- {ending}" for ending in endings),
        f"- {began:%Y-%m-%d %H:%M} UTC, {drive.clock() - drive.started:.0f} s, "
        f"{len(drive.answers)} requests",
        f"- Scope: {'drive.file' if drive.limited else 'more than drive.file'}",
        f"- quickstart.py with SHA-256 {hashlib.sha256(script).hexdigest()[:12]}; "
        f"Python {platform.python_version()} on {platform.system()}; {packages}",
    ]
    for result in results.of(CONTRADICTED):
        lines += [
            "",
            f"## Contradicted: {result.claim.name}",
            "",
            f"Claim: {result.claim.sentence}",
            "",
            f"Drive: {result.text}",
            "",
            f"In quickstart.py: {result.claim.needed_for}",
        ]
    lines += ["", "## All claims", "", "| claim | sentence | result | |", "|---|---|---|---|"]
    for result in sorted(results.found, key=lambda result: CLAIMS.index(result.claim)):
        cells = (result.claim.name, result.claim.sentence, result.outcome, result.text)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return lines
