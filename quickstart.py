#!/usr/bin/env python3
"""Upload FILES to a new folder in Google Drive, which replaces the folder of that name there.

Edit the settings in this file, then run "python quickstart.py"; the first run opens a browser to
sign you in. The new folder is filled under a working name and renamed once it is complete: until
then the old one stays as it is. If a run breaks off, run again: what has reached Drive as a whole
file is not sent again. credentials.json comes from Google's console; token.json keeps your sign-in.
Exit status: 0 done, 1 the run failed, 2 something to put right on this machine first, 130 Ctrl-C.
README.md has the rest.
"""

from __future__ import annotations

# ---- Settings: edit from here ... ----------------------------------------------------------------
# The folder in Drive that each run replaces, with all that anybody has put into it. A new name
# makes a new folder, and the old one stays.
# The scope drive.file does not see one that you made by hand: a second one appears beside it.
FOLDER_NAME = "Quickstart uploads"
# The files to upload: absolute paths, or paths from the folder of this script. Two entries, the
# second one on Windows: ["notes/todo.txt", r"C:\Users\me\photo.jpg"]
FILES = ["README.md", "requirements.txt"]
# "root" puts the folder into My Drive. Or give the ID, or the address from the browser, of a folder
# or shared drive. If you made it by hand, SCOPES must be wider.
PARENT_FOLDER_ID = "root"
# False: the old folder goes to the trash, which keeps it for 30 days and counts it as storage.
# True: it is deleted for good, with all that others put into it, seen by this script or not.
DELETE_PERMANENTLY = False
# How many files are uploaded at the same time, 1 or more. More helps if the files are small.
PARALLEL_UPLOADS = 4
# What the script may do: drive.file reaches only what it made itself, drive in its place reaches
# everything in Drive. After a change, the next run asks you to sign in again.
SCOPES = ["https://www.googleapis.com/auth/drive.file"]
# With a service account: the Workspace user for whom it acts, such as "me@example.com".
DELEGATED_USER = None
# The port on this machine to which Google's page returns, up to 65535. 0 takes any free port.
SIGN_IN_PORT = 0
# ---- ... to here. That is all to edit. -----------------------------------------------------------

import os
import signal

signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # no traceback while the imports last

import argparse
import http.client
import io
import json
import logging
import mimetypes
import random
import re
import socket
import ssl
import sys
import threading
import time
import traceback
import warnings
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore", FutureWarning)  # Google's packages remark on Python's age
try:
    from datetime import UTC, datetime  # UTC needs Python 3.11
    from hashlib import file_digest  # and so does this

    import httplib2
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.oauth2.credentials import Credentials
    from google.oauth2.service_account import Credentials as ServiceAccount
    from google_auth_httplib2 import AuthorizedHttp, Request
    from googleapiclient.discovery import build
    from googleapiclient.errors import HttpError
    from googleapiclient.http import MediaIoBaseUpload, build_http
except ImportError as error:
    print(f"Run quickstart.py with the Python in .venv, 3.11 or newer. ({error})", file=sys.stderr)
    raise SystemExit(2) from None

SETTINGS = {
    "FOLDER_NAME": "a name in quotes, not blank, and not one that ends in (uploading)",
    "FILES": "a list of one or more paths in quotes",
    "PARENT_FOLDER_ID": '"root", or an ID or address in quotes',
    "DELETE_PERMANENTLY": "True or False",
    "PARALLEL_UPLOADS": "a whole number, 1 or more",
    "SCOPES": "a list of addresses in quotes, with drive.file or drive",
    "DELEGATED_USER": "None or an address in quotes",
    "SIGN_IN_PORT": "a whole number from 0 to 65535",
}
for name in SETTINGS:
    globals().setdefault(name, ...)  # a setting that was deleted or misspelled, until check()

HERE = Path(__file__).resolve().parent
WORKING_NAME = f"{FOLDER_NAME} (uploading)"  # of the new folder until it is complete
# An address that PARENT_FOLDER_ID may be contains the ID.
PARENT_ID = re.sub(r".*(/folders/|[?&]id=)([\w-]+).*", r"\2", str(PARENT_FOLDER_ID))
FATE = "deleted for good" if DELETE_PERMANENTLY else "moved to the trash (for 30 days)"
LEFT_ALONE = "left alone (not made by this script)"
NOT_REPLACED = f'"{FOLDER_NAME}" was not replaced by this run.'
RESUMABLE = f"{NOT_REPLACED} The next run copies what has reached Drive."
Json = dict[str, Any]  # a JSON object

# How retry() waits out what may pass.
FIRST_WAIT = 1.0  # seconds before the second try; each further wait is twice as long,
LONGEST_WAIT = 64.0  # up to this
PATIENCE = 900.0  # seconds of faults: Google may need them to make a very large file
COPY_PATIENCE = 30.0  # likewise, for a copy: what is not copied is uploaded
NETWORK_TIMEOUT = 60.0  # seconds without a byte from or to Google


# ---- The run -------------------------------------------------------------------------------------
def run(dry_run: bool) -> None:
    """Do the whole job. Nothing happens to the old folder before the new one has its name."""
    files = [LocalFile(HERE / entry) for entry in FILES]
    report.begin("Signing in")
    drive = Drive(sign_in())
    report.begin("Comparing with Drive")
    drive.check_parent()
    plan = make_plan(drive, files)
    if dry_run:
        return preview(plan)
    report.begin("Creating the folder", NOT_REPLACED)
    create_folder(drive, plan)
    report.begin("Uploading", RESUMABLE)
    report.files = files
    pool = ThreadPoolExecutor(PARALLEL_UPLOADS)
    for job in as_completed([pool.submit(deliver, drive, plan, file) for file in files]):
        file = job.result()  # raises what the job has raised
        report.say(f"{file.way}  {file}", "stdout")
    report.files = []
    report.begin("Looking for other runs")
    folders = drive.list_folders()
    if (newest := newest_complete(folders)) and newest.order > plan.new.order:
        raise Problem("A run that began later has replaced the folder.")
    report.begin("Sharing")
    going, staying = sort_out(folders, plan.known, plan.new)
    lost = share_alike(drive, newest_complete(going), plan.new)
    which = f'"{FOLDER_NAME}" is still the old folder, or the complete new one: {plan.new.link}'
    report.begin("Renaming", which)
    rename(drive, plan)
    report.begin("Removing the old folder", f"The new folder is in place: {plan.new.link}")
    for what in lost:
        report.say(f"not carried over from the old folder  {what}")
    for folder in going:
        remove(drive, folder, plan.parents)
    say_end(plan, staying)


@dataclass
class Plan:
    """What Drive held as the run began, and what the run makes."""

    files: list[LocalFile]
    new: Folder
    known: set[str]  # IDs of the folders that had the final name
    going: list[Folder]  # those that the new folder would supersede by now
    staying: list[Folder]
    held: dict[str, dict[str, Json]]  # the files in those that go, by size and SHA-256
    unlisted: list[str]  # names of the files in the old folder that FILES lacks
    parents: list[str] | None = None  # of the new folder, once it is there
    copies_work: bool = True


def make_plan(drive: Drive, files: list[LocalFile]) -> Plan:
    folders = drive.list_folders()
    highest = max((folder.generation for folder in folders), default=0)
    folder_id, *ids = drive.generate_ids(1 + len(files))
    for file, file_id in zip(files, ids, strict=True):
        file.id = file_id
    # The time puts runs in order that don't see each other's folders, because a list is late.
    mark = {MARK: str(max(highest + 1, int(time.time())))}
    new = Folder({"id": folder_id, "name": FOLDER_NAME, "appProperties": mark})
    known = {folder.id for folder in folders if folder.name == FOLDER_NAME}
    going, staying = sort_out(folders, known, new)
    old, names, unlisted = newest_complete(going), {file.name for file in files}, []
    held: dict[str, dict[str, Json]] = {}
    for folder in going:
        for item in drive.find(f"'{folder.id}' in parents"):
            held.setdefault(item.get("size", ""), {})[item.get("sha256Checksum", "")] = item
            if folder == old and item["name"] not in names:
                unlisted.append(item["name"])
    return Plan(files, new, known, going, staying, held, unlisted)


def preview(plan: Plan) -> None:
    for file in plan.files:
        report.say(f"to be {COPIED if find_same(plan, file) else UPLOADED}  {file}", "stdout")
    for name in plan.unlisted:
        report.say(f"to be left out (not in FILES)  {name}", "stdout")
    for folder in plan.going:
        report.say(f"to be {FATE}  {folder}", "stdout")
    for folder in plan.staying:
        report.say(f"to be {LEFT_ALONE}  {folder}", "stdout")


def create_folder(drive: Drive, plan: Plan) -> None:
    """Create the new folder. Nobody may see into it who could not see into the old one."""
    body = plan.new.item | {"name": WORKING_NAME, "mimeType": FOLDER_TYPE, "parents": [PARENT_ID]}
    request = drive.files.create(body=body, **OPTIONS)
    item = drive.create_once(plan.new.id, lambda: drive.call(request))
    plan.parents = item.get("parents")
    old = newest_complete(plan.going)
    if old and old.item.get(LIMITED) and PARENT_ID != "root":  # its owner alone sees into that
        cure = "Rename the old folder, or end its limited access."
        try:
            drive.update(plan.new.id, {LIMITED: True})
        except HttpError as error:
            raise Problem(f"Drive can't limit access to the new folder. {cure} ({quote(error)})")


def share_alike(drive: Drive, old: Folder | None, new: Folder) -> list[str]:
    """Give the new folder the sharing of the old one, without emails. Return what is lost of it."""
    if old and drive.shared_drive:  # In a shared drive, its members have access anyway.
        return ["whom it was shared with (in a shared drive)"] if old.item.get(LIMITED) else []
    if not old or not old.item.get("shared"):
        return []
    try:
        grants = list(drive.list_all(drive.permissions.list, "permissions", GRANT, fileId=old.id))
    except HttpError as error:
        return [f"its sharing ({quote(error)})"]
    lost = []
    for body in grants:
        # What the folder has from its parent is not its own, and a view gives no access.
        details = body.pop("permissionDetails", [])
        own = [detail["role"] for detail in details if not detail.get("inherited")]
        if (details and not own) or "view" in body or body["role"] == "owner":
            continue
        body["role"] = own[0] if own else body["role"]
        # The others get no email, and Drive refuses the option.
        mail = {"sendNotificationEmail": False} if body["type"] in ("user", "group") else {}
        options = {"fileId": new.id, "body": body, "fields": "id", "supportsAllDrives": True}
        try:
            drive.call(drive.permissions.create(**options | mail))
        except HttpError as error:
            who = body.get("emailAddress") or body.get("domain") or body["type"]
            lost.append(f"{who} as {body['role']} ({quote(error)})")
    return lost


def rename(drive: Drive, plan: Plan) -> None:
    """Give the new folder its final name: the one moment at which it replaces the old one."""
    fault: Exception = Problem("The new folder was moved or removed. Run again.")
    try:
        item = drive.update(plan.new.id, {"name": FOLDER_NAME})
    except HttpError as error:  # Even so, an earlier try may have renamed it.
        item, fault = drive.get(plan.new.id) or {}, error
    # Drive renames a folder in the trash, too, and one that somebody has moved.
    where = item.get("name"), item.get("trashed"), item.get("parents")
    if where != (FOLDER_NAME, False, plan.parents):
        report.begin("Renaming", RESUMABLE)
        raise fault


# Which folders go: those in PARENT_FOLDER_ID that this script has marked, of either name, and those
# that had the final name as the run began; of them, what is lower than the run's own folder. As a
# run removes nothing but what is lower than its own complete folder, the highest complete one never
# goes, whatever other runs do meanwhile. Lists may be late: remove() looks at each folder again,
# and what somebody has renamed, moved or put into the trash stays as they left it.
def sort_out(folders: list[Folder], known: set[str], new: Folder) -> tuple[list[Folder], ...]:
    """Return the folders that the new one supersedes, and those of somebody else, which stay."""
    lower = [folder for folder in folders if folder.order < new.order]
    going = [folder for folder in lower if folder.generation or folder.id in known]
    return going, [folder for folder in lower if folder not in going]


def remove(drive: Drive, folder: Folder, parents: list[str] | None) -> None:
    names = (FOLDER_NAME, WORKING_NAME) if folder.generation else (FOLDER_NAME,)
    try:
        item = drive.get(folder.id) or {"trashed": True}
        is_in_place = parents and item.get("parents") == parents and item["name"] in names
        if item["trashed"] or not is_in_place:
            report.say(f"left alone (renamed, moved or removed by somebody)  {folder}", "stdout")
            return
        if DELETE_PERMANENTLY:
            drive.call(drive.files.delete(fileId=folder.id, supportsAllDrives=True))
        else:
            drive.update(folder.id, {"trashed": True})
        report.say(f"{FATE}  {folder}", "stdout")
    except HttpError as error:
        if "notFound" not in reasons(error):  # else, another run has just removed it
            report.say(f"not removable, so it stays  {folder}  ({quote(error)})")


def newest_complete(folders: list[Folder]) -> Folder | None:
    complete = [folder for folder in folders if folder.name == FOLDER_NAME]
    return max(complete, key=lambda folder: folder.order, default=None)


def say_end(plan: Plan, staying: list[Folder]) -> None:
    for folder in staying:
        cure = ": rename it, or the next run replaces it" if folder.name == FOLDER_NAME else ""
        report.say(f"{LEFT_ALONE}{cure}  {folder}", "stdout")
    ways = Counter(file.way for file in plan.files).items()
    counts = ", ".join(f"{count} {way}" for way, count in ways)
    sent = amount(sum(file.sent for file in plan.files))
    seconds = time.monotonic() - report.began
    report.say(f'"{FOLDER_NAME}" is complete: {counts}; {sent} sent in {seconds:.1f} s.', "stdout")
    report.say(f"It has a new link:\n{plan.new.link}", "stdout")


# ---- Checking the settings and the files ---------------------------------------------------------
CLIENT_FILE = HERE / "credentials.json"
DRIVE_SCOPES = {f"https://www.googleapis.com/auth/{name}" for name in ("drive.file", "drive")}
GET_CLIENT = """Make an OAuth client of type "Desktop app" at
https://console.cloud.google.com/auth/clients, download its JSON, and save it beside the script as
credentials.json. README.md shows each step."""
CONTROL = r"[\x00-\x1f\x7f-\x9f]"  # characters that a terminal would obey
PATH_ADVICE = r"""Write r"C:\new\a.jpg" or "C:/new/a.jpg": else, Python changes \n and \t."""
CHANGED = "changed during the run. Run again when it is complete."


def check() -> list[str]:
    """Return a sentence for each thing to put right on this machine first."""
    rules = {
        "FOLDER_NAME": are_texts([FOLDER_NAME]) and not FOLDER_NAME.endswith("(uploading)"),
        "FILES": are_texts(FILES),
        "PARENT_FOLDER_ID": are_texts([PARENT_FOLDER_ID]) and re.fullmatch(r"[\w-]+", PARENT_ID),
        "DELETE_PERMANENTLY": type(DELETE_PERMANENTLY) is bool,
        "PARALLEL_UPLOADS": type(PARALLEL_UPLOADS) is int and PARALLEL_UPLOADS > 0,
        "SCOPES": are_texts(SCOPES) and set(SCOPES) <= DRIVE_SCOPES,
        "DELEGATED_USER": DELEGATED_USER is None or are_texts([DELEGATED_USER]),
        "SIGN_IN_PORT": type(SIGN_IN_PORT) is int and SIGN_IN_PORT in range(65536),
    }
    wrong = [name for name, holds in rules.items() if not holds]
    problems = [f"{name} must be there, and be {SETTINGS[name]}." for name in wrong]
    files = [] if "FILES" in wrong else check_files()
    return [*problems, *files, *check_client()]


def are_texts(values: Any) -> bool:
    is_list = isinstance(values, list | tuple) and len(values) > 0
    return is_list and all(isinstance(value, str) and value.strip() for value in values)


def check_files() -> Iterator[str]:
    names = Counter(Path(entry).name for entry in FILES)
    for entry in FILES:
        path = HERE / entry
        shown = re.sub(CONTROL, "?", str(path))
        try:
            if os.path.isdir(path):
                yield f"FILES: {shown} is a folder. List its files."
            elif not os.path.isfile(path):
                yield f"FILES: There is no file at {shown}."
                if re.search(rf"{CONTROL}|\\", entry):
                    yield PATH_ADVICE
            elif names[path.name] > 1:
                yield f"FILES: {shown} has the same name as another of the files. Keep one."
            else:
                LocalFile(path)
        except Problem as problem:
            yield f"FILES: {problem}"


def check_client() -> Iterator[str]:
    try:
        client = json.loads(CLIENT_FILE.read_bytes())
        if "installed" not in client:
            service_account(client).signer.sign(b"")  # to see that the key is of the right kind
            return
        keys = "client_id", "client_secret", "auth_uri", "token_uri"
        if "YOUR_" in "".join(client["installed"][key] for key in keys):
            yield f"credentials.json is still the example. {GET_CLIENT}"
        if isinstance(DELEGATED_USER, str):
            yield "DELEGATED_USER works only with a service account. Set it to None."
    except FileNotFoundError:
        downloads = [*HERE.glob("client_secret*.json"), *HERE.glob("credentials.json.[jt]*")]
        latest = max(downloads, key=os.path.getmtime, default=None)
        cure = f"Rename {latest.name} to credentials.json." if latest else GET_CLIENT
        yield f"credentials.json is missing. {cure}"
    except OSError as error:
        yield f"credentials.json can't be read. ({error.strerror})"
    except (ValueError, LookupError, TypeError, AttributeError):
        yield f"credentials.json is no desktop client and no service account's key. {GET_CLIENT}"


class LocalFile:
    """One of FILES, as it was when the run began, and how far it has come."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.id = self.way = ""  # in Drive, and how it gets there
        self.confirmed = 0  # bytes that Google has got, as it says
        self.position = 0  # likewise, with what is on its way
        self.sent = 0  # bytes that went out, with those that were sent again
        with opened(path) as content:
            stat = os.stat(content.fileno())
            self.size, self.modified = stat.st_size, stat.st_mtime_ns
            content.seek(max(self.size - 1, 0))
            self.last_byte = content.read(1)

    def __str__(self) -> str:
        return f"{re.sub(CONTROL, '?', self.name)}  {amount(self.size)}"

    def metadata(self) -> Json:
        # Windows' fromtimestamp() takes no date before 1970.
        modified = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.modified // 1000)
        body = {"name": self.name, "modifiedTime": modified.isoformat(timespec="milliseconds")}
        kind, compression = TYPES.guess_type(f"file{self.path.suffix}")
        # Without a type, Drive looks at the content.
        return body | ({"mimeType": kind} if kind and not compression else {})

    def digest(self, algorithm: str) -> str:
        with opened(self.path) as content:
            return file_digest(content, algorithm).hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file. Name it in its errors, which would otherwise be taken for the network's."""
    try:
        with path.open("rb") as content:
            yield content
    except OSError as error:
        raise Problem(f"{path} can't be read. ({error.strerror})") from error


# ---- Signing in ----------------------------------------------------------------------------------
TOKEN_FILE = HERE / "token.json"
SIGN_IN_TIMEOUT = 300.0  # seconds that the sign-in waits for its user
TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}  # they would take the terminal


def sign_in() -> Any:
    """Return Google credentials: a service account's, those in token.json, or new ones."""
    client = json.loads(CLIENT_FILE.read_bytes())
    is_user = "installed" in client
    credentials = read_token(client["installed"]) if is_user else service_account(client)
    try:
        if credentials and not credentials.valid:
            retry(lambda: credentials.refresh(Request(Connection())))
            if is_user:
                save_token(credentials)
    except HttpError as error:
        if not is_user or not SIGN_IN_OVER & reasons(error):
            raise
        report.say(explain(error))
        credentials = None
    return credentials or ask_consent(client)


def service_account(key: Json) -> Any:
    return ServiceAccount.from_service_account_info(key, scopes=SCOPES, subject=DELEGATED_USER)


def read_token(installed: Json) -> Any:
    """Return the sign-in that token.json keeps. If it can't be used, say so, and return None."""
    if not TOKEN_FILE.exists():
        return None
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        token = json.loads(TOKEN_FILE.read_bytes())
        is_mine = token["client_id"] == installed["client_id"] and token["refresh_token"]
        if is_mine and token["scopes"] == list(SCOPES):
            return Credentials.from_authorized_user_info(token | installed, SCOPES)
    report.say("token.json is damaged, or for other SCOPES or another credentials.json.")
    return None


def save_token(credentials: Any) -> None:
    """Replace token.json, whole or not at all, for this user's eyes only."""
    new = TOKEN_FILE.with_name(f"token.json.{os.getpid()}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(credentials.to_json())
        os.replace(new, TOKEN_FILE)
    except OSError as error:
        report.say(f"token.json can't be written: a later run may ask again. ({error.strerror})")
        new.unlink(missing_ok=True)


def ask_consent(client: Json) -> Any:
    """Return a new sign-in, to which the user consents in a browser, and save it."""
    # Imported here, since they take a while and few runs need them.
    from google_auth_oauthlib.flow import InstalledAppFlow, WSGITimeoutError
    from oauthlib.oauth2 import OAuth2Error

    flow = InstalledAppFlow.from_client_config(client, SCOPES)
    try:  # The port is chosen here, since it is part of the words.
        with socket.create_server(("127.0.0.1", SIGN_IN_PORT)) as server:
            port = server.getsockname()[1]
    except OSError as error:
        cure = "Choose another, or run again in a minute."
        raise Problem(f"SIGN_IN_PORT can't be used now. {cure} ({error.strerror})")
    words = (
        "To sign in to Google, open this link, unless a browser opens by itself:\n{url}\n"
        "No browser here? On a machine with one, run this line and open the link there:\n"
        f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE\n"
        f"Waiting up to {SIGN_IN_TIMEOUT / 60:g} minutes for you to sign in."
    )
    has_browser = False
    with suppress(webbrowser.Error, ValueError):  # The latter is for a BROWSER of odd quotes.
        has_browser = Path(webbrowser.get().name).name not in TEXT_BROWSERS
    options: Json = {"open_browser": has_browser, "timeout_seconds": SIGN_IN_TIMEOUT}
    options |= {"success_message": "Google's answer has arrived. Go back to the terminal."}
    try:
        with redirect_stdout(sys.stderr):  # where the library prints the words
            # Without prompt=consent, Google gives no refresh token the second time.
            flow.run_local_server("127.0.0.1", None, port, words, prompt="consent", **options)
    except WSGITimeoutError:
        raise Problem("Nobody signed in. Run again, and sign in on Google's page.")
    except Warning:  # which oauthlib raises if Google grants other scopes
        raise Problem("You did not allow all SCOPES. Run again, and select every checkbox.")
    except OAuth2Error as error:
        text = EXPLANATIONS.get(error.error, "Google did not sign you in. Run again.")
        raise Problem(f"{text} ({f'{error.error} {error.description}'.strip()})")
    save_token(flow.credentials)
    report.say("Signed in. After 6 months without a run, Google asks again.")
    return flow.credentials


# ---- Drive: https://developers.google.com/workspace/drive/api/reference/rest/v3 ------------------
FOLDER_TYPE = "application/vnd.google-apps.folder"
LIMITED = "inheritedPermissionsDisabled"  # kept from people who can see the folder around it
FIELDS = "id,name,mimeType,parents,driveId,trashed,size,md5Checksum,sha256Checksum,shared,"
FIELDS += f"{LIMITED},appProperties"
OPTIONS: Json = {"fields": FIELDS, "supportsAllDrives": True}  # of all that answers with a file
GRANT = "type,role,emailAddress,domain,allowFileDiscovery,expirationTime,view,permissionDetails"
MARK = "quickstart.py"  # the property of the script's own folders; its value is their generation
TYPES = mimetypes.MimeTypes()  # Python's own, the same on every machine


class Folder:
    """A folder in Drive, as a list showed it."""

    def __init__(self, item: Json) -> None:
        self.id, self.name, self.item = item["id"], item["name"], item
        # The time of its run, or more; 0 if this script did not make it.
        self.generation = int(item.get("appProperties", {}).get(MARK, 0))
        # Higher for a later run. The ID decides between two that began at once.
        self.order = self.generation, self.id
        self.link = f"https://drive.google.com/drive/folders/{self.id}"

    def __str__(self) -> str:
        return f'"{self.name}" {self.link}'


class Drive:
    """Calls Drive. A file has its ID before it is created, so that no try creates it twice."""

    def __init__(self, credentials: Any) -> None:
        self.credentials, self.threads = credentials, threading.local()
        service: Any = build("drive", "v3", http=build_http(), static_discovery=True)
        self.files, self.permissions = service.files(), service.permissions()
        self.shared_drive: Json = {}  # what lists need to know, if the parent is in one

    def send(self, method: str, address: str, headers: Json, body: Any) -> tuple[Any, Json]:
        """Make one request, without retry(). Return the head of the answer, and its JSON object."""
        if not hasattr(self.threads, "http"):  # No two threads can use one connection.
            self.threads.http = AuthorizedHttp(self.credentials, Connection())
        response, content = self.threads.http.request(address, method, body, headers)
        return response, read_answer(response, content)

    def call(self, request: Any, patience: float = PATIENCE) -> Json:
        """Make a request of googleapiclient, with retry(), and return the answer."""
        parts = request.method, request.uri, request.headers, request.body
        return retry(lambda: self.send(*parts), patience)[1]

    def get(self, file_id: str) -> Json | None:
        """Return what Drive knows of a file, or None if it is not there or out of reach."""
        try:
            return self.call(self.files.get(fileId=file_id, **OPTIONS))
        except HttpError as error:
            if "notFound" not in reasons(error):
                raise
        return None

    def create_once(self, file_id: str, attempt: Callable[[], Json]) -> Json:
        """Return what attempt() creates. 409 says that an earlier try has created it."""
        try:
            return attempt()
        except HttpError as error:
            if error.status_code != 409:
                raise
        return self.get(file_id) or {}

    def update(self, folder_id: str, body: Json) -> Json:
        return self.call(self.files.update(fileId=folder_id, body=body, **OPTIONS))

    def check_parent(self) -> None:
        """Look whether PARENT_FOLDER_ID is a folder, and whether it is in a shared drive."""
        if PARENT_ID == "root":  # which the scope drive.file can't ask for
            return
        parent = self.get(PARENT_ID) or {"trashed": True}
        if parent["trashed"] or parent["mimeType"] != FOLDER_TYPE:
            raise Problem(
                "PARENT_FOLDER_ID is no folder, in the trash, or out of reach: see SCOPES in "
                "README.md. It must be the ID or the address of a folder, not its name."
            )
        if drive_id := parent.get("driveId"):
            self.shared_drive = {"corpora": "drive", "driveId": drive_id}
            self.shared_drive["includeItemsFromAllDrives"] = True

    def list_all(self, method: Any, key: str, fields: str, **parameters: Any) -> Iterator[Json]:
        """Yield the items of all pages of a list."""
        parameters |= {"fields": f"nextPageToken,{key}({fields})", "supportsAllDrives": True}
        while True:
            page = self.call(method(**parameters))
            yield from page[key]
            if "nextPageToken" not in page:
                return
            parameters["pageToken"] = page["nextPageToken"]

    def find(self, query: str) -> list[Json]:
        """Return all that a query finds outside the trash: nothing, in a folder that is gone."""
        options = {"q": f"{query} and trashed = false", "pageSize": 1000} | self.shared_drive
        try:
            return list(self.list_all(self.files.list, "files", FIELDS, **options))
        except HttpError as error:
            if "notFound" not in reasons(error):
                raise
        return []

    def list_folders(self) -> list[Folder]:
        """Return the folders in the parent that have the final or the working name.

        The names are compared here: Drive's index of names takes upper and lower case for the same,
        and lags behind. https://github.com/kopia/kopia/issues/90
        """
        query = f"'{PARENT_ID}' in parents and mimeType = '{FOLDER_TYPE}'"
        folders = [Folder(item) for item in self.find(query)]
        return [folder for folder in folders if folder.name in (FOLDER_NAME, WORKING_NAME)]

    def generate_ids(self, count: int) -> list[str]:
        """Return unused IDs. Drive gives up to 1000 at a time."""
        request = self.files.generateIds(count=min(count, 1000), fields="ids")
        answers = [self.call(request) for _ in range(0, count, 1000)]
        return [new for answer in answers for new in answer["ids"]][:count]


class Connection:
    """What Drive and Google's token server answer on it is JSON, or raised as an error."""

    def __init__(self) -> None:
        self.http = build_http()  # which does not take the 308 of an upload session for a redirect
        self.http.timeout = NETWORK_TIMEOUT

    def request(self, *arguments: Any, **options: Any) -> tuple[Any, bytes]:
        try:
            response, content = self.http.request(*arguments, **options)
            # Upon a 401 of Drive's, google-auth gets a new token and makes the request again.
            if response.status != 401 or "authorization" not in options["headers"]:
                read_answer(response, content)
            return response, content
        except BaseException:
            self.http.close()  # or the next request would read what is left on it
            raise


def read_answer(response: Any, content: bytes) -> Json:
    """Return the JSON object of an answer, or {} where Google answers without one.

    Raise HttpError if Google refuses, Problem if something on the way to Google has answered.
    """
    if response.status >= 400:
        error = HttpError(response, content)
        if not content.lstrip().startswith(b"<") or TRANSIENT & reasons(error):
            raise error
    elif response.status in (204, 308) or (response.status == 200 and "location" in response):
        return {}
    with suppress(ValueError):
        if isinstance(answer := json.loads(content), dict):
            return answer
    raise Problem(NOT_GOOGLE)


# ---- Uploading: https://developers.google.com/workspace/drive/api/guides/manage-uploads ----------
SESSION_URL = "https://www.googleapis.com/upload/drive/v3/files?uploadType=resumable"
SESSION_URL += f"&supportsAllDrives=true&fields={FIELDS}"
# Bytes; a larger file goes up in a session. Over a slow line, more would outlast NETWORK_TIMEOUT.
MULTIPART_LIMIT = 1024 * 1024
PIECE_SIZE = 256 * 1024  # bytes handed to the network at once
SESSIONS_PER_FILE = 5  # sessions that Google may end before a file is given up
COPIED, UPLOADED = "copied within Drive (unchanged)", "uploaded"


# From here to the network, each knows one thing. deliver(): copied or uploaded, and verified.
# upload_large(): another session if Google ends one. send_rest(): what Google has got of a file,
# and to go on from there. retry(): what may pass. drive.send(): one request. Two libraries below
# would send a request again unasked: httplib2 if the connection closes without an answer, and
# google-auth after a 401. A Body does not let them; anything else may be done twice, as files have
# their IDs.
def deliver(drive: Drive, plan: Plan, file: LocalFile) -> LocalFile:
    """Have a file in the new folder: copied within Drive, or else uploaded, then verified."""
    body = file.metadata() | {"id": file.id, "parents": [plan.new.id]}
    source = find_same(plan, file) if plan.copies_work else None
    if source and (item := copy(drive, plan, source, body)):
        file.way, md5 = COPIED, source["md5Checksum"]
    else:
        is_small = file.size <= MULTIPART_LIMIT and file.last_byte != b"\r"
        upload = upload_small if is_small else upload_large
        # Of what is on disk, whatever was sent; computed beside the sending, it costs no time.
        digest = ThreadPoolExecutor(1).submit(file.digest, "md5")
        item = drive.create_once(file.id, lambda: upload(drive, file, body))
        file.way, md5 = UPLOADED, digest.result()
    now = LocalFile(file.path)
    if (now.size, now.modified) != (file.size, file.modified):
        raise Problem(f"{file.path} {CHANGED}")
    if item.get("parents") != [plan.new.id] or item.get("trashed"):
        raise Problem(f"{file.name} was moved or removed in Drive. Run again.")
    if item.get("size") != str(file.size) or item.get("md5Checksum") != md5:
        raise Problem(f"Drive did not confirm the content of {file.name}. Run again.")
    file.position = file.size
    return file


def find_same(plan: Plan, file: LocalFile) -> Json | None:
    """Return a file in Drive that has the content of this one, or None.

    Anybody can make two files of one MD5. Where Drive has no SHA-256, it gets the file once more.
    """
    candidates = plan.held.get(str(file.size))
    return candidates.get(file.digest("sha256")) if candidates else None


def copy(drive: Drive, plan: Plan, source: Json, body: Json) -> Json | None:
    """Have Drive copy a file. Return None if it has to be uploaded."""
    request = drive.files.copy(fileId=source["id"], body=body, **OPTIONS)
    try:
        return drive.create_once(body["id"], lambda: drive.call(request, COPY_PATIENCE))
    except (HttpError, Problem) as fault:  # such as 404, if the source is gone by now
        # Google limits the copies of a day, and does not tell the limit.
        plan.copies_work &= not RATE_LIMITS & reasons(fault.__cause__)
        return None


def upload_small(drive: Drive, file: LocalFile, body: Json) -> Json:
    """Send metadata and content in one request, which swallows a carriage return at the end."""
    with opened(file.path) as content:
        media = MediaIoBaseUpload(io.BytesIO(content.read()), "application/octet-stream")
    item = drive.call(drive.files.create(body=body, media_body=media, **OPTIONS))
    file.sent += file.size
    return item


def upload_large(drive: Drive, file: LocalFile, body: Json) -> Json:
    """Send a file in an upload session, or in another one if Google ends it."""
    # Told the size, a full Drive refuses before anything is sent.
    headers = {"Content-Type": "application/json", "X-Upload-Content-Length": str(file.size)}
    request, sessions = ("POST", SESSION_URL, headers, json.dumps(body)), 0
    while True:
        response, _ = retry(lambda: drive.send(*request))
        sessions += 1
        try:
            return send_rest(drive, file, response["location"])
        except HttpError as error:
            # These refuse the user or the file, not only the session.
            is_final = error.status_code in (401, 409) or "storageQuotaExceeded" in reasons(error)
            if is_final or sessions == SESSIONS_PER_FILE:
                raise


def send_rest(drive: Drive, file: LocalFile, address: str) -> Json:
    """Send what Google has not got yet in a session. Return the file that it makes of it."""
    file.confirmed, is_sure = 0, True

    def attempt() -> Json:
        nonlocal is_sure
        if not is_sure:
            question = {"Content-Range": f"bytes */{file.size}"}
            response, item = drive.send("PUT", address, question, b"")
            if response.status != 308:
                return item  # the upload is complete
            last = response.get("range", "bytes=0--1").removeprefix("bytes=0-")  # none: no byte
            file.confirmed = file.position = int(last) + 1
            if file.confirmed == file.size:
                raise ConnectionResetError("Google has got all, but has not made the file yet")
        is_sure = False
        headers = {"Content-Range": f"bytes {file.confirmed}-{file.size - 1}/{file.size}"}
        headers["Content-Length"] = str(file.size - file.confirmed)  # else, it goes in chunks
        response, item = drive.send("PUT", address, headers, Body(file))
        if response.status == 308:
            raise ConnectionResetError("Google has not kept all that was sent")
        return item

    return retry(attempt, file=file)


class Body:
    """What Google has not got of a file, on its way: little of it is in memory at a time.

    It can be gone through once: a request that is sent again unasked fails like a line that breaks.
    Each piece has NETWORK_TIMEOUT for itself, where Python's is for all that is sent at once.
    https://docs.python.org/3/library/socket.html#socket.socket.sendall
    """

    def __init__(self, file: LocalFile) -> None:
        self.file, self.is_used = file, False

    def __iter__(self) -> Iterator[bytes]:
        if self.is_used:
            raise ConnectionResetError("it broke off while sending")
        self.is_used, file = True, self.file
        file.position = file.confirmed
        with opened(file.path) as content:
            content.seek(file.confirmed)
            while file.position < file.size:
                piece = content.read(min(PIECE_SIZE, file.size - file.position))
                if not piece:
                    raise Problem(f"{file.path} {CHANGED}")
                yield piece
                file.position += len(piece)
                file.sent += len(piece)


# ---- Errors --------------------------------------------------------------------------------------
class Problem(Exception):
    """Ends the run. Its text is the whole message."""


# The network's. opened() has made a Problem of a file's OSError.
NETWORK_ERRORS = (OSError, http.client.HTTPException, httplib2.HttpLib2Error, TransportError)
FAULTS = (HttpError, GoogleAuthError, *NETWORK_ERRORS)
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google. Open any web page to see its page."
# Google's reasons: https://developers.google.com/workspace/drive/api/guides/handle-errors
RATE_LIMITS = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
# The same request may succeed a little later. The last two are words of our own.
TRANSIENT = RATE_LIMITS | {"network", "busy"}
SIGN_IN_OVER = {"invalid_grant", "invalid_scope", "authError"}
EXPLANATIONS = dict.fromkeys(
    RATE_LIMITS, "Google allows no more for now. If it lasts (750 GB a day): run again tomorrow."
) | {
    "accessNotConfigured": "The Google Drive API is not enabled in your project. Enable it at the "
    "address that follows, wait some minutes, and run again.",
    "authError": "Google does not accept the sign-in any more. Run again, and sign in.",
    "insufficientParentPermissions": "This sign-in may not write to PARENT_FOLDER_ID. See SCOPES.",
    "insufficientPermissions": "This sign-in does not cover SCOPES. Delete token.json; run again.",
    "notFound": "This is not in Drive, or out of reach. Run again, or see SCOPES in README.md.",
    "storageQuotaExceeded": "Google Drive is full: it has to hold the old folder and the new one. "
    f'Delete "{WORKING_NAME}", empty the trash, set DELETE_PERMANENTLY, or free storage. '
    "A service account has none: see README.md.",
    "access_denied": "You canceled: run again. Or publish the app, as README.md shows.",
    "admin_policy_enforced": "Your Workspace administrator does not allow this app. Ask them.",
    "deleted_client": "The OAuth client was deleted (after 6 months without use?). Make a new one.",
    "invalid_client": "Google does not know the OAuth client of credentials.json. Make a new one.",
    "invalid_grant": "Google does not accept the sign-in any more: sign in again. If this comes "
    "every 7 days, publish the app as README.md shows. Of a service account, the key, "
    "DELEGATED_USER or the clock is wrong.",
    "mismatching_state": "Something else than Google called the sign-in page. Run again.",
    "unauthorized_client": "The service account may not act for DELEGATED_USER. See README.md.",
    "CERTIFICATE_VERIFY_FAILED": "This may not be Google. See this error in README.md.",
    "network": "The connection to Google failed.",
    "busy": "Google can't answer at the moment.",
}


def reasons(error: BaseException | None) -> set[str]:
    """Return Google's reasons from the JSON of its answer, or what says as much without one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return {"CERTIFICATE_VERIFY_FAILED"}
    if isinstance(error, NETWORK_ERRORS):
        return {"network"}
    if not isinstance(error, HttpError):
        return set()
    status = error.status_code
    by_status = {401: "authError", 408: "busy", 429: "rateLimitExceeded"}
    found = {"busy" if status >= 500 else by_status.get(status, "")}
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        said = json.loads(error.content)["error"]
        if isinstance(said, str):  # The token server has no more than a word.
            return found - {"authError", ""} | {said}
        entries = said.get("errors", []) + said.get("details", [])
        found |= {entry.get("reason", "") for entry in entries}
    return found - {""}


def retry(
    attempt: Callable[[], Any], patience: float = PATIENCE, file: LocalFile | None = None
) -> Any:
    """Return what attempt() returns, making it again while its faults are transient.

    Raise a fault that is not, or Problem if the next attempt would begin more than patience seconds
    after the first fault, or the first one since Google has confirmed more of the file. The time in
    which the file was being sent does not count.
    """
    deadline, next_wait, best_progress = 0.0, FIRST_WAIT, -1
    while True:
        began, sent = time.monotonic(), file.sent if file else 0
        try:
            return attempt()
        except FAULTS as error:
            if not TRANSIENT & reasons(error):
                raise
            if (progress := file.confirmed if file else 0) > best_progress:
                best_progress, next_wait = progress, FIRST_WAIT
                deadline = time.monotonic() + patience
            elif file and file.sent > sent:
                deadline += time.monotonic() - began
            asked = error.resp.get("retry-after", "") if isinstance(error, HttpError) else ""
            least = int(asked) if re.fullmatch(r"\d{1,9}", asked) else 0
            seconds = max(random.uniform(next_wait / 2, next_wait), least)
            if time.monotonic() + seconds > deadline:
                when = f"Run again in {timedelta(seconds=round(seconds))} or later."
                raise Problem(f"{explain(error)} {when}") from error
            report.say(f"{report.step}: {explain(error)} Trying again in {seconds:.1f} s.")
        time.sleep(seconds)
        next_wait = min(2 * next_wait, LONGEST_WAIT)


def explain(error: Exception) -> str:
    """Say what happened and what to do, with the words of Google or Python at the end."""
    found = reasons(error)
    known = [text for reason, text in EXPLANATIONS.items() if reason in found]
    return f"{[*known, 'Google refused this.'][0]} ({quote(error)})"


def quote(error: Exception) -> str:
    """Return the words of Google or Python, on one line. An HttpError's own have the address."""
    text = str(getattr(error, "strerror", None) or error)
    if isinstance(error, HttpError):
        text = f"{error.status_code} {' '.join(sorted(reasons(error) - {'busy'}))} {error.reason}"
    return " ".join(text.split())[:400] or type(error).__name__


# ---- Output --------------------------------------------------------------------------------------
def amount(size: float) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,.0f} byte{'s' * (size != 1)}"


class Report:
    """What the user is told: results on stdout; the rest, with a progress line, on stderr."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.step = "Starting"  # what is being done
        self.standing = "Nothing in Drive was changed."  # how a run that ends now leaves Drive
        self.began = time.monotonic()
        self.files: list[LocalFile] = []  # those on their way
        self.sending_began = 0.0  # 0: nothing was sent yet

    def begin(self, step: str, standing: str = "") -> None:
        """Note which step begins, before it changes anything."""
        with self.lock:
            self.step, self.standing = step, standing or self.standing

    def say(self, text: str, stream: str = "stderr") -> None:
        """Print on sys.stderr or sys.stdout. Output that can't be written stops no run."""
        text = "\n".join(re.sub(CONTROL, "?", line) for line in text.split("\n"))
        with self.lock:
            self.show("")
            with suppress(OSError, ValueError):
                if file := getattr(sys, stream):  # none if it was closed, or with pythonw
                    print(text, file=file, flush=True)

    def show(self, line: str) -> None:
        """On a terminal, replace the progress line. (Windows' NUL is one, but has no size.)"""
        with suppress(OSError, ValueError, AttributeError):
            width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
            print(f"\r{line[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)

    def show_progress(self) -> None:
        with self.lock:
            sent = sum(file.sent for file in self.files)
            if sent:
                self.sending_began = self.sending_began or time.monotonic() - 0.1
                rate = sent / (time.monotonic() - self.sending_began)
                total = sum(file.size for file in self.files)
                arrived = sum(file.position for file in self.files)
                left = timedelta(seconds=round((total - arrived) / rate))
                figures = f"{100 * arrived // total}%  {amount(arrived)} of {amount(total)}"
                self.show(f"{figures}  {amount(rate)}/s  {left} left")


report = Report()


# ---- Start and end -------------------------------------------------------------------------------
def main() -> int:
    """Run, and turn whatever ends the run into a message and an exit status."""
    with suppress(AttributeError):  # with pythonw or IDLE
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    logging.disable()  # the libraries' own remarks
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    dry_run = "sign in and say what a run would do, but change nothing in Drive"
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    options, unknown = parser.parse_known_args()
    if unknown:
        parser.error(f"{unknown[0]!r} is not known. List files in FILES, in quickstart.py.")
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if problems := check():
            report.say("\n".join([*problems, "Nothing was sent."]))
            return 2
        # In a thread of its own, so that this one hears Ctrl-C, whatever hangs.
        task = ThreadPoolExecutor(1).submit(run, options.dry_run)
        while not task.done():
            wait([task], 0.1)
            report.show_progress()
        task.result()
        return 0
    except KeyboardInterrupt:
        return end(130, "Interrupted.")
    except Problem as problem:
        return end(1, str(problem))
    except FAULTS as error:
        with suppress(OSError, ValueError):
            if SIGN_IN_OVER & reasons(error) and b'"installed"' in CLIENT_FILE.read_bytes():
                TOKEN_FILE.unlink(missing_ok=True)  # so that the next run asks
        return end(1, explain(error))
    except Exception:
        traceback.print_exc()
        return end(1, "This is a mistake in quickstart.py. Please report the lines above.")


def end(status: int, text: str) -> int:
    """Say how the run ended and how it leaves Drive."""
    try:
        report.lock.acquire()  # for good: no step can begin any more, so the last line stays true
        report.say(f"{report.step}: {text}\n{report.standing}")
    finally:  # at a second Ctrl-C, too
        os._exit(status)


if __name__ == "__main__":
    os._exit(main())  # not waiting for threads that wait for the network
