"""Other people and other runs in the same folder: theirs stays, and nothing is there twice."""

import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle
from fake_google.messages import Call
from fake_google.state import FOR_GOOD, Content, File
from situations import MARK, NAME, WORKING_NAME, Guard, once
from workdir import KILLED, Outcome, Run, Workdir

SCOPE = "https://www.googleapis.com/auth/drive"
SCOPES = [f"{SCOPE}.file", SCOPE]
LINK = "https://drive.google.com/drive/folders/"
OLD = {"old.txt": b"old", "same.txt": b"same"}
NEW = {"new.txt": b"new", "same.txt": b"same"}
THEIRS = {"theirs.txt": b"theirs"}
OVERTAKEN = "A later run has put its folder in place already: this run's was removed."
REMOVED = """Renaming: The new folder was removed, by somebody or by a later run. Run again.
"Quickstart uploads" was not replaced by this run.
"""
Tree = list[tuple[str, Any]]

scopes = pytest.mark.parametrize("scope", SCOPES, ids=["drive.file", "drive"])
removals = pytest.mark.parametrize("permanently", [False, True], ids=["trash", "for good"])


def set_up(
    workdir: Workdir,
    content: dict[str, bytes] = NEW,
    permanently: bool = False,
    scope: str = SCOPES[0],
) -> str:
    """Prepare a run. Return its access token, by which its calls are known."""
    workdir.contents(content)
    workdir.set(SCOPES=[scope], DELETE_PERMANENTLY=permanently, PARALLEL_UPLOADS=1)
    token: str = workdir.sign_in(scopes=[scope])["token"]
    return token


def check_run(workdir: Workdir) -> Outcome:
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    return outcome


def add_folder(google: FakeGoogle, name: str, content: dict[str, bytes], **options: Any) -> File:
    folder = google.drive.add_folder(name, **options)
    for file, data in content.items():
        google.drive.add_file(file, data, parent=folder.id, app=options.get("app", True))
    return folder


def tree(*entries: tuple[str, dict[str, bytes]]) -> Tree:
    """What Drive.everything() returns if these are the folders, and what they hold."""
    folders = [(name, sorted(content.items())) for name, content in entries]
    return sorted(folders, key=lambda entry: entry[0])


def trashed(google: FakeGoogle) -> list[str]:
    """The names of the folders in the trash."""
    return sorted(folder.name for folder in google.drive.folders(trashed=True))


def told(new: File, *, removed: bool, permanently: bool, stays: list[File]) -> list[str]:
    """The last lines of a run: what became of the old folder, what stays, and the link."""
    fate = "was deleted for good" if permanently else "is in the trash for 30 days"
    links = ", ".join(f'"{folder.name}" {LINK}{folder.id}' for folder in stays)
    return [
        *([f"The old folder {fate}. The new one has another link."] if removed else []),
        *([f"Not made by this script, or not removable, so it stays: {links}."] if stays else []),
        f"{LINK}{new.id}",
    ]


# ---- Runs that follow one another ----------------------------------------------------------------


@pytest.mark.parametrize("is_killed", [False, True], ids=["all end", "one is killed"])
@pytest.mark.parametrize("lag", [FOR_GOOD, 0.05, 1, 60])
def test_runs_in_a_row_leave_one_folder(
    workdir: Workdir, google: FakeGoogle, lag: float, is_killed: bool
) -> None:
    """However long Drive's index of names takes to know a folder."""
    google.drive.name_lag = lag
    versions = [{"same.txt": b"same", "new.txt": b"version %d" % number} for number in range(4)]
    Guard(google, *versions)
    set_up(workdir)
    for number, content in enumerate(versions):
        workdir.contents(content)
        if is_killed and number == 1:
            kill(google, workdir, "files.update.rename")
            held = [files for _, files in google.drive.everything()]
            assert len(held) == 2
            assert sorted(content.items()) in held
            continue
        outcome = workdir.run()
        assert outcome.status == 0, outcome.err
        assert google.drive.everything() == tree((NAME, content))
        if number == 2:  # the next run but one finds some names in the index
            google.drive.pass_time(lag if lag < FOR_GOOD else 0)


def kill(google: FakeGoogle, workdir: Workdir, operation: str) -> None:
    """Run until the first such call, which does not arrive."""
    once(google, "before", operation, lambda: workdir.running.kill())
    assert workdir.run().status == KILLED


@removals
@pytest.mark.parametrize("skews", [(0, -3, -6), (0, 0, 0), (0, 3, -3)], ids=str)
def test_later_run_wins_by_whatever_clock(
    workdir: Workdir, google: FakeGoogle, skews: tuple[float, ...], permanently: bool
) -> None:
    """Google's servers may tell of a later folder that it is older."""
    google.drive.skew_folders(*skews)
    versions = [{"a.txt": b"version %d" % number} for number in range(3)]
    Guard(google, *versions)
    set_up(workdir, permanently=permanently)
    for content in versions:
        workdir.contents(content)
        outcome = workdir.run()
        assert outcome.status == 0, outcome.err
        assert google.drive.everything() == tree((NAME, content))


# ---- People at work while files go up ------------------------------------------------------------


@dataclass(frozen=True)
class Deed:
    """What somebody does during the upload, and what is there in the end."""

    do: Callable[[FakeGoogle, File], Any]  # the file is the old folder
    beside: Tree  # what is in Drive beside the new folder
    keeps_old: bool = True  # whether the old folder stays as it was put
    in_trash: tuple[str, ...] = ()  # in any case
    is_said: bool = False  # whether a run with the scope drive says that a folder stays


def move(google: FakeGoogle, file: File) -> None:
    file.parents = [google.drive.add_folder("elsewhere").id]


DEEDS = {
    "makes an empty folder of the name": Deed(
        lambda google, old: add_folder(google, NAME, {}, app=False),
        tree((NAME, {})),
        keeps_old=False,
        is_said=True,
    ),
    "makes a folder of the name, with files": Deed(
        lambda google, old: add_folder(google, NAME, THEIRS, app=False),
        tree((NAME, THEIRS)),
        keeps_old=False,
        is_said=True,
    ),
    "makes a folder of the working name": Deed(
        lambda google, old: add_folder(google, WORKING_NAME, THEIRS, app=False),
        tree((WORKING_NAME, THEIRS)),
        keeps_old=False,
        is_said=True,
    ),
    "renames the old folder": Deed(
        lambda google, old: google.drive.rename(old.id, "kept"), tree(("kept", OLD))
    ),
    "moves the old folder": Deed(move, [("elsewhere", tree((NAME, OLD)))]),
    "trashes the old folder": Deed(
        lambda google, old: google.drive.trash(old.id), [], in_trash=(NAME,)
    ),
    "deletes the old folder": Deed(lambda google, old: google.drive.delete(old.id), []),
}


@removals
@scopes
@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_what_somebody_does_during_the_upload_stays_done(
    workdir: Workdir, google: FakeGoogle, deed: Deed, scope: str, permanently: bool
) -> None:
    old = add_folder(google, NAME, OLD, mark=MARK)
    guard = Guard(google, OLD, NEW)
    before = set(google.drive.files)

    def do() -> None:
        deed.do(google, old)
        guard.is_there = not deed.keeps_old

    once(google, "before", "files.create.multipart", do)
    set_up(workdir, permanently=permanently, scope=scope)
    outcome = check_run(workdir)
    everything = sorted([*tree((NAME, NEW)), *deed.beside], key=lambda entry: entry[0])
    assert google.drive.everything() == everything
    is_trashed = not deed.keeps_old and not permanently
    assert trashed(google) == [*deed.in_trash, *([NAME] if is_trashed else [])]
    made = [folder for folder in google.drive.folders() if folder.id not in before]
    (new,) = [folder for folder in made if folder.extra]
    assert outcome.lines[3:] == told(
        new,
        removed=not deed.keeps_old,
        permanently=permanently,
        stays=[folder for folder in made if deed.is_said and scope == SCOPE and folder != new],
    )


@pytest.mark.parametrize("fate", ["trashed", "deleted"])
def test_unfinished_folder_that_somebody_removes(
    workdir: Workdir, google: FakeGoogle, fate: str
) -> None:
    add_folder(google, NAME, OLD, mark=MARK)
    Guard(google, OLD, NEW)

    def remove() -> None:
        (unfinished,) = google.drive.folders(WORKING_NAME)
        (google.drive.trash if fate == "trashed" else google.drive.delete)(unfinished.id)

    once(google, "before", "files.update.rename", remove)
    set_up(workdir)
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (1, REMOVED)
    assert google.drive.everything() == tree((NAME, OLD))


@removals
def test_old_folder_that_somebody_shares_during_the_upload(
    workdir: Workdir, google: FakeGoogle, permanently: bool
) -> None:
    old = add_folder(google, NAME, OLD, mark=MARK)
    share = partial(google.drive.share, old.id, email="friend@example.com")
    once(google, "before", "files.create.multipart", share)
    set_up(workdir, permanently=permanently)
    check_run(workdir)
    assert google.drive.everything() == tree((NAME, NEW))
    (new,) = google.drive.folders(NAME)
    assert new.shared


@removals
@pytest.mark.parametrize("fate", ["stays", "is trashed", "is deleted"])
def test_old_folder_that_goes_before_its_sharing_is_read(
    workdir: Workdir, google: FakeGoogle, fate: str, permanently: bool
) -> None:
    old = add_folder(google, NAME, OLD, mark=MARK)
    google.drive.share(old.id, email="friend@example.com")
    deeds = {"is trashed": google.drive.trash, "is deleted": google.drive.delete}
    guard = Guard(google, OLD, NEW)

    def remove() -> None:
        guard.is_there = False
        deeds[fate](old.id)

    if fate in deeds:
        once(google, "before", "permissions.list", remove)
    set_up(workdir, permanently=permanently)
    outcome = check_run(workdir)
    assert google.drive.everything() == tree((NAME, NEW))
    (new,) = google.drive.folders(NAME)
    assert new.shared == (fate != "is deleted")
    assert "Not carried over" not in outcome.out


# ---- What is there before the run ----------------------------------------------------------------


@dataclass(frozen=True)
class Folder:
    """A folder that is there before the run."""

    name: str
    options: dict[str, Any]
    goes: Callable[[str, bool], bool]  # by scope and DELETE_PERMANENTLY
    is_seen: Callable[[str, bool], bool] = lambda scope, permanently: True


FOLDERS = {
    "of an earlier run": Folder(NAME, {"mark": MARK}, lambda scope, permanently: True),
    "of an earlier version of the script": Folder(NAME, {}, lambda scope, permanently: True),
    "of a run that was killed": Folder(
        WORKING_NAME, {"mark": MARK}, lambda scope, permanently: True
    ),
    "by hand": Folder(
        NAME,
        {"app": False},
        lambda scope, permanently: scope == SCOPE,
        lambda scope, permanently: scope == SCOPE,
    ),
    "by hand, of the working name": Folder(
        WORKING_NAME,
        {"app": False},
        lambda scope, permanently: False,
        lambda scope, permanently: scope == SCOPE,
    ),
    "of the working name, without the mark": Folder(
        WORKING_NAME, {}, lambda scope, permanently: False
    ),
    "may not be trashed": Folder(
        NAME, {"mark": MARK, "can_trash": False}, lambda scope, permanently: False
    ),
    "may not be deleted": Folder(
        NAME, {"mark": MARK, "can_delete": False}, lambda scope, permanently: not permanently
    ),
    "unfinished, may not be trashed": Folder(
        WORKING_NAME, {"mark": MARK, "can_trash": False}, lambda scope, permanently: False
    ),
}


@removals
@scopes
@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_folder_that_is_there_before(
    workdir: Workdir, google: FakeGoogle, folder: Folder, scope: str, permanently: bool
) -> None:
    there = add_folder(google, folder.name, OLD, **folder.options)
    Guard(google, OLD, NEW)
    goes, is_seen = folder.goes(scope, permanently), folder.is_seen(scope, permanently)
    set_up(workdir, permanently=permanently, scope=scope)
    outcome = check_run(workdir)
    stays = [] if goes else [(folder.name, OLD)]
    assert google.drive.everything() == tree(*stays, (NAME, NEW))
    assert trashed(google) == ([folder.name] if goes and not permanently else [])
    assert ("copied within Drive (unchanged)  same.txt" in outcome.lines) == goes
    (new,) = [folder for folder in google.drive.folders(NAME) if folder != there]
    assert outcome.lines[3:] == told(
        new,
        removed=goes and folder.name == NAME,
        permanently=permanently,
        stays=[there] if is_seen and not goes else [],
    )


@removals
@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_dry_run_tells_what_becomes_of_it(
    workdir: Workdir, google: FakeGoogle, folder: Folder, permanently: bool
) -> None:
    there = add_folder(google, folder.name, OLD, **folder.options)
    before = google.drive.everything()
    set_up(workdir, permanently=permanently, scope=SCOPE)
    outcome = workdir.run("--dry-run")
    goes, link = folder.goes(SCOPE, permanently), f'"{folder.name}" {LINK}{there.id}'
    fate = "delete for good" if permanently else "move to the trash"
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines == [
        "upload  new.txt  3 bytes",
        f"{'copy within Drive (unchanged)' if goes else 'upload'}  same.txt  4 bytes",
        *(["leave out (not in FILES)  old.txt"] if goes else []),
        f"{fate if goes else 'leave alone (not made by this script, or not removable)'}  {link}",
    ]
    assert google.drive.everything() == before


# ---- Runs at the same time -----------------------------------------------------------------------

SAME = "2026-01-01T00:00:00.000Z"
SKEWS = {
    "3 s ahead": (0, 3),
    "3 s behind": (0, -3),
    "equal": (SAME, SAME),
    "three runs": (3, 0, -3),
}


class AtOnce:
    """Several runs, of which each has looked before any makes its folder."""

    def __init__(self, google: FakeGoogle, path: Path, count: int, permanently: bool) -> None:
        self.google = google
        self.workdirs: list[Workdir] = []
        self.tokens: list[str] = []
        self.contents = [{"a.txt": b"version %d" % number} for number in range(count)]
        for number, content in enumerate(self.contents):
            self.workdirs.append(Workdir(path / str(number), google))
            self.tokens.append(set_up(self.workdirs[-1], content, permanently))
        self.folders: dict[int, File] = {}  # each run's
        self.runs: list[Run] = []
        # Nobody goes on from there before all have come.
        self.meet("after", "files.generateIds")
        google.watch(self.note)
        self.meet("after", "files.create.metadata")
        self.meet("before", "files.update.rename")

    def meet(self, moment: str, operation: str) -> None:
        barrier = threading.Barrier(len(self.workdirs), timeout=30)

        def watcher(when: str, call: Call) -> None:
            if (when, call.operation) == (moment, operation):
                barrier.wait()

        self.google.watch(watcher)

    def note(self, moment: str, call: Call) -> None:
        if (moment, call.operation) == ("after", "files.create.metadata"):
            folder = self.google.drive.file(call.file_id or "")
            self.folders[self.tokens.index(call.token or "")] = folder

    def ranking(self) -> list[int]:
        """The numbers of the runs, the one with the oldest folder first."""
        return sorted(self.folders, key=lambda n: (self.folders[n].created, self.folders[n].id))

    def rename_in_order(self, is_newest_first: bool) -> None:
        """Have each run rename its folder once the one before it in the order has ended."""
        order: list[int] = []
        lock = threading.Lock()

        def watcher(moment: str, call: Call) -> None:
            if (moment, call.operation) != ("before", "files.update.rename"):
                return
            with lock:
                order[:] = order or self.ranking()[:: -1 if is_newest_first else 1]
            place = order.index(self.tokens.index(call.token or ""))
            while place and self.runs[order[place - 1]].process.poll() is None:
                time.sleep(0.01)

        self.google.watch(watcher)

    def run(self) -> list[Outcome]:
        self.google.drive.consistency_check()
        for workdir in self.workdirs:
            self.runs.append(workdir.start())
        return [run.wait() for run in self.runs]


ORDERS = ["the newest is first", "the newest is last", "all at the same moment"]


@removals
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("skews", SKEWS.values(), ids=SKEWS)
def test_of_runs_at_once_one_complete_folder_is_left(
    google: FakeGoogle,
    tmp_path: Path,
    skews: tuple[Any, ...],
    order: str,
    permanently: bool,
) -> None:
    """Whatever createdTime says, and whoever is the first to rename its folder."""
    old = add_folder(google, NAME, OLD, mark=MARK)
    google.drive.share(old.id, email="friend@example.com")
    google.drive.skew_folders(*skews)
    runs = AtOnce(google, tmp_path, len(skews), permanently)
    Guard(google, OLD, *runs.contents)
    if order == "all at the same moment":
        runs.meet("after", "files.update.rename")
    else:
        runs.rename_in_order(is_newest_first=order == "the newest is first")
    outcomes = runs.run()
    *losers, winner = runs.ranking()
    assert google.drive.everything() == tree((NAME, runs.contents[winner]))
    (left,) = google.drive.folders()
    assert left == runs.folders[winner]
    assert left.shared
    assert (outcomes[winner].status, outcomes[winner].err) == (0, "")
    for loser in losers:
        outcome = outcomes[loser]
        if order == "the newest is first":
            assert (outcome.status, outcome.err) == (1, REMOVED)
        else:
            assert (outcome.status, outcome.err) == (0, "")
            is_overtaken = order == "all at the same moment"
            assert (OVERTAKEN in outcome.lines) == is_overtaken
            linked = left if is_overtaken else runs.folders[loser]
            assert outcome.lines[-1] == f"{LINK}{linked.id}"


@removals
def test_run_whose_later_one_is_killed_takes_its_own_folder_away(
    google: FakeGoogle, tmp_path: Path, permanently: bool
) -> None:
    """The later one has put its folder in place, and removes nothing more."""
    add_folder(google, NAME, OLD, mark=MARK)
    runs = AtOnce(google, tmp_path, 2, permanently)
    Guard(google, OLD, *runs.contents)
    runs.rename_in_order(is_newest_first=True)

    def kill(moment: str, call: Call) -> None:
        if (moment, call.operation) == ("after", "files.update.rename"):
            google.service.watchers.remove(kill)
            runs.runs[runs.tokens.index(call.token or "")].kill()

    google.watch(kill)
    outcomes = runs.run()
    loser, winner = runs.ranking()
    assert [outcomes[number].status for number in (loser, winner)] == [0, KILLED]
    assert OVERTAKEN in outcomes[loser].lines
    assert google.drive.everything() == tree((NAME, runs.contents[winner]))


@removals
@pytest.mark.parametrize(
    ("skew", "call"),
    [
        (-3, "files.update.rename"),
        (0, "files.update.rename"),
        (3, "files.update.rename"),
        (-3, "files.create.multipart"),
    ],
)
def test_run_that_starts_later_wins_by_whatever_clock(
    google: FakeGoogle, tmp_path: Path, workdir: Workdir, skew: float, call: str, permanently: bool
) -> None:
    """It has seen the other's folder, so it knows that its own is the later one."""
    google.drive.skew_folders(0, skew)
    later = {"a.txt": b"later"}
    second = Workdir(tmp_path / "second", google)
    set_up(second, later, permanently)
    set_up(workdir, permanently=permanently)
    Guard(google, NEW, later)
    outcomes: list[Outcome] = []
    once(google, "before", call, lambda: outcomes.append(second.run()))
    outcome = workdir.run()
    assert (outcomes[0].status, outcomes[0].err) == (0, "")
    assert outcome.status == 1
    if permanently and call == "files.create.multipart":
        assert outcome.err.startswith("Uploading: This is not in Drive, or out of reach.")
    else:
        assert outcome.err == REMOVED
    assert google.drive.everything() == tree((NAME, later))


@removals
def test_sharing_that_an_earlier_run_has_taken_along(
    google: FakeGoogle, tmp_path: Path, workdir: Workdir, permanently: bool
) -> None:
    """A run asks for the sharing of the old folder after another one has removed that."""
    old = add_folder(google, NAME, OLD, mark=MARK)
    google.drive.share(old.id, email="friend@example.com")
    earlier = Workdir(tmp_path / "earlier", google)
    set_up(earlier, THEIRS, permanently)
    set_up(workdir, permanently=permanently)
    Guard(google, OLD, NEW, THEIRS)
    once(google, "before", "files.create.metadata", lambda: check_run(earlier))
    check_run(workdir)
    assert google.drive.everything() == tree((NAME, NEW))


# ---- Equal content -------------------------------------------------------------------------------

# Two blocks of one MD5: Wang, Feng, Lai, Yu, "Collisions for Hash Functions", 2004.
BLOCK = bytearray.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
TWIN = BLOCK.copy()
for place in (19, 45, 59, 83, 109, 123):
    TWIN[place] ^= 0x80


def test_twins_are_twins_by_md5_alone() -> None:
    assert hashlib.md5(BLOCK).hexdigest() == hashlib.md5(TWIN).hexdigest()
    assert hashlib.sha256(BLOCK).hexdigest() != hashlib.sha256(TWIN).hexdigest()


def test_twins_by_md5_keep_their_own_content(workdir: Workdir, google: FakeGoogle) -> None:
    one, other = bytes(BLOCK), bytes(TWIN)
    runs = [(one, other, "uploaded"), (one, other, "copied"), (other, one, "copied")]
    set_up(workdir)
    for first, second, how in runs:
        content = {"a.bin": first, "b.bin": second}
        workdir.contents(content)
        outcome = workdir.run()
        assert (outcome.status, outcome.err) == (0, "")
        assert google.drive.everything() == tree((NAME, content))
        assert [line.split()[0] for line in outcome.lines[:2]] == [how, how]


DIGESTS = {
    "the list has no SHA-256": ("files.list", "no-sha256", "uploaded"),
    "the list has a wrong SHA-256": ("files.list", "wrong-sha256", "uploaded"),
    "the list has no MD5": ("files.list", "no-md5", "copied"),
    "the copy has no SHA-256": ("files.copy", "no-sha256", "copied"),
    "the copy has no MD5": ("files.copy", "no-md5", "copied"),
    "the copy has a wrong SHA-256": ("files.copy", "wrong-sha256", "refused"),
    "the copy has a wrong MD5": ("files.copy", "wrong-md5", "refused"),
    "the upload has no SHA-256": ("files.create.multipart", "no-sha256", "uploaded"),
    "the upload has no MD5": ("files.create.multipart", "no-md5", "refused"),
    "the upload has a wrong MD5": ("files.create.multipart", "wrong-md5", "refused"),
}


@pytest.mark.parametrize(("operation", "fault", "end"), DIGESTS.values(), ids=DIGESTS)
def test_digest_decides(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str, end: str
) -> None:
    add_folder(google, NAME, {} if operation == "files.create.multipart" else NEW, mark=MARK)
    google.fail(operation, fault)
    set_up(workdir)
    before = google.drive.everything()
    outcome = workdir.run()
    if end == "refused":
        assert outcome.status == 1
        assert re.search(r"Drive did not confirm the content of (new|same)\.txt", outcome.err)
        assert before[0] in google.drive.everything()
        return
    assert (outcome.status, outcome.err) == (0, "")
    assert google.drive.everything() == tree((NAME, NEW))
    assert [line.split()[0] for line in outcome.lines[:2]] == [end, end]


# ---- A file that is there already ----------------------------------------------------------------

# How an answer gets lost that would have said that the file is done.
LOSSES = {
    "in one request": [("files.create.multipart", "answer-lost")],
    "in a session": [("upload.last", "answer-lost"), ("upload.status", "session-404")],
    "by a copy": [("batch", "answer-lost")],
}
MEDDLINGS: dict[str, Callable[[FakeGoogle, File], Any]] = {
    "nobody meddles": lambda google, file: None,
    "it is moved": move,
    "its content is changed": lambda google, file: google.drive.put(file, Content.of(b"other")),
    "it is deleted": lambda google, file: google.drive.delete(file.id),
}


@pytest.mark.parametrize("meddling", MEDDLINGS)
@pytest.mark.parametrize("faults", LOSSES.values(), ids=LOSSES)
def test_own_id_in_use_counts_if_the_file_is_the_right_one(
    workdir: Workdir, google: FakeGoogle, faults: list[tuple[str, str]], meddling: str
) -> None:
    """Another try, whose answer was lost, has made it; meanwhile somebody may have changed it."""
    content = {"a.bin": b"a" * 1000}
    add_folder(google, NAME, content if faults == LOSSES["by a copy"] else OLD, mark=MARK)
    for operation, fault in faults:
        google.fail(operation, fault)
    set_up(workdir, content)
    if faults == LOSSES["in a session"]:
        workdir.set(MULTIPART_LIMIT=0)

    def meddle() -> None:
        (folder,) = google.drive.folders(WORKING_NAME)
        (file,) = google.drive.children(folder.id)
        MEDDLINGS[meddling](google, file)

    once(google, "before", "files.get", meddle)
    before = google.drive.everything()
    outcome = workdir.run()
    assert google.calls("files.get"), "no ID was in use"
    if meddling == "nobody meddles":
        assert outcome.status == 0, outcome.err
        assert google.drive.everything() == tree((NAME, content))
    else:
        assert outcome.status == 1, outcome.out
        assert "Drive did not confirm the content of a.bin" in outcome.err
        assert before[0] in google.drive.everything()
        assert not google.calls("files.update.rename")


# ---- Odd files -----------------------------------------------------------------------------------


# What a file system says of each file, whatever this machine's could hold.
TIMES = {
    "year -1.txt": (-62198755200 * 10**9, "0001-01-01T00:00:00.000Z"),
    "year 1.txt": (-62135596800 * 10**9, "0001-01-01T00:00:00.000Z"),
    "year 999.txt": (-30610224001 * 10**9, "0999-12-31T23:59:59.000Z"),
    "before 1970.txt": (-1_000000, "1969-12-31T23:59:59.999Z"),
    "half a day.txt": (-86400_500000000, "1969-12-30T23:59:59.500Z"),
    "1970.txt": (0, "1970-01-01T00:00:00.000Z"),
    "nanoseconds.txt": (1234567890_987654321, "2009-02-13T23:31:30.987Z"),
    "as a float.txt": (1234567890_986999988, "2009-02-13T23:31:30.987Z"),
    "year 9999.txt": (253402300799_999000000, "9999-12-31T23:59:59.999Z"),
    "year 10000.txt": (253402300800 * 10**9, "9999-12-31T23:59:59.999Z"),
    "the last of all.txt": (2**63 - 1, "2262-04-11T23:47:16.854Z"),
}
ODD_TIMES = """
import os, pathlib

times = {!r}
really = pathlib.Path.stat

def stat(path, **options):
    found = really(path, **options)
    if path.name not in times:
        return found
    seconds = times[path.name] // 10**9
    exact = {{"st_mtime_ns": times[path.name], "st_ctime_ns": found.st_ctime_ns}}
    return os.stat_result([*found[:8], seconds, found[9]], exact)

pathlib.Path.stat = stat
"""


def test_any_time_arrives(workdir: Workdir, google: FakeGoogle) -> None:
    """Or the nearest that Drive takes, which is of the years 1 to 9999."""
    workdir.hook(ODD_TIMES.format({name: nanoseconds for name, (nanoseconds, _) in TIMES.items()}))
    set_up(workdir, dict.fromkeys(TIMES, b"a"))
    check_run(workdir)
    (folder,) = google.drive.folders(NAME)
    modified = {file.name: file.modified for file in google.drive.children(folder.id)}
    assert modified == {name: text for name, (_, text) in TIMES.items()}
