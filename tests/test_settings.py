"""What is wrong on the user's machine is said at once, all of it, before Google hears anything."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import pytest
from workdir import REPOSITORY, Workdir

SETTINGS = {
    "blank folder name": ("FOLDER_NAME", " ", "FOLDER_NAME must be a name in quotes, not blank."),
    "folder name is no text": (
        "FOLDER_NAME",
        7,
        "FOLDER_NAME must be a name in quotes, not blank.",
    ),
    "folder name of an unfinished folder": (
        "FOLDER_NAME",
        "mine (uploading)",
        'FOLDER_NAME must not end in "(uploading)".',
    ),
    "no files": ("FILES", [], "FILES must be a list of one or more paths in quotes."),
    "one path, no list": ("FILES", "a.txt", "FILES must be a list of one or more paths in quotes."),
    "a number, no list": ("FILES", 5, "FILES must be a list of one or more paths in quotes."),
    "scopes are a number": ("SCOPES", 5, "SCOPES must be a list of one or more scopes in quotes."),
    "entry is no text": ("FILES", [3], "FILES must be a list of one or more paths in quotes."),
    "blank entry": ("FILES", [""], "FILES must be a list of one or more paths in quotes."),
    "blank parent": ("PARENT_FOLDER_ID", "", 'PARENT_FOLDER_ID must be "root" or an id in quotes.'),
    "deletes maybe": ("DELETE_PERMANENTLY", "no", "DELETE_PERMANENTLY must be True or False."),
    "no uploads": ("PARALLEL_UPLOADS", 0, "PARALLEL_UPLOADS must be a whole number from 1 up."),
    "half an upload": (
        "PARALLEL_UPLOADS",
        1.5,
        "PARALLEL_UPLOADS must be a whole number from 1 up.",
    ),
    "uploads as text": (
        "PARALLEL_UPLOADS",
        "4",
        "PARALLEL_UPLOADS must be a whole number from 1 up.",
    ),
    "no scopes": ("SCOPES", [], "SCOPES must be a list of one or more scopes in quotes."),
    "user is no text": (
        "DELEGATED_USER",
        5,
        "DELEGATED_USER must be None or an address in quotes.",
    ),
    "port too high": (
        "SIGN_IN_PORT",
        65536,
        "SIGN_IN_PORT must be a whole number from 0 to 65535.",
    ),
}


@pytest.mark.parametrize(("name", "value", "message"), SETTINGS.values(), ids=SETTINGS.keys())
def test_setting_is_refused(workdir: Workdir, name: str, value: Any, message: str) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    workdir.set(**{name: value})
    outcome = workdir.run()
    assert outcome.status == 2
    assert outcome.err.splitlines() == [message, "Nothing was sent."]
    assert outcome.out == ""
    assert workdir.google.log == []


def unreadable(path: Path) -> None:
    path.write_bytes(b"secret")
    path.chmod(0)


FILES = {
    "missing": (lambda path: None, "[Errno 2] No such file or directory: {path}"),
    "a folder": (lambda path: path.mkdir(), "{path} is a folder or a device, not a file"),
    "a pipe": pytest.param(
        lambda path: os.mkfifo(path),
        "{path} is a folder or a device, not a file",
        marks=needs.fifos,
    ),
    "a dangling link": pytest.param(
        lambda path: path.symlink_to("nowhere"),
        "[Errno 2] No such file or directory: {path}",
        marks=needs.links,
    ),
    "unreadable": pytest.param(
        unreadable, "[Errno 13] Permission denied: {path}", marks=needs.file_modes
    ),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES.keys())
def test_file_is_refused(workdir: Workdir, make: Any, message: str) -> None:
    workdir.set(FILES=["thing"])
    workdir.sign_in()
    path = workdir.path / "thing"
    make(path)
    message = message.format(path=repr(str(path)))
    outcome = workdir.run(as_root=False)
    assert outcome.err.splitlines() == [f"FILES: {message}.", "Nothing was sent."]
    assert (outcome.status, workdir.google.log) == (2, [])


def test_two_files_with_one_name_are_refused(workdir: Workdir) -> None:
    workdir.contents({"one/a.txt": b"1", "two/a.txt": b"2"})
    outcome = workdir.run()
    one, two = workdir.path / "one/a.txt", workdir.path / "two/a.txt"
    assert outcome.err.splitlines()[0] == f"FILES: '{one}' and '{two}' have the same name."
    assert (outcome.status, workdir.google.log) == (2, [])


def test_all_problems_are_reported_together(workdir: Workdir) -> None:
    workdir.set(FILES=["gone", "gone too"])
    (workdir.path / "credentials.json").unlink()
    outcome = workdir.run()
    assert outcome.status == 2
    for part in ("gone", "gone too", "credentials.json is missing"):
        assert part in outcome.err


def test_paths_are_relative_to_the_script_or_absolute(workdir: Workdir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_bytes(b"absolute")
    workdir.write("below/relative.txt", b"relative")
    workdir.set(FILES=["below/relative.txt", str(elsewhere)])
    workdir.sign_in()
    assert workdir.run(cwd="/").status == 0
    (folder,) = workdir.google.drive.folders("Quickstart uploads")
    names = {file.name: file.content for file in workdir.google.drive.children(folder.id)}
    assert names == {"relative.txt": b"relative", "elsewhere.txt": b"absolute"}


@pytest.mark.parametrize("arguments", [["--dry"], ["--dryrun"], ["--verbose"], ["a.txt"], ["-n"]])
def test_unknown_argument_starts_nothing(workdir: Workdir, arguments: list[str]) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    outcome = workdir.run(*arguments)
    assert outcome.status == 2
    assert f"unrecognized arguments: {arguments[0]}" in outcome.err
    assert (outcome.out, workdir.google.log) == ("", [])


def test_help_needs_nothing(workdir: Workdir) -> None:
    (workdir.path / "credentials.json").unlink()
    outcome = workdir.run("--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert "--dry-run" in outcome.out


@needs.file_modes
def test_unreadable_credentials_are_no_reason_to_make_new_ones(workdir: Workdir) -> None:
    (workdir.path / "credentials.json").chmod(0)
    outcome = workdir.run(as_root=False)
    assert outcome.status == 2
    assert "credentials.json can't be read: [Errno 13] Permission denied" in outcome.err


def test_wrong_ca_file_is_named(workdir: Workdir) -> None:
    workdir.environment["HTTPLIB2_CA_CERTS"] = "/nonexistent"
    outcome = workdir.run()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("HTTPLIB2_CA_CERTS: ")
    assert "Traceback" not in outcome.err


def test_missing_packages_are_named(tmp_path: Path) -> None:
    script = REPOSITORY / "quickstart.py"
    outcome = subprocess.run(
        [sys.executable, "-S", str(script)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=tmp_path,
    )
    assert outcome.returncode == 2
    assert outcome.stderr.endswith("Run: pip install -r requirements.txt\n")
    assert "Traceback" not in outcome.stderr
