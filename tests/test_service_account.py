"""Service accounts: they act for a user, or in a shared drive, and are told where they can't."""

import pytest
from user import NAME, WORKING_NAME, my_drive

DRIVE = "https://www.googleapis.com/auth/drive"
FIRST = {"a.txt": b"stays", "b.txt": b"goes"}
SECOND = {"a.txt": b"stays", "c.txt": b"comes"}
NOTHING_CHANGED = "Nothing in Drive was changed."
NOT_REPLACED = f'"{NAME}" was not replaced by this run.'


@pytest.fixture
def account(user, google):
    """The address of a service account whose key is credentials.json."""
    user.files(FIRST)
    key = google.service_account()
    user.write_json("credentials.json", key)
    return key["client_email"]


@pytest.fixture
def delegate(user, google, account):
    """Google lets the account act for a user, and it is to do so."""
    user.write_json("credentials.json", google.service_account([google.user]))
    user.set(DELEGATED_USER=google.user)


@pytest.fixture(autouse=True)
def token_stays(user, google):
    """A person's token.json, which the same folder may hold, is not for a service account."""
    token = user.token
    yield
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]
    assert user.token == token
    assert google.calls("oauth.consent", "oauth.token.refresh") == []


def assert_failed(outcome, *lines):
    assert outcome.err.splitlines() == list(lines)
    assert outcome.status == 1


# ---- Acting for a user ---------------------------------------------------------------------------
@pytest.mark.usefixtures("delegate")
def test_account_acts_for_the_delegated_user(user, google):
    for content in (FIRST, SECOND):
        user.files(content)
        outcome = user.run()
        assert (outcome.status, outcome.err) == (0, "")
        assert my_drive(google) == [(NAME, content)]
    assert "copied within Drive (unchanged)  a.txt" in outcome.out
    assert [folder.owner for folder in google.drive.folders()] == [google.user]


@pytest.mark.usefixtures("delegate")
def test_user_who_is_not_delegated_is_told(user):
    user.set(DELEGATED_USER="someone.else@example.com")
    why = "The service account may not act for DELEGATED_USER. See README.md."
    why += " (401 unauthorized_client Unauthorized)"
    assert_failed(user.run(), f"Signing in: {why}", NOTHING_CHANGED)


# ---- In a shared drive ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("folder", "role", "permanently"),
    [(None, "fileOrganizer", False), ("in it", "fileOrganizer", False), (None, "organizer", True)],
)
def test_account_works_in_a_shared_drive(user, google, account, folder, role, permanently):
    parent = google.drive.add_shared_drive("Team", {google.user: "organizer", account: role})
    if folder:
        parent = google.drive.add_folder(folder, parent=parent, app=False).id
    user.set(PARENT_FOLDER_ID=parent, SCOPES=[DRIVE], DELETE_PERMANENTLY=permanently)
    elsewhere = google.drive.add_folder(NAME)
    for content in (FIRST, SECOND):
        user.files(content)
        outcome = user.run()
        assert (outcome.status, outcome.err) == (0, "")
        assert google.drive.everything(parent) == [(NAME, sorted(content.items()))]
    assert "1 copied within Drive (unchanged), 1 uploaded" in outcome.out
    trashed = google.drive.folders(NAME, parent=parent, trashed=True)
    assert len(trashed) == (0 if permanently else 1)
    assert not elsewhere.trashed


def test_shared_drive_whose_files_the_account_may_only_read_is_told(user, google, account):
    team = google.drive.add_shared_drive("Team", {google.user: "organizer", account: "reader"})
    user.set(PARENT_FOLDER_ID=team, SCOPES=[DRIVE])
    assert_failed(
        user.run(),
        "Creating the folder: This sign-in may not write to PARENT_FOLDER_ID. See SCOPES. (403 "
        "insufficientParentPermissions Insufficient permissions for the specified parent.)",
        NOT_REPLACED,
    )


# ---- What an account can't do --------------------------------------------------------------------
def test_account_without_storage_is_told(user, google, account):
    """In a folder of somebody else's, too."""
    folder = google.drive.add_folder("by hand", app=False)
    google.drive.share(folder.id, "user", "writer", email=account)
    user.set(PARENT_FOLDER_ID=folder.id, SCOPES=[DRIVE])
    assert_failed(
        user.run(),
        "Uploading: Google Drive is full: it has to hold the old folder and the new one. Delete "
        f'"{WORKING_NAME}", empty the trash, set DELETE_PERMANENTLY, or free storage. A service '
        "account has none: see README.md. (403 storageQuotaExceeded Service Accounts do not have "
        "storage quota. Leverage shared drives "
        "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use "
        "OAuth delegation instead.)",
        f"{NOT_REPLACED} The next run copies what has reached Drive.",
    )


def test_assertion_that_google_does_not_take_is_told(user, google, account):
    """Its account was deleted, or the clock here is wrong: Google's answer is the same."""
    del google.accounts.service_accounts[account]
    assert_failed(
        user.run(),
        "Signing in: Google does not accept the sign-in any more: sign in again. If this comes "
        "every 7 days, publish the app as README.md shows. Of a service account, the key, "
        "DELEGATED_USER or the clock is wrong. (400 invalid_grant Bad Request)",
        NOTHING_CHANGED,
    )
