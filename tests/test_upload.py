"""What a run calls, and what is in Drive after it: names, content and times, copied or sent."""

import hashlib
import os
import time
from threading import Barrier

import pytest
from user import NAME, NEW, OLD, WINDOWS, add_old_folder, at, my_drive, trash

READ = ["files.list", "files.generateIds"]
CREATE, COPY, UPLOAD = "files.create.metadata", "files.copy", "files.create.multipart"
SESSION = ["files.create.resumable", "upload.content"]
FINISH = ["files.list", "files.update.rename"]
REMOVE = ["files.get", "files.update.trash"]
UNCHANGED_NAME = f'"{NAME}" was not replaced by this run.'


def calls(google):
    return [call.operation for call in google.calls()]


def sent(google):
    return sum(call.content_bytes for call in google.calls())


def run(user):
    outcome = user.run()
    assert (outcome.status, outcome.err) == (0, "")


# ---- What it calls -------------------------------------------------------------------------------
def test_first_run(user, google):
    run(user)
    assert calls(google) == [*READ, CREATE, UPLOAD, UPLOAD, *SESSION, *FINISH]
    assert sent(google) == sum(map(len, NEW.values()))
    assert my_drive(google) == [(NAME, NEW)]
    assert trash(google) == []


def test_second_run(user, google):
    add_old_folder(google, NEW)
    run(user)
    assert calls(google) == [*READ, "files.list", CREATE, COPY, COPY, COPY, *FINISH, *REMOVE]
    assert sent(google) == 0
    assert my_drive(google) == trash(google) == [(NAME, NEW)]


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
assert hashlib.md5(BLOCK).digest() == hashlib.md5(TWIN).digest()

FIRST = {"a.txt": b"one", "b.txt": b"two", "c.bin": bytes(BLOCK)}
# What is in FILES next, and how many bytes of it are sent.
CHANGES = {
    "nothing": (FIRST, 0),
    "one file more": (FIRST | {"d.txt": b"four"}, 4),
    "one file less": ({"a.txt": b"one"}, 0),
    "another name": ({"z.txt": b"one", "b.txt": b"two"}, 0),
    "names exchanged": ({"a.txt": b"two", "b.txt": b"one"}, 0),
    "one file twice": (FIRST | {"again.txt": b"one"}, 0),
    "other content of the same size": (FIRST | {"a.txt": b"ONE"}, 3),
    "other content of the same MD5": (FIRST | {"c.bin": bytes(TWIN)}, 128),
    "of another size": (FIRST | {"a.txt": b"one more"}, 8),
}


@pytest.mark.parametrize(("content", "count"), CHANGES.values(), ids=CHANGES)
def test_only_what_is_new_is_sent(user, google, content, count):
    add_old_folder(google, FIRST)
    user.files(content)
    run(user)
    assert sent(google) == count
    assert my_drive(google) == [(NAME, content)]


def test_file_whose_sha256_drive_does_not_have_is_sent_once_more(user, google):
    add_old_folder(google, OLD)
    user.set(FILES=["same.txt"])
    google.fail("files.list", "no-sha256", after=1)
    run(user)
    assert calls(google) == [*READ, "files.list", CREATE, UPLOAD, *FINISH, *REMOVE]


def test_lists_of_many_pages(user, google):
    google.drive.page_size_cap = 1
    for _ in range(3):
        add_old_folder(google, NEW | OLD)
        google.drive.add_folder("other")
    run(user)
    assert my_drive(google) == [(NAME, NEW), *[("other", {})] * 3]
    assert calls(google).count(COPY) == 3


@pytest.mark.parametrize(("count", "ids_calls"), [(999, 1), (1000, 2)])
def test_ids_of_many_files(user, google, count, ids_calls):
    """One more than files, up to 1000 a call."""
    user.files({f"{number}.txt": b"" for number in range(count)})
    assert user.run("--dry-run").status == 0
    assert calls(google) == ["files.list", *["files.generateIds"] * ids_calls]


def test_so_many_files_go_up_at_a_time(user, google):
    """Each waits until there are three, and a little for a fourth one, in vain."""
    user.files({f"{number}.txt": b"%d" % number for number in range(9)})
    user.set(PARALLEL_UPLOADS=3)
    under_way, counts, together = set(), [], Barrier(3)

    def watch(when, call):
        if (when, call.operation) == ("before", UPLOAD):
            under_way.add(call)
            together.wait(10)
            time.sleep(0.05)
            counts.append(len(under_way))
        under_way.discard(call if when == "after" else None)

    google.watch(watch)
    run(user)
    assert max(counts) == 3


# ---- What arrives --------------------------------------------------------------------------------
CONTENTS = {
    "empty": b"",
    "one byte": b"\0",
    "line ends": b"a\r\nb\rc\n\r",
    "like a boundary": b"\r\n--===============",
    "1 MiB": os.urandom(1024 * 1024),
    "1 byte more": os.urandom(1024 * 1024 + 1),
}
NAMES = ["no extension", ".hidden", "it's.txt", "  spaces  .txt", "Прага 東京 🎈.txt"]
NAMES += ["e\u0301 decomposed.txt", "percent%20&+;=.txt", "mail.eml"]
NAMES += [] if WINDOWS else ['a "quote".txt', "back\\slash.txt"]


@pytest.mark.parametrize("is_copied", [False, True], ids=["uploaded", "copied"])
def test_every_content_and_every_name_arrives_with_its_time(user, google, is_copied):
    content = CONTENTS | {name: name.encode() for name in NAMES}
    user.files(content)
    for name in content:
        os.utime(user.path / name, ns=(0, 1234567890_987654321))
    if is_copied:
        add_old_folder(google, content)
    run(user)
    assert my_drive(google) == [(NAME, content)]
    (folder,) = google.drive.folders(NAME)
    times = {file.modified for file in google.drive.children(folder.id)}
    assert times == {"2009-02-13T23:31:30.987Z"}


@pytest.mark.parametrize("name", ["it's", 'a "b"', "back\\slash", "東京 ' or name = 'x", "%"])
def test_folder_of_any_name_is_replaced(user, google, name):
    user.set(FOLDER_NAME=name, FILES=["new.txt"])
    for _ in range(2):
        run(user)
    assert my_drive(google) == [(name, {"new.txt": b"new"})]
    assert trash(google) == [(name, {"new.txt": b"new"})]


# ---- What is not confirmed -----------------------------------------------------------------------
# The call, and the file that it is for.
WAYS = {COPY: "same.txt", UPLOAD: "new.txt", "upload.content": "big.bin"}


@pytest.mark.parametrize("call", WAYS)
def test_content_that_drive_does_not_confirm_ends_the_run(user, google, call):
    add_old_folder(google)
    user.set(FILES=[WAYS[call]])
    google.fail(call, "wrong-md5")
    outcome = user.run()
    says = f"Uploading: Drive did not confirm the content of {WAYS[call]}. Run again."
    standing = f"{UNCHANGED_NAME} The next run copies what has reached Drive."
    assert outcome == (1, "", f"{says}\n{standing}\n")
    assert (NAME, OLD) in my_drive(google)


EDITS = {
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "rewritten": lambda path: os.utime(path, (1, 1)),
}


@pytest.mark.parametrize("call", WAYS)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_file_that_changes_during_the_run_ends_it(user, google, call, edit):
    add_old_folder(google)
    user.set(FILES=[WAYS[call]])
    path = user.path / WAYS[call]
    at(google, "after", call, lambda: edit(path))
    outcome = user.run()
    says = f"Uploading: {path} changed during the run. Run again when it is complete."
    assert (outcome.status, outcome.err.splitlines()[0]) == (1, says)
    assert (NAME, OLD) in my_drive(google)
