"""What is in Drive after a run: names, bytes, types, times, and nothing else."""

import hashlib
import os
import stat
from functools import partial
from typing import Any

import pytest
from fake_google import FakeGoogle
from situations import MARK, NAME, WORKING_NAME, once
from workdir import WINDOWS, Workdir

pytestmark = pytest.mark.usefixtures("no_forks")

KIB = 1024
CHUNK = 256 * KIB


def content_of(google: FakeGoogle, name: str = NAME) -> dict[str, bytes | None]:
    """What the one folder of that name holds."""
    (folder,) = google.drive.folders(name)
    children = google.drive.children(folder.id)
    content = {child.name: child.content for child in children}
    assert len(content) == len(children), "a file is there twice"
    return content


def assert_arrives(workdir: Workdir, google: FakeGoogle, content: dict[str, bytes]) -> None:
    workdir.contents(content)
    workdir.sign_in()
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    assert content_of(google) == content


def test_first_run(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"first", b_bin=b"second")
    workdir.sign_in()
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    assert content_of(google) == {"a.txt": b"first", "b.bin": b"second"}
    (folder,) = google.drive.folders(NAME)
    assert sorted(outcome.lines[:2]) == ["uploaded  a.txt  5 bytes", "uploaded  b.bin  6 bytes"]
    assert outcome.lines[2].startswith(f'"{NAME}": 2 uploaded, 0 unchanged, 11 bytes sent in ')
    assert outcome.lines[3:] == [f"https://drive.google.com/drive/folders/{folder.id}"]


def test_second_run_replaces_the_folder(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"old", b_txt=b"goes")
    workdir.sign_in()
    assert workdir.run().status == 0
    (old,) = google.drive.folders(NAME)
    workdir.files(a_txt=b"new")
    assert workdir.run().status == 0
    assert content_of(google) == {"a.txt": b"new"}
    assert google.drive.file(old.id).trashed
    assert [folder.name for folder in google.drive.folders()] == [NAME]


def test_old_folder_is_deleted_for_good_if_so_set(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    old = google.drive.add_folder(NAME)
    workdir.set(DELETE_PERMANENTLY=True)
    assert workdir.run().status == 0
    assert content_of(google) == {"a.txt": b"a"}
    with pytest.raises(KeyError):
        google.drive.file(old.id)


SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK - 1]


@pytest.mark.parametrize("multipart_limit", [0, 10 * CHUNK], ids=["in chunks", "in one request"])
def test_every_size_arrives(workdir: Workdir, google: FakeGoogle, multipart_limit: int) -> None:
    workdir.set(CHUNK_SIZE=CHUNK, MULTIPART_LIMIT=multipart_limit)
    assert_arrives(workdir, google, {f"{size}.bin": os.urandom(size) for size in SIZES})


def test_files_of_up_to_5_mib_go_up_in_one_request(workdir: Workdir, google: FakeGoogle) -> None:
    limit = 5 * KIB * KIB
    workdir.contents({"at the limit": bytes(limit), "beyond": bytes(limit + 1)})
    workdir.sign_in()
    assert workdir.run().status == 0
    (folder,) = google.drive.folders(NAME)
    ways = {file.name: file.how for file in google.drive.children(folder.id)}
    assert ways == {"at the limit": "multipart", "beyond": "resumable"}


def test_every_ending_arrives(workdir: Workdir, google: FakeGoogle) -> None:
    """googleapiclient ends the part of a multipart body with a bare line feed."""
    endings = [b"\r", b"\n", b"\r\n", b"\n\r", b"\r\r", b"--", b"a\r", b"a\r\n", b"\0"]
    content = {f"{number}.txt": ending for number, ending in enumerate(endings)}
    assert_arrives(workdir, google, content)


def test_large_file_arrives(workdir: Workdir, google: FakeGoogle) -> None:
    digest = hashlib.md5()
    with (workdir.path / "large.bin").open("wb") as file:
        for _ in range(300):
            block = os.urandom(KIB) * KIB
            digest.update(block)
            file.write(block)
    workdir.set(FILES=["large.bin"])
    workdir.sign_in()
    outcome = workdir.run()
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = google.drive.folders(NAME)
    (large,) = google.drive.children(folder.id)
    assert (large.size, large.md5, large.how) == (300 * KIB * KIB, digest.hexdigest(), "resumable")


NAMES = [
    "plain.txt",
    "no extension",
    ".hidden",
    'it\'s "quoted".txt',
    "back\\slash.txt",
    "  spaces  .txt",
    "Прага 東京 القاهرة 🎈.txt",
    "e\u0301 decomposed.txt",
    "percent%20&+;=.txt",
    "mail.eml",
    "page.mhtml",
]
if WINDOWS:  # which has no such files
    NAMES = [name for name in NAMES if not set('"\\') & set(name)]


def test_every_name_arrives(workdir: Workdir, google: FakeGoogle) -> None:
    content = {name: f"of {name}\r\n\xff".encode("latin-1", "replace") for name in NAMES}
    assert_arrives(workdir, google, content)


@pytest.mark.parametrize(
    "name", ["it's", 'a "b"', "back\\slash", "end\\", "东京 ' or name = 'x", "%"]
)
def test_folder_of_any_name_is_replaced(workdir: Workdir, google: FakeGoogle, name: str) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    workdir.set(FOLDER_NAME=name)
    google.drive.add_folder(name)
    google.drive.add_folder(f"{name} (uploading)", mark=MARK)
    bystander = google.drive.add_folder("x")
    assert workdir.run().status == 0
    assert content_of(google, name) == {"a.txt": b"a"}
    assert [folder.name for folder in google.drive.folders()] == [bystander.name, name]


TYPES = {
    "a.txt": "text/plain",
    "a.jpg": "image/jpeg",
    "a.pdf": "application/pdf",
    "a.eml": "message/rfc822",
    "a": "application/octet-stream",
    "a.unheard-of": "application/octet-stream",
    "a.tar.gz": "application/octet-stream",
}


def test_type_and_time_are_kept(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents(dict.fromkeys(TYPES, b"a"))
    for name in TYPES:
        os.utime(workdir.path / name, ns=(0, 1234567890_987654321))
    workdir.write("old.txt", b"before 1970", modified=-86400.5)
    workdir.set(FILES=[*TYPES, "old.txt"])
    workdir.sign_in()
    assert workdir.run().status == 0
    (folder,) = google.drive.folders(NAME)
    found = {
        file.name: (file.mime_type, file.modified) for file in google.drive.children(folder.id)
    }
    expected = {name: (kind, "2009-02-13T23:31:30.987Z") for name, kind in TYPES.items()}
    assert found == expected | {"old.txt": ("text/plain", "1969-12-30T23:59:59.500Z")}


def bystanders(google: FakeGoogle) -> dict[str, Any]:
    """Everything that shares the folder's name and is not it."""
    drive = google.drive
    elsewhere = drive.add_folder("elsewhere")
    trashed = drive.add_folder(NAME)
    drive.trash(trashed.id)
    made = {
        "other case": drive.add_folder(NAME.upper()),
        "a file": drive.add_file(NAME, b"a file"),
        "other parent": drive.add_folder(NAME, parent=elsewhere.id),
        "someone else's": drive.add_folder(NAME, owner="someone@example.com"),
        "not the script's": drive.add_folder(NAME, app=False),
        "longer name": drive.add_folder(f"{NAME} 2"),
        "in the trash": trashed,
    }
    return {why: file.id for why, file in made.items()}


def test_what_merely_shares_the_name_is_not_touched(workdir: Workdir, google: FakeGoogle) -> None:
    ids = bystanders(google)
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    old = google.drive.add_folder(NAME)
    assert workdir.run().status == 0
    assert google.drive.file(old.id).trashed
    left = {why: google.drive.file(file_id).trashed for why, file_id in ids.items()}
    assert left == dict.fromkeys(ids, False) | {"in the trash": True}


def test_leftovers_and_many_old_folders_go(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    google.drive.page_size_cap = 2
    for name in (NAME, WORKING_NAME) * 3:
        google.drive.add_folder(name, mark=MARK)
    assert workdir.run().status == 0
    assert [folder.name for folder in google.drive.folders()] == [NAME]
    assert content_of(google) == {"a.txt": b"a"}


def test_newer_working_folder_of_another_run_is_left(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    begin = partial(google.drive.add_folder, WORKING_NAME, mark={"quickstart.py": "2"})
    once(google, "before", "files.update.rename", begin)
    assert workdir.run().status == 0
    assert sorted(folder.name for folder in google.drive.folders()) == [NAME, WORKING_NAME]


def test_parent_folder(workdir: Workdir, google: FakeGoogle) -> None:
    parent = google.drive.add_folder("parent")
    workdir.files(a_txt=b"a")
    workdir.sign_in()
    workdir.set(PARENT_FOLDER_ID=parent.id)
    assert workdir.run().status == 0
    assert workdir.run().status == 0
    (folder,) = google.drive.folders(NAME, parent=parent.id)
    assert [file.name for file in google.drive.children(folder.id)] == ["a.txt"]


@pytest.mark.line(round_trip=0.2)
def test_uploads_run_in_parallel(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents({f"{number}.txt": b"x" * number for number in range(12)})
    workdir.set(PARALLEL_UPLOADS=3)
    workdir.sign_in()
    assert workdir.run().status == 0
    spans = [(call.started, call.ended or 0) for call in google.calls("files.create.multipart")]
    peak = max(sum(begun <= now < ended for begun, ended in spans) for now, _ in spans)
    assert peak == 3


def test_more_files_than_ids_in_one_call(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.contents({f"{number}.txt": b"" for number in range(1001)})
    workdir.set(PARALLEL_UPLOADS=8)
    workdir.sign_in()
    assert workdir.run().status == 0
    assert len(content_of(google)) == 1001
    assert len(google.calls("files.generateIds")) == 2


def test_token_is_refreshed_and_saved_privately(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    old = workdir.sign_in(expires_in=-10)
    assert workdir.run().status == 0
    assert workdir.token["token"] != old["token"]
    assert workdir.token["refresh_token"] == old["refresh_token"]
    if not WINDOWS:
        assert stat.S_IMODE((workdir.path / "token.json").stat().st_mode) == 0o600
    assert len(google.calls("oauth.token.refresh")) == 1
    assert workdir.run().status == 0
    assert len(google.calls("oauth.token.refresh")) == 1
