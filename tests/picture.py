"""Draws picture.svg, which README.md shows: `python tests/picture.py`. A test keeps it true."""

import io
import re
import sys
import tempfile
from html import unescape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_google import FakeGoogle
from rich.console import Console
from user import User

PICTURE = Path(__file__).with_suffix(".svg")
OLD = {"budget.xlsx": bytes(84_000), "report.pdf": bytes(2_100_000)}
NEW = {"minutes.docx": bytes(31_000), "photos.zip": bytes(7_600_000)}


def run(user):
    """The lines of a run that copies two files and uploads two, below its command."""
    user.set(FOLDER_NAME="Reports")
    user.sign_in()
    user.files(OLD)
    assert user.run().status == 0
    user.files(OLD | NEW)
    return ["$ python quickstart.py", *user.run().out.splitlines()]


def draw(lines):
    """An SVG picture of a terminal that shows these lines."""
    console = Console(record=True, width=max(map(len, lines)), file=io.StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False, emoji=False)
    return console.export_svg(title="A run of quickstart.py", unique_id="run")


def shown(picture):
    """The lines in such a picture, without what differs from run to run: figures and links."""
    lines = re.findall(r'<text class="run-r\d+" .*?>(.*?)</text>', picture)
    text = "\n".join(map(unescape, lines)).replace("\xa0", " ")
    return re.sub(r"folders/\S+|\d[\d.,]* s\b", "...", text)


def main():
    with FakeGoogle() as google, tempfile.TemporaryDirectory() as name:
        PICTURE.write_text(draw(run(User(Path(name, "home"), google))), encoding="utf-8")


if __name__ == "__main__":
    main()
