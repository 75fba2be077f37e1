"""What quickstart.py relies on in Drive: each rule is a test, and its docstring says who says so.

`python -m pytest tests/test_drive.py` asks the fake. With `--real` it asks your own account: it
signs in with the credentials.json and token.json beside quickstart.py, says what it will make, asks
you, removes everything in the end, and leaves a report, real_drive_report.md. Its other options
are in `python -m pytest --help`, under "asking a real account".

Sources: /... is below https://developers.google.com/workspace/drive/api, and owner/repository below
https://github.com. "Assumed": nobody is known to have tried it. Where the truth is not known, a
rule asserts no more than the script relies on.
"""

import hashlib
import io
import os
import re

import pytest
import requests

GRAIN = 256 * 1024  # bytes: a session keeps multiples of this
MARK = {"quickstart.py": "1764322800"}  # with which the script marks its folders


def as_folder(drive, **metadata):
    return drive.create(**metadata)


def in_one_request(drive, content=b"content", **metadata):
    return drive.upload(content, **metadata)


def in_a_session(drive, content=b"content", **metadata):
    """The answer is that to the start if it is refused."""
    start = drive.begin(len(content), **metadata)
    return drive.put(start.headers["Location"], content) if "Location" in start.headers else start


def by_copy(drive, content=b"content", **metadata):
    return drive.copy(drive.made(drive.upload(content)), **metadata)


def ways(*makers):
    return pytest.mark.parametrize("make", makers, ids=[maker.__name__ for maker in makers])


of_files = ways(in_one_request, in_a_session, by_copy)
of_all = ways(as_folder, in_one_request, in_a_session, by_copy)


# ---- IDs -----------------------------------------------------------------------------------------
@of_all
def test_id_is_given_beforehand(drive, make):
    """What is created gets the ID that was sent along (/guides/create-file)."""
    given = drive.new_id()
    answer = make(drive, id=given)
    assert (answer.status, answer.id) == (200, given)


@of_all
def test_id_in_use_is_refused(drive, make):
    """So a request that is sent twice makes nothing twice: 409 (/guides/create-file)."""
    given = drive.new_id()
    drive.made(drive.upload(id=given))
    assert make(drive, id=given).error == (409, "fileIdInUse")


def test_id_taken_during_a_session(drive):
    """It is refused at the end: an earlier try may arrive while a later one goes on (assumed)."""
    given = drive.new_id()
    session = drive.session(4, id=given)
    drive.made(drive.upload(id=given))
    assert drive.put(session, b"data").error == (409, "fileIdInUse")


# ---- Lists ---------------------------------------------------------------------------------------
def changes(drive, parent):
    """Change folders, and yield each time what is to be seen of one: ID, name, trashed."""
    for _ in range(4):
        folder = drive.made(drive.create(parents=[parent]))
        yield folder, "rule", False
        drive.made(drive.update(folder, name="renamed"))
        yield folder, "renamed", False
        drive.made(drive.update(folder, trashed=True))
        yield folder, "renamed", True


def test_list_by_parent_is_up_to_date(drive):
    """Over any connection it shows at once what was created, renamed, trashed (kopia/kopia issue
    90). Late ones were seen too (apache/opendal issue 7384): the next run mends what comes of it.
    """
    parent, readers, late = drive.made(drive.create()), [drive.another() for _ in range(3)], []
    for _, name, trashed in changes(drive, parent):
        lists = [[item["name"] for item in each.folders_in(parent)] for each in readers]
        late += [(name, trashed) for names in lists if names != ([] if trashed else [name])]
    assert late == []


def test_get_is_up_to_date(drive):
    """Over any connection: folders are looked at before they are removed (kopia/kopia issue 90)."""
    readers = [drive.another() for _ in range(3)]
    for folder, *state in changes(drive, drive.folder):
        found = [each.get(folder) for each in readers]
        assert [[one["name"], one["trashed"]] for one in found] == [state] * 3


def test_list_comes_in_pages(drive):
    """nextPageToken, if `fields` names it, leads on to the rest (/reference/rest/v3/files/list)."""
    parent = drive.made(drive.create())
    wanted = {drive.made(drive.create(parents=[parent])) for _ in range(3)}
    options = {"q": f"'{parent}' in parents", "pageSize": 2}
    first = drive.search(**options)
    rest = drive.search(**options, pageToken=first["nextPageToken"])
    pages = [[item["id"] for item in page["files"] or []] for page in (first, rest)]
    assert [len(page) for page in pages] == [2, 1]
    assert ({*pages[0], *pages[1]}, rest["nextPageToken"]) == (wanted, None)


def test_mark_is_in_lists_at_once(drive):
    """appProperties tell the script's folders from others (/guides/properties)."""
    parent = drive.made(drive.create())
    drive.made(drive.create(parents=[parent], appProperties=MARK))
    assert [folder["appProperties"] for folder in drive.folders_in(parent)] == [MARK]


def test_mark_is_kept_by_a_rename(drive):
    """A folder keeps its generation when it gets its final name (/guides/properties)."""
    renamed = drive.update(drive.made(drive.create(appProperties=MARK)), name="renamed")
    assert (renamed["name"], renamed["appProperties"]) == ("renamed", MARK)


def test_name_ignores_case(drive):
    """So the script compares the names itself (rclone/rclone backend/drive/drive.go)."""
    name = f"Case {drive.new_id()}"
    folder = drive.made(drive.create(name=name))
    drive.wait_for(lambda: drive.find(f"name = '{name}'"), 60)  # this index is late by minutes
    assert [item["id"] for item in drive.find(f"name = '{name.upper()}'")] == [folder]


# ---- Where folders lie ---------------------------------------------------------------------------
def test_root_is_a_parent(drive):
    """Under drive.file too, folders can be created in "root", and those of the app are listed
    (rclone/rclone backend/drive/drive.go). All answers have its real ID as their parent: a folder
    whose parents differ from the new folder's has been moved, and stays (assumed)."""
    made = drive.create(parents=["root"], name=f"{drive.name} at the top")
    listed = [item["parents"] for item in drive.find("'root' in parents") if item["id"] == made.id]
    renamed = drive.update(made.id, name=f"{drive.name} renamed")
    assert len(made["parents"] or []) == 1
    shown = [*listed, renamed["parents"], drive.get(made.id)["parents"]]
    assert shown == [made["parents"]] * 3


def test_root_is_out_of_reach_itself(drive):
    """Under drive.file, get("root") is 404 (botpress/botpress pull request 13912)."""
    if drive.is_wide:
        pytest.skip("the sign-in is for all of Drive")
    assert drive.get("root").error == (404, "notFound")


def test_parent_that_is_missing(drive):
    """Nothing can be created in it, and a list is refused, not empty (/guides/handle-errors)."""
    gone = drive.made(drive.create())
    drive.made(drive.delete(gone))
    for parent in (drive.new_id(), gone):
        assert drive.create(parents=[parent]).error == (404, "notFound")
        assert drive.search(f"'{parent}' in parents").error == (404, "notFound")


def test_parent_made_by_hand(drive):
    """Under drive.file it is not there (/guides/api-specific-auth); creating in it is refused,
    with 404 in some reports and 403 in others."""
    if not drive.by_hand or drive.is_wide:
        pytest.skip("no --by-hand was given, or the sign-in is for all of Drive")
    assert drive.get(drive.by_hand).error == (404, "notFound")
    refusals = [(404, "notFound"), (403, "insufficientParentPermissions")]
    assert drive.create(parents=[drive.by_hand]).error in refusals


# ---- Content -------------------------------------------------------------------------------------
@of_files
@pytest.mark.parametrize("content", [b"content", b""], ids=["content", "empty"])
def test_digests(drive, make, content):
    """Size, MD5 and folder in the answer verify each file; the list's SHA-256 decides in the next
    run what is copied (/reference/rest/v3/files; rclone/rclone pull request 7328 for empty files).
    """
    folder = drive.made(drive.create())
    answer, md5 = make(drive, content, parents=[folder]), hashlib.md5(content).hexdigest()
    shown = [answer[name] for name in ("size", "md5Checksum", "parents")]
    assert shown == [str(len(content)), md5, [folder]]
    listed = drive.wait_for(lambda: drive.find(f"'{folder}' in parents"))
    sha256 = hashlib.sha256(content).hexdigest()
    assert [(item["size"], item["sha256Checksum"]) for item in listed] == [(shown[0], sha256)]


@of_files
def test_modification_time(drive, make):
    """It is kept to the millisecond (rclone/rclone issue 3335), before 1970 too (assumed)."""
    time = "1956-02-29T01:02:03.456Z"
    assert make(drive, modifiedTime=time)["modifiedTime"] == time


@of_files
def test_type_is_as_sent(drive, make):
    """The metadata decides, not the content (pubkey/google-drive-mock test/mime_types.test.ts)."""
    assert make(drive, b"no table", mimeType="text/csv")["mimeType"] == "text/csv"


EMPTY_ZIP = b"PK\5\6" + bytes(18)
NAMES = {"a.csv": b"a,b\n1,2\n", "a.md": b"# A title\n", "a.docx": EMPTY_ZIP, "a": b"text"}
NAMES["a.heic"] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_converted_unasked(drive, name, record_property):
    """Without a type of ours, Drive detects one (google/skicka issue 132), which is reported. It
    makes no document of its own of the file (/guides/manage-uploads)."""
    answer = drive.upload(NAMES[name], name=name)
    record_property("type", answer["mimeType"])
    assert (answer["name"], answer["size"]) == (name, str(len(NAMES[name])))
    assert not answer["mimeType"].startswith("application/vnd.google-apps")


def test_copy_of_what_is_gone(drive):
    """404: then the file is uploaded (/guides/handle-errors)."""
    source = drive.made(drive.upload())
    drive.made(drive.delete(source))
    assert drive.copy(source).error == (404, "notFound")


# ---- Removing ------------------------------------------------------------------------------------
def test_rename_tells_of_the_trash(drive):
    """A trashed folder can be renamed, so the answer has to tell (assumed)."""
    folder = drive.made(drive.create())
    drive.made(drive.update(folder, trashed=True))
    answer = drive.update(folder, name="renamed")
    assert (answer["name"], answer["trashed"]) == ("renamed", True)


def test_trashed_folder_takes_its_content_along(drive):
    """With one request, and it can be restored as a whole (/guides/delete)."""
    folder = drive.made(drive.create())
    file = drive.made(drive.upload(parents=[folder]))
    assert drive.update(folder, trashed=True)["trashed"] is True
    drive.wait_for(lambda: drive.get(file)["trashed"])
    found = drive.get(file)
    assert (found["trashed"], found["explicitlyTrashed"]) == (True, False)


def test_deleted_folder_takes_its_content_along(drive):
    """With one request, also what is in the trash (/guides/delete). A second one gets 404."""
    folder = drive.made(drive.create())
    held = [drive.made(make(parents=[folder])) for make in (drive.upload, drive.create)]
    drive.made(drive.update(held[1], trashed=True))
    assert (drive.delete(folder).status, drive.delete(folder).error) == (204, (404, "notFound"))
    drive.wait_for(lambda: {drive.get(each).status for each in held} == {404})
    assert [drive.get(each).status for each in (folder, *held)] == [404] * 3


# ---- Upload sessions: /guides/manage-uploads -----------------------------------------------------
class Session:
    """A session for four times 256 KiB."""

    def __init__(self, drive):
        self.drive, self.content = drive, os.urandom(4 * GRAIN)
        self.address = drive.session(len(self.content))

    def send(self, start, end, drive=None, **options):
        """Send these 256 KiB."""
        first, content = int(start * GRAIN), self.content[int(start * GRAIN) : int(end * GRAIN)]
        return (drive or self.drive).put(self.address, content, first, 4 * GRAIN, **options)

    def kept(self, drive=None, **options):
        """How many 256 KiB have arrived; None: it is over."""
        kept = (drive or self.drive).ask(self.address, 4 * GRAIN, **options).kept
        return None if kept is None else kept / GRAIN

    def is_whole(self, answer):
        return answer["md5Checksum"] == hashlib.md5(self.content).hexdigest()


@pytest.fixture
def session(drive):
    return Session(drive)


def test_session_goes_on_over_another_connection(drive, session):
    """Asked how much has arrived, it tells it; then it takes the rest in one request."""
    other = drive.another()
    assert session.kept(other) == 0
    assert session.send(0, 1).kept == GRAIN
    assert session.kept(other) == 1
    assert session.is_whole(session.send(1, 4, other))


def test_session_tells_of_its_end_again(drive, session):
    """Asked after the last byte it answers with the file, for an answer that was lost."""
    made = session.send(0, 4)
    asked = drive.ask(session.address, 4 * GRAIN)
    assert (asked.status, asked.id, session.is_whole(asked)) == (200, made.id, True)


def test_session_needs_no_token(drive, session):
    """So its address is a secret, which no message shows (supermihi/gupload sends no token)."""
    session.send(0, 1, http=drive.plain)
    assert session.kept(http=drive.plain) == 1


def test_session_outlives_a_bad_token(drive, session):
    """Whether one is refused or passed over (nobody says), what has arrived is kept."""
    session.send(0, 1)
    drive.ask(session.address, 4 * GRAIN, http=drive.plain, Authorization="Bearer ya29.bad")
    assert session.kept() == 1


def test_session_passes_over_what_it_has(session):
    """Bytes may be sent twice (assumed; googleapis/storage-testbench does so)."""
    session.send(0, 2)
    assert session.is_whole(session.send(1, 4))


def test_session_refuses_a_gap(session):
    """503 "exceeds already uploaded size", and it keeps nothing of it (Byron/google-apis-rs pull
    request 286; RobinBobin/react-native-google-drive-api-wrapper issue 102)."""
    session.send(0, 1)
    assert session.send(2, 4, patient=False).status >= 400
    assert session.kept() == 1


def test_session_keeps_multiples_of_256_kib(session):
    """Of 2.5 times that, it keeps 2 (rhhyun/wiregene-meta-analysis), or refuses them all."""
    session.send(0, 2.5)
    assert session.kept() in (0, 2)


class Breaking(io.BytesIO):
    """A body that breaks off after 2.5 times 256 KiB."""

    def read(self, size=-1):
        if self.tell() >= 2.5 * GRAIN:
            raise ConnectionResetError
        return super().read(size)


def test_session_keeps_part_of_what_breaks_off(drive, session, record_property):
    """In multiples of 256 KiB, and it goes on from there."""
    with pytest.raises(requests.ConnectionError):
        drive.http.put(session.address, data=Breaking(session.content), timeout=60)
    kept = session.kept()
    record_property("kept", f"{kept} of 2.5")
    assert kept in (0, 1, 2)
    assert session.is_whole(session.send(kept, 4))


def test_session_that_is_over(drive):
    """Refused by a 4xx that is neither for waiting nor for a new sign-in: a new one is begun."""
    address = re.sub("upload_id=.*", "upload_id=over", drive.session(4))
    assert drive.put(address, b"data").status in (400, 404, 410)


@pytest.mark.parametrize("change", [{"name": "renamed"}, {"trashed": True}], ids=["name", "trash"])
def test_session_whose_folder_is_changed(drive, change):
    """The file is in it all the same (googleworkspace/android-samples issue 66 for the trash)."""
    folder = drive.made(drive.create())
    session = drive.session(4, parents=[folder])
    drive.made(drive.update(folder, **change))
    assert drive.put(session, b"data")["parents"] == [folder]


def test_session_whose_folder_is_deleted(drive, record_property):
    """It makes no file that passes for one in that folder (assumed: what comes is reported)."""
    folder = drive.made(drive.create())
    session = drive.session(4, parents=[folder])
    drive.made(drive.delete(folder))
    answer = drive.put(session, b"data")
    record_property("answer", answer.error)
    assert answer.status >= 400 or answer["parents"] not in (None, [folder])


def test_request_of_256_mib(drive):
    """Google advises to send all at once: nobody reports that it ends long requests."""
    if not drive.is_slow:
        pytest.skip("no --slow was given")
    content = os.urandom(GRAIN) * 1024
    answer = drive.put(drive.session(len(content)), content)
    assert answer["md5Checksum"] == hashlib.md5(content).hexdigest()


# ---- Sharing -------------------------------------------------------------------------------------
def test_grant_without_mail(drive):
    """Sent twice, it is one grant (/reference/rest/v3/permissions/create), and the list shows that
    the folder is shared. Please see for yourself that no mail has come."""
    parent = drive.made(drive.create())
    folder = drive.made(drive.create(parents=[parent]))
    first, again = drive.share(folder), drive.share(folder)
    assert (first.status, again.status, first.id) == (200, 200, again.id)
    assert [item["shared"] for item in drive.folders_in(parent)] == [True]
    found = [grant for grant in drive.grants(folder) if grant["id"] == first.id]
    assert [(grant["emailAddress"], grant["role"]) for grant in found] == [
        (drive.address, "reader")
    ]


def test_inherited_grants_are_marked(drive):
    """In My Drive too; given anew they would be lasting ones (/guides/limited-expansive-access).
    What is not marked is the folder's own."""
    parent = drive.made(drive.create())
    folder = drive.made(drive.create(parents=[parent]))
    given = drive.made(drive.share(parent))

    def details(key):
        (grant,) = [grant for grant in drive.grants(key) if grant["id"] == given] or [{}]
        return [detail["inherited"] for detail in grant.get("permissionDetails", [])]

    assert (details(folder), True in details(parent)) == ([True], False)


def test_access_can_be_limited(drive):
    """Below another folder (/guides/limited-expansive-access); where it can't, the run ends."""
    folder = drive.made(drive.create(parents=[drive.made(drive.create())]))
    drive.made(drive.update(folder, inheritedPermissionsDisabled=True))
    assert drive.get(folder)["inheritedPermissionsDisabled"] is True


# ---- The protocol --------------------------------------------------------------------------------
def test_misspelt_fields_are_refused(drive):
    """Then nothing is created (googleworkspace/java-samples issue 1547)."""
    given = drive.new_id()
    assert drive.create(id=given, fields="id,md5Cheksum").error == (400, "invalidParameter")
    assert drive.search("trashed = false", "files(nmae)").error == (400, "invalidParameter")
    assert drive.get(given).error == (404, "notFound")


def test_bad_token_is_refused(drive):
    """401, and it is refreshed once (/guides/handle-errors)."""
    drive = drive.another()
    drive.http = drive.plain
    drive.http.headers["Authorization"] = "Bearer ya29.bad"
    assert drive.create().error == (401, "authError")


# ---- The script itself ---------------------------------------------------------------------------
def held(drive, script):
    """[{file name: MD5}, ...] of the folders with the script's name, and of its working name."""
    names = script.settings["FOLDER_NAME"], f"{script.settings['FOLDER_NAME']} (uploading)"
    folders = [item for item in drive.folders_in("root") if item["name"] in names]
    lists = [drive.find(f"'{folder['id']}' in parents") for folder in folders]
    return [{item["name"]: item["md5Checksum"] for item in found} for found in lists]


def digests(script):
    files = {name: (script.path / name).read_bytes() for name in script.settings["FILES"]}
    return {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


def test_script_makes_nothing_in_a_dry_run(drive, scripts):
    """As README.md says."""
    assert scripts[0].run("--dry-run").status == 0
    assert held(drive, scripts[0]) == []


def test_script_run_after_run(drive, scripts):
    """Four in a row: all new, nothing, a file of 12 MB and a changed one, deletion for good."""
    script, *_ = scripts
    assert "complete: 3 uploaded; " in script.run().out
    assert "complete: 3 copied within Drive (unchanged); " in script.run().out
    script.files({"a.txt": b"changed", "b.bin": b"ends in \r", "big": os.urandom(12_000_000)})
    assert "complete: 2 uploaded, 1 copied within Drive (unchanged); " in script.run().out
    assert held(drive, script) == [digests(script)]
    script.set(DELETE_PERMANENTLY=True)
    assert script.run().status == 0
    assert held(drive, script) == [digests(script)]


def test_script_twice_at_once(drive, scripts):
    """At least one ends well, and the next run leaves one folder, which is whole."""
    statuses = [run.wait(200).status for run in [script.start() for script in scripts]]
    assert sorted(statuses)[0] == 0
    assert digests(scripts[0]) in held(drive, scripts[0])
    assert scripts[0].run().status == 0
    assert held(drive, scripts[0]) == [digests(scripts[0])]
