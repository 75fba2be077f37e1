"""Draws picture.svg, which README.md shows: `python tests/picture.py`.

A real run in a real terminal, with nothing but Google replaced by the fake: the screen in the
middle of it, and at its end.
"""

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_google import FakeGoogle
from workdir import REPOSITORY, clean_environment

PICTURE = Path(__file__).with_suffix(".svg")
COLUMNS, ROWS = 80, 24
COMMAND = "$ python quickstart.py"
MB = 1_000_000
OLD = {"budget.xlsx": 84_000, "report.pdf": 2 * MB}
NEW = {"minutes.docx": 31_000, "holiday photos.zip": 48 * MB}
MOMENT = r"6\d%"  # of the upload: how the last line of the upper half begins

LINE = 20  # pixels
STYLE = """
rect { fill: #f6f8fa; stroke: #d0d7de }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #1f2328; white-space: pre }
.command { font-weight: bold }
.caption { font: 13px system-ui, sans-serif; fill: #59636e }
@media (prefers-color-scheme: dark) {
  rect { fill: #151b23; stroke: #3d444d }
  text { fill: #f0f6fc }
  .caption { fill: #9198a1 }
}
"""


class Screen:
    """What a terminal shows: all that the script sends it is text, line ends, and `\\r`."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0

    def write(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.lines.append("")
            else:
                assert character.isprintable(), f"{character!r} is for a real terminal to obey"
                line = self.lines[-1].ljust(self.column)
                self.lines[-1] = line[: self.column] + character + line[self.column + 1 :]
                self.column += 1
                assert self.column < COLUMNS, "the line is too long"

    def shown(self) -> list[str]:
        return [line.rstrip() for line in "\n".join(self.lines).rstrip().split("\n")]


def set_files(script: Path, sizes: dict[str, int]) -> None:
    """Make files of these sizes, and the script's FILES of them."""
    for name, size in sizes.items():
        if not (script.parent / name).exists():
            (script.parent / name).write_bytes(os.urandom(size))
    text = script.read_text()
    start = text.index("\nFILES = ") + 1
    script.write_text(text[:start] + f"FILES = {list(sizes)!r}" + text[text.index("\n", start) :])


def screens(command: list[str], environment: dict[str, str]) -> Iterator[list[str]]:
    """The screens of a command, one after each thing that it writes; it must succeed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    screen = Screen()
    with suppress(OSError):  # once the terminal's other side is closed
        while True:
            screen.write(os.read(ours, 4096).decode())
            yield screen.shown()
    os.close(ours)
    assert process.wait() == 0


def capture() -> tuple[list[str], list[str]]:
    """The screen at MOMENT, and the last one."""
    with (
        FakeGoogle(round_trip=0.05, bandwidth=8 * MB) as google,
        tempfile.TemporaryDirectory() as name,
    ):
        script = Path(name) / "quickstart.py"
        script.write_text((REPOSITORY / "quickstart.py").read_text())
        (script.parent / "credentials.json").write_text(json.dumps(google.credentials()))
        (script.parent / "token.json").write_text(json.dumps(google.token()))
        environment = clean_environment(script.parent) | google.environment()
        set_files(script, OLD)
        command = [sys.executable, str(script)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        set_files(script, OLD | NEW)
        all_screens = list(screens(command, environment))
    (moment, *_) = (shown for shown in all_screens if re.match(MOMENT, shown[-1]))
    return moment, all_screens[-1]


def draw(parts: dict[str, list[str]]) -> str:
    """An SVG picture of screens, each below its caption."""
    width = 9 * COLUMNS
    found: list[str] = []
    top = 0
    for caption, lines in parts.items():
        lines = [COMMAND, *lines]
        height = LINE * (len(lines) + 1)
        found.append(f'<text x="2" y="{top + 16}" class="caption">{escape(caption)}</text>')
        found.append(
            f'<rect x=".5" y="{top + 26}.5" width="{width - 1}" height="{height}" rx="8"/>'
        )
        for number, line in enumerate(lines):
            kind = ' class="command"' if number == 0 else ""
            y = top + 26 + LINE * (number + 1) + 6
            found.append(f'<text x="16" y="{y}" xml:space="preserve"{kind}>{escape(line)}</text>')
        top += height + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" role="img"'
    title = f"<title>A run of quickstart.py: {' / '.join(parts)}</title>"
    return "\n".join(
        [
            f'{head} width="{width}" height="{top}">',
            title,
            f"<style>{STYLE}</style>",
            *found,
            "</svg>\n",
        ]
    )


def main() -> None:
    moment, end = capture()
    PICTURE.write_text(draw({"While it runs": moment, "A few seconds later": end}))


if __name__ == "__main__":
    main()
