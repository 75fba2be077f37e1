"""The rules of test_drive.py themselves: that they can fail, and that asking an account is safe."""

import json
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

    def run(self, answer, rules, *options):
        """Ask the account about these rules (as pytest's -k has them)."""
        environment = clean_environment(self.path) | self.google.environment()
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [*PYTEST, "--real", "-k", rules, *options]
        self.process = subprocess.Popen(command, cwd=self.path, env=environment, text=True, **pipes)
        out, _ = self.process.communicate(answer, timeout=100)
        return self.process.returncode, out

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
    """About a rule of each kind: with a second connection, a grant, files, the script itself."""
    by_hand = google.drive.add_folder("by hand", app=False).id
    google.drive.add_file("mine", b"mine")
    rules = "list or by_hand or without_mail or digests or dry_run or of_256_mib"
    options = "--by-hand", by_hand, "--share-with", "sam@example.com"
    status, out = checkout.run("y\n", rules, *options)
    assert "Go on? [y/N]" in out
    assert (status, checkout.report[2]) == (0, "- 0 contradicted, 1 not tried, 12 confirmed"), out
    assert "- Everything was removed." in checkout.report
    assert [file.name for file in google.drive.children()] == ["by hand", "mine"]
    assert (my_drive(google), trash(google), google.mails) == ([("by hand", {})], [], [])


def test_account_that_contradicts(google, checkout):
    google.fail("files.create.multipart", "html-200")
    google.fail("permissions.list", "html-200")
    rules = "given_beforehand and in_one_request or without_mail"
    status, out = checkout.run("y\n", rules, "--share-with", "sam@example.com")
    assert re.search(r"\b1[\w-]{32}", out)
    assert (status, checkout.report[2]) == (1, "- 2 contradicted, 0 not tried, 0 confirmed")
    assert my_drive(google) == trash(google) == []


def test_nothing_is_made_without_a_yes(google, checkout):
    status, out = checkout.run("\n", "test_id")
    assert (status, "Nothing was made." in out) == (1, True)
    assert [call.method for call in google.calls() if call.method != "GET"] == []
    assert not (checkout.path / "real_drive_report.md").exists()


@pytest.mark.needs("Unix")
def test_ctrl_c_removes_everything(google, checkout):
    at(google, "after", "files.copy", lambda: checkout.process.send_signal(signal.SIGINT))
    status, out = checkout.run("y\n", "test_id")
    assert (status, my_drive(google), trash(google)) == (2, [], []), out
    assert checkout.report[2] == "- 0 contradicted, 6 not tried, 3 confirmed"
