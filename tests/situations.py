"""What the tests of faults, kills, races and people share."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from fake_google import FakeGoogle
from fake_google.messages import Call
from workdir import Outcome, Workdir

NAME = "Quickstart uploads"
WORKING_NAME = f"{NAME} (uploading)"
MARK = {"quickstart.py": "1"}  # the appProperties of a folder that the first run made
CHUNK = 512 * 1024
GROWING = {"FIRST_WAIT": 0.02, "LONGEST_WAIT": 64.0}  # waits that grow, as in earnest
OLD = {"same.txt": b"unchanged", "gone.txt": b"no longer in FILES"}


# The calls of a run over a shared old folder with an expired token, in their order.
CALLS = [
    "oauth.token.refresh",
    "files.list",
    "files.list",
    "files.generateIds",
    "files.create.metadata",
    "batch",
    "files.create.multipart",
    "files.create.resumable",
    "upload.first",
    "upload.middle",
    "upload.middle",
    "upload.last",
    "permissions.list",
    "permissions.create",
    "files.update.rename",
    "files.list",
    "files.update.trash",
]


@cache
def chunks(seed: int) -> bytes:
    return random.Random(seed).randbytes(3 * CHUNK + 1000)


def new_content(seed: int = 1) -> dict[str, bytes]:
    """One file that is copied, one that goes up in one request, one in four chunks."""
    return {"same.txt": b"unchanged", "new.txt": b"new %d" % seed, "big.bin": chunks(seed)}


def prepare(workdir: Workdir, seed: int = 1) -> dict[str, bytes]:
    content = new_content(seed)
    workdir.contents(content)
    workdir.set(CHUNK_SIZE=CHUNK, MULTIPART_LIMIT=CHUNK, PARALLEL_UPLOADS=1)
    workdir.sign_in()
    return content


def add_old_folder(google: FakeGoogle) -> Any:
    folder = google.drive.add_folder(NAME, mark=MARK)
    for name, content in OLD.items():
        google.drive.add_file(name, content, parent=folder.id)
    return folder


def add_shared_folder(google: FakeGoogle) -> None:
    google.drive.share(add_old_folder(google).id, email="friend@example.com")


def prepare_shared(workdir: Workdir, google: FakeGoogle) -> dict[str, bytes]:
    """Prepare a run that makes all CALLS."""
    content = prepare(workdir)
    add_shared_folder(google)
    workdir.sign_in(expires_in=-10)
    return content


def prepare_for(workdir: Workdir, google: FakeGoogle, operation: str) -> dict[str, bytes]:
    """Prepare a run that replaces an old folder and makes such a call."""
    content = prepare(workdir)
    (add_shared_folder if operation.startswith("permissions") else add_old_folder)(google)
    workdir.set(DELETE_PERMANENTLY=operation == "files.delete")
    if operation == "oauth.token.refresh":
        workdir.sign_in(expires_in=-10)
    if operation == "upload.status":
        google.fail("upload.middle", "503")
    return content


def folders(google: FakeGoogle) -> list[tuple[str, dict[str, bytes | None]]]:
    """Every folder at the top of the Drive, by age: its name and what it holds."""
    found = []
    for folder in sorted(google.drive.folders(), key=lambda folder: folder.created):
        children = google.drive.children(folder.id)
        content = {child.name: child.content for child in children}
        assert len(content) == len(children), "a file is there twice"
        found.append((folder.name, content))
    return found


def assert_replaced(google: FakeGoogle, content: dict[str, bytes]) -> None:
    assert folders(google) == [(NAME, content)]


def assert_run_replaces(workdir: Workdir, content: dict[str, bytes]) -> Outcome:
    """A run ends well, and leaves one folder, which holds this."""
    outcome = workdir.run()
    assert outcome.status == 0, outcome.err
    assert_replaced(workdir.google, content)
    return outcome


def assert_complete(google: FakeGoogle, *versions: dict[str, bytes]) -> None:
    """A folder under the name is there, and each one is all of one run's files."""
    complete = [content for name, content in folders(google) if name == NAME]
    assert complete, "no folder is there under the name"
    for content in complete:
        assert content in (OLD, *versions), "a folder under the name is not complete"


class Guard:
    """Looks at every call whether the script's folders under the name are complete.

    Once such a folder is there, there has to be one. A person who removes it sets `is_there`.
    """

    def __init__(self, google: FakeGoogle, *versions: dict[str, bytes]) -> None:
        self.google, self.drive = google, google.drive
        self.versions = versions
        self.is_there = False
        google.watch(self.look)

    def look(self, moment: str, call: Call) -> None:
        with self.drive.lock:
            found = [(folder, self.held(folder.id)) for folder in self.drive.folders(NAME)]
        complete = [folder for folder, content in found if content in self.versions]
        marked = [folder for folder, _ in found if "appProperties" in folder.extra]
        is_well = all(folder in complete for folder in marked) and (complete or not self.is_there)
        self.is_there = bool(complete)
        if not is_well:
            self.google.service.watchers.remove(self.look)  # once is enough
            raise AssertionError(f"no complete folder, or an incomplete one: {moment} {call}")

    def held(self, folder_id: str) -> dict[str, bytes | None]:
        return {child.name: child.content for child in self.drive.children(folder_id)}


def once(google: FakeGoogle, moment: str, operation: str, action: Callable[[], Any]) -> None:
    """Do something at the first such moment of a run."""
    todo = [action]

    def watcher(when: str, call: Call) -> None:
        if when == moment and operation in call.names and todo:
            todo.pop()()

    google.watch(watcher)
