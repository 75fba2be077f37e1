"""Who sees the new folder: those who saw the old one, no more, no longer, and without mails."""

from datetime import UTC, datetime, timedelta

import pytest
from user import NAME, OLD, WORKING_NAME, add_old_folder, at

FRIEND = {"email": "friend@example.com"}
DRIVE = "https://www.googleapis.com/auth/drive"
LOST = "not carried over from the old folder  "


def sharing(google):
    """What was given to the new folder itself: (type, role, who)."""
    (call,) = google.calls("files.create.metadata")
    given = google.drive.file(call.file_id).direct.values()
    return sorted((each.type, each.role, each.email or each.domain or "") for each in given)


def assert_replaced(outcome):
    told = [line for line in outcome.err.splitlines() if not line.startswith(LOST)]
    assert (outcome.status, told) == (0, [])


def lost(outcome):
    return [line.removeprefix(LOST) for line in outcome.err.splitlines() if line.startswith(LOST)]


# ---- Whom ----------------------------------------------------------------------------------------
IN_A_MONTH = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT00:00:00.000Z}"
GRANTS = [
    {"email": "reader@example.com"},
    {"email": "commenter@example.com", "role": "commenter"},
    {"email": "writer@example.com", "role": "writer"},
    {"email": "guest@example.com", "expiration": IN_A_MONTH},
    {"type": "group", "email": "group@example.com", "role": "writer"},
    {"type": "domain", "domain": "example.com"},
    {"type": "domain", "domain": "example.org", "allow_discovery": True},
    {"type": "anyone", "role": "commenter"},
]


def test_same_people_have_the_same_roles(user, google):
    old = add_old_folder(google)
    for grant in GRANTS:
        google.drive.share(old.id, **grant)
    google.drive.page_size_cap = 2
    outcome = user.run()
    assert_replaced(outcome)
    (new,) = google.drive.folders(NAME)
    assert new.direct == old.direct
    assert google.mails == []
    assert lost(outcome) == []


def test_sharing_that_is_added_in_mid_run_is_carried_over(user, google):
    old = add_old_folder(google)
    at(google, "before", "upload.content", lambda: google.drive.share(old.id, **FRIEND))
    assert_replaced(user.run())
    assert sharing(google) == [("user", "reader", "friend@example.com")]


# How the folder around is shared, how the old one is, and with whom the new one.
INHERITED = {
    "inherited": ({"role": "writer", **FRIEND}, {}, []),
    "partly inherited": ({"role": "writer", **FRIEND}, FRIEND, ["reader"]),
    "inherited, and more of its own": (FRIEND, {"role": "writer", **FRIEND}, ["writer"]),
    "only a view": ({}, {"view": "published", **FRIEND}, []),
}


@pytest.mark.parametrize(("around", "own", "roles"), INHERITED.values(), ids=INHERITED)
def test_only_what_is_its_own_is_given_to_the_new_folder(user, google, around, own, roles):
    parent = google.drive.add_folder("parent")
    old = add_old_folder(google, parent=parent.id)
    for folder, grant in ((parent, around), (old, own)):
        if grant:
            google.drive.share(folder.id, **grant)
    # So that Drive keeps a role that is lower than the inherited one.
    at(google, "before", "permissions.create", parent.direct.clear)
    user.set(PARENT_FOLDER_ID=parent.id)
    assert_replaced(user.run())
    assert sharing(google) == [("user", role, FRIEND["email"]) for role in roles]
    assert len(google.calls("permissions.create")) == len(roles)


# ---- Of which folder -----------------------------------------------------------------------------
MAKERS = {
    "by hand": lambda google: google.drive.add_folder(NAME, app=False),
    "run 1": lambda google: add_old_folder(google, generation=1),
    "run 2": lambda google: add_old_folder(google, generation=2),
    "unfinished": lambda google: google.drive.add_folder(WORKING_NAME, mark={"quickstart.py": "3"}),
}
# The folders that are there, and those that come in mid-run; the public one; is the new one public?
OLD_ONES = [
    (["by hand"], [], "by hand", True),
    (["run 1", "by hand"], [], "by hand", False),
    (["run 1", "by hand"], [], "run 1", True),
    (["run 2", "run 1"], [], "run 1", False),
    (["run 2", "run 1"], [], "run 2", True),
    (["run 1", "unfinished"], [], "unfinished", False),
    (["run 1"], ["by hand"], "by hand", False),
    ([], ["by hand"], "by hand", False),
    (["run 1"], ["run 2"], "run 1", False),
    (["run 1"], ["run 2"], "run 2", True),
]


@pytest.mark.parametrize(
    ("there", "meanwhile", "public", "is_public"),
    OLD_ONES,
    ids=[f"{there}, then {later}, {public} is public" for there, later, public, _ in OLD_ONES],
)
def test_sharing_of_the_old_folder_counts_alone(user, google, there, meanwhile, public, is_public):
    """Of a folder that goes with it, or that merely has its name, nothing spreads."""

    def add(kinds):
        for kind in kinds:
            folder = MAKERS[kind](google)
            if kind == public:
                google.drive.share(folder.id, "anyone")

    add(there)
    at(google, "before", "upload.content", lambda: add(meanwhile))
    user.set(SCOPES=[DRIVE])
    user.sign_in(scopes=[DRIVE])
    assert_replaced(user.run())
    assert sharing(google) == ([("anyone", "reader", "")] if is_public else [])


# ---- What Drive refuses --------------------------------------------------------------------------
REFUSED = "(403 sharingRateLimitExceeded "


def test_what_is_refused_is_named(user, google):
    """And the rest is carried over."""
    old = add_old_folder(google)
    google.drive.share(old.id, **FRIEND)
    google.drive.share(old.id, "domain", "writer", domain="example.com")
    google.drive.share(old.id, "anyone", "commenter")
    google.drive.share(old.id, email="last@example.com")
    google.fail("permissions.create", *["403-sharingRateLimitExceeded"] * 3)
    outcome = user.run()
    assert_replaced(outcome)
    assert [line.partition(REFUSED)[:2] for line in lost(outcome)] == [
        ("friend@example.com as reader ", REFUSED),
        ("example.com as writer ", REFUSED),
        ("anyone as commenter ", REFUSED),
    ]
    assert sharing(google) == [("user", "reader", "last@example.com")]


def test_sharing_that_can_not_be_read_is_named(user, google):
    google.drive.share(add_old_folder(google).id, **FRIEND)
    google.fail("permissions.list", "403-insufficientFilePermissions")
    outcome = user.run()
    assert_replaced(outcome)
    (line,) = lost(outcome)
    assert line.startswith("its sharing (403 insufficientFilePermissions ")
    assert sharing(google) == []


# ---- Shared drives and limited access ------------------------------------------------------------
PLACES = {
    "My Drive": lambda google: "root",
    "a folder": lambda google: google.drive.add_folder("parent").id,
    "a shared drive": lambda google: google.drive.add_shared_drive("Team", app=True),
}


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_new_folder_is_limited_before_a_file_is_in_it(user, google, place, limited):
    """Where a folder can be. In a shared drive nothing more is carried over."""
    parent = PLACES[place](google)
    old = add_old_folder(google, parent=parent, limited=limited)
    google.drive.share(old.id, **FRIEND)
    user.set(PARENT_FOLDER_ID=parent)
    outcome = user.run()
    assert_replaced(outcome)
    calls = [call.operation for call in google.calls()]
    begun = calls[calls.index("files.create.metadata") + 1 : calls.index("files.copy")]
    is_limited = limited and place != "My Drive"
    assert begun == (["files.update"] if is_limited else [])
    (new,) = google.drive.folders(NAME, parent)
    assert new.limited == is_limited
    shared = [] if place == "a shared drive" else [("user", "reader", "friend@example.com")]
    assert sharing(google) == shared
    is_lost = limited and place == "a shared drive"
    assert lost(outcome) == (["whom it was shared with (in a shared drive)"] if is_lost else [])


@pytest.mark.parametrize("place", ["a folder", "a shared drive"])
def test_drive_that_does_not_limit_the_new_folder(user, google, place):
    parent = PLACES[place](google)
    old = add_old_folder(google, parent=parent, limited=True)
    google.drive.refuse_limiting = True
    user.set(PARENT_FOLDER_ID=parent)
    outcome = user.run()
    problem, standing = outcome.err.splitlines()
    assert outcome.status == 1
    assert problem.startswith(
        "Creating the folder: Drive can't limit access to the new folder. "
        "Rename the old folder, or end its limited access. (403 "
    )
    assert standing == f'"{NAME}" was not replaced by this run.'
    assert [file.content for file in google.drive.children(old.id)] == list(OLD.values())
    (new,) = google.drive.folders(WORKING_NAME, parent)
    assert google.drive.children(new.id) == []
