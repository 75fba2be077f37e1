"""Draws picture.svg, which README.md shows: `python tests/picture.py`.

One real run in a real terminal, with nothing but Google replaced by the fake: the progress line in
the middle of it, and below what the screen shows at the end in its place.
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
from real_drive.settings import edit_settings
from workdir import REPOSITORY, clean_environment

PICTURE = Path(__file__).with_suffix(".svg")
COLUMNS, ROWS = 60, 24
COMMAND = "$ python quickstart.py"
MB = 1_000_000
OLD = {"budget.xlsx": 84_000, "report.pdf": 2 * MB}
NEW = {"minutes.docx": 31_000, "holiday photos.zip": 48 * MB}
MOMENT = r"Uploading  6\d%"  # how the progress line begins when it is drawn
LATER = "a few seconds later, in place of the last line:"
CAPTION = "Two files have not changed: Drive copies them from the old folder."

# In pixels. In a column of 400 pixels, as on a telephone, a letter is 11 pixels high.
LINE, LETTER, MARGIN = 19, 7.85, 12
STYLE = """
rect { fill: #f6f8fa; stroke: #d0d7de }
line { stroke: #d0d7de; stroke-dasharray: 4 }
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #1f2328; white-space: pre }
.command { font-weight: bold }
.caption { font: 13px system-ui, sans-serif; fill: #59636e }
@media (prefers-color-scheme: dark) {
  rect { fill: #151b23; stroke: #3d444d }
  line { stroke: #3d444d }
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

    def shown(self) -> list[str]:
        return [line.rstrip() for line in "\n".join(self.lines).rstrip().split("\n")]


def set_files(script: Path, sizes: dict[str, int]) -> None:
    """Make files of these sizes, and the script's FILES of them."""
    for name, size in sizes.items():
        if not (script.parent / name).exists():
            (script.parent / name).write_bytes(os.urandom(size))
    edit_settings(script, FOLDER_NAME="Reports", FILES=list(sizes))


def screens(command: list[str], environment: dict[str, str]) -> Iterator[list[str]]:
    """Yield the screens of a command, one after each thing that it writes; it must succeed."""
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
    """Return the screen at MOMENT, and the last one."""
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


def wrapped(line: str) -> list[str]:
    """Break a line as the terminal does."""
    return [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)]


def draw(moment: list[str], end: list[str]) -> str:
    """Return an SVG picture of both screens of a run, without saying twice what both show."""
    found: list[str] = []
    width, y = round(COLUMNS * LETTER) + 2 * MARGIN, MARGIN // 2

    def write(text: str, kind: str = "") -> None:
        nonlocal y
        y += LINE
        place = f'x="{MARGIN}" y="{y}" class="{kind}" xml:space="preserve"'
        found.append(f"<text {place}>{escape(text)}</text>")

    write(COMMAND, "command")
    for line in moment:
        write(line)
    y += LINE // 2
    found.append(f'<line x1="0" x2="{width}" y1="{y}" y2="{y}"/>')
    write(LATER, "caption")
    for line in end[len(moment) - 1 :]:
        for part in wrapped(line):
            write(part)
    height = y + MARGIN
    y = height
    write(CAPTION, "caption")
    size = f'viewBox="0 0 {width} {y + MARGIN}" width="{width}" height="{y + MARGIN}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>',
            f"<title>A run of quickstart.py. {CAPTION}</title>",
            f"<style>{STYLE}</style>",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            *found,
            "</svg>\n",
        ]
    )


def main() -> None:
    moment, end = capture()
    assert end[: len(moment) - 1] == moment[:-1], "the screens are not of one run"
    PICTURE.write_text(draw(moment, end))


if __name__ == "__main__":
    main()
