"""The rules of test_drive.py themselves: that they can fail, and that asking an account is safe."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from user import REPOSITORY, at, clean_environment, my_drive, trash

# Google as if it said 200 {} to everything.
EMPTY = """
import requests

def send(self, request, **_):
    response = requests.Response()
    response.status_code, response.request, response.url = 200, request, request.url
    response._content = b"{}"
    return response

requests.adapters.HTTPAdapter.send = send
"""
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "--tb=line",
    "tests/test_drive.py",
]


def test_rules_are_not_confirmed_by_empty_answers(tmp_path):
    (tmp_path / "empty.py").write_text(EMPTY)
    command = [*PYTEST, "-n0", "-p", "empty", "-k", "not script"]
    environment = clean_environment(tmp_path) | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    failed = re.findall(
        r"test_drive.py:\d+: (?:assert |AssertionError|Failed: DID NOT)", run.stdout
    )
    assert f"\n{len(failed)} failed, 1 skipped, 3 deselected in" in run.stdout, run.stdout


class Checkout:
    """A copy of this repository, with somebody signed in."""

    def __init__(self, path, google):
        self.path, self.google = path, google
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "tests", path / "tests", ignore=ignored)
        for name in ("quickstart.py", ".pytest.ini"):
            shutil.copy2(REPOSITORY / name, path)
        for name, value in {"credentials": google.credentials(), "token": google.token()}.items():
            (path / f"{name}.json").write_text(json.dumps(value))

    def start(self, answer, *options):
        environment = clean_environment(self.path) | self.google.environment()
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [*PYTEST, "--real", *options]
        process = subprocess.Popen(command, cwd=self.path, env=environment, text=True, **pipes)
        process.stdin.write(answer)
        process.stdin.flush()
        return process

    def run(self, answer, *options):
        process = self.start(answer, *options)
        out, _ = process.communicate(timeout=100)
        return process.returncode, out

    @property
    def report(self):
        """What the report says, line by line, once it is sure that it says nothing else."""
        text = (self.path / "real_drive_report.md").read_text(encoding="utf-8")
        assert not [secret for secret in self.google.secrets() if secret in text]
        assert not re.search(r"@|\b1[\w-]{32}", text), "an address or an ID"
        return text.splitlines()


@pytest.fixture
def checkout(tmp_path, google):
    return Checkout(tmp_path / "checkout", google)


def test_account_is_asked_and_left_as_it_was(google, checkout):
    by_hand = google.drive.add_folder("by hand", app=False).id
    google.drive.add_file("mine", b"mine")
    status, out = checkout.run("y\n", "--by-hand", by_hand, "--share-with", "sam@example.com")
    assert "Go on? [y/N]" in out
    assert (status, checkout.report[2]) == (0, "- 0 contradicted, 1 not tried, 60 confirmed"), out
    assert "- Everything was removed." in checkout.report
    assert [file.name for file in google.drive.children()] == ["by hand", "mine"]
    assert (my_drive(google), trash(google), google.mails) == ([("by hand", {})], [], [])


def test_account_that_contradicts(google, checkout):
    google.fail("files.create.multipart", "html-200")
    google.fail("permissions.list", "html-200")
    rules = "given_beforehand and in_one_request or without_mail"
    status, out = checkout.run("y\n", "-k", rules, "--share-with", "sam@example.com")
    assert re.search(r"\b1[\w-]{32}", out)
    assert (status, checkout.report[2]) == (1, "- 2 contradicted, 0 not tried, 0 confirmed")
    assert my_drive(google) == trash(google) == []


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "nobody"])
def test_nothing_is_made_without_a_yes(google, checkout, answer):
    process = checkout.start(answer, "-k", "test_id")
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, "Nothing was made." in out) == (1, True)
    assert [call.method for call in google.calls() if call.method != "GET"] == []
    assert not (checkout.path / "real_drive_report.md").exists()


@pytest.mark.needs("Unix")
def test_ctrl_c_removes_everything(google, checkout):
    at(google, "after", "files.copy", lambda: os.kill(process.pid, signal.SIGINT))
    process = checkout.start("y\n", "-k", "test_id")
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, my_drive(google), trash(google)) == (2, [], []), out
    assert checkout.report[2] == "- 0 contradicted, 6 not tried, 3 confirmed"
