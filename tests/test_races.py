"""Whoever dies, whoever else runs, whoever is at work in Drive: which folders are there, and go.

A guard looks at every call: a marked folder with the final name is complete, and from the first
one on there always is one.
"""

import re
import threading
import time
from itertools import count

import pytest
from fake_google.state import FOR_GOOD
from user import (
    CALLS,
    KILLED,
    NAME,
    NEW,
    OLD,
    WORKING_NAME,
    User,
    add_old_folder,
    at,
    my_drive,
    trash,
)

SCOPE = "https://www.googleapis.com/auth/"
NOW = 2_000_000_000  # on the clock of most runs
LINK = "https://drive.google.com/drive/folders/"
NOT_REPLACED = f'"{NAME}" was not replaced by this run.'
LATER_RUN = "Looking for other runs: A run that began later has replaced the folder."
MOVED = "Renaming: The new folder was moved or removed. Run again."
GONE = "This is not in Drive, or out of reach."
# A machine whose clock is wrong.
CLOCK = """
import os, time

time.time = lambda: float(os.environ["HOOK_NOW"])
"""
CREATE, RENAME = CALLS.index("files.create.metadata"), CALLS.index("files.update.rename")
LIST = CREATE + CALLS[CREATE:].index("files.list")
removals = pytest.mark.parametrize("permanently", [False, True], ids=["trash", "for good"])


def guard(google, *versions, parent="root"):
    """Look at every call after which there could be harm."""
    seen = []

    def look(moment, call):
        with google.drive.lock:
            folders = google.drive.folders(NAME, parent)
            marked = [folder for folder in folders if "appProperties" in folder.extra]
            found = [held(google, folder) for folder in marked]
        assert all(content in versions for content in found), f"incomplete {moment} {call}"
        assert found or not seen, f"no complete folder {moment} {call}"
        seen.extend(found)

    google.watch(look)


def held(google, folder):
    files = google.drive.children(folder.id, folder.trashed)
    return {file.name: file.content for file in files}


def order(folder):
    return int(folder.extra["appProperties"]["quickstart.py"]), folder.id


def in_order(folders):
    """As my_drive() and trash() have them."""
    return sorted(folders, key=lambda folder: (folder[0], sorted(folder[1].items())))


def another_user(tmp_path, google, name, now, **settings):
    """Somebody else's copy of the script, on a machine whose clock says `now`."""
    user = User(tmp_path / name, google)
    user.files({"same.txt": b"unchanged", "whose.txt": name.encode()})
    user.set(**settings)
    user.sign_in()
    user.hook(CLOCK, NOW=now)
    return user


def content_of(user):
    return {name: (user.path / name).read_bytes() for name in user.settings["FILES"]}


def assert_ended(outcome, words=""):
    """Well; or else with these words, and nothing replaced."""
    if not words:
        assert (outcome.status, outcome.err) == (0, "")
        return
    assert (outcome.status, words in outcome.err) == (1, True), outcome.err
    assert outcome.err.splitlines()[-1].startswith(NOT_REPLACED)


def wait_for_the_rest(google):
    """What a run had sent before it was killed may still arrive."""
    while any(call.ended is None for call in google.log):
        time.sleep(0.01)


def assert_next_run_leaves_one_folder(google, user):
    """Lists are up to date again. If there is one folder, this is a run like any other."""
    google.drive.lag = 0
    if len(my_drive(google)) > 1:
        google.watchers.clear()
        assert_ended(user.run())
        assert my_drive(google) == [(NAME, content_of(user))]


# ---- Runs that are killed ------------------------------------------------------------------------
KILLS = [
    (number, call, moment)
    for number, call in [*enumerate(CALLS), (len(CALLS) - 1, "files.delete")]
    for moment in ("before", "after")
]


def test_the_calls_are_these(user, google):
    add_old_folder(google, shared=True)
    user.sign_in(expires_in=-10)
    assert user.run().status == 0
    assert [call.operation for call in google.calls()] == CALLS


@pytest.mark.parametrize(("number", "call", "moment"), KILLS)
def test_killed_run_harms_nothing_and_the_next_goes_on(user, google, number, call, moment):
    permanently = call == "files.delete"
    add_old_folder(google, shared=True)
    user.sign_in(expires_in=-10)
    user.set(DELETE_PERMANENTLY=permanently)
    guard(google, OLD, NEW)

    def kill(when, made):
        if (when, google.log.index(made)) == (moment, number):
            user.running.kill()

    google.watch(kill)
    assert user.run().status == KILLED
    assert [call.operation for call in google.calls()] == [*CALLS[:number], call]
    google.watchers.remove(kill)
    wait_for_the_rest(google)
    left, in_trash, before = my_drive(google), trash(google), len(google.log)
    whole = {name for _, content in left for name in content}

    user.sign_in()
    assert_ended(user.run())
    assert my_drive(google) == [(NAME, NEW)]
    assert trash(google) == ([] if permanently else in_order(left + in_trash))
    assert google.drive.folders(NAME)[0].shared
    again = sum(call.content_bytes for call in google.log[before:])
    assert again == sum(len(data) for name, data in NEW.items() if name not in whole)


# ---- Runs in a row, with late lists --------------------------------------------------------------
@pytest.mark.parametrize(
    ("skew", "permanently"),
    [(0, False), (-3600, True), (3600, False)],
    ids=["", "clock goes back, for good", "clock goes on"],
)
def test_what_a_late_list_hides_goes_at_the_next_run(user, google, permanently, skew):
    google.drive.lag = 60
    versions = [{"same.txt": b"unchanged", "new.txt": b"%d" % number} for number in range(5)]
    guard(google, *versions)
    user.set(DELETE_PERMANENTLY=permanently)
    # How many seconds pass before each run, and which versions are there after it.
    for number, (pause, there) in enumerate(
        [(0, [0]), (0, [0, 1]), (61, [2]), (0, [2, 3]), (61, [4])]
    ):
        google.drive.pass_time(pause)
        user.files(versions[number])
        user.hook(CLOCK, NOW=NOW + number * skew)
        assert_ended(user.run())
        assert my_drive(google) == [(NAME, versions[number]) for number in there]
    expected = [] if permanently else [(NAME, versions[number]) for number in range(4)]
    assert trash(google) == expected


@pytest.mark.parametrize("call", ["files.create.metadata", "files.update.rename"])
def test_list_that_knows_half_of_what_the_run_before_did(user, google, call):
    """It shows the new folder as it was before that call, and the old one."""
    google.drive.lag = 60
    add_old_folder(google, shared=True)
    guard(google, OLD, NEW)
    at(google, "before", call, lambda: google.drive.pass_time(61))
    for _ in range(2):
        assert_ended(user.run())
    is_seen = call == "files.update.rename"
    assert my_drive(google) == [(NAME, NEW)] * (1 if is_seen else 2)
    assert trash(google) == ([(NAME, NEW), (NAME, OLD)] if is_seen else [(NAME, OLD)])
    assert all(folder.shared for folder in google.drive.folders())
    assert_next_run_leaves_one_folder(google, user)


@pytest.mark.parametrize("call", ["files.copy", "files.update.rename", "files.get"])
def test_killed_run_that_no_list_shows(user, google, call):
    google.drive.lag = FOR_GOOD
    add_old_folder(google, shared=True)
    guard(google, OLD, NEW)
    at(google, "before", call, lambda: user.running.kill())
    assert user.run().status == KILLED
    wait_for_the_rest(google)
    left = my_drive(google)
    left.remove((NAME, OLD))
    assert_ended(user.run())
    assert my_drive(google) == in_order([*left, (NAME, NEW)])
    assert_next_run_leaves_one_folder(google, user)


# ---- Runs at the same time -----------------------------------------------------------------------
# Before which call of a first run a second one runs; what the first one says if the second has
# moved its folder to the trash or has deleted it.
ENDS = {
    CALLS.index("files.generateIds"): (LATER_RUN, LATER_RUN),
    CREATE: (LATER_RUN, LATER_RUN),
    CALLS.index("files.copy"): (
        "Uploading: same.txt was moved or removed in Drive. Run again.",
        GONE,
    ),
    CALLS.index("upload.content"): (
        "Uploading: big.bin was moved or removed in Drive. Run again.",
        GONE,
    ),
    LIST: (LATER_RUN, LATER_RUN),
    RENAME: (MOVED, GONE),
    RENAME + 1: ("", ""),
}
# By how many seconds the clock of the second run is ahead, by how much each ID is higher than the
# one before it, which lists of the second run are late, whether folders are deleted for good: each
# run is the lower one with and without that.
WORLDS = {
    "one clock": (0, -1, "none", False),
    "clock behind, for good": (-100, 1, "none", True),
    "IDs rise, first list late": (0, 1, "first", False),
    "IDs fall, first list late, for good": (0, -1, "first", True),
    "clock behind, first list late": (-100, 1, "first", False),
    "clock ahead, first list late, for good": (100, -1, "first", True),
    "clock behind, all lists late": (-100, 1, "all", False),
}


@pytest.mark.parametrize(("skew", "step", "late", "permanently"), WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("number", ENDS, ids=lambda number: f"before {number} {CALLS[number]}")
def test_second_run_in_the_middle_of_a_first(
    user, google, tmp_path, monkeypatch, number, skew, step, late, permanently
):
    ids = count(10**9, step)
    monkeypatch.setattr("fake_google.state.new_id", lambda: str(next(ids)))
    add_old_folder(google, shared=True)
    user.sign_in(expires_in=-10)
    user.hook(CLOCK, NOW=NOW)
    user.set(DELETE_PERMANENTLY=permanently)
    second = another_user(tmp_path, google, "second", NOW + skew, DELETE_PERMANENTLY=permanently)
    guard(google, OLD, NEW, content_of(second))
    outcomes = []

    def run_second(moment, call):
        if (moment, google.log.index(call)) == ("before", number):
            google.drive.lag = 0 if late == "none" else FOR_GOOD
            if late == "first":
                at(google, "after", "files.list", lambda: setattr(google.drive, "lag", 0))
            outcomes.append(second.run())

    google.watch(run_second)
    outcomes.insert(0, user.run())

    made = [google.drive.ever[call.file_id] for call in google.calls("files.create.metadata")]
    mine, theirs = made if number >= CREATE else reversed(made)
    is_seen = late == "none" and number > CREATE  # Who sees the other's folder is later.
    assert (order(mine) > order(theirs)) == (
        not is_seen and (skew < 0 or (skew == 0 and mine.id > theirs.id))
    )
    first, later = (NAME, NEW), (NAME, content_of(second))
    ends = ["", ""]
    if late == "all":
        there = [first, later]
    elif order(mine) < order(theirs):
        there = [later]
        ends[0] = ENDS[number][permanently]
        if number <= CREATE:
            there.append((WORKING_NAME, NEW))
    elif number <= LIST:
        there = [first]
    elif number == RENAME:  # It has listed the folders before.
        there = [first, later]
    else:
        there = [first, (WORKING_NAME, content_of(second))]
        ends[1] = LATER_RUN
    assert my_drive(google) == in_order(there)
    assert late == "all" or all(folder.shared for folder in google.drive.folders(NAME))
    for outcome, end in zip(outcomes, ends, strict=True):
        assert_ended(outcome, end)
    assert_next_run_leaves_one_folder(google, user)


# By how much each clock is ahead, how late lists are, and whether folders are deleted for good.
THREE = {
    "one clock": ((0, 0, 0), 0, False),
    "three clocks, for good": ((0, 100, -100), 0, True),
    "lists are late, for good": ((0, 0, 0), FOR_GOOD, True),
}


@pytest.mark.parametrize(("skews", "lag", "permanently"), THREE.values(), ids=THREE)
def test_three_runs_at_once(google, tmp_path, skews, lag, permanently):
    """None goes on to create, fill, rename or remove folders before all have come so far.

    (Two stay if one is renamed before another is there; the next run sees to that.)
    """
    add_old_folder(google, shared=True)
    google.drive.lag = lag
    # A run that waits for the others repeats no call.
    settings = {"DELETE_PERMANENTLY": permanently, "NETWORK_TIMEOUT": 60.0}
    users = [
        another_user(tmp_path, google, f"user {n}", NOW + skews[n], **settings) for n in range(3)
    ]
    guard(google, OLD, *map(content_of, users))
    meet(google, "after", "files.generateIds")
    meet(google, "after", "files.create.metadata")
    meet(google, "before", "files.update.rename")
    meet(google, "after", "files.update.rename")
    for run in [user.start() for user in users]:
        assert_ended(run.wait())
    made = [google.drive.ever[call.file_id] for call in google.calls("files.create.metadata")]
    left = made if lag else [max(made, key=order)]
    assert my_drive(google) == in_order([(NAME, held(google, folder)) for folder in left])
    assert all(folder.shared for folder in google.drive.folders())
    assert_next_run_leaves_one_folder(google, users[0])


def meet(google, moment, call):
    """Have three runs wait for each other there."""
    barrier = threading.Barrier(3, timeout=30)

    def watcher(when, made):
        if (when, made.operation) == (moment, call):
            barrier.wait()

    google.watch(watcher)


# ---- People at work ------------------------------------------------------------------------------
def by_script(name, generation):
    return lambda google, parent: google.drive.add_folder(
        name, parent, mark={"quickstart.py": str(generation)}
    )


def by_hand(name, app=False):
    return lambda google, parent: google.drive.add_folder(name, parent, app=app)


def rename(name):
    return lambda google, folder: google.drive.rename(folder.id, name)


def move(google, folder):
    (elsewhere,) = google.drive.folders("elsewhere", folder.parents[0])
    google.drive.move(folder.id, elsewhere.id)


def remove(google, folder):
    google.drive.trash(folder.id)


def delete(google, folder):
    google.drive.delete(folder.id)


def in_another_folder(google, parent):
    (elsewhere,) = google.drive.folders("elsewhere", parent)
    return by_script(NAME, 9)(google, elsewhere.id)


# How a folder is made; what somebody does with it in mid-run, if anything; "goes", or how it stays;
# what is said of it.
LEFT_ALONE = "left alone (not made by this script)"
FOR_NOW = f"{LEFT_ALONE}: rename it, or the next run replaces it"
NOT_THERE = "left alone (renamed, moved or removed by somebody)"
MEANWHILE = "made meanwhile"
SAID = rf'(.*?)  ".*" {LINK}([\w-]+)'
FOLDERS = {
    "complete": (by_script(NAME, 20), None, "goes", "goes"),
    "complete, by a clock ahead": (by_script(NAME, 2 * NOW), None, "goes", "goes"),
    "complete, made meanwhile": (by_script(NAME, 6), MEANWHILE, "goes", "goes"),
    "complete, renamed": (by_script(NAME, 7), rename("kept"), "kept", NOT_THERE),
    "complete, renamed to the working name": (
        by_script(NAME, 8),
        rename(WORKING_NAME),
        "goes",
        "goes",
    ),
    "complete, moved": (by_script(NAME, 9), move, NAME, NOT_THERE),
    "complete, trashed": (by_script(NAME, 10), remove, "in the trash", NOT_THERE),
    "complete, deleted": (by_script(NAME, 11), delete, "gone", NOT_THERE),
    "unfinished": (by_script(WORKING_NAME, 12), None, "goes", "goes"),
    "unfinished, of a later run": (by_script(WORKING_NAME, 3 * NOW), MEANWHILE, WORKING_NAME, None),
    "unfinished, renamed": (by_script(WORKING_NAME, 13), rename("kept"), "kept", NOT_THERE),
    "unfinished, moved": (by_script(WORKING_NAME, 14), move, WORKING_NAME, NOT_THERE),
    "by hand": (by_hand(NAME), None, "goes", "goes"),
    "by hand, made meanwhile": (by_hand(NAME), MEANWHILE, NAME, FOR_NOW),
    "by hand, renamed": (by_hand(NAME), rename("kept"), "kept", NOT_THERE),
    "by hand, renamed to the working name": (
        by_hand(NAME),
        rename(WORKING_NAME),
        WORKING_NAME,
        NOT_THERE,
    ),
    "by hand, moved": (by_hand(NAME), move, NAME, NOT_THERE),
    "by hand, of the working name": (by_hand(WORKING_NAME), None, WORKING_NAME, LEFT_ALONE),
    "by hand, renamed to the final name": (by_hand(WORKING_NAME), rename(NAME), NAME, FOR_NOW),
    "by a script without marks": (by_hand(NAME, app=True), None, "goes", "goes"),
    "other case": (by_script(NAME.upper(), 15), None, NAME.upper(), None),
    "longer name": (by_script(f"{NAME} 2", 15), None, f"{NAME} 2", None),
    "other parent": (in_another_folder, None, NAME, None),
    "a file": (
        lambda google, parent: google.drive.add_file(NAME, b"a file", parent),
        None,
        NAME,
        None,
    ),
}
# Where, what the script may see, and whether folders are deleted for good.
PLACES = {
    "My Drive": (lambda google: "root", "drive.file", False),
    "My Drive, all of it, for good": (lambda google: "root", "drive", True),
    "a folder, for good": (lambda google: google.drive.add_folder("p").id, "drive.file", True),
    "a shared drive": (lambda google: google.drive.add_shared_drive("T", app=True), "drive", False),
}
# When people act, and whether lists show what they do.
MOMENTS = {
    "during the upload": ("files.create.multipart", 0),
    "during the upload, lists are late": ("files.create.multipart", FOR_GOOD),
    "at the last moment": ("files.update.rename", 0),
}


@pytest.mark.parametrize(("place", "scope", "permanently"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("moment", "lag"), MOMENTS.values(), ids=MOMENTS)
def test_which_folders_go(user, google, moment, lag, place, scope, permanently):
    parent = place(google)
    google.drive.add_folder("elsewhere", parent)
    made = {}

    def add(key):
        made[key] = FOLDERS[key][0](google, parent)
        if made[key].is_folder:
            google.drive.add_file("theirs.txt", b"theirs", made[key].id)

    def act():
        google.drive.lag = lag
        for key, (_, deed, *_) in FOLDERS.items():
            if deed == MEANWHILE:
                add(key)
                made[key].history.clear()
                google.drive.change(made[key])  # which lists learn of as late
            elif deed:
                deed(google, made[key])

    for key, (_, deed, *_) in FOLDERS.items():
        if deed != MEANWHILE:
            add(key)
    user.files({"a.txt": b"a"})
    user.set(PARENT_FOLDER_ID=parent, DELETE_PERMANENTLY=permanently, SCOPES=[SCOPE + scope])
    user.sign_in(scopes=[SCOPE + scope])
    guard(google, {"theirs.txt": b"theirs"}, {"a.txt": b"a"}, parent=parent)
    at(google, "before", moment, act)
    outcome = user.run()
    assert (outcome.status, outcome.err) == (0, "")

    is_listed = lag == 0 and moment == "files.create.multipart"
    fates, said = {}, {}
    for key, (_, deed, fate, words) in FOLDERS.items():
        is_seen = made[key].app_visible or scope == "drive"
        if fate == "goes" and (not is_seen or (deed == MEANWHILE and not is_listed)):
            fate, words = made[key].name, None
        elif fate == "goes":
            fate = "gone" if permanently else "in the trash"
            words = "deleted for good" if permanently else "moved to the trash (for 30 days)"
        elif not is_seen or (deed == MEANWHILE and not is_listed):
            words = None
        elif is_listed and (fate == "kept" or deed in (move, remove, delete)):
            words = None  # Lists don't show it any more.
        elif words == FOR_NOW and not is_listed:
            words = LEFT_ALONE  # Lists show its name of before.
        fates[key], said[key] = fate, words
    assert {key: fate_of(google, folder) for key, folder in made.items()} == fates
    told = {folder_id: words for words, folder_id in re.findall(SAID, outcome.out)}
    assert {key: told.get(folder.id) for key, folder in made.items()} == said
    (new,) = [f for f in google.drive.folders(NAME, parent) if held(google, f) == {"a.txt": b"a"}]
    assert outcome.out.endswith(f"It has a new link:\n{LINK}{new.id}\n")


def fate_of(google, file):
    if file.id not in google.drive.files:
        return "gone"
    if file.is_folder:
        assert held(google, file) == {"theirs.txt": b"theirs"}
    return "in the trash" if file.trashed else file.name


# What somebody does with the new folder, right before or after it is renamed; how the run ends;
# the folders that are left in My Drive.
MEDDLINGS = {
    "moved before": ("before", move, MOVED, [(NAME, OLD)]),
    "trashed before": ("before", remove, MOVED, [(NAME, OLD)]),
    "deleted before": ("before", delete, GONE, [(NAME, OLD)]),
    "renamed before": ("before", rename("theirs"), "", [(NAME, NEW)]),
    "moved after": ("after", move, "", []),
    "trashed after": ("after", remove, "", []),
    "deleted after": ("after", delete, "", []),
    "renamed after": ("after", rename("theirs"), "", [("theirs", NEW)]),
}


@removals
@pytest.mark.parametrize(("moment", "deed", "end", "there"), MEDDLINGS.values(), ids=MEDDLINGS)
def test_new_folder_that_somebody_meddles_with(user, google, moment, deed, end, there, permanently):
    add_old_folder(google)
    google.drive.add_folder("elsewhere")
    user.set(DELETE_PERMANENTLY=permanently)

    def meddle():
        (call,) = google.calls("files.create.metadata")
        deed(google, google.drive.file(call.file_id))

    at(google, moment, "files.update.rename", meddle)
    assert_ended(user.run(), end)
    moved = {NAME: None} if deed == move else {}  # a folder has no content
    assert my_drive(google) == in_order([*there, ("elsewhere", moved)])
