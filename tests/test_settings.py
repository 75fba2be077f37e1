"""What is wrong on the user's machine is said at once, all of it, before Google hears anything."""

import json
import os
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from user import NAME, NEW, REPOSITORY, WINDOWS, my_drive

DRIVE = "https://www.googleapis.com/auth/drive"
GET_CLIENT = """Make an OAuth client of type "Desktop app" at
https://console.cloud.google.com/auth/clients, download its JSON, and save it beside the script as
credentials.json. README.md shows each step."""
NO_CLIENT = f"credentials.json is no desktop client and no service account's key. {GET_CLIENT}"
ADVICE = r"""Write r"C:\new\a.jpg" or "C:/new/a.jpg": else, Python changes \n and \t."""


def assert_refused(outcome, *lines):
    """The run ended before anything was sent, and said this and nothing else."""
    assert outcome == (2, "", "\n".join([*lines, "Nothing was sent.", ""]))


# ---- The settings --------------------------------------------------------------------------------
RULES = {
    "FOLDER_NAME": "a name in quotes, not blank, and not one that ends in (uploading)",
    "FILES": "a list of one or more paths in quotes",
    "PARENT_FOLDER_ID": '"root", or an ID or address in quotes',
    "DELETE_PERMANENTLY": "True or False",
    "PARALLEL_UPLOADS": "a whole number, 1 or more",
    "SCOPES": "a list of addresses in quotes, with drive.file or drive",
    "DELEGATED_USER": "None or an address in quotes",
    "SIGN_IN_PORT": "a whole number from 0 to 65535",
}
RULES = {name: f"{name} must be there, and be {what}." for name, what in RULES.items()}
WRONG = {
    "FOLDER_NAME": [" ", 7, None, "mine (uploading)"],
    "FILES": [[], "a.txt", 5, [3], [""], None],
    "PARENT_FOLDER_ID": ["", "a b", "https://drive.google.com/drive/my-drive", 5, None],
    "DELETE_PERMANENTLY": ["no", 1, None],
    "PARALLEL_UPLOADS": [0, 1.5, "4", True, None],
    "SCOPES": [[], DRIVE, ["drive.file"], [DRIVE, f"{DRIVE}.readonly"], None],
    "DELEGATED_USER": [5, ["me@example.com"], " "],
    "SIGN_IN_PORT": [65536, -1, "8080", None],
}
WRONG_ROWS = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("name", "value"), WRONG_ROWS, ids=[f"{n}={v!r}" for n, v in WRONG_ROWS])
def test_setting_of_a_wrong_type_or_value(user, google, name, value):
    user.write_json("credentials.json", google.service_account())
    assert_refused(user.check(**{name: value}), RULES[name])


def test_settings_that_may_be(user):
    user.set(FOLDER_NAME="it's 東京", FILES=("new.txt",), SCOPES=(f"{DRIVE}.file",))
    user.set(DELETE_PERMANENTLY=True, PARALLEL_UPLOADS=50, SIGN_IN_PORT=65535)
    outcome = user.run("--dry-run")
    assert (outcome.status, outcome.err) == (0, "")


def test_deleted_or_misspelt_settings(user, google):
    user.write_json("credentials.json", google.service_account())
    text = user.script.read_text(encoding="utf-8")
    text = re.sub(rf"(?m)^({'|'.join(RULES)}) = .*\n", "", text)
    user.script.write_text(text, encoding="utf-8")
    assert_refused(user.run(), *RULES.values())


def test_delegated_user_needs_a_service_account(user):
    says = "DELEGATED_USER works only with a service account. Set it to None."
    assert_refused(user.check(DELEGATED_USER="me@example.com"), says)


def test_all_that_is_wrong_is_said_together(user):
    (user.path / "credentials.json").unlink()
    settings = {"FOLDER_NAME": "", "FILES": ["gone", "new.txt", ".", "C:\table.txt"]}
    assert_refused(
        user.check(**settings, PARALLEL_UPLOADS=0),
        RULES["FOLDER_NAME"],
        RULES["PARALLEL_UPLOADS"],
        f"FILES: There is no file at {user.path / 'gone'}.",
        f"FILES: {user.path} is a folder. List its files.",
        f"FILES: There is no file at {user.path / 'C:?able.txt'}.",
        ADVICE,
        f"credentials.json is missing. {GET_CLIENT}",
    )


# ---- The files -----------------------------------------------------------------------------------
NO_FILE = "FILES: There is no file at {}."
TWINS = "FILES: {} has the same name as another of the files. Keep one."


def write_twins(user):
    user.files({"one/a.txt": b"1", "b.txt": b"2", "two/a.txt": b"3"})


# FILES, what is done before, and which of FILES are named in which sentence.
FILES = {
    "missing": (["gone.txt"], None, NO_FILE),
    "in a folder that is missing": (["gone/a.txt", "b.txt"], None, NO_FILE),
    "a folder": (
        ["a"],
        lambda user: (user.path / "a").mkdir(),
        "FILES: {} is a folder. List its files.",
    ),
    "a pipe": pytest.param(
        *(["pipe"], lambda user: os.mkfifo(user.path / "pipe"), NO_FILE),
        marks=pytest.mark.needs("named pipes"),
    ),
    "two of one name": (["one/a.txt", "two/a.txt"], write_twins, TWINS),
    "one file twice": (["new.txt", "./new.txt"], None, TWINS),
}


@pytest.mark.parametrize(("entries", "prepare", "says"), FILES.values(), ids=FILES)
def test_files_that_cannot_go_up(user, entries, prepare, says):
    if prepare:
        prepare(user)
    assert_refused(user.check(FILES=entries), *(says.format(user.path / name) for name in entries))


@pytest.mark.needs("file modes that bind the script")
def test_files_that_nobody_may_read(user):
    user.set(FILES=["secret.txt"])
    for name in ("secret.txt", "credentials.json"):
        user.write(name, b"{}").chmod(0)
    denied = "can't be read. (Permission denied)"
    says = f"FILES: {user.path / 'secret.txt'} {denied}", f"credentials.json {denied}"
    assert_refused(user.run(as_root=False), *says)


def test_paths_begin_at_the_script_or_at_the_root(user, google, tmp_path):
    (tmp_path / "elsewhere.txt").write_bytes(b"absolute")
    user.write("below/relative.txt", b"relative")
    user.set(FILES=["below/relative.txt", str(tmp_path / "elsewhere.txt")])
    assert user.run(cwd=Path.home().anchor).status == 0
    assert my_drive(google) == [(NAME, {"relative.txt": b"relative", "elsewhere.txt": b"absolute"})]


# ---- credentials.json ----------------------------------------------------------------------------
def client(**values):
    """An OAuth client's JSON with these values; None takes a key away."""
    values = json.loads(EXAMPLE)["installed"] | {"client_id": "1", "client_secret": "2"} | values
    kept = {key: value for key, value in values.items() if value is not None}
    return json.dumps({"installed": kept})


EXAMPLE = (REPOSITORY / "credentials.json.example").read_text(encoding="utf-8")
STILL_THE_EXAMPLE = f"credentials.json is still the example. {GET_CLIENT}"
KEY = {"type": "service_account", "client_email": "a@example.com", "private_key": "cut"}
KEY |= {"token_uri": "https://oauth2.googleapis.com/token"}
# Whole, but of another kind than Google's.
EC_KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
CREDENTIALS = {
    "empty": ("", NO_CLIENT),
    "no JSON": ("client_id=1", NO_CLIENT),
    "a list": ("[]", NO_CLIENT),
    "no text": ("\xff\xfe{\0", NO_CLIENT),
    "for web applications": (EXAMPLE.replace("installed", "web"), NO_CLIENT),
    "an API key": ('{"key": "AIza"}', NO_CLIENT),
    "without what is to be in it": ('{"installed": 5}', NO_CLIENT),
    "without the ID": (client(client_id=None), NO_CLIENT),
    "without the secret": (client(client_secret=None), NO_CLIENT),
    "a secret that is no text": (client(client_secret=5), NO_CLIENT),
    "without the address to sign in at": (client(auth_uri=None), NO_CLIENT),
    "a damaged key": (json.dumps(KEY), NO_CLIENT),
    "no key": (json.dumps(KEY | {"private_key": None}), NO_CLIENT),
    "a key of another kind": (json.dumps(KEY | {"private_key": EC_KEY.decode()}), NO_CLIENT),
    "the example, half filled": (client(client_id="YOUR_CLIENT_ID"), STILL_THE_EXAMPLE),
    "the example": (EXAMPLE, STILL_THE_EXAMPLE),
}


@pytest.mark.parametrize(("text", "says"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials_that_are_none(user, text, says):
    user.write("credentials.json", text.encode("latin-1"))
    assert_refused(user.check(), says)


def test_folder_in_the_place_of_the_credentials(user):
    (user.path / "credentials.json").unlink()
    (user.path / "credentials.json").mkdir()
    why = "Permission denied" if WINDOWS else "Is a directory"
    assert_refused(user.check(), f"credentials.json can't be read. ({why})")


# Explorer hides what a name ends in, and so its user doubles it. The newest comes first.
MISNAMED = [
    ["credentials.json.json"],
    ["credentials.json.txt", "credentials.json.example"],
    ["client_secret_1-a.apps.json"],
    ["client_secret_1.json", "client_secret_2.json"],
    ["client_secret_2.json", "client_secret_1.json"],
]


@pytest.mark.parametrize("names", MISNAMED, ids=" ".join)
def test_credentials_that_are_misnamed(user, names):
    (user.path / "credentials.json").unlink()
    for age, name in enumerate(names):
        user.write(name, b"{}", modified=1_000_000_000 - age)
    says = f"credentials.json is missing. Rename {names[0]} to credentials.json."
    assert_refused(user.check(), says)


# ---- PARENT_FOLDER_ID ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "https://drive.google.com/drive/folders/{}",
        "https://drive.google.com/drive/u/1/folders/{}?usp=sharing",
        "https://drive.google.com/open?id={}&authuser=0",
    ],
)
def test_parent_by_its_id_or_address(user, google, form):
    parent = google.drive.add_folder("parent")
    user.set(PARENT_FOLDER_ID=form.format(parent.id))
    outcome = user.run()
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = google.drive.folders(NAME, parent=parent.id)
    assert {file.name: file.content for file in google.drive.children(folder.id)} == NEW
    assert my_drive(google) == [("parent", {NAME: None})]


def in_the_trash(drive):
    folder = drive.add_folder("old")
    drive.trash(folder.id)
    return folder.id


NO_PARENT = (
    "PARENT_FOLDER_ID is no folder, in the trash, or out of reach: see SCOPES in README.md. "
    "It must be the ID or the address of a folder, not its name."
)
PARENTS = {
    "a name": lambda drive: drive.add_folder("Reports").name,
    "made by hand": lambda drive: drive.add_folder("Reports", app=False).id,
    "a file": lambda drive: drive.add_file("a.txt", b"").id,
    "in the trash": in_the_trash,
}


@pytest.mark.parametrize("make", PARENTS.values(), ids=PARENTS)
def test_parent_that_cannot_be_one(user, google, make):
    user.set(PARENT_FOLDER_ID=make(google.drive))
    before = google.drive.everything()
    outcome = user.run()
    assert outcome == (1, "", f"Comparing with Drive: {NO_PARENT}\nNothing in Drive was changed.\n")
    assert google.drive.everything() == before


# ---- The command line, and the Python that runs it -----------------------------------------------
def test_help_needs_nothing_and_starts_nothing(user, google):
    (user.path / "credentials.json").unlink()
    outcome = user.run("--help")
    assert (outcome.status, outcome.err, google.calls()) == (0, "", [])
    assert "--dry-run" in outcome.out
    assert "README.md has the rest." in " ".join(outcome.out.split())


@pytest.mark.parametrize("argument", ["--dry", "--verbose", "-n", "a.txt", ""])
def test_argument_that_is_not_known_starts_nothing(user, google, argument):
    outcome = user.run(argument)
    assert (outcome.status, outcome.out, google.calls()) == (2, "", [])
    assert outcome.err.splitlines()[-1] == (
        f"quickstart.py: error: {argument!r} is not known. List files in FILES, in quickstart.py."
    )


PYTHONS = {
    "too old": ("import datetime; del datetime.UTC", "cannot import name 'UTC' from 'datetime'"),
    "without the packages": ("import sys; sys.modules['httplib2'] = None", "import of httplib2"),
}


@pytest.mark.parametrize(("program", "words"), PYTHONS.values(), ids=PYTHONS)
def test_python_that_does_not_suffice(user, program, words):
    user.hook(program)
    outcome = user.check()
    says = f"Run quickstart.py with the Python in .venv, 3.11 or newer. ({words}"
    assert (outcome.status, outcome.out, outcome.err[: len(says)]) == (2, "", says)
