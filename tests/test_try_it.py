"""tests/try_it.py, with a program in place of the person and the browser."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import needs
from real_drive.settings import edit_settings
from try_it import INTRODUCTION
from workdir import REPOSITORY, clean_environment

# Opens the page, sends the form on it, and follows the way back to the script.
PERSON = """
import sys, urllib.request

with urllib.request.urlopen(sys.argv[1]) as page:
    assert b"This is a fake for tests" in page.read()
with urllib.request.urlopen(sys.argv[1], b"decision=" + sys.argv[2].encode()) as page:
    page.read()
"""

ON_A_SCREEN = """
import os, sys

assert not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"} & os.environ.keys()
sys.argv.append("allow")
"""

FIRST = f"""{INTRODUCTION.format(page="PORT", answer="PORT")}

---- First run: you sign in, and two new files are uploaded --------------------
$ python quickstart.py
"""
# Without what quickstart.py itself says, which other tests know word for word.
OUTPUT = f"""{FIRST}
---- Second run: report.txt has changed since, figures.csv has not -------------
$ python quickstart.py

---- What is in the fake Drive now ---------------------------------------------
My Drive
    Quickstart uploads
        figures.csv  38 bytes  text/csv  MOMENT
        report.txt  40 bytes  text/plain  MOMENT
Trash
    Quickstart uploads
        figures.csv  38 bytes  text/csv  MOMENT
        report.txt  33 bytes  text/plain  MOMENT
"""
VOLATILE = {
    r"\b\d{4,5}\b(?=:127)|(?<=127.0.0.1:)\d+": "PORT",
    r"\d{4}-\d\d-\d\dT\S+Z": "MOMENT",
    r"(?<=\$ python quickstart\.py\n)(.+\n)+": "",
}


def constant(text: str) -> str:
    for pattern, name in VOLATILE.items():
        text = re.sub(pattern, name, text)
    return text


def start(home: Path, *command: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=clean_environment(home) | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def try_it(home: Path, **more: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr)"""
    with start(home, "-m", "tests.try_it", **more) as process:
        out, err = process.communicate(timeout=110)
    return process.returncode, out, err


def person(home: Path, decision: str) -> str:
    """A command that opens an address, as BROWSER has it."""
    path = home / "person.py"
    path.write_text(PERSON, encoding="utf-8")
    return shlex.join([sys.executable, str(path), "%s", decision])


def test_both_runs_are_shown(tmp_path: Path) -> None:
    status, out, err = try_it(tmp_path, BROWSER=person(tmp_path, "allow"))
    assert (status, constant(out)) == (0, OUTPUT), err
    first, second = out.partition("Second run")[::2]
    assert first.count("uploaded  ") == 2
    assert second.count("uploaded  ") == 1


def test_without_a_browser_two_forwarded_ports_are_enough(tmp_path: Path) -> None:
    """The person at another computer reaches nothing of this one but the ports of the ssh line."""
    process = start(tmp_path, "-m", "tests.try_it")
    assert process.stdout
    assert process.stderr
    line = next(line for line in process.stdout if line.startswith("ssh "))
    forwarded = re.findall(r"-L (\d+):127\.0\.0\.1:\1(?= )", line)
    assert line.split() == ["ssh", *line.split()[1:5], "USER@THIS-MACHINE"]
    link = next(line.strip() for line in process.stderr if line.startswith("http"))
    reached = []
    for form in (None, b"decision=allow"):
        with build_opener(ProxyHandler({})).open(link, form, timeout=30) as page:
            page.read()
            reached.append(urlsplit(page.url).netloc)
    assert reached == [f"127.0.0.1:{port}" for port in forwarded]
    out, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    assert "My Drive\n    Quickstart uploads\n" in out


@needs.linux_desktop
def test_browser_on_a_screen_is_not_led_to_the_fake(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "env").symlink_to(shutil.which("env") or "")
    script = f"#!{sys.executable}\n{ON_A_SCREEN}{PERSON}"
    (programs / "xdg-open").write_text(script, encoding="utf-8")
    (programs / "xdg-open").chmod(0o755)
    status, _, err = try_it(tmp_path, PATH=str(programs), DISPLAY=":99", BROWSER="")
    assert status == 0, err


def test_refusal_ends_it(tmp_path: Path) -> None:
    status, out, err = try_it(tmp_path, BROWSER=person(tmp_path, "deny"))
    assert (status, constant(out)) == (1, FIRST)
    assert "access_denied" in err
    assert "Traceback" not in err


def test_started_as_a_file(tmp_path: Path) -> None:
    path = REPOSITORY / "tests" / "try_it.py"
    with start(tmp_path, str(path), BROWSER=person(tmp_path, "deny")) as process:
        out, _ = process.communicate(timeout=110)
    assert (process.returncode, constant(out)) == (1, FIRST)


def test_missing_packages_are_named(tmp_path: Path) -> None:
    with start(tmp_path, "-S", "-m", "tests.try_it") as process:
        out, err = process.communicate(timeout=110)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("Run: pip install -r tests/try_it.txt (No module named ")
    assert "Traceback" not in err


def test_settings_of_several_lines_are_edited(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        'A = [\n    "é",  # mine\n    "b",\n]\n# about B\nB = 1  # why\nC = 2\n', "utf-8"
    )
    edit_settings(script, B="\n", A=["ü"])
    assert script.read_text("utf-8") == "A = ['ü']\n# about B\nB = '\\n'\nC = 2\n"
