"""tests/try_it.py, with a helper in place of the person and the browser."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from workdir import REPOSITORY, clean_environment

# Opens the page, sends the form on it, and follows the way back to the script.
PERSON = """
import sys, urllib.request

with urllib.request.urlopen(sys.argv[1]) as page:
    assert b"This is a fake for tests" in page.read()
with urllib.request.urlopen(sys.argv[1], b"decision=" + sys.argv[2].encode()) as page:
    assert b"you may close this page" in page.read()
"""

ON_A_SCREEN = """
import os, sys

assert not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"} & os.environ.keys()
sys.argv.append("allow")
"""

OUTPUT = """
---- First run: you sign in, on a page of the fake -----------------------------
$ python quickstart.py
uploaded  README.md  SIZE
uploaded  requirements.txt  SIZE
2 uploaded, 0 copied unchanged, SIZE sent in TIME
https://drive.google.com/drive/folders/ID

---- Second run: nothing is new ------------------------------------------------
$ python quickstart.py
copied (unchanged)  README.md
copied (unchanged)  requirements.txt
0 uploaded, 2 copied unchanged, 0 bytes sent in TIME
https://drive.google.com/drive/folders/ID

---- What the fake Drive holds -------------------------------------------------
Quickstart uploads/
    README.md  SIZE  text/markdown  MOMENT
    requirements.txt  SIZE  text/plain  MOMENT
Quickstart uploads/ (in the trash)
    README.md  SIZE  text/markdown  MOMENT
    requirements.txt  SIZE  text/plain  MOMENT
"""
VOLATILE = {
    r"(?<=folders/)\S+": "ID",
    r"\b[1-9][\d.]* (bytes|kB)": "SIZE",
    r"[\d.]+ s$": "TIME",
    r"\d{4}-\d\d-\d\dT\S+Z": "MOMENT",
}


def constant(text: str) -> str:
    for pattern, name in VOLATILE.items():
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    # Two files that are under way at once are done in any order.
    return re.sub(r"(?m)^(.*  requirements.*\n)(.*  README.*\n)(?=\d)", r"\2\1", text)


def try_it(home: Path, *start: str, **more: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr)"""
    done = subprocess.run(
        [sys.executable, *start],
        cwd=REPOSITORY,
        env=clean_environment(home) | more,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


def person(home: Path, decision: str) -> str:
    """A command that opens an address, as BROWSER has it."""
    path = home / "person.py"
    path.write_text(PERSON)
    return shlex.join([sys.executable, str(path), "%s", decision])


def test_both_runs_are_shown(tmp_path: Path) -> None:
    browser = person(tmp_path, "allow")
    status, out, err = try_it(tmp_path, "-m", "tests.try_it", BROWSER=browser)
    assert (status, constant(out)) == (0, OUTPUT), err
    assert "http://127.0.0.1:" in err  # the link, for whoever has no browser


def test_browser_on_a_screen_is_not_led_to_the_fake(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "env").symlink_to(shutil.which("env") or "")
    (programs / "xdg-open").write_text(f"#!{sys.executable}\n{ON_A_SCREEN}{PERSON}")
    (programs / "xdg-open").chmod(0o755)
    display = {"PATH": str(programs), "DISPLAY": ":99", "BROWSER": ""}
    status, _, err = try_it(tmp_path, "-m", "tests.try_it", **display)
    assert status == 0, err


def test_refusal_ends_it(tmp_path: Path) -> None:
    browser = person(tmp_path, "deny")
    status, out, err = try_it(tmp_path, str(REPOSITORY / "tests" / "try_it.py"), BROWSER=browser)
    assert status == 1
    assert out.splitlines()[2:] == ["$ python quickstart.py"]
    assert "access_denied" in err
    assert "Traceback" not in err
