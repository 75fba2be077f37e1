"""What quickstart.py and the fake take for granted about Drive, and how Drive is asked for it.

Each claim is a function: its name is the claim's, its docstring the sentence that is confirmed or
contradicted. It returns a figure or a remark, if there is one to report. fake_google/README.md
lists the same claims.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from .drive import FOLDER, GRAIN, Answer, Contradicted, Drive, Item, NotTried, assume, some_bytes

Ask = Callable[[Any], str | None]
QUESTIONS, NAMES, CHANGED_NAMES, SCRIPT = "questions", "names", "changed names", "script"
AFTERWARDS = "afterwards"  # what all answers together tell
LISTING_LIMIT = 30.0  # seconds


@dataclass(frozen=True)
class Claim:
    ask: Ask
    needed_for: str  # what in quickstart.py depends on it
    strand: str  # strands are asked side by side, the claims of one strand in turn

    @property
    def name(self) -> str:
        return self.ask.__name__.replace("_", "-")

    @property
    def sentence(self) -> str:
        return " ".join((self.ask.__doc__ or "").split())


CLAIMS: list[Claim] = []


def claim(needed_for: str, strand: str = QUESTIONS) -> Callable[[Ask], Ask]:
    def add(ask: Ask) -> Ask:
        CLAIMS.append(Claim(ask, needed_for, strand))
        return ask

    return add


# ---- IDs -----------------------------------------------------------------------------------------
IDS = (
    "Each thing gets its ID beforehand, so a create request that is sent twice makes nothing twice."
)
CONFLICT = "A 409 for an own ID means that an earlier request has arrived after all."


def used_id(drive: Drive) -> str:
    """An ID from files.generateIds that a file has."""
    given = drive.new_id()
    if drive.new_file(id=given) != given:
        raise NotTried("a file did not get the ID that was sent")
    return given


def has_id(answer: Answer, given: str) -> None:
    answer.expect(200)
    assume(answer.json.get("id") == given, "It got an ID, but not the one that was sent.")


@claim(IDS)
def id_for_folder(drive: Drive) -> None:
    """A folder can be created with an ID from files.generateIds."""
    given = drive.new_id()
    has_id(drive.create(id=given), given)


@claim(IDS)
def id_for_file(drive: Drive) -> None:
    """A file that is uploaded in one request can have an ID from files.generateIds."""
    given = drive.new_id()
    has_id(drive.upload(id=given), given)


@claim(IDS)
def id_for_session(drive: Drive) -> None:
    """A file that is uploaded in a session can have an ID from files.generateIds."""
    given = drive.new_id()
    has_id(drive.new_session(1000, id=given).send(), given)


@claim(IDS)
def id_for_copy(drive: Drive) -> None:
    """A copy can have an ID from files.generateIds."""
    given, source = drive.new_id(), drive.new_file()
    has_id(drive.copy(source, id=given), given)


@claim(IDS)
def id_for_copy_in_batch(drive: Drive) -> None:
    """A copy that is made in a batch request can have an ID from files.generateIds."""
    given, source = drive.new_id(), drive.new_file()
    has_id(drive.copy_in_batch(source, id=given), given)


@claim(CONFLICT)
def id_in_use(drive: Drive) -> None:
    """A folder, a file or a copy whose ID is in use is refused with 409 fileIdInUse."""
    used = used_id(drive)
    drive.create(id=used).expect(409, "fileIdInUse")
    drive.upload(id=used).expect(409, "fileIdInUse")
    drive.copy(used, id=used).expect(409, "fileIdInUse")


@claim(CONFLICT)
def id_in_use_in_batch(drive: Drive) -> None:
    """In a batch request, too, a copy whose ID is in use is refused with 409."""
    used = used_id(drive)
    drive.copy_in_batch(used, id=used).expect(409)


@claim(CONFLICT)
def id_in_use_at_session_start(drive: Drive) -> None:
    """A session for an ID that is in use is refused with 409 when it starts."""
    used = used_id(drive)
    drive.start_session(b"content", id=used).expect(409)


@claim(CONFLICT)
def id_in_use_at_session_end(drive: Drive) -> None:
    """If its ID is taken while a session is open, the last chunk is refused with 409."""
    given = drive.new_id()
    session = drive.new_session(1000, id=given)
    drive.new_file(id=given)
    session.send().expect(409)


@claim("No run uses an ID twice.")
def id_after_deletion(drive: Drive) -> None:
    """The ID of a deleted file stays in use: creating with it is refused with 409."""
    used = used_id(drive)
    drive.delete(used).prepared()
    drive.upload(id=used).expect(409)


# ---- Lists ---------------------------------------------------------------------------------------
OLD_FOLDERS = "The folders of earlier runs are found by listing their parent."
OWN_NAMES = "The script lists by parent and compares the names itself."


def folders_in(parent: str) -> str:
    return f"'{parent}' in parents and mimeType = '{FOLDER}' and trashed = false"


def listed(drive: Drive, parent: str, key: str) -> Item:
    """What a list by parent says of a folder, as soon as it holds it."""
    found: list[Item] = []

    def look() -> bool:
        found[:] = [item for item in drive.find(folders_in(parent)) if item["id"] == key]
        return bool(found)

    if drive.until(look, drive.clock() + LISTING_LIMIT) is None:
        raise NotTried("a list by parent did not show the folder")
    return found[0]


@claim(OLD_FOLDERS, CHANGED_NAMES)
def list_by_parent(drive: Drive) -> None:
    """A list by parent shows at once that a folder was created, renamed and moved to the trash."""
    parent = drive.new_folder()

    def at_once(change: str, names: list[str]) -> None:
        def look() -> bool:
            return [item["name"] for item in drive.find(folders_in(parent))] == names

        if look():
            return
        seconds = drive.until(look, drive.clock() + LISTING_LIMIT)
        late = f"within {LISTING_LIMIT:.0f} s" if seconds is None else f"for {seconds:.1f} s"
        raise Contradicted(f"That it was {change} did not show {late}.")

    folder = drive.new_folder(name="first", parents=[parent])
    at_once("created", ["first"])
    drive.update(folder, name="second").prepared()
    at_once("renamed", ["second"])
    drive.update(folder, trashed=True).prepared()
    at_once("moved to the trash", [])


def by_name(drive: Drive, name: str) -> list[str]:
    query = f"name = '{name}' and mimeType = '{FOLDER}' and trashed = false"
    return [item["id"] for item in drive.find(query)]


def lag(drive: Drive, happens: Callable[[], bool]) -> str:
    """How long it takes until a query by name finds what it should."""
    started = drive.clock()
    seconds = drive.until(happens, drive.lag_end)
    if seconds is None:
        raise Contradicted(f"It was not found in {drive.clock() - started:.0f} s.")
    return f"after {seconds:.1f} s"


@claim(OWN_NAMES, NAMES)
def lag_of_new_names(drive: Drive) -> str:
    """A query by name finds a new folder, though perhaps late."""
    name = f"new {drive.mark}"
    folder = drive.new_folder(name=name)
    return lag(drive, lambda: folder in by_name(drive, name))


@claim(OWN_NAMES, CHANGED_NAMES)
def lag_of_changed_names(drive: Drive) -> str:
    """A query by name finds a renamed folder by its new name only, though perhaps late."""
    old, new = f"old {drive.mark}", f"changed {drive.mark}"
    folder = drive.new_folder(name=old)
    half = (drive.clock() + drive.lag_end) / 2
    drive.until(lambda: folder in by_name(drive, old), half)
    drive.update(folder, name=new).prepared()
    return lag(drive, lambda: folder in by_name(drive, new) and folder not in by_name(drive, old))


@claim(OWN_NAMES, NAMES)
def name_ignores_case(drive: Drive) -> None:
    """`name =` in a query does not tell upper from lower case."""
    name = f"Case {drive.mark}"
    folder = drive.new_folder(name=name)
    if drive.until(lambda: folder in by_name(drive, name), drive.lag_end) is None:
        raise NotTried("a query by the folder's exact name did not find it in time")
    assume(folder in by_name(drive, name.upper()), "Only the exact name found the folder.")


@claim("The script's queries have no brackets.")
def and_before_or(drive: Drive) -> None:
    """In a query, `and` binds closer than `or`."""
    one, other = drive.new_folder(), drive.new_folder()
    wanted = {drive.new_file(parents=[one]), drive.new_folder(parents=[other])}
    drive.new_file(parents=[other])
    query = f"'{one}' in parents or '{other}' in parents and mimeType = '{FOLDER}'"
    answer = drive.search(query).expect(200)
    found = {item["id"] for item in answer.json["files"]}
    assume(found == wanted, f"{len(found)} items were found, and {len(wanted)} expected.")


@claim("The mark in appProperties tells the script's own folders from others, and their order.")
def app_properties_in_lists(drive: Drive) -> None:
    """A list by parent shows a folder's appProperties right after it was created."""
    parent, properties = drive.new_folder(), {"mark": "here"}
    folder = drive.new_folder(parents=[parent], appProperties=properties)
    shown = listed(drive, parent, folder).get("appProperties")
    assume(shown == properties, f"It shows the folder with {shown}.")


@claim("createdTime orders the folders of runs at the same time.")
def created_time_rises(drive: Drive) -> None:
    """createdTime has milliseconds, and is later for each folder that is created later."""
    times = []
    for _ in range(4):
        drive.plain_http.close()  # another connection may lead to another of Google's servers
        times.append(drive.create().prepared()["createdTime"])
    shape = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    assume(all(shape.fullmatch(time) for time in times), f"It looks like {times[0]}.")
    assume(times == sorted(set(times)), f"In order of creation: {', '.join(times)}.")


@claim("All runs must see the same order of folders, at any time.")
def created_time_stays(drive: Drive) -> None:
    """createdTime is the same in every answer, whatever was done to the folder."""
    parent = drive.new_folder()
    created = drive.create(parents=[parent]).prepared()
    folder = created["id"]
    drive.new_file(parents=[folder])
    answers = [drive.update(folder, name="changed").prepared(), drive.get(folder).prepared()]
    answers.append(listed(drive, parent, folder))
    for answer in answers:
        later = answer["createdTime"]
        assume(later == created["createdTime"], f"First {created['createdTime']}, then {later}.")


# ---- Where folders lie ---------------------------------------------------------------------------
ROOT = 'PARENT_FOLDER_ID is "root" unless the user changes it.'
PARENT = "What the script says if PARENT_FOLDER_ID is out of its reach."


def need_drive_file(drive: Drive) -> None:
    if not drive.limited:
        raise NotTried("the sign-in is for more than drive.file")


@claim(ROOT)
def root_as_parent(drive: Drive) -> None:
    """Under drive.file, a folder can be created with the parent "root"."""
    need_drive_file(drive)
    parents = drive.create(**drive.at_the_top()).expect(200).json.get("parents", [])
    assume(len(parents) == 1, f"It has {len(parents)} parents.")


@claim(ROOT)
def root_in_queries(drive: Drive) -> None:
    """Under drive.file, `'root' in parents` finds what the app has made in My Drive."""
    need_drive_file(drive)
    answer = drive.search("'root' in parents and trashed = false").expect(200)
    assume(drive.folder in [item["id"] for item in answer.json["files"]], "It is not found.")


@claim('The script never asks for "root" itself.')
def root_by_get(drive: Drive) -> None:
    """Under drive.file, files.get("root") is refused with 404 notFound."""
    need_drive_file(drive)
    drive.get("root").expect(404, "notFound")


@claim(PARENT)
def missing_parent(drive: Drive) -> None:
    """A parent that does not exist is refused with 404 notFound."""
    drive.create(parents=[drive.new_id()]).expect(404, "notFound")


@claim("A look-up that fails is an error, never an empty list.")
def list_of_missing_parent(drive: Drive) -> None:
    """A list by a parent that does not exist is refused with 404 notFound."""
    drive.search(folders_in(drive.new_id())).expect(404, "notFound")


@claim(PARENT)
def parent_made_by_hand(drive: Drive) -> None:
    """Under drive.file, a folder that was made by hand is as if it did not exist."""
    need_drive_file(drive)
    if not drive.folder_made_by_hand:
        raise NotTried("no --folder-made-by-hand was given")
    drive.get(drive.folder_made_by_hand).expect(404, "notFound")
    drive.create(parents=[drive.folder_made_by_hand]).expect(404, "notFound")


@claim("README.md says which SCOPES a shared drive needs.")
def shared_drive_by_get(drive: Drive) -> None:
    """Under drive.file, the top folder of a shared drive is as if it did not exist."""
    need_drive_file(drive)
    if not drive.shared_drive:
        raise NotTried("no --shared-drive was given")
    drive.get(drive.shared_drive).expect(404, "notFound")


@claim("A run whose folder is moved to the trash meanwhile notices it when it renames the folder.")
def work_in_the_trash(drive: Drive) -> None:
    """A folder in the trash can still be filled and renamed, and the answers say trashed."""
    folder = drive.new_folder()
    drive.update(folder, trashed=True).prepared()
    for answer in (drive.upload(parents=[folder]), drive.update(folder, name="changed")):
        assume(answer.expect(200).json.get("trashed") is True, "The answer does not say trashed.")


# ---- Content -------------------------------------------------------------------------------------
DIGESTS = "Each file is verified by the digest in the answer that says it is there."


def describes(answer: Answer, content: bytes) -> None:
    """See that an answer tells what a file holds."""
    wanted = {
        "size": str(len(content)),
        "md5Checksum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "sha256Checksum": hashlib.sha256(content).hexdigest(),
    }
    shown = answer.expect(200).json
    for key, value in wanted.items():
        assume(key in shown, f"The answer has no {key}.")
        assume(shown[key] == value, f"{key} is wrong.")


@claim(DIGESTS)
def digests_after_upload(drive: Drive) -> None:
    """The answer to an upload in one request has size, md5Checksum and sha256Checksum."""
    content = some_bytes(1000)
    describes(drive.upload(content), content)


@claim(DIGESTS)
def digests_after_session(drive: Drive) -> None:
    """The answer to the last chunk of a session has size, md5Checksum and sha256Checksum."""
    session = drive.new_session(GRAIN + 1000)
    session.send(0, GRAIN).prepared()
    describes(session.send(GRAIN), session.content)


@claim(DIGESTS)
def digests_after_copy(drive: Drive) -> None:
    """The answer to a copy has size, md5Checksum and sha256Checksum."""
    content = some_bytes(1000)
    describes(drive.copy(drive.new_file(content)), content)


@claim("Each file keeps its modification time, whether it is uploaded or copied.")
def modified_time(drive: Drive) -> None:
    """An upload or a copy keeps modifiedTime as sent: to the millisecond, and before 1970."""
    time, other = "1956-02-29T01:02:03.456Z", "2001-02-03T04:05:06.789Z"
    upload = drive.upload(modifiedTime=time)
    copy = drive.copy(drive.new_file(), modifiedTime=other)
    for answer, sent in ((upload, time), (copy, other)):
        shown = answer.expect(200).json.get("modifiedTime")
        assume(shown == sent, f"It was sent as {sent} and is shown as {shown}.")


@claim("The type of a file depends on its name alone.")
def type_as_sent(drive: Drive) -> None:
    """mimeType in the metadata decides, whatever type the content is sent with."""
    for kind in ("text/csv", "message/rfc822"):
        shown = drive.upload(b"a,b\r\n", mimeType=kind).expect(200).json.get("mimeType")
        assume(shown == kind, f"It was sent as {kind} and is shown as {shown}.")


# ---- Removing ------------------------------------------------------------------------------------
@claim("The old folder goes to the trash as a whole, with one request.")
def trashed_folder(drive: Drive) -> None:
    """A folder that is moved to the trash takes its content along."""
    folder = drive.new_folder()
    file = drive.new_file(parents=[folder])
    shown = drive.update(folder, trashed=True).expect(200).json
    assume(shown.get("trashed") is True, "The answer for the folder does not say trashed.")
    shown = drive.get(file).expect(200).json
    assume(shown.get("trashed") is True, "The file in it does not say trashed.")
    assume(shown.get("explicitlyTrashed") is False, "The file in it says explicitlyTrashed.")
    found = drive.find(f"'{folder}' in parents and trashed = false")
    assume(not found, "A list of what is not trashed still shows the file in it.")


@claim("DELETE_PERMANENTLY removes the old folder as a whole, with one request.")
def deleted_folder(drive: Drive) -> None:
    """A folder that is deleted is gone at once, from its parent's list too, with its content."""
    parent = drive.new_folder()
    folder = drive.new_folder(parents=[parent])
    file = drive.new_file(parents=[folder])
    drive.delete(folder).expect(204)
    drive.get(folder).expect(404)
    assume(not drive.find(f"'{parent}' in parents"), "Its parent's list still shows it.")
    if drive.get(file).status == 404:
        return
    seconds = drive.until(lambda: drive.get(file).status == 404, drive.clock() + LISTING_LIMIT)
    late = f"{LISTING_LIMIT:.0f} s and more" if seconds is None else f"{seconds:.1f} s"
    raise Contradicted(f"The file in it could be had for another {late}.")


@claim("A folder that is gone already counts as removed.")
def deleted_twice(drive: Drive) -> None:
    """Deleting what is deleted already is refused with 404 notFound."""
    folder = drive.new_folder()
    drive.delete(folder).prepared()
    drive.delete(folder).expect(404, "notFound")


@claim("What is said when Drive is full.")
def storage_figures(drive: Drive) -> str:
    """about.get tells usage and usageInDriveTrash under drive.file, as numbers in strings."""
    address = "https://www.googleapis.com/drive/v3/about"
    answer = drive.call("GET", address, {"fields": "storageQuota"}).expect(200)
    quota = answer.json.get("storageQuota", {})
    for key in ("usage", "usageInDriveTrash"):
        assume(str(quota.get(key, "")).isdecimal(), f"{key} is missing.")
    return f"limit is {'there' if 'limit' in quota else 'missing'}"


# ---- Uploads -------------------------------------------------------------------------------------
SESSIONS = "After a chunk that failed, the script asks what has arrived, and sends the rest."


@claim("MULTIPART_LIMIT is a choice, not Drive's limit.")
def multipart_over_5_mb(drive: Drive) -> None:
    """An upload in one request may have more than 5 MB."""
    drive.upload(some_bytes(5 * 1024 * 1024 + 1)).expect(200)


@claim("CHUNK_SIZE is a multiple of 256 KiB.")
def odd_chunk(drive: Drive) -> None:
    """A chunk that is no multiple of 256 KiB is refused with 400, unless it is the last."""
    drive.new_session(2 * GRAIN).send(0, GRAIN - 1).expect(400)


def holds(drive: Drive, answer: Answer, content: bytes) -> None:
    """See that the file which an upload ended in has that content."""
    found = drive.get(answer.expect(200).json["id"]).prepared()
    same = found.get("md5Checksum") == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assume(same, "The file does not hold what was sent.")


@claim(SESSIONS)
def bytes_sent_twice(drive: Drive) -> None:
    """A chunk may begin before what has arrived: the bytes that Drive has are passed over."""
    session = drive.new_session(3 * GRAIN)
    session.send(0, 2 * GRAIN).prepared()
    holds(drive, session.send(GRAIN), session.content)


class BrokenOff(Exception):
    """Ends a body before its end."""


@claim(SESSIONS)
def chunk_that_breaks_off(drive: Drive) -> str:
    """Of a chunk that breaks off, Drive keeps nothing or whole multiples of 256 KiB."""
    session = drive.new_session(4 * GRAIN)

    def half_a_body() -> Iterator[bytes]:
        yield session.content[: 2 * GRAIN + 1000]
        raise BrokenOff

    with suppress(BrokenOff):
        session.send(body=half_a_body())
    kept = session.status().expect(308).kept
    assume(kept % GRAIN == 0 and kept < 3 * GRAIN, f"It has kept {kept} bytes.")
    holds(drive, session.send(kept), session.content)
    return f"{kept // 1024} KiB of {2 * GRAIN // 1024} were kept"


@claim(SESSIONS)
def status_after_the_end(drive: Drive) -> None:
    """A status query after the last chunk is answered with the file, as the last chunk was."""
    session = drive.new_session(1000)
    session.send().prepared()
    holds(drive, session.status(), session.content)


@claim("The address of a session is a secret: no message shows it.")
def session_without_token(drive: Drive) -> None:
    """The address of a session is enough to upload: no token is needed."""
    session = drive.new_session(1000)
    holds(drive, session.send(token=None), session.content)


@claim("A sign-in that ends during an upload is told as such.")
def session_with_bad_token(drive: Drive) -> None:
    """A bad token is refused with 401 even where the address of a session would be enough."""
    drive.new_session(1000).send(token="ya29.none").expect(401)


# ---- The sign-in ---------------------------------------------------------------------------------
@claim("A token.json for other SCOPES is not used.")
def refresh_for_more(drive: Drive) -> None:
    """A refresh that asks for more scopes than were granted is refused with 400 invalid_scope."""
    need_drive_file(drive)
    refresh_token = getattr(drive.credentials, "refresh_token", None)
    if not refresh_token:
        raise NotTried("a service account has no refresh token")
    if not drive.any_scope:
        raise NotTried("no --any-scope was given, and this asks for more than drive.file")
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": drive.credentials.client_id,
        "client_secret": drive.credentials.client_secret,
        "scope": "https://www.googleapis.com/auth/drive",
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    address = "https://oauth2.googleapis.com/token"
    answer = drive.call("POST", address, {}, urlencode(fields), headers, None)
    refused = answer.json.get("error", "none")
    shown = f"The status is {answer.status}, the error {refused}."  # what else it has is secret
    assume(answer.status == 400 and refused == "invalid_scope", shown)


# ---- The protocol --------------------------------------------------------------------------------
@claim("A misspelled field in the script can't stay unnoticed.")
def misspelled_fields(drive: Drive) -> None:
    """A field that does not exist is refused with 400."""
    drive.search("trashed = false", fields="files(id,md5Chekcsum)", pageSize="1").expect(400)


@claim("Retry-After may be a date, which is compared with the time here.", AFTERWARDS)
def date_header(drive: Drive) -> str:
    """Every answer has a Date header."""
    without = [answer.status for answer in drive.answers if "date" not in answer.headers]
    assume(not without, f"{len(without)} of {len(drive.answers)} have none.")
    return f"{len(drive.answers)} answers"


@claim("The script waits as long as Retry-After says.", AFTERWARDS)
def retry_after(drive: Drive) -> str:
    """Retry-After, where Drive sends it, is a number of seconds or a date."""
    found = [answer for answer in drive.answers if "retry-after" in answer.headers]
    if not found:
        busy = sum(answer.is_transient for answer in drive.answers)
        raise NotTried(f"no answer had it; {busy} told to try again")
    for answer in found:
        text = answer.headers["retry-after"]
        try:
            assume(text.isdecimal() or bool(parsedate_to_datetime(text)), text)
        except ValueError:
            raise Contradicted(f"{answer.status} with {text!r}") from None
    return f"{len(found)} times, such as {found[0].headers['retry-after']!r} with {found[0].status}"


# ---- Sharing -------------------------------------------------------------------------------------
SHARING = "The new folder gets the old one's sharing, and nobody gets mail about it."


@claim(SHARING)
def sharing_without_mail(drive: Drive) -> str:
    """A folder can be shared with a person under drive.file, without mail."""
    folder = drive.new_folder()
    shared = drive.share(folder, "reader").expect(200).json
    answer = drive.permissions(folder).expect(200)
    found = [one for one in answer.json.get("permissions", []) if one["id"] == shared["id"]]
    assume(len(found) == 1 and "emailAddress" in found[0], "permissions.list does not name them.")
    return "please see that no mail about it has come"


@claim(SHARING)
def shared_twice(drive: Drive) -> None:
    """Whoever gets a second, lower role keeps the first, under the same permission ID."""
    folder = drive.new_folder()
    first = drive.share(folder, "writer").prepared()
    second = drive.share(folder, "reader").expect(200).json
    assume(first == second, f"The role was {first['role']}, now it is {second.get('role')}.")
