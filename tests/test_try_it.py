"""tests/try_it.py, with and without a person at a terminal."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress

import pytest
from try_it import COMMAND, FAKE_CLICKS, INTRODUCTION, YOU_CLICK
from user import REPOSITORY, clean_environment

FIRST = """
---- First run: a sign-in, and two new files are uploaded ----------------------
$ python quickstart.py
SCRIPT
"""
RUNS = f"""{FIRST}
---- Second run: report.txt has changed, figures.csv has not -------------------
$ python quickstart.py
SCRIPT

---- What is in the fake Drive now ---------------------------------------------
My Drive
    Reports
        figures.csv  38 bytes  text/csv  MOMENT
        report.txt  40 bytes  text/plain  MOMENT
Trash
    Reports
        figures.csv  38 bytes  text/csv  MOMENT
        report.txt  33 bytes  text/plain  MOMENT
"""
# A browser, which its starter waits for, with a person who clicks a button, or none.
BROWSER = """
import os, sys, urllib.request

assert not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"} & os.environ.keys()
with urllib.request.urlopen(sys.argv[1]) as page:
    assert b"This is a fake for tests" in page.read()
if sys.argv[2] != "none":
    urllib.request.urlopen(sys.argv[1], b"decision=" + sys.argv[2].encode()).close()
"""
# For what starts the browser, each look at the clock is a minute later.
HURRY = """
import itertools, sys, time

if "--open" in sys.orig_argv:
    time.monotonic = itertools.count(0, 60).__next__
"""


def try_it(home, *options, python=("-m", "tests.try_it"), **variables):
    """(status, stdout, stderr), where a browser, if one is opened, fails."""
    failing = shlex.join([sys.executable, "-c", "raise SystemExit(1)"])
    process = subprocess.run(
        [sys.executable, *python, *options],
        cwd=REPOSITORY,
        env=clean_environment(home) | {"BROWSER": failing} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return process.returncode, process.stdout, process.stderr


def at_terminal(home, **variables):
    """(status, what the terminal shows)"""
    ours, theirs = os.openpty()
    environment = clean_environment(home) | variables
    command, terminal = [sys.executable, "-m", "tests.try_it"], [theirs] * 3
    process = subprocess.Popen(command, 0, None, *terminal, cwd=REPOSITORY, env=environment)
    os.close(theirs)
    shown = b""
    with open(ours, "rb", 0) as terminal, suppress(OSError):  # once the other side is closed
        while part := terminal.read(4096):
            shown += part
    return process.wait(60), shown.decode().replace("\r", "")


def constant(text):
    """The text without what differs from run to run, and what quickstart.py itself says."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\S+Z", "MOMENT", text)
    return re.sub(r"(?<=\$ python quickstart\.py\n)(.+\n)+", "SCRIPT\n", text)


def test_nobody_is_there(tmp_path):
    status, out, err = try_it(tmp_path, no_proxy="*")
    assert (status, constant(out)) == (0, INTRODUCTION + FAKE_CLICKS + RUNS), err
    first, second = out.partition("Second run")[::2]
    assert (first.count("uploaded  "), second.count("uploaded  ")) == (2, 1)


@pytest.mark.needs("terminals")
@pytest.mark.parametrize(
    ("clicks", "ends"),
    [("allow", (0, RUNS)), ("deny", (1, FIRST)), ("none", (0, RUNS))],
    ids=["allow", "cancel", "nothing for a minute"],
)
def test_person_clicks(tmp_path, clicks, ends):
    program = tmp_path / "browser.py"
    program.write_text(BROWSER, encoding="utf-8")
    variables = {"BROWSER": shlex.join([sys.executable, str(program), "%s", clicks])}
    if clicks == "none":
        (tmp_path / "sitecustomize.py").write_text(HURRY, encoding="utf-8")
        variables["PYTHONPATH"] = str(tmp_path)
    status, shown = at_terminal(tmp_path, **variables)
    assert (status, constant(shown)) == (ends[0], INTRODUCTION + YOU_CLICK + ends[1])


@pytest.mark.needs("terminals", "no default browser")
@pytest.mark.parametrize(("browser", "told"), [("", FAKE_CLICKS), ("/nonexistent", YOU_CLICK)])
def test_terminal_without_a_browser_that_works(tmp_path, browser, told):
    status, shown = at_terminal(tmp_path, BROWSER=browser, PATH="")
    assert (status, constant(shown)) == (0, INTRODUCTION + told + RUNS)


def test_help_starts_nothing(tmp_path):
    status, out, err = try_it(tmp_path, "--help")
    assert (status, out.partition("\n")[0], err) == (0, "usage: python -m tests.try_it [-h]", "")
    assert "$" not in out


@pytest.mark.parametrize(
    ("python", "says"),
    [
        (
            ("-S", "-m", "tests.try_it"),
            "Packages are missing. In the folder of README.md, run this: (No module named ",
        ),
        (
            ("-c", "import sys; sys.version_info = (3, 10, 4); import tests.try_it"),
            "This needs Python 3.11 or newer, but this is Python 3.10. Install a newer one from",
        ),
    ],
    ids=["packages are missing", "Python is too old"],
)
def test_what_is_missing_is_told(tmp_path, python, says):
    status, out, err = try_it(tmp_path, python=python)
    assert (status, out, err[: len(says)]) == (1, "", says)
    assert err.endswith(f"\n{COMMAND}\n")
