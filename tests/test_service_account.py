"""Service accounts: they act for a user, or in a shared drive, and are told so where they can't."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fake_google import FakeGoogle
from test_settings import assert_refused as assert_settings_refused
from test_settings import check
from test_sign_in import CHANGED_NOTHING, DRIVE, DRIVE_FILE, run, untouched
from workdir import Outcome, Workdir

NAME = "Quickstart uploads"
FIRST = {"a.txt": b"stays", "b.txt": b"goes"}
SECOND = {"a.txt": b"stays", "c.txt": b"comes"}


def use_account(workdir: Workdir, delegated: list[str] | None = None) -> str:
    """Make credentials.json a service account's; its address."""
    account = workdir.google.service_account(delegated)
    workdir.write_json("credentials.json", account)
    address: str = account["client_email"]
    return address


@pytest.fixture
def acting(workdir: Workdir, google: FakeGoogle) -> Workdir:
    """A user's folder, with a service account that may act for the user."""
    use_account(workdir, delegated=[google.user])
    workdir.files(a_txt=b"a")
    workdir.set(DELEGATED_USER=google.user)
    return workdir


def assert_no_sign_in(workdir: Workdir) -> None:
    """Nobody was asked, nothing was saved."""
    calls = workdir.google.calls("oauth.consent", "oauth.token.refresh")
    assert calls == []
    assert not list(workdir.path.glob("*token.json*"))


def assert_failed(outcome: Outcome, what: str, standing: str = CHANGED_NOTHING) -> None:
    """The run failed, with these two lines."""
    assert outcome.err.splitlines() == [what, standing]
    assert outcome.status == 1


def held(google: FakeGoogle, folder_id: str) -> list[tuple[str, Any]]:
    return google.drive.everything(folder_id)


# ---- Acting for a user ---------------------------------------------------------------------------


def test_delegated_user_is_acted_for(acting: Workdir, google: FakeGoogle) -> None:
    for content in (FIRST, SECOND):
        acting.contents(content)
        outcome = run(acting)
        assert (outcome.status, outcome.err) == (0, "")
        assert google.drive.everything() == [(NAME, list(content.items()))]
    assert "copied within Drive (unchanged)  a.txt" in outcome.lines
    (folder,) = google.drive.folders(NAME)
    assert folder.owner == google.user
    assert_no_sign_in(acting)


def test_token_of_a_person_is_left_alone(acting: Workdir, google: FakeGoogle) -> None:
    acting.sign_in(user="someone@example.com")
    with untouched(acting.path / "token.json"):
        assert run(acting).status == 0
    assert [folder.name for folder in google.drive.folders()] == [NAME]


@pytest.mark.parametrize("delegated", [[], ["someone.else@example.com"]])
def test_user_who_is_not_delegated(
    workdir: Workdir, google: FakeGoogle, delegated: list[str]
) -> None:
    use_account(workdir, delegated)
    workdir.files(a_txt=b"a")
    workdir.set(DELEGATED_USER=google.user)
    outcome = run(workdir)
    assert_failed(
        outcome,
        "Signing in: The service account may not act for DELEGATED_USER. See README.md. "
        "(Google: 401 unauthorized_client Unauthorized)",
    )
    assert google.drive.everything() == []
    assert_no_sign_in(workdir)


def test_nothing_but_drive_file_is_asked_for(acting: Workdir, google: FakeGoogle) -> None:
    by_hand = google.drive.add_folder(NAME, app=False)
    assert run(acting).status == 0
    assert not google.drive.file(by_hand.id).trashed
    tokens = {call.token for call in google.calls("files.list")}
    grants = [google.world.accounts.grant_of(token) for token in tokens]
    assert [grant.scopes for grant in grants if grant] == [{DRIVE_FILE}]


def test_hiccups_of_the_token_server_are_waited_out(acting: Workdir, google: FakeGoogle) -> None:
    google.fail("oauth.token.jwt", "503", "503-json", "close-read", "answer-lost", "reset")
    outcome = run(acting)
    assert outcome.status == 0, outcome.err
    assert google.drive.everything() == [(NAME, [("a.txt", b"a")])]


def test_token_that_drive_refuses_is_renewed(acting: Workdir, google: FakeGoogle) -> None:
    google.fail("files.create.multipart", "401")
    outcome = run(acting)
    assert (outcome.status, outcome.err) == (0, "")
    assert google.drive.everything() == [(NAME, [("a.txt", b"a")])]


def test_account_that_is_gone(workdir: Workdir, google: FakeGoogle) -> None:
    """Nobody can consent in its place: the run ends."""
    address = use_account(workdir)
    del google.world.accounts.service_accounts[address]
    workdir.files(a_txt=b"a")
    assert_failed(
        run(workdir),
        "Signing in: The service account's key, DELEGATED_USER or the clock is wrong. "
        "(Google: 400 invalid_grant Bad Request)",
    )
    assert_no_sign_in(workdir)


# ---- No storage of its own -----------------------------------------------------------------------


def in_its_own_drive(google: FakeGoogle, address: str) -> str:
    return "root"


def in_a_folder_shared_with_it(google: FakeGoogle, address: str) -> str:
    folder = google.drive.add_folder("shared by hand", app=False)
    google.drive.share(folder.id, "user", "writer", email=address)
    return folder.id


@pytest.mark.parametrize("place", [in_its_own_drive, in_a_folder_shared_with_it])
def test_no_storage_of_its_own(
    workdir: Workdir, google: FakeGoogle, place: Callable[[FakeGoogle, str], str]
) -> None:
    address = use_account(workdir)
    workdir.files(a_txt=b"a", b_txt=b"b")
    workdir.set(PARENT_FOLDER_ID=place(google, address), SCOPES=[DRIVE])
    outcome = run(workdir)
    *_, what, standing = outcome.err.splitlines()
    assert (outcome.status, standing) == (
        1,
        f'"{NAME}" was not replaced by this run. The unfinished new folder was deleted.',
    )
    assert "A service account has no storage: see README.md. (Google: 403 storageQuota" in what
    assert [file.name for file in google.drive.files.values() if NAME in file.name] == []
    assert_no_sign_in(workdir)


# ---- In a shared drive ---------------------------------------------------------------------------


def top_of_the_drive(google: FakeGoogle, drive_id: str) -> str:
    return drive_id


def folder_in_the_drive(google: FakeGoogle, drive_id: str) -> str:
    return google.drive.add_folder("made by hand", parent=drive_id, app=False).id


@pytest.mark.parametrize(
    ("place", "role", "permanently"),
    [
        (top_of_the_drive, "fileOrganizer", False),
        (folder_in_the_drive, "organizer", False),
        (top_of_the_drive, "organizer", True),
    ],
)
def test_shared_drive(
    workdir: Workdir,
    google: FakeGoogle,
    place: Callable[[FakeGoogle, str], str],
    role: str,
    permanently: bool,
) -> None:
    address = use_account(workdir)
    drive_id = google.drive.add_shared_drive("Team", {google.user: "organizer", address: role})
    parent = place(google, drive_id)
    workdir.set(PARENT_FOLDER_ID=parent, SCOPES=[DRIVE], DELETE_PERMANENTLY=permanently)
    elsewhere = google.drive.add_folder(NAME)
    ended = []
    for content in (FIRST, SECOND, SECOND):
        workdir.contents(content)
        outcome = run(workdir)
        assert (outcome.status, outcome.err) == (0, "")
        assert held(google, parent) == [(NAME, list(content.items()))]
        ended += re.findall(r'"(.*)": (\d+) uploaded, (\d+) unchanged', outcome.out)
    assert ended == [(NAME, "2", "0"), (NAME, "1", "1"), (NAME, "0", "2")]
    trashed = google.drive.folders(NAME, parent=parent, trashed=True)
    assert len(trashed) == (0 if permanently else 2)
    assert not elsewhere.trashed
    (folder,) = google.drive.folders(NAME, parent=parent)
    assert (folder.drive_id, folder.owner) == (drive_id, None)
    assert_no_sign_in(workdir)


def test_dry_run_in_a_shared_drive(workdir: Workdir, google: FakeGoogle) -> None:
    address = use_account(workdir)
    drive_id = google.drive.add_shared_drive("Team", {address: "fileOrganizer"})
    workdir.set(PARENT_FOLDER_ID=drive_id, SCOPES=[DRIVE])
    workdir.contents(FIRST)
    assert run(workdir).status == 0
    workdir.contents(SECOND)
    outcome = workdir.run("--dry-run")
    assert (outcome.status, outcome.err) == (0, "")
    (old,) = google.drive.folders(NAME, parent=drive_id)
    assert outcome.lines == [
        "copy within Drive (unchanged)  a.txt  5 bytes",
        "upload  c.txt  5 bytes",
        "leave out (not in FILES)  b.txt",
        f'move to the trash  "{NAME}" https://drive.google.com/drive/folders/{old.id}',
    ]
    assert held(google, drive_id) == [(NAME, list(FIRST.items()))]


OUT_OF_REACH = (
    "Comparing the files with Drive: PARENT_FOLDER_ID is not in Drive, or out of reach. "
    "See SCOPES in README.md."
)
NO_WRITER = (
    "Creating the folder: This sign-in may not write to PARENT_FOLDER_ID. See SCOPES. "
    "(Google: 403 insufficientParentPermissions Insufficient permissions for the specified parent)"
)
NOT_REPLACED = (
    f'"{NAME}" was not replaced by this run. If the new folder was created, the next run uses it.'
)
REFUSED: dict[str, tuple[str | None, str, tuple[str, str]]] = {
    "not a member": (None, DRIVE, (OUT_OF_REACH, CHANGED_NOTHING)),
    "drive.file does not reach it": (
        "fileOrganizer",
        DRIVE_FILE,
        (OUT_OF_REACH, CHANGED_NOTHING),
    ),
    "a reader": ("reader", DRIVE, (NO_WRITER, NOT_REPLACED)),
}


@pytest.mark.parametrize(("role", "scope", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_shared_drive_that_refuses(
    workdir: Workdir, google: FakeGoogle, role: str | None, scope: str, said: tuple[str, str]
) -> None:
    address = use_account(workdir)
    members = {google.user: "organizer"} | ({address: role} if role else {})
    drive_id = google.drive.add_shared_drive("Team", members)
    workdir.files(a_txt=b"a")
    workdir.set(PARENT_FOLDER_ID=drive_id, SCOPES=[scope])
    assert_failed(run(workdir), *said)
    assert held(google, drive_id) == []


# ---- A credentials.json that is none -------------------------------------------------------------


def without(account: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in account.items() if name != key}


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no private key": lambda account: without(account, "private_key"),
    "no address": lambda account: without(account, "client_email"),
    "key is no key": lambda account: account | {"private_key": "secret"},
    "key is cut": lambda account: account | {"private_key": account["private_key"][:200]},
    "key is a number": lambda account: account | {"private_key": 5},
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_broken_key_is_said_before_anything_is_sent(
    workdir: Workdir, google: FakeGoogle, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    workdir.files(a_txt=b"a")
    workdir.write_json("credentials.json", spoil(google.service_account([google.user])))
    message = "credentials.json is a damaged service account key. Make a new one."
    assert_settings_refused(check(workdir), message)
