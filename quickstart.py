"""Upload FILES to a new folder in Google Drive, which replaces the folder of that name there.

Edit the settings, then run `python quickstart.py`; the first run opens a browser to sign you in.
The new folder is filled under a working name and renamed once it is complete: until then the old
one stays as it is. credentials.json comes from Google's console; token.json keeps your sign-in.
Exit status: 0 done, 1 the run failed, 2 something to put right on this machine first, 130 Ctrl-C,
143 SIGTERM. README.md has the rest.
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
# True: it is deleted for good.
DELETE_PERMANENTLY = False
# How many files are uploaded at the same time, 1 or more. Each takes up to 16 MB of memory.
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

signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the imports last

import argparse
import http.client
import io
import json
import logging
import mimetypes
import queue
import random
import re
import socketserver
import ssl
import sys
import tempfile
import threading
import time
import traceback
import webbrowser
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

try:
    from hashlib import file_digest, md5  # file_digest needs Python 3.11

    import google_auth_httplib2
    import httplib2
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build
    from googleapiclient.errors import BatchError, HttpError
    from googleapiclient.http import MediaFileUpload, build_http
except ImportError as error:
    print("Run quickstart.py with the Python in .venv, 3.11 or newer, or", file=sys.stderr)
    print(f"run: {sys.executable} -m pip install -r requirements.txt ({error})", file=sys.stderr)
    raise SystemExit(2) from None
except RuntimeError as error:
    print(f"HTTPLIB2_CA_CERTS does not name a file. ({error})", file=sys.stderr)
    raise SystemExit(2) from None

HERE = Path(__file__).resolve().parent
WORKING_NAME = f"{FOLDER_NAME} (uploading)"  # until the folder is complete
LINK = "https://drive.google.com/drive/folders/"
Json = dict[str, Any]  # a JSON object

# How retry() waits out what may pass.
FIRST_WAIT = 1.0  # seconds before the second try; each further wait is twice as long,
LONGEST_WAIT = 64.0  # up to this
PATIENCE = 300.0  # seconds from the first fault until retry() gives up
COPY_PATIENCE = 30.0  # likewise, for copies: what is not copied is uploaded
NETWORK_TIMEOUT = 60.0  # seconds without a byte from or to Google


# ---- The run -------------------------------------------------------------------------------------
def run(client: Json, files: list[LocalFile], dry_run: bool) -> None:
    """Do the whole job. Nothing happens to the old folder before the new one has its name."""
    report.begin("Signing in")
    drive = Drive(sign_in(client))
    report.begin("Comparing the files with Drive")
    try:
        plan = Plan(drive, files)
    except HttpError as error:  # raised again, unless it says that the sign-in is over
        drive = Drive(sign_in_again(client, error))
        report.begin("Comparing the files with Drive")
        plan = Plan(drive, files)
    if dry_run:
        return preview(plan)
    kept = f'"{FOLDER_NAME}" was not replaced by this run.'
    unsure = "If the new folder was created, the next run uses it."
    report.begin("Creating the folder", f"{kept} {unsure}")
    drive.create_folder(plan)
    resumable = f'The next run continues with "{WORKING_NAME}", if that is still there.'
    report.begin("Copying", f"{kept} {resumable}")
    try:
        copied = copy_files(drive, plan)
        report.begin("Uploading")
        rest = [file for file in files if file not in copied]
        for file, _ in in_parallel("Uploading", partial(upload_file, drive, plan), rest):
            report.say(f"uploaded  {file.name}  {amount(file.size)}", sys.stdout)
        report.begin("Sharing")
        lost = [who for old in plan.replaced for who in drive.copy_permissions(old, plan.folder_id)]
        either = f'"{FOLDER_NAME}" is still the old folder, or the complete new one: {plan.link}'
        report.begin("Renaming", either)
        new = drive.rename(plan)
    except HttpError as error:
        if "storageQuotaExceeded" in error_reasons(error):
            # The unfinished folder would take the storage that the next run needs.
            with suppress(HttpError, Problem):
                drive.remove(plan.folder_id, permanently=True)
                more = f' Another "{WORKING_NAME}" is left: delete it.' if plan.unfinished else ""
                report.begin(report.step, f"{kept} The unfinished new folder was deleted.{more}")
        raise
    report.begin("Removing the old folder", f"The new folder is in place: {plan.link}")
    summarize(plan, copied, lost, drive.remove_older(plan, new, lost))


class Plan:
    """What a run has to do. Making it lists what Drive holds, and reads files of equal size."""

    def __init__(self, drive: Drive, files: list[LocalFile]) -> None:
        self.began = time.monotonic()
        drive.find_parent()
        folders = drive.find_folders()
        ours = [f for f in folders if f.name == FOLDER_NAME or f.generation]
        self.used = [folder for folder in ours if folder.is_removable]
        self.replaced = [folder for folder in self.used if folder.name == FOLDER_NAME]
        self.unfinished = [folder for folder in self.used if folder.name == WORKING_NAME]
        self.strangers = [folder for folder in folders if folder not in self.used]
        self.generation = 1 + max((folder.generation for folder in folders), default=0)
        queries = [f"'{folder.id}' in parents" for folder in self.used]
        held = [item for query in queries for item in drive.find(query, FILE_FIELDS, tolerated=404)]
        self.unlisted = sorted({item["name"] for item in held} - {file.name for file in files})
        self.sources = find_sources(files, held)
        self.folder_id, *ids = drive.generate_ids(1 + len(files))
        self.link = LINK + self.folder_id
        self.bodies = {f: f.metadata(i, self.folder_id) for f, i in zip(files, ids, strict=True)}


def preview(plan: Plan) -> None:
    for file in plan.bodies:
        what = "copy within Drive (unchanged)" if file in plan.sources else "upload"
        report.say(f"{what}  {file.name}  {amount(file.size)}", sys.stdout)
    for name in plan.unlisted:
        report.say(f"leave out (not in FILES)  {name}", sys.stdout)
    for folder in plan.used:
        fate = "delete for good" if DELETE_PERMANENTLY else "move to the trash"
        report.say(f"{fate}  {folder}", sys.stdout)
    if any(folder.is_shared or folder.is_starred for folder in plan.replaced):
        report.say("The old folder is shared or starred. The new one has another link.", sys.stdout)
    for folder in plan.strangers:
        report.say(f"leave alone (not made by this script, or not removable)  {folder}", sys.stdout)


def summarize(plan: Plan, copied: set[LocalFile], lost: list[str], ending: Ending) -> None:
    newest, removed, strangers = ending
    sent = [file.size for file in plan.bodies if file not in copied]
    what = f"{len(sent)} uploaded, {len(copied)} unchanged, {amount(sum(sent))} sent"
    lines = [f'"{FOLDER_NAME}": {what} in {time.monotonic() - plan.began:.1f} s.']
    if removed:
        fate = "was deleted for good" if DELETE_PERMANENTLY else "is in the trash for 30 days"
        lines += [f"The old folder {fate}. The new one has another link."]
    if lost:
        lines += [f"Not carried over from the old folder: {', '.join(dict.fromkeys(lost))}."]
    if newest.id != plan.folder_id:
        lines += ["A later run has put its folder in place already: this run's was removed."]
    if strangers:
        names = ", ".join(map(str, strangers))
        lines += [f"Not made by this script, or not removable, so it stays: {names}."]
    report.say("\n".join([*lines, newest.link]), sys.stdout)


# ---- Checking the settings and the files ---------------------------------------------------------
DRIVE_SCOPES = "https://www.googleapis.com/auth/drive.file, https://www.googleapis.com/auth/drive"
MISNAMED = re.compile(r"client_secret.*\.json|credentials\.json\.(json|txt)")
CLIENT_KEYS = ("client_id", "client_secret", "auth_uri", "token_uri")
PATH_RULES = r"""In FILES, write r"C:\new\a.jpg" or "C:/new/a.jpg": else, Python changes \n and \t.
FILES takes no *, ~ or web address and no quotes within quotes. A comma separates two paths."""
GET_CLIENT = """Make an OAuth client of type "Desktop app" at
https://console.cloud.google.com/auth/clients, download its JSON, and save it beside the script as
credentials.json. README.md shows each step."""
# An address that PARENT_FOLDER_ID may be contains the ID.
PARENT_ID = re.sub(r".*(/folders/|[?&]id=)([\w-]+).*", r"\2", str(PARENT_FOLDER_ID))


class LocalFile:
    """One of FILES, as it was when the run began. Raise Problem if it can't be uploaded."""

    def __init__(self, entry: str) -> None:
        self.entry, self.path = entry, HERE / entry
        self.name = self.path.name
        with named_in_errors(self.path):
            if not self.path.exists():
                shown = entry if re.search(CONTROL, entry) else str(self.path)
                shown = re.sub(CONTROL, lambda character: repr(character[0])[1:-1], shown)
                raise Problem(f"There is no file at {shown}.")
            self.stat = self.path.stat()
            self.size = self.stat.st_size
            if not self.path.is_file():
                raise Problem(f"{self.path} is a folder or a device. List files only.")
            with self.path.open("rb") as content:
                content.seek(max(self.size - 1, 0))
                self.last_byte = content.read(1)
            if self.last_byte and not self.size:
                raise Problem(f"{self.path} has content, but no size. Upload a copy of it.")

    def metadata(self, file_id: str, folder_id: str) -> Json:
        kind, compression = TYPES.guess_type(f"file{self.path.suffix}")
        kind = (not compression and kind) or "application/octet-stream"
        body = {"id": file_id, "name": self.name, "parents": [folder_id], "mimeType": kind}
        # Drive takes the years 1 to 9999.
        milliseconds = round(self.stat.st_mtime_ns / 1000) // 1000
        milliseconds = min(max(milliseconds, -62135596800000), 253402300799999)
        modified = datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)
        return body | {"modifiedTime": modified.isoformat(timespec="milliseconds") + "Z"}

    def digest(self, algorithm: str) -> str:
        with named_in_errors(self.path), self.path.open("rb") as content:
            return file_digest(content, algorithm).hexdigest()

    def verify(self, item: Json, folder_id: str, expected: Json) -> None:
        """Raise Problem unless item has the file's content, unchanged since the run began."""
        self.check_unchanged()
        keys = {"md5Checksum", "sha256Checksum"}.intersection(item, expected)
        is_same = keys and all(item[key] == expected[key] for key in keys)
        if not is_same or item.get("parents") != [folder_id]:
            raise Problem(f"Drive did not confirm the content of {self.name}. Run again.")

    def check_unchanged(self) -> None:
        with named_in_errors(self.path):
            now = self.path.stat()
        # The ctime betrays a write whose modification time was put back, but not on Windows.
        for trait in ("st_size", "st_mtime_ns", "st_ctime_ns"):
            if getattr(now, trait) != getattr(self.stat, trait):
                raise Problem(f"{self.path} changed during the run. Run again when it is complete.")


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Name the file in its OSErrors, which could otherwise be mistaken for the network's."""
    try:
        yield
    except OSError as error:
        raise Problem(f"{path} can't be read. ({quote(error)})") from error


def check() -> tuple[Json, list[LocalFile], list[str]]:
    """Return what credentials.json holds, the files, and all that must be put right first."""
    problems = check_settings()
    files: dict[Any, LocalFile] = {}
    for entry in [] if any("FILES" in problem for problem in problems) else FILES:
        try:
            file = LocalFile(entry)
            number = file.stat.st_dev, file.stat.st_ino or entry  # 0 on some disks of Windows
            if twin := files.get(number):
                raise Problem(f'"{twin.entry}" and "{entry}" are one file. List it once.')
            if twin := files.get(file.name):
                raise Problem(f"{twin.path} and {file.path} have the same name. Rename one.")
            files[number] = files[file.name] = file
        except Problem as problem:
            problems.append(f"FILES: {problem}")
    if any("There is no file" in problem for problem in problems):
        problems.append(PATH_RULES)
    client: Json = {}
    try:
        client = read_client()
    except Problem as problem:
        problems.append(str(problem))
    if DELEGATED_USER and "installed" in client:
        problems.append("DELEGATED_USER works only with a service account. Set it to None.")
    return client, list(dict.fromkeys(files.values())), problems


def check_settings() -> list[str]:
    """Return a sentence for each setting that can't work, those of the environment included."""

    def texts(values: Any) -> bool:
        is_list = isinstance(values, list | tuple) and len(values) > 0
        return is_list and all(isinstance(value, str) and value.strip() for value in values)

    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or "http://none"
    is_url = re.fullmatch(r"https?://([^/?#[\]]*@)?([\w.-]+|\[[\w.:]+])(:[1-6]?\d{1,4})?/?", proxy)
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or HERE
    rules = {
        "FOLDER_NAME must be a name in quotes, and not blank.": texts([FOLDER_NAME]),
        'FOLDER_NAME must not end in "(uploading)".': not str(FOLDER_NAME).endswith("(uploading)"),
        "FILES must be a list of one or more paths in quotes.": texts(FILES),
        'PARENT_FOLDER_ID must be "root", or an ID or address in quotes.': texts([PARENT_FOLDER_ID])
        and re.fullmatch(r"[\w-]+", PARENT_ID),
        "DELETE_PERMANENTLY must be True or False.": isinstance(DELETE_PERMANENTLY, bool),
        "PARALLEL_UPLOADS must be a whole number, 1 or more.": type(PARALLEL_UPLOADS) is int
        and PARALLEL_UPLOADS >= 1,
        f"SCOPES must be a list of these, in quotes: {DRIVE_SCOPES}.": texts(SCOPES)
        and all(scope in DRIVE_SCOPES.split(", ") for scope in SCOPES),
        "DELEGATED_USER must be None or an address in quotes.": texts([DELEGATED_USER or "none"]),
        "SIGN_IN_PORT must be a whole number from 0 to 65535.": type(SIGN_IN_PORT) is int
        and SIGN_IN_PORT in range(65536),
        "https_proxy must be an address such as http://USER:PASSWORD@HOST:8080.": is_url,
        "REQUESTS_CA_BUNDLE does not name a file.": os.path.exists(bundle),
    }
    return [sentence for sentence, holds in rules.items() if not holds]


def read_client() -> Json:
    """Return what credentials.json holds: an OAuth client, or a service account's key."""
    path = HERE / "credentials.json"
    if not path.exists():
        wrong = [path.name for path in HERE.glob("c*.json*") if MISNAMED.match(path.name)]
        cure = f"Rename {wrong[0]} to credentials.json." if wrong else GET_CLIENT
        raise Problem(f"credentials.json is missing. {cure}")
    with named_in_errors(path):
        client = parse_json(path.read_bytes()) or {}
    if client.get("type") == "service_account":
        service_account(client)
        return client
    installed = client.get("installed")
    texts = [installed.get(key) for key in CLIENT_KEYS] if isinstance(installed, dict) else [None]
    is_client = all(isinstance(text, str) for text in texts)
    rules = {
        "credentials.json is empty, cut short or not JSON.": bool(client),
        'credentials.json is for a client of type "Web application".': "web" not in client,
        "credentials.json is no OAuth client from Google's console.": is_client,
        "credentials.json is still the example.": "YOUR_" not in str(texts),
    }
    if broken := [sentence for sentence, holds in rules.items() if not holds]:
        raise Problem(f"{broken[0]} {GET_CLIENT}")
    return client


def service_account(key: Json) -> Any:
    """Return credentials made from a service account's key. Raise Problem if it is damaged."""
    from google.oauth2.service_account import Credentials as ServiceAccount

    try:
        return ServiceAccount.from_service_account_info(key, scopes=SCOPES, subject=DELEGATED_USER)
    except ValueError:
        raise Problem("credentials.json is a damaged service account key. Make a new one.")


# ---- Signing in ----------------------------------------------------------------------------------
TOKEN_FILE = HERE / "token.json"
SIGN_IN_TIMEOUT = 300.0  # seconds that the sign-in waits for its user
TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}  # they would take the terminal
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>quickstart.py</title>
<body style="margin: 15vh auto; max-width: 30em; font: 1.2em sans-serif"><h1>{}</h1><p>{}</p>"""


def sign_in(client: Json) -> Any:
    """Return Google credentials: a service account's, those in token.json, or new ones."""
    is_user = "installed" in client
    credentials = read_token(client["installed"]) if is_user else service_account(client)
    if not credentials:
        return ask_consent(client)
    if not credentials.valid:
        try:
            retry(lambda: credentials.refresh(google_auth_httplib2.Request(Transport())))
        except HttpError as error:
            return sign_in_again(client, error)
        if is_user:
            save_token(credentials)
    return credentials


def sign_in_again(client: Json, error: HttpError) -> Credentials:
    """Ask for consent if the error says that the sign-in is over. Else raise it."""
    if not SIGN_IN_OVER & set(error_reasons(error) or [str(error.status_code)]):
        raise error
    if "installed" not in client:
        wrong = "The service account's key, DELEGATED_USER or the clock is wrong."
        raise Problem(f"{wrong} ({quote(error)})")
    report.say(explain(error))
    return ask_consent(client)


def read_token(installed: Json) -> Credentials | None:
    """Return the sign-in that token.json keeps. If it can't be used, say so, and return None."""
    with suppress(OSError, ValueError):
        token = parse_json(TOKEN_FILE.read_bytes()) or {}
        texts = [token.get(key) or "" for key in ("refresh_token", "token", "expiry")]
        # Other characters would break a request's header.
        is_sound = all(isinstance(text, str) and re.fullmatch("[!-~]*", text) for text in texts)
        is_mine = token.get("client_id") == installed["client_id"]
        if is_sound and texts[0] and is_mine and token.get("scopes") == list(SCOPES):
            token["client_secret"] = installed["client_secret"]
            return Credentials.from_authorized_user_info(token, SCOPES)
    wrong = "token.json is damaged, or for other SCOPES or another credentials.json. Sign in again."
    if TOKEN_FILE.exists():
        report.say(wrong)
    return None


def save_token(credentials: Credentials) -> bool:
    """Replace token.json, whole or not at all, for this user's eyes only."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="token.json.", dir=HERE)  # of mode 0600
        try:
            with open(descriptor, "w") as file:
                file.write(credentials.to_json())
                file.flush()
                os.fsync(descriptor)
            os.replace(path, TOKEN_FILE)
        finally:
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        report.say(f"token.json can't be written, so it stays as it was. ({error.strerror})")
        return False
    return True


def ask_consent(client: Json) -> Credentials:
    """Return a new sign-in, to which the user consents in a browser, and save it."""
    from google_auth_oauthlib.flow import InstalledAppFlow

    report.begin("Signing in")
    flow = InstalledAppFlow.from_client_config(client, SCOPES)
    flow.oauth2session.register_compliance_hook("access_token_response", check_token_response)
    answer = receive_answer(flow)
    if reason := answer.get("error"):
        raise Problem(f"{EXPLANATIONS.get(reason, 'Google refused this.')} ({reason})")
    try:
        retry(lambda: flow.fetch_token(code=answer["code"], timeout=NETWORK_TIMEOUT))
    except Warning:  # which oauthlib raises
        raise Problem("You did not allow all SCOPES. Run again, and select every checkbox.")
    is_saved = save_token(flow.credentials)
    until = " Later runs don't ask, if you run this at least every 6 months." if is_saved else ""
    report.say(f"Signed in.{until}")
    return flow.credentials


def check_token_response(response: Any) -> Any:
    """Judge what the token server answers to requests like all that Google answers."""
    head = httplib2.Response({**response.headers, "status": str(response.status_code)})
    check_response(head, response.content)
    return response


class SignInServer(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """Has a thread for each connection, so that none that is idle or slow keeps Google waiting."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows, two programs could have the port
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Pass over what closed browsers and port scanners leave behind."""


def receive_answer(flow: Any) -> dict[str, str]:
    """Have the user sign in on Google's page. Return what Google sends the browser back with."""
    answers: queue.Queue[dict[str, str]] = queue.Queue()

    def page(request: Json, start: Callable[..., Any]) -> Iterator[bytes]:
        query = dict(parse_qsl(request["QUERY_STRING"]))
        is_answer = query.get("state") == state and bool(query.keys() & {"code", "error"})
        title = "Signed in" if "code" in query else "Not signed in"
        title = title if is_answer else "Not Google's answer"
        start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        try:
            yield PAGE.format(title, "Go back to the terminal.").encode()
        finally:  # also if the browser does not wait for the page
            if is_answer:
                answers.put(query)

    # The address holds a secret code: it must not be logged.
    options = {"timeout": 10, "log_message": lambda *_: None}
    handler: Any = type("Handler", (wsgiref.simple_server.WSGIRequestHandler,), options)
    try:
        server = SignInServer(("127.0.0.1", SIGN_IN_PORT), handler)
    except OSError as error:
        raise Problem(f"SIGN_IN_PORT can't be used. Choose another. ({error.strerror})")
    server.set_app(page)
    port = server.server_port
    flow.redirect_uri = f"http://127.0.0.1:{port}/"
    # Without prompt=consent, Google gives no refresh token the second time.
    address, state = flow.authorization_url(prompt="consent")
    report.say(
        f"To sign in to Google, open this link, unless a browser opens by itself:\n{address}\n"
        "No browser here? On a machine with one, run this line and open the link there:\n"
        f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE\n"
        f"Waiting up to {SIGN_IN_TIMEOUT / 60:g} minutes for you to sign in."
    )
    for target in (partial(server.serve_forever, 0.1), partial(open_browser, address)):
        threading.Thread(target=target, daemon=True).start()
    try:
        return answers.get(timeout=SIGN_IN_TIMEOUT)
    except queue.Empty:
        raise Problem("Nobody signed in. Run again, and sign in on Google's page.")


def open_browser(address: str) -> None:
    with suppress(Exception):  # the user has the address anyway
        browser: Any = webbrowser.get()
        if Path(browser.name).name not in TEXT_BROWSERS:
            browser.open(address)


# ---- Calling Google ------------------------------------------------------------------------------
class Connection(httplib2.HTTPSConnectionWithTimeout):
    """Reads an answer that comes before a request is all sent, and sends no large upload again."""

    def endheaders(self, message_body: Any = None, **options: Any) -> None:
        self.is_upload = isinstance(message_body, Body)
        with suppress(ConnectionError, ssl.SSLError):  # The answer may be there already.
            super().endheaders(message_body, **options)

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            return super().getresponse()
        except http.client.BadStatusLine as error:  # upon which httplib2 sends a request again
            raise ConnectionResetError("no answer") if self.is_upload else error


class Transport(threading.local):
    """Sends requests without retry(). httplib2 needs a connection for each thread."""

    def __init__(self) -> None:
        self.http = build_http()
        self.http.timeout = NETWORK_TIMEOUT

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any
    ) -> tuple[httplib2.Response, bytes]:
        """Like httplib2.Http.request(), but raise what check_response() raises."""
        if isinstance(body, bytes) and len(body) > PIECE_SIZE:
            body = Body(body)
        options = {"connection_type": Connection}
        try:
            response, content = self.http.request(uri, method, body, headers, **options)
            if response.status != 401 or "authorization" not in headers:  # else google-auth acts
                check_response(response, content)
        except Exception:
            # What is left on the connection would pass for the answer to the next request.
            self.http.close()
            raise
        return response, content


def check_response(response: httplib2.Response, content: bytes) -> None:
    """Raise HttpError for an error, Problem for what is not Google's."""
    if response.status >= 400:
        raise HttpError(response, content)
    is_batch = "multipart/mixed" in response.get("content-type", "")
    if response.status < 300 and content and not is_batch and parse_json(content) is None:
        raise Problem(NOT_GOOGLE)
    # A session starts and goes on without content. A head that breaks off before its length is
    # taken for a whole one by http.client.
    is_session = response.status == 308 or "location" in response
    is_whole = is_session and {"content-length", "transfer-encoding"} & response.keys()
    if not content and not is_whole and response.status != 204:
        raise http.client.HTTPException("it broke off")


def retry(
    attempt: Callable[[], Any], patience: float = PATIENCE, progress: Callable[[], int] = int
) -> Any:
    """Return what attempt() returns, making it again while its faults are transient.

    Raise a fault that is not transient, or GaveUp if the next attempt would begin more than
    patience seconds after the first fault. Both begin anew when progress() is higher than ever.
    """
    end, longest, most = 0.0, FIRST_WAIT, 0
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_transient(error):
                raise
            if progress() > most:
                end, longest, most = 0.0, FIRST_WAIT, progress()
            end = end or time.monotonic() + patience
            left, asked = end - time.monotonic(), retry_after(error)
            seconds = max(asked, random.uniform(longest / 2, longest))
            if seconds > left:
                why = f"It lasted {patience - left:.0f} s. Run again later."
                if asked > max(left, 0):
                    why = f"Google asks to wait {timedelta(seconds=round(asked))}. Run again then."
                raise GaveUp(f"{explain(error)} {why}") from error
            again = f"Trying again in {seconds:.1f} s; giving up in {left:.0f} s."
            report.say(f"{report.step}: {explain(error)} {again}")
        time.sleep(seconds)
        longest = min(2 * longest, LONGEST_WAIT)


def retry_after(error: Exception) -> float:
    """Return for how many seconds Google wants no calls: it sends a number or a date."""
    text = error.resp.get("retry-after", "") if isinstance(error, HttpError) else ""
    with suppress(ValueError):
        return parsedate_to_datetime(text).timestamp() - time.time()
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d+)?", text) else 0.0


def call(request: Any, key: str = "", tolerated: int = 0) -> Any:
    """Return the answer to a request, which must have the key; None for the tolerated status."""
    try:
        response = retry(request.execute)
    except HttpError as error:
        if error.status_code != tolerated or not parse_json(error.content):
            raise
        return None
    if key and key not in response:
        raise Problem(f'Google\'s answer lacks "{key}". Run again.')
    return response


def in_parallel(
    title: str, work: Callable[[LocalFile, dict[LocalFile, int]], Any], files: list[LocalFile]
) -> Iterator[tuple[LocalFile, Any]]:
    """Yield each file and what work() returned for it, once that is done; show the progress."""
    began = time.monotonic()
    done = dict.fromkeys(files, 0)  # bytes
    pool = ThreadPoolExecutor(PARALLEL_UPLOADS)
    try:
        waiting = {pool.submit(work, file, done): file for file in files}
        while waiting:
            for future in wait(waiting, 0.1, FIRST_COMPLETED).done:
                file, result = waiting.pop(future), future.result()
                done[file] = file.size
                yield file, result
            # The clock may not have moved yet: that of Windows ticks 64 times a second.
            report.progress(title, done, max(time.monotonic() - began, 0.1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ---- Drive ---------------------------------------------------------------------------------------
FOLDER_TYPE = "application/vnd.google-apps.folder"
FOLDER_FIELDS = "id,name,createdTime,trashed,shared,starred,appProperties,capabilities"
FILE_FIELDS = "id,name,size,parents,md5Checksum,sha256Checksum"
PERMISSIONS = "permissions(type,role,emailAddress,domain,allowFileDiscovery,expirationTime)"
MARK = "quickstart.py"  # the property of the script's own folders; its value is their generation


class Folder:
    """A folder in Drive, as it was when it was listed."""

    def __init__(self, item: Json) -> None:
        self.id, self.name, self.link = item["id"], item["name"], LINK + item["id"]
        self.is_shared, self.is_starred = item.get("shared"), item.get("starred")
        rights = item.get("capabilities", {})
        needed = ["canTrash", "canDelete"] if DELETE_PERMANENTLY else ["canTrash"]
        self.is_removable = all(rights.get(right, True) for right in needed)
        # Higher for a later run; 0 for a folder that this script did not make.
        self.generation = int(item.get("appProperties", {}).get(MARK, 0))
        # An order that all runs see. Google's clocks may differ by seconds, so time comes second.
        self.age = self.generation, datetime.fromisoformat(item["createdTime"]), self.id

    def __str__(self) -> str:
        return f'"{self.name}" {self.link}'


# The newest complete folder; those that it replaces and that are removed; those that stay.
Ending = tuple[Folder, list[Folder], list[Folder]]


class Drive:
    """Drive's methods: https://developers.google.com/workspace/drive/api/reference/rest/v3"""

    def __init__(self, credentials: Any) -> None:
        http = google_auth_httplib2.AuthorizedHttp(credentials, Transport())
        self.service: Any = build("drive", "v3", http=http, cache_discovery=False)
        self.files: Any = self.service.files()
        self.corpus: Json = {}  # where to look, if the parent is in a shared drive

    def get(self, file_id: str, fields: str) -> Json:
        request = self.files.get(fileId=file_id, fields=fields, supportsAllDrives=True)
        return call(request, tolerated=404) or {}

    def find_parent(self) -> None:
        """Raise Problem unless the parent is a folder. See whether it is in a shared drive."""
        if PARENT_ID == "root":  # which the scope drive.file can't ask for
            return
        parent = self.get(PARENT_ID, "mimeType,trashed,driveId")
        unseen = "PARENT_FOLDER_ID is not in Drive, or out of reach. See SCOPES in README.md."
        if not parent:
            raise Problem(unseen)
        if parent["mimeType"] != FOLDER_TYPE or parent["trashed"]:
            raise Problem("PARENT_FOLDER_ID is a file, or in the trash. Choose another folder.")
        if drive_id := parent.get("driveId"):
            self.corpus = {"corpora": "drive", "driveId": drive_id}
            self.corpus["includeItemsFromAllDrives"] = True

    def find(self, query: str, fields: str, tolerated: int = 0) -> list[Json]:
        """Return all that a query finds outside the trash. Raise Problem if that may not be all."""
        found: list[Json] = []
        tokens = set()
        fields = f"nextPageToken,incompleteSearch,files({fields})"
        options = self.corpus | {"q": f"{query} and trashed = false", "fields": fields}
        request = self.files.list(supportsAllDrives=True, pageSize=1000, **options)
        while request and (response := call(request, "files", tolerated)):
            token = response.get("nextPageToken")
            if token in tokens or response.get("incompleteSearch"):
                raise Problem("Drive did not list everything. Run again.")
            tokens.add(token)
            found += response["files"]
            request = self.files.list_next(request, response)
        return found

    def find_folders(self) -> list[Folder]:
        """Return the folders in the parent that have the final or the working name.

        The names are compared here: Drive's index of names takes upper and lower case for the same,
        and lags behind, while lists by parent don't. https://github.com/kopia/kopia/issues/90
        """
        items = self.find(f"'{PARENT_ID}' in parents and mimeType = '{FOLDER_TYPE}'", FOLDER_FIELDS)
        return [Folder(item) for item in items if item["name"] in (FOLDER_NAME, WORKING_NAME)]

    def generate_ids(self, count: int) -> list[str]:
        """Return unused IDs. With one, a request that is repeated creates nothing twice."""
        ids: list[str] = []
        while len(ids) < count:
            request = self.files.generateIds(count=min(count - len(ids), 1000), fields="ids")
            if not (new := call(request, "ids")["ids"]):
                raise Problem("Google gave no IDs for new files. Run again.")
            ids += new
        return ids

    def create(self, body: Json, fields: str, content: Any = None) -> Any:
        """Return a request, still to be sent."""
        options = {"fields": fields, "supportsAllDrives": True}
        return self.files.create(body=body, media_body=content, **options)

    def create_folder(self, plan: Plan) -> None:
        body = {"id": plan.folder_id, "name": WORKING_NAME, "mimeType": FOLDER_TYPE}
        more = {"parents": [PARENT_ID], "appProperties": {MARK: str(plan.generation)}}
        call(self.create(body | more, "id"), tolerated=409)  # an earlier try has created it

    def copy(self, pairs: list[tuple[str, Json]]) -> list[tuple[Json, HttpError | None]]:
        """Make copies in one request, without retry(). Return a file or an error for each.

        Raise GaveUp if the answer makes no sense: googleapiclient raises all kinds of errors then.
        """
        results: list[tuple[Json, HttpError | None]] = []
        options = {"fields": FILE_FIELDS, "supportsAllDrives": True}
        batch = self.service.new_batch_http_request(lambda _, *result: results.append(result))
        for source, body in pairs:
            batch.add(self.files.copy(fileId=source, body=body, **options))
        try:
            batch.execute()
        except (BatchError, GoogleAuthError, LookupError, TypeError, ValueError) as error:
            raise GaveUp("Google's answer to a batch makes no sense.") from error
        return results

    def rename(self, plan: Plan) -> Folder:
        """Give the new folder its final name: the one moment at which it replaces the old one."""
        item = self.update(plan.folder_id, {"name": FOLDER_NAME}, FOLDER_FIELDS)
        if not item or item.get("trashed"):
            report.begin(report.step, f'"{FOLDER_NAME}" was not replaced by this run.')
            raise Problem("The new folder was removed, by somebody or by a later run. Run again.")
        return Folder(item)

    def update(self, folder_id: str, body: Json, fields: str) -> Json | None:
        options: Json = {"fileId": folder_id, "supportsAllDrives": True}
        return call(self.files.update(body=body, fields=fields, **options), "id", tolerated=404)

    def remove(self, folder_id: str, permanently: bool = DELETE_PERMANENTLY) -> None:
        if permanently:
            call(self.files.delete(fileId=folder_id, supportsAllDrives=True), tolerated=404)
        else:
            self.update(folder_id, {"trashed": True}, "id")

    def remove_older(self, plan: Plan, new: Folder, lost: list[str]) -> Ending:
        """Remove what the new folder replaces. Add to what is lost of its sharing.

        What somebody renamed, moved or made during the run stays. Of the script's own folders,
        those with the final name included, the newest is left, by their age.
        """
        there = {folder.id: folder for folder in [*self.find_folders(), new]}.values()
        complete = [folder for folder in there if folder.generation and folder.name == FOLDER_NAME]
        newest = max(complete, key=lambda folder: folder.age, default=new)
        replaced = {folder.id: folder for folder in plan.replaced}
        removed, strangers = [], []
        for folder in there:
            is_old = folder.id in replaced and folder.name == FOLDER_NAME
            is_older = folder.generation and folder.age < newest.age
            if (is_old or is_older) and folder.is_removable:
                if is_old and folder.is_shared and not replaced[folder.id].is_shared:
                    lost += self.copy_permissions(folder, newest.id)
                self.remove(folder.id)
                removed += [folder] if is_old else []
            elif is_old or is_older or not folder.generation:
                strangers.append(folder)
        return newest, removed, strangers

    def copy_permissions(self, old: Folder, new_id: str) -> list[str]:
        """Give the new folder the sharing of the old one, without emails. Return what is lost."""
        permissions: Any = self.service.permissions()
        options: Json = {"fileId": new_id, "fields": "id", "supportsAllDrives": True}
        lost = ["its star"] if old.is_starred else []
        if not old.is_shared:
            return lost
        request = permissions.list(fileId=old.id, fields=PERMISSIONS, supportsAllDrives=True)
        for body in (call(request, "permissions", tolerated=404) or {}).get("permissions", []):
            # The others get no email, and Drive refuses the option.
            mail = {"sendNotificationEmail": False} if body["type"] in ("user", "group") else {}
            try:
                if body["role"] != "owner":
                    call(permissions.create(body=body, **options, **mail))
            except HttpError as error:
                who = body.get("emailAddress") or body.get("domain") or body["type"]
                lost.append(f"{who} as {body['role']} ({quote(error)})")
        return lost


# ---- Copying -------------------------------------------------------------------------------------
BATCH_SIZE = 100  # calls in one request: Drive's limit


def find_sources(files: list[LocalFile], held: list[Json]) -> dict[LocalFile, Json]:
    """Return the files whose content Drive holds, and where: with equal size and equal SHA-256.

    Different files may have the same MD5, and others may write to a shared folder.
    """
    sizes = {item.get("size") for item in held}
    sources = {item.get("sha256Checksum"): item for item in held}
    files = [file for file in files if str(file.size) in sizes]
    digests = in_parallel("Checking", lambda file, _: file.digest("sha256"), files)
    return {file: sources[digest] for file, digest in digests if digest in sources}


def copy_files(drive: Drive, plan: Plan) -> set[LocalFile]:
    """Have Drive copy what it holds. Return what it did copy: the rest is uploaded."""
    waiting, copied = list(plan.sources), set()

    def attempt() -> None:
        while batch := waiting[:BATCH_SIZE]:
            results = drive.copy([(plan.sources[file]["id"], plan.bodies[file]) for file in batch])
            fault = None
            for file, (item, error) in zip(batch, results, strict=True):
                if error and is_transient(error):
                    fault = error
                    continue
                waiting.remove(file)
                if error and error.status_code == 409:  # an earlier attempt has made it
                    item, error = drive.get(plan.bodies[file]["id"], FILE_FIELDS), None
                if error and "storageQuotaExceeded" in error_reasons(error):
                    raise error
                if not error:
                    file.verify(item, plan.folder_id, plan.sources[file])
                    copied.add(file)
                    report.say(f"copied within Drive (unchanged)  {file.name}", sys.stdout)
            if fault:
                raise fault

    try:
        retry(attempt, COPY_PATIENCE, lambda: len(copied))
    except (GaveUp, HttpError) as error:
        if "storageQuotaExceeded" in error_reasons(error):
            raise
    return copied


# ---- Uploading: https://developers.google.com/workspace/drive/api/guides/manage-uploads ----------
MULTIPART_LIMIT = 5 * 1024 * 1024  # bytes; a larger file goes up in a session, chunk by chunk
CHUNK_SIZE = 16 * 1024 * 1024  # bytes, a multiple of 256 KiB
PIECE_SIZE = 64 * 1024  # bytes handed to the network at once
SESSIONS_PER_FILE = 10  # sessions that Google may end before a file is given up


def upload_file(drive: Drive, plan: Plan, file: LocalFile, done: dict[LocalFile, int]) -> None:
    """Upload a file and verify it. If Google ends the session, start over with the same ID."""
    body = plan.bodies[file]
    for _ in range(SESSIONS_PER_FILE):
        with named_in_errors(file.path):
            content = Content(file, done)
        request = drive.create(body, FILE_FIELDS, content)
        try:
            reached = partial(getattr, request, "resumable_progress")
            item = retry(partial(send, request), progress=reached)
            digest = content.md5.hexdigest()
        except HttpError as error:
            if request.resumable_uri and error.status_code in (404, 410):
                continue
            if error.status_code != 409:
                raise
            # An earlier try, whose answer was lost, has created the file.
            item, digest = drive.get(body["id"], FILE_FIELDS), file.digest("md5")
        file.verify(item, plan.folder_id, {"md5Checksum": digest})
        return
    raise Problem(f"Google ended the upload of {file.name} {SESSIONS_PER_FILE} times. Run again.")


def send(request: Any) -> Any:
    """Send a file, and return what Drive made of it: one attempt for retry().

    After a fault, next_chunk() asks first how much Google has, and goes on from there.
    """
    if not request.resumable:
        return request.execute()
    while True:
        start = request.resumable_progress
        # True makes next_chunk() ask first: Google may have all bytes before it has made the file.
        request._in_error_state |= start >= request.resumable.size()
        _, item = request.next_chunk()
        if item:
            return item
        if request.resumable_progress <= start:
            request._in_error_state = True
            raise http.client.HTTPException("Google has not kept what was sent")


class Content(MediaFileUpload):
    """A file's bytes as googleapiclient reads them, with their MD5."""

    def __init__(self, file: LocalFile, done: dict[LocalFile, int]) -> None:
        # In one request, googleapiclient would swallow a \r at the end.
        is_large = file.size > MULTIPART_LIMIT or file.last_byte == b"\r"
        super().__init__(str(file.path), "application/octet-stream", CHUNK_SIZE, is_large)
        self.file, self.done = file, done
        self.md5, self.hashed = md5(usedforsecurity=False), 0

    def has_stream(self) -> bool:
        return False  # a request that is repeated would send the rest of a stream, which is nothing

    def size(self) -> int:
        return self.file.size

    def getbytes(self, begin: int, length: int) -> Any:
        if begin >= self.file.size > 0:
            raise http.client.HTTPException("Google has not made the file yet")
        length = min(length, self.file.size - begin)
        with named_in_errors(self.file.path):
            data = super().getbytes(begin, length)
        if len(data) < length:
            self.file.check_unchanged()
        self.md5.update(memoryview(data)[max(self.hashed - begin, 0) :])
        self.hashed = max(self.hashed, begin + length)
        if not self.resumable():
            return data
        return Body(data, lambda sent: self.done.update({self.file: begin + sent}))


class Body:
    """Content that goes out in pieces, as often as httplib2 and google-auth ask for it.

    Python's timeout is for all that is sent at once, and over a slow line no chunk would get
    through in that time. https://docs.python.org/3/library/socket.html#socket.socket.sendall
    """

    def __init__(self, data: bytes, on_sent: Callable[[int], None] = lambda _: None) -> None:
        self.data, self.on_sent = memoryview(data), on_sent

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, len(self.data), PIECE_SIZE):
            yield self.data[start : start + PIECE_SIZE]
            self.on_sent(min(start + PIECE_SIZE, len(self.data)))


# Python's own types, without the system's, which differ from machine to machine, and what is
# missing in some versions of Python or not the same in all.
ADDED_TYPES = """
application/epub+zip epub
application/rtf rtf
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.rar rar
application/x-7z-compressed 7z
application/yaml yaml yml
audio/flac flac
audio/mp4 m4a
audio/ogg ogg
audio/x-wav wav
image/heic heic
image/webp webp
text/calendar ics
text/javascript js mjs
text/markdown md
video/x-m4v m4v
video/x-matroska mkv
video/x-msvideo avi
"""
TYPES = mimetypes.MimeTypes()
TYPES.readfp(io.StringIO(ADDED_TYPES))


# ---- Errors --------------------------------------------------------------------------------------
class Problem(Exception):
    """Ends the run. Its text is the whole message."""


class GaveUp(Problem):
    """What retry() waited for did not come."""


# An OSError of a file is none of these: named_in_errors() has made a Problem of it.
NETWORK_ERRORS = (OSError, http.client.HTTPException, httplib2.HttpLib2Error, TransportError)
# Google's reasons: https://developers.google.com/workspace/drive/api/guides/handle-errors
TRANSIENT = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
TRANSIENT |= {"internal_failure", "server_error", "temporarily_unavailable"}
SIGN_IN_OVER = {"invalid_grant", "invalid_scope", "authError", "401"}
EXPLANATIONS = {
    "accessNotConfigured": "The Google Drive API is not enabled in your project. Enable it at the "
    "address that follows, wait some minutes, and run again.",
    "appNotAuthorizedToFile": "The scope drive.file does not reach this. See SCOPES in README.md.",
    "dailyLimitExceeded": "Your project has used up its calls for today. Run again tomorrow.",
    "domainPolicy": "Your Workspace administrator does not allow apps to use Drive. Ask them.",
    "insufficientParentPermissions": "This sign-in may not write to PARENT_FOLDER_ID. See SCOPES.",
    "insufficientPermissions": "This sign-in does not cover SCOPES. Delete token.json; run again.",
    "notFound": "This is not in Drive, or out of reach. See SCOPES in README.md.",
    "storageQuotaExceeded": "Google Drive is full. Empty its trash, or set DELETE_PERMANENTLY. "
    "A service account has no storage: see README.md.",
    "access_denied": "You canceled: run again. Or publish the app, as README.md shows.",
    "admin_policy_enforced": "Your Workspace administrator does not allow this app. Ask them.",
    "deleted_client": "The OAuth client was deleted (after 6 months without use?). Make a new one.",
    "invalid_client": "Google does not know the OAuth client of credentials.json. Make a new one.",
    "invalid_grant": "Your sign-in has expired or was revoked: sign in again. If this comes every "
    "7 days, publish the app as README.md shows.",
    "org_internal": "The OAuth client is for one organization. Sign in with an account from it.",
    "unauthorized_client": "The service account may not act for DELEGATED_USER. See README.md.",
    "CERTIFICATE_VERIFY_FAILED": "This may not be Google. See this error in README.md.",
    "NO_CERTIFICATE_OR_CRL_FOUND": "HTTPLIB2_CA_CERTS or REQUESTS_CA_BUNDLE names no certificates.",
}
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google. Open any web page to see its page."


def error_reasons(error: Exception) -> list[str]:
    """Return Google's reasons from the JSON of its answer, or OpenSSL's for a certificate."""
    if isinstance(error, OSError):
        return re.findall(r"[A-Z_]*CERTIFICATE[A-Z_]*", str(error))
    found: list[Any] = []

    def collect(item: Json) -> None:  # The token server's is the value of "error".
        found.extend([item.get("reason"), item.get("error")])

    with suppress(ValueError):
        json.loads(error.content if isinstance(error, HttpError) else "", object_hook=collect)
    return [reason for reason in found if isinstance(reason, str)]


def parse_json(content: bytes) -> Json | None:
    """Return the JSON object that this is, or None."""
    with suppress(ValueError):
        value = json.loads(content)
        return value if isinstance(value, dict) else None
    return None


def is_transient(error: Exception) -> bool:
    """Say whether the same request may succeed a little later."""
    reasons = set(error_reasons(error))
    if reasons & (TRANSIENT | EXPLANATIONS.keys()):
        return bool(reasons & TRANSIENT)
    if isinstance(error, HttpError):  # 200: an upload session without its URI
        return error.status_code in (200, 408, 429) or error.status_code >= 500
    return isinstance(error, NETWORK_ERRORS)


def explain(error: Exception) -> str:
    """Say what happened and what to do, with the words of Google or Python at the end."""
    is_network = isinstance(error, NETWORK_ERRORS)
    text = "The connection to Google failed." if is_network else "Google refused this."
    if isinstance(error, HttpError):
        is_page = error.content and not parse_json(error.content)
        refused = NOT_GOOGLE if is_page else "Google refused this."
        text = "Google can't answer at the moment." if is_transient(error) else refused
    known = [EXPLANATIONS[reason] for reason in error_reasons(error) if reason in EXPLANATIONS]
    return f"{[*known, text][0]} ({quote(error)})"


def quote(error: Exception) -> str:
    """Return the words of Google or Python: on one line, and not all of a long page."""
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    if isinstance(error, HttpError):
        words = [str(error.status_code), *dict.fromkeys(error_reasons(error)), error.reason]
        text = f"{'Google:' if parse_json(error.content) else 'HTTP'} {' '.join(words)}"
    text = " ".join(re.sub(r"\[Errno -?\d+\] ", "", text).split()).strip(" .")
    return text if len(text) < 400 else text[:400] + "..."


# ---- Output --------------------------------------------------------------------------------------
CONTROL = r"[\x00-\x1f\x7f-\x9f]"  # characters that a terminal would obey
UNPRINTED = (OSError, ValueError, RuntimeError)  # the last if a signal interrupts the printing


class Report:
    """What the user is told: results on stdout; the rest, with a progress line, on stderr."""

    printing, beginning = threading.RLock(), threading.Lock()
    step = "Starting"  # what is being done
    standing = "Nothing in Drive was changed."  # how a run that ends now leaves Drive

    def begin(self, step: str, standing: str = "") -> None:
        """Note which step begins. Once the run has ended, this waits forever."""
        with self.beginning:
            self.step, self.standing = step, standing or self.standing

    def say(self, text: str, stream: Any = None, end: str = "\n") -> None:
        """Print on stderr, unless told otherwise. Output that can't be written stops no run."""
        text = "\n".join(re.sub(CONTROL, "?", line) for line in text.split("\n"))
        with self.printing:
            with suppress(*UNPRINTED):  # blanks wipe out a progress line on any terminal
                if columns := terminal_columns():
                    print(f"\r{' ' * (columns - 1)}\r", end="", file=sys.stderr, flush=True)
            with suppress(*UNPRINTED):
                print(text, end=end, file=stream or sys.stderr, flush=True)

    def progress(self, title: str, done: dict[LocalFile, int], seconds: float) -> None:
        """Show on a terminal how many bytes of each file are done, until something else is said."""
        sent, total = sum(done.values()), sum(file.size for file in done) or 1
        is_early = sent < total / 100
        left = "?" if is_early else timedelta(seconds=round((total - sent) * seconds / sent))
        names = ", ".join(file.name for file in done if 0 < done[file] < file.size)
        figures = f"{100 * sent // total}%  {amount(sent)} of {amount(total)}"
        line = f"{title}  {figures}  {amount(sent / seconds)}/s  {left} left  {names}"
        if columns := terminal_columns():
            # East Asian characters take up two columns.
            while sum(1 + (character > "\u10ff") for character in line) >= columns:
                line = line[:-1]
            self.say(line, end="")


report = Report()


def amount(size: float) -> str:
    units = ["byte" if size == 1 else "bytes", "kB", "MB", "GB"]
    while size >= 999.95 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}".replace(".0 byte", " byte")


def terminal_columns() -> int:
    """Return the width of the terminal on stderr; 0 if it has none, as NUL on Windows."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns if sys.stderr.isatty() else 0
    except (OSError, ValueError):
        return 0


# ---- Start and end -------------------------------------------------------------------------------
def finish(status: int, text: str) -> int:
    """Say how the run ended and how it leaves Drive. A further signal ends the script at once."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(status))
    report.beginning.acquire()  # for good, so that the last line stays true
    report.say(f"{report.step}: {text}\n{report.standing}")
    return status


def stop(number: int, _: Any) -> None:
    os._exit(finish(128 + number, "Interrupted." if number == signal.SIGINT else "Terminated."))


def prepare() -> None:
    """Make signals end the run in order, and errors of output not end it."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the script
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.disable()  # the libraries' own remarks


def main(arguments: list[str] | None = None) -> int:
    """Run, and turn whatever ends the run into a message and an exit status."""
    prepare()
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0], allow_abbrev=False)
    dry_run = "only say what a run would do, and change nothing"
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    options = parser.parse_args(arguments)
    try:
        client, files, problems = check()
        if problems:
            report.say("\n".join([*problems, "Nothing was sent."]))
            return 2
        # In a thread of its own, so that this one hears signals, whatever hangs.
        task = ThreadPoolExecutor(1).submit(run, client, files, options.dry_run)
        while not task.done():
            wait([task], 0.1)
        task.result()
        return 0
    except Problem as problem:
        return finish(1, str(problem))
    except (HttpError, GoogleAuthError, *NETWORK_ERRORS) as error:
        return finish(1, explain(error))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = [frame.lineno for frame in frames if frame.filename == __file__][-1]
        what = f"{type(error).__name__}: {error}, line {line}"
        return finish(1, f"This is a mistake in quickstart.py. Please report it. ({what})")


if __name__ == "__main__":
    os._exit(main())  # not waiting for threads that wait for the network
