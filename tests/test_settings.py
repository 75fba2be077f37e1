"""What is wrong on the user's machine is said at once, all of it, before Google hears anything."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import needs
import pytest
from workdir import REPOSITORY, Outcome, Workdir

NOT_SENT = "Nothing was sent."
PATH_RULES = [
    r'In FILES, write r"C:\new\a.jpg" or "C:/new/a.jpg": else, Python changes \n and \t.',
    "FILES takes no *, ~ or web address and no quotes within quotes. A comma separates two paths.",
]
GET_CLIENT = [
    'Make an OAuth client of type "Desktop app" at',
    "https://console.cloud.google.com/auth/clients, download its JSON, and save it beside the "
    "script as",
    "credentials.json. README.md shows each step.",
]


def load(workdir: Workdir) -> Any:
    """The script as a module of this process, whose Python need not start for it."""
    module = ModuleType("quickstart")
    module.__file__ = str(workdir.script)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        exec(compile(workdir.script.read_bytes(), workdir.script, "exec"), vars(module))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return module


def check(workdir: Workdir, run: Callable[[Any, Any], object] | None = None) -> Outcome:
    """What a run says up to the point at which it would sign in; run() stands for what follows."""
    script = load(workdir)
    script.prepare = lambda: None
    script.run = lambda client, *_: run(script, client) if run else None
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = script.main([])
    return Outcome(status, out.getvalue(), err.getvalue())


def assert_refused(outcome: Outcome, *lines: str) -> None:
    """The run ended before anything was sent, and said this and nothing else."""
    assert outcome.err.splitlines() == [*lines, NOT_SENT]
    assert (outcome.status, outcome.out) == (2, "")


# ---- The constants -------------------------------------------------------------------------------

DRIVE = "https://www.googleapis.com/auth/drive"
DRIVE_FILE = f"{DRIVE}.file"
ADDRESS = "https://drive.google.com/drive/folders/1aB-c_9"
# By constant: what is wrong, what is said of it, what is right.
SETTINGS: dict[str, tuple[list[Any], str, list[Any]]] = {
    "FOLDER_NAME": (
        [" ", 7, None],
        "FOLDER_NAME must be a name in quotes, and not blank.",
        ["it's", "東京"],
    ),
    "FILES": (
        [[], "a.txt", 5, [3], [""], None],
        "FILES must be a list of one or more paths in quotes.",
        [["a.txt"]],
    ),
    "PARENT_FOLDER_ID": (
        ["", "a b", "https://drive.google.com/drive/my-drive", None, 5],
        'PARENT_FOLDER_ID must be "root", or an ID or address in quotes.',
        ["root", "1aB-c_9", ADDRESS, f"{ADDRESS}?usp=sharing"],
    ),
    "DELETE_PERMANENTLY": (
        ["no", 1, None],
        "DELETE_PERMANENTLY must be True or False.",
        [True, False],
    ),
    "PARALLEL_UPLOADS": (
        [0, 1.5, "4", -1, None],
        "PARALLEL_UPLOADS must be a whole number, 1 or more.",
        [1, 50],
    ),
    "SCOPES": (
        [[], 5, DRIVE, ["drive.file"], [DRIVE_FILE, f"{DRIVE}.readonly"]],
        f"SCOPES must be a list of these, in quotes: {DRIVE_FILE}, {DRIVE}.",
        [[DRIVE], [DRIVE_FILE, DRIVE]],
    ),
    "DELEGATED_USER": (
        [5, ["me@example.com"], " "],
        "DELEGATED_USER must be None or an address in quotes.",
        [None, "me@example.com"],
    ),
    "SIGN_IN_PORT": (
        [65536, -1, "8080", None],
        "SIGN_IN_PORT must be a whole number from 0 to 65535.",
        [0, 65535],
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_setting(workdir: Workdir, name: str) -> None:
    workdir.files(a_txt=b"a")
    if name == "DELEGATED_USER":
        workdir.write_json("credentials.json", workdir.google.service_account())
    wrong, message, right = SETTINGS[name]
    for value in wrong:
        workdir.set(**{name: value})
        assert_refused(check(workdir), message)
    for value in right:
        workdir.set(**{name: value})
        assert check(workdir).status == 0, value


def test_name_of_an_unfinished_folder_is_refused(workdir: Workdir) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(FOLDER_NAME="mine (uploading)")
    assert_refused(check(workdir), 'FOLDER_NAME must not end in "(uploading)".')


def test_delegated_user_needs_a_service_account(workdir: Workdir) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(DELEGATED_USER="me@example.com")
    message = "DELEGATED_USER works only with a service account. Set it to None."
    assert_refused(check(workdir), message)


def test_whole_run_that_is_refused(workdir: Workdir) -> None:
    """All that is wrong is said together; and the script, started by itself, says the same."""
    workdir.set(FILES=["gone", "gone too"])
    (workdir.path / "credentials.json").unlink()
    outcome = workdir.run()
    assert_refused(
        outcome,
        f"FILES: There is no file at {workdir.path / 'gone'}.",
        f"FILES: There is no file at {workdir.path / 'gone too'}.",
        *PATH_RULES,
        f"credentials.json is missing. {GET_CLIENT[0]}",
        *GET_CLIENT[1:],
    )
    assert workdir.google.log == []
    assert check(workdir) == outcome


# ---- The files -----------------------------------------------------------------------------------


def unreadable(path: Path) -> None:
    path.write_bytes(b"secret")
    path.chmod(0)


NO_FILE = ["FILES: There is no file at {path}.", *PATH_RULES]
NOT_A_FILE = ["FILES: {path} is a folder or a device. List files only."]
FILES: dict[str, Any] = {
    "missing": (lambda path: None, NO_FILE),
    "a folder": (lambda path: path.mkdir(), NOT_A_FILE),
    "a pipe": pytest.param(lambda path: os.mkfifo(path), NOT_A_FILE, marks=needs.fifos),
    "a dangling link": pytest.param(
        lambda path: path.symlink_to("nowhere"), NO_FILE, marks=needs.links
    ),
    "a file that the system makes up": pytest.param(
        lambda path: path.symlink_to("/proc/version"),
        ["FILES: {path} has content, but no size. Upload a copy of it."],
        marks=needs.needs("/proc of Linux", sys.platform == "linux"),
    ),
}


@pytest.mark.parametrize(("make", "lines"), FILES.values(), ids=FILES.keys())
def test_file_is_refused(workdir: Workdir, make: Callable[[Path], Any], lines: list[str]) -> None:
    workdir.set(FILES=["thing"])
    path = workdir.path / "thing"
    make(path)
    assert_refused(check(workdir), *(line.format(path=path) for line in lines))


@needs.file_modes
def test_files_that_nobody_may_read_are_refused(workdir: Workdir) -> None:
    workdir.set(FILES=["thing"])
    unreadable(workdir.path / "thing")
    unreadable(workdir.path / "credentials.json")
    assert_refused(
        workdir.run(as_root=False),
        f"FILES: {workdir.path / 'thing'} can't be read. (Permission denied)",
        f"{workdir.path / 'credentials.json'} can't be read. (Permission denied)",
    )


def test_two_files_with_one_name_are_refused(workdir: Workdir) -> None:
    workdir.contents({"one/a.txt": b"1", "two/a.txt": b"2"})
    one, two = workdir.path / "one" / "a.txt", workdir.path / "two" / "a.txt"
    assert_refused(check(workdir), f"FILES: {one} and {two} have the same name. Rename one.")


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


# ---- credentials.json ----------------------------------------------------------------------------


def edited(**values: Any) -> Callable[[dict[str, Any]], str]:
    """An OAuth client's JSON with these values; None takes a key away."""

    def edit(client: dict[str, Any]) -> str:
        entries = client["installed"] | values
        kept = {key: value for key, value in entries.items() if value is not None}
        return json.dumps({"installed": kept})

    return edit


EXAMPLE = (REPOSITORY / "credentials.json.example").read_text(encoding="utf-8")
CUT = "is empty, cut short or not JSON."
NOT_THE_CONSOLES = "is no OAuth client from Google's console."
STILL_THE_EXAMPLE = "is still the example."
CREDENTIALS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "empty": (lambda client: "", CUT),
    "no JSON": (lambda client: "client_id=1", CUT),
    "cut short": (lambda client: json.dumps(client)[:-20], CUT),
    "a list": (lambda client: "[]", CUT),
    "no text": (lambda client: "\xff\xfe{\0", CUT),
    "a web client": (
        lambda client: json.dumps({"web": client["installed"]}),
        'is for a client of type "Web application".',
    ),
    "an API key": (lambda client: '{"key": "AIza"}', NOT_THE_CONSOLES),
    "not an object within": (lambda client: '{"installed": 5}', NOT_THE_CONSOLES),
    "without the secret": (edited(client_secret=None), NOT_THE_CONSOLES),
    "without the ID": (edited(client_id=None), NOT_THE_CONSOLES),
    "secret is a number": (edited(client_secret=5), NOT_THE_CONSOLES),
    "the example as it is shipped": (lambda client: EXAMPLE, STILL_THE_EXAMPLE),
    "the example, half filled": (
        edited(client_id="YOUR_CLIENT_ID.apps.googleusercontent.com"),
        STILL_THE_EXAMPLE,
    ),
}


@pytest.mark.parametrize(("make", "wrong"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials_are_refused(
    workdir: Workdir, make: Callable[[dict[str, Any]], str], wrong: str
) -> None:
    workdir.files(a_txt=b"a")
    text = make(workdir.google.credentials())
    workdir.write("credentials.json", text.encode("latin-1"))
    assert_refused(check(workdir), f"credentials.json {wrong} {GET_CLIENT[0]}", *GET_CLIENT[1:])


MISNAMED = ["credentials.json.json", "credentials.json.txt", "client_secret_1-a.apps.json"]


@pytest.mark.parametrize("name", MISNAMED)
def test_name_that_the_credentials_have_by_mistake_is_told(workdir: Workdir, name: str) -> None:
    """Explorer hides what a name ends in, and so its user doubles it."""
    workdir.files(a_txt=b"a")
    (workdir.path / "credentials.json").rename(workdir.path / name)
    assert_refused(
        check(workdir), f"credentials.json is missing. Rename {name} to credentials.json."
    )


def test_folder_in_the_place_of_the_credentials(workdir: Workdir) -> None:
    workdir.files(a_txt=b"a")
    path = workdir.path / "credentials.json"
    path.unlink()
    path.mkdir()
    outcome = check(workdir)
    assert outcome.status == 2
    assert outcome.err.startswith(f"{path} can't be read. (")


# ---- The environment and the command line --------------------------------------------------------


@pytest.mark.parametrize(
    "proxy", ["http://me:se/cret@proxy.example.com:8080", "127.0.0.1:8080", "http://proxy:99999"]
)
def test_proxy_that_is_no_address(
    workdir: Workdir, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Python's own words for it hold a part of the password."""
    workdir.files(a_txt=b"a")
    monkeypatch.setenv("https_proxy", proxy)
    assert_refused(
        check(workdir),
        "https_proxy must be an address such as http://USER:PASSWORD@HOST:8080.",
    )


def test_certificates_that_are_not_there(workdir: Workdir, monkeypatch: pytest.MonkeyPatch) -> None:
    workdir.files(a_txt=b"a")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    assert_refused(check(workdir), "REQUESTS_CA_BUNDLE does not name a file.")


@pytest.mark.parametrize("arguments", [["--dry"], ["--verbose"], ["a.txt"]])
def test_unknown_argument_starts_nothing(workdir: Workdir, arguments: list[str]) -> None:
    script, err = load(workdir), io.StringIO()
    script.prepare = script.run = lambda *_: None
    with redirect_stderr(err), pytest.raises(SystemExit) as ended:
        script.main(arguments)
    assert ended.value.code == 2
    assert f"unrecognized arguments: {arguments[0]}" in err.getvalue()


def test_help_needs_nothing(workdir: Workdir) -> None:
    (workdir.path / "credentials.json").unlink()
    outcome = workdir.run("--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert "--dry-run" in outcome.out


def test_wrong_ca_file_is_named(workdir: Workdir) -> None:
    workdir.environment["HTTPLIB2_CA_CERTS"] = "/nonexistent"
    outcome = workdir.run()
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("HTTPLIB2_CA_CERTS does not name a file. (")


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
    what, cure = outcome.stderr.splitlines()
    assert what == "Run quickstart.py with the Python in .venv, 3.11 or newer, or"
    install = f"run: {sys.executable} -m pip install -r requirements.txt"
    assert cure.startswith(f"{install} (No module named ")
