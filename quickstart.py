"""Put FILES into a Google Drive folder, in place of the folder of that name from the run before.

Edit the settings, then run `python quickstart.py`; the first run opens a browser to sign in. The
new folder takes over once it is complete: until then the old one stays as it is, and what a broken
run has uploaded is used by the next. credentials.json comes from Google's console, token.json is
written here. Exit status: 0 done, 1 the run failed, 2 something to put right on this machine first,
130 Ctrl-C, 143 SIGTERM. README.md tells the rest.
"""

# ---- Settings: edit from here ... ----------------------------------------------------------------
# The Drive folder that is replaced. A new name makes a new folder and leaves the old one alone.
FOLDER_NAME = "Quickstart uploads"
# What goes into it: paths, absolute or from this script's folder, such as "/home/me/a.pdf". Each
# file lands there under its base name; one taken off the list is not in the next folder.
FILES = ["README.md", "requirements.txt"]
# Where the folder lives: "root" is My Drive; else the id of a folder or shared drive, the last part
# of its address. For one that was made by hand, SCOPES must be wider.
PARENT_FOLDER_ID = "root"
# False: the old folder goes to the trash, restorable for 30 days, where it still takes up storage.
DELETE_PERMANENTLY = False
# Files under way at once, from 1 up. Each takes up to 16 MB of memory.
PARALLEL_UPLOADS = 4
# What the script may do: drive.file is only what it made itself, drive in its place is everything.
# Changing it makes the next run ask for consent again.
SCOPES = ["https://www.googleapis.com/auth/drive.file"]
# With a service account: the Workspace user to act for, such as "me@example.com".
DELEGATED_USER = None
# Local port of the sign-in page, up to 65535. 0 takes a free one; a fixed one suits `ssh -L`.
SIGN_IN_PORT = 0
# ---- ... to here. That is all to edit. -----------------------------------------------------------

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "google-api-python-client>=2.202,<3",
#     "google-auth-httplib2>=0.4.4,<1",
#     "google-auth-oauthlib>=1.5,<2",
# ]
# ///

import argparse
import hashlib
import http.client
import json
import logging
import mimetypes
import os
import re
import signal
import sys
import tempfile
import threading
import time
import webbrowser
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl

try:
    import google_auth_httplib2
    import httplib2
    from google.api_core.exceptions import RetryError
    from google.api_core.retry import exponential_sleep_generator, retry_target
    from google.auth.exceptions import RefreshError
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build
    from googleapiclient.errors import HttpError
    from googleapiclient.http import MediaFileUpload, build_http
except ImportError as missing:
    print(f"{missing}. Run: pip install -r requirements.txt", file=sys.stderr)
    raise SystemExit(2) from None
except RuntimeError as wrong:
    print(f"HTTPLIB2_CA_CERTS: {wrong}.", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None

HERE = Path(__file__).resolve().parent
TOKEN_FILE = HERE / "token.json"
WORKING_NAME = f"{FOLDER_NAME} (uploading)"  # until the folder is complete
LINK = "https://drive.google.com/drive/folders/"

FIRST_WAIT = 1.0  # seconds at most to the second try; then twice that, and so on,
LONGEST_WAIT = 64.0  # up to this
PATIENCE = 300.0  # seconds of trying without success before the run is given up
COPY_PATIENCE = 30.0  # likewise for copies on the server: those can be uploaded instead
NETWORK_TIMEOUT = 60.0  # seconds without a byte from or to Google
SIGN_IN_TIMEOUT = 300.0  # seconds that the sign-in waits for its user

# https://developers.google.com/workspace/drive/api/guides/manage-uploads
MULTIPART_LIMIT = 5 * 1024 * 1024  # bytes; a larger file goes up in chunks
CHUNK_SIZE = 16 * 1024 * 1024  # bytes, a multiple of 256 KiB
PIECE_SIZE = 64 * 1024  # bytes handed to the network at once
SESSIONS_PER_FILE = 10  # upload sessions that Google may break off before a file is given up
BATCH_SIZE = 100  # calls in one request: Drive's limit

Item = dict[str, Any]  # what Drive tells of a file or folder
FOLDER_TYPE = "application/vnd.google-apps.folder"
FOLDER_FIELDS = "id,name,createdTime,shared,starred,capabilities(canTrash)"
SHARING = "permissions(type,role,emailAddress,domain,allowFileDiscovery,expirationTime)"
ANSWER: Item = {"fields": "id,name,md5Checksum,createdTime,trashed", "supportsAllDrives": True}

# Google's names for faults that pass, for those that a new consent mends, and what the user can do
# about the others. https://developers.google.com/workspace/drive/api/guides/handle-errors
PASSING = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
PASSING |= {"missing_token", "internal_failure", "server_error", "temporarily_unavailable"}
SIGN_IN_LOST = {"invalid_grant", "invalid_scope", "authError"}
ADVICE = {
    "accessNotConfigured": "Enable the Google Drive API for your project, then run again.",
    "appNotAuthorizedToFile": "The scope drive.file reaches only what the script made: see SCOPES.",
    "dailyLimitExceeded": "Your project's calls for today are used up: run again tomorrow.",
    "domainPolicy": "Your Workspace administrator does not allow Drive apps: ask there.",
    "insufficientParentPermissions": "This sign-in may not write to PARENT_FOLDER_ID: see SCOPES.",
    "insufficientPermissions": "Delete token.json, run again and allow everything that is asked.",
    "notFound": "It was removed meanwhile, or is out of reach for this sign-in: see SCOPES.",
    "storageQuotaExceeded": "No room is left (a service account has none: set DELEGATED_USER).",
    "access_denied": "It was refused, or the account is no test user of the app: publish the app.",
    "admin_policy_enforced": "Your Workspace administrator does not allow this app: ask there.",
    "deleted_client": "The OAuth client is gone (unused for 6 months?): restore or replace it.",
    "invalid_client": "credentials.json no longer fits its OAuth client: make a new one.",
    "invalid_grant": "Sign in again. In 'Testing', an app needs that every 7 days: publish it.",
    "org_internal": "The OAuth client is for one organisation: sign in with an account of that.",
    "unauthorized_client": "The service account may not act for DELEGATED_USER: see README.md.",
}
GET_CREDENTIALS = """Make an OAuth client of type 'Desktop app' on
https://console.cloud.google.com/auth/clients and save its JSON as credentials.json beside the
script. README.md tells each step."""

TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}  # they would take the terminal
CLIENT_KEYS = ("client_id", "client_secret", "auth_uri", "token_uri")


class Problem(Exception):
    """Ends the run. The text is the whole message; a second argument is the exit status."""


# ---- Talking -------------------------------------------------------------------------------------
class Report:
    """What the user is told: lines that stay and, on a terminal, a progress line below them."""

    lock = threading.Lock()
    step = "Starting"  # what is being done
    standing = "Nothing in Drive was changed."  # what a run that ends now leaves behind

    def say(self, text: str, stream: TextIO | None = None, end: str = "\n") -> None:
        """Print on stderr, unless told otherwise. Output that nobody takes stops no run."""
        # A file's name may hold control characters, which a terminal would obey.
        text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "?", text)
        with self.lock, suppress(OSError, ValueError):
            if sys.stderr.isatty():  # blanks wipe the progress line: any terminal knows those
                blank = " " * (os.get_terminal_size(sys.stderr.fileno()).columns - 1)
                print(f"\r{blank}\r", end="", file=sys.stderr, flush=True)
                # East Asian letters take up two columns.
                while not end and sum(1 + (letter > "\u10ff") for letter in text) > len(blank):
                    text = text[:-1]
            print(text, end=end, file=stream or sys.stderr, flush=True)

    def progress(self, files: list["LocalFile"], seconds: float) -> None:
        total = sum(file.size for file in files) or 1
        done = sum(min(file.sent, file.size) for file in files)
        left = timedelta(seconds=round((total - done) * seconds / done)) if done else "?"
        names = ", ".join(file.path.name for file in files if 0 < file.sent < file.size)
        if sys.stderr.isatty():
            figures = f"{100 * done // total}%  {amount(done)} of {amount(total)}"
            self.say(f"{figures}  {amount(done / seconds)}/s  {left} left  {names}", end="")


report = Report()


def amount(size: float) -> str:
    units = ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}".replace(".0 bytes", " bytes")


# ---- Checking what the user gave -----------------------------------------------------------------
class LocalFile:
    """One of FILES, as it was when the run began; OSError or ValueError if it can't be uploaded."""

    id = ""  # in Drive, given out beforehand
    md5 = ""  # of what was read
    sent = 0  # bytes, for the progress line

    def __init__(self, entry: str) -> None:
        self.path = HERE / entry
        self.stat = self.path.stat()
        self.size = self.stat.st_size
        if not self.path.is_file():
            raise ValueError(f"{str(self.path)!r} is a folder or a device, not a file")
        with self.path.open("rb") as content:
            content.seek(max(self.size - 1, 0))
            self.last_byte = content.read()

    def metadata(self, folder_id: str) -> Item:
        kind, compression = mimetypes.guess_type(self.path.name)
        time = datetime.fromtimestamp(self.stat.st_mtime, UTC)
        return {
            "id": self.id,
            "name": self.path.name,
            "parents": [folder_id],
            "mimeType": kind if kind and not compression else "application/octet-stream",
            "modifiedTime": f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z",
        }

    def confirm(self, item: Item) -> None:
        """Raise Problem unless item holds what the file is, and was when the run began."""
        now = self.path.stat()
        # The ctime betrays a write whose modification time was put back.
        for trait in ("st_size", "st_mtime_ns", "st_ctime_ns"):
            if getattr(now, trait) != getattr(self.stat, trait):
                raise Problem(f"{self.path} changed during the run: run again when it is at rest.")
        if item.get("md5Checksum") != self.md5:
            raise Problem(f"Drive did not confirm the content of {self.path.name}: run again.")


def check_settings() -> list[str]:
    def texts(values: Any) -> bool:
        if not isinstance(values, list | tuple) or not values:
            return False
        return all(isinstance(value, str) and value.strip() for value in values)

    rules = {
        "FOLDER_NAME must be a name in quotes, not blank.": texts([FOLDER_NAME]),
        'FOLDER_NAME must not end in "(uploading)".': not str(FOLDER_NAME).endswith("(uploading)"),
        "FILES must be a list of one or more paths in quotes.": texts(FILES),
        'PARENT_FOLDER_ID must be "root" or an id in quotes.': texts([PARENT_FOLDER_ID]),
        "DELETE_PERMANENTLY must be True or False.": DELETE_PERMANENTLY in (True, False),
        "PARALLEL_UPLOADS must be a whole number from 1 up.": PARALLEL_UPLOADS in range(1, 10**6),
        "SCOPES must be a list of one or more scopes in quotes.": texts(SCOPES),
        "DELEGATED_USER must be None or an address in quotes.": texts([DELEGATED_USER or "none"]),
        "SIGN_IN_PORT must be a whole number from 0 to 65535.": SIGN_IN_PORT in range(65536),
    }
    return [sentence for sentence, holds in rules.items() if not holds]


def service_account(key: Item) -> Any:
    """Credentials from a service account's key; ValueError if it is damaged."""
    from google.oauth2.service_account import Credentials as ServiceAccount

    return ServiceAccount.from_service_account_info(key, scopes=SCOPES, subject=DELEGATED_USER)


def check() -> tuple[list[LocalFile], Item]:
    """The files, and what credentials.json holds: or a Problem with all that is wrong here."""
    problems = check_settings()
    files: dict[str, LocalFile] = {}
    for entry in FILES if not problems else []:
        try:
            file = LocalFile(entry)
            if twin := files.get(file.path.name):
                raise ValueError(f"'{twin.path}' and '{file.path}' have the same name")
            files[file.path.name] = file
        except (OSError, ValueError) as error:
            problems.append(f"FILES: {error}.")
    try:
        client = json.loads((HERE / "credentials.json").read_bytes())
        wrong = ""
        if client.get("type") == "service_account":
            service_account(client)
        else:
            texts = [client["installed"][key] for key in CLIENT_KEYS]
            wrong = "is still the example" if "YOUR_" in "".join(texts) else ""
    except FileNotFoundError:
        wrong = "is missing"
    except OSError as error:
        wrong = f"can't be read: {error}"
    except (AttributeError, LookupError, TypeError, ValueError):
        wrong = "is not what Google's console gives for a desktop app"
    if wrong:
        problems.append(f"credentials.json {wrong}. {GET_CREDENTIALS}")
    if problems:
        raise Problem("\n".join(problems), 2)
    return list(files.values()), client


# ---- Calling Google ------------------------------------------------------------------------------

this_thread = threading.local()  # .file is what it is uploading


def codes(error: Exception) -> set[str]:
    """Google's names for what went wrong, among the words of its answer."""
    answer = error.content.decode(errors="replace") if isinstance(error, HttpError) else str(error)
    return set(re.findall(r"\w+", answer))


def is_passing(error: Exception) -> bool:
    """Whether trying again may help."""
    if found := codes(error) & (PASSING | ADVICE.keys()):
        return bool(found & PASSING)
    if isinstance(error, HttpError):
        return error.status_code in (308, 408, 429) or error.status_code >= 500
    if isinstance(error, OSError):  # of the network, unless it names a file
        return error.filename is None and "CERTIFICATE_VERIFY_FAILED" not in str(error)
    return isinstance(error, http.client.HTTPException | httplib2.ServerNotFoundError)


def explain(error: Exception) -> str:
    """What went wrong and, where known, what to do about it."""
    if isinstance(error, RetryError):
        return f"It went on for too long. {explain(error.cause)}"
    what = f"{type(error).__name__}: {error}".removeprefix("ValueError: ")
    if isinstance(error, HttpError):
        what = f"Google answered {error.status_code}, {error.reason}"
    if isinstance(error, RefreshError):
        what = f"Google answered {error.args[0]}"
    return " ".join([what.strip(" .:") + "."] + [ADVICE[c] for c in codes(error) if c in ADVICE])


def persist(action: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The result of action, tried again as long as its faults pass, at most for patience seconds.

    Raises the fault that is final, or RetryError.
    """
    faults: list[Any] = []

    def waits() -> Iterator[float]:
        for seconds in exponential_sleep_generator(FIRST_WAIT, LONGEST_WAIT):
            with suppress(AttributeError, LookupError, ValueError):
                seconds = max(seconds, float(faults[-1].resp["retry-after"]))
            report.say(f"{report.step}: {explain(faults[-1])} Trying again in {seconds:.1f} s.")
            yield seconds

    return retry_target(action, is_passing, waits(), patience, faults.append)


class Pieces:
    """A body that goes out in pieces: Python's time-out is for all that is sent at once, and over a
    slow line no chunk would get through. https://docs.python.org/3/library/socket.html
    """

    def __init__(self, body: bytes) -> None:
        self.body = memoryview(body)

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, len(self.body), PIECE_SIZE):
            yield self.body[start : start + PIECE_SIZE]
            this_thread.file.sent += PIECE_SIZE


class PatientHttp(threading.local):
    """What takes every call to Google. httplib2 is for one thread: each has a connection here."""

    def __init__(self) -> None:
        self.http = build_http()
        self.http.timeout = NETWORK_TIMEOUT

    def request(self, uri: str, method: str, body: Any, headers: Item, **_: Any) -> Any:
        """Like httplib2.Http.request(), persistently."""
        chunk = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
        if isinstance(body, bytes) and len(body) > PIECE_SIZE:
            body = Pieces(body)

        def attempt() -> Any:
            nonlocal body, headers
            try:
                response, content = self.http.request(uri, method, body, headers)
            except Exception:
                # What is left on the connection would pass for the next request's answer.
                self.http.close()
                raise
            finally:
                # How much arrived of a chunk that failed is for Google to say: the next attempt
                # asks, and googleapiclient goes on from the answer.
                if chunk:
                    where = {"Content-Range": f"bytes */{chunk[1]}", "Content-Length": "0"}
                    body, headers = None, headers | where
            fault = HttpError(response, content)
            # All of a file kept and yet no file: it is being made.
            kept = chunk and response.get("range", "").endswith(f"-{int(chunk[1]) - 1}")
            if (kept or response.status >= 400) and is_passing(fault):
                raise fault
            return response, content

        return persist(attempt)


class FileContent(MediaFileUpload):
    """A file's bytes, hashed as they are read first.

    Not a stream: what repeats a request would find that at its end, and send nothing.
    """

    def __init__(self, file: LocalFile) -> None:
        # The metadata tell the true type: googleapiclient can't send message/* and multipart/*.
        kind = "application/octet-stream"
        # Nor can it send a \r at the end there: it takes that for a part of the line break.
        in_chunks = file.size > MULTIPART_LIMIT or file.last_byte == b"\r"
        super().__init__(str(file.path), kind, CHUNK_SIZE, in_chunks)
        self.file = this_thread.file = file
        self.digest = hashlib.md5(usedforsecurity=False)
        self.hashed = 0  # bytes
        self.moved = time.monotonic()

    def has_stream(self) -> bool:
        return False

    def size(self) -> int:
        return self.file.size

    def getbytes(self, begin: int, length: int) -> bytes:
        length = min(length, self.file.size - begin)
        data = super().getbytes(begin, length)
        if len(data) < length:
            self.file.confirm({})
        if begin + length > self.hashed or not length:
            self.digest.update(memoryview(data)[self.hashed - begin :])
            self.hashed, self.moved = begin + length, time.monotonic()
            self.file.md5 = self.digest.hexdigest()
        elif time.monotonic() > self.moved + PATIENCE:
            raise Problem(f"No part of {self.file.path.name} got through for {PATIENCE:.0f} s.")
        self.file.sent = begin
        return data


def in_parallel(work: Callable[[LocalFile], Any], files: list[LocalFile]) -> Iterator[LocalFile]:
    """Each file once its work is done, PARALLEL_UPLOADS at a time; shows the progress meanwhile."""
    started = time.monotonic()
    pool = ThreadPoolExecutor(PARALLEL_UPLOADS)
    try:
        waiting = {pool.submit(work, file): file for file in files}
        while waiting:
            for future in wait(waiting, 0.1, FIRST_COMPLETED).done:
                future.result()
                yield waiting.pop(future)
            report.progress(files, time.monotonic() - started)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ---- Signing in ----------------------------------------------------------------------------------
def sign_in(client: Item) -> Any:
    """Google credentials: a service account's, the cached ones, or new ones by consent."""
    report.step = "Signing in"
    if client.get("type") == "service_account":
        return service_account(client)
    try:
        token = json.loads(TOKEN_FILE.read_bytes())
        if token["client_id"] != client["installed"]["client_id"]:
            raise ValueError("from another OAuth client")
        if set(token["scopes"]) != set(SCOPES):
            raise ValueError("for other SCOPES")
        if not token["refresh_token"]:
            raise ValueError("without a refresh token")
        if not re.fullmatch("[!-~]*", token["refresh_token"] + (token.get("token") or "")):
            raise ValueError("damaged")
        token["client_secret"] = client["installed"]["client_secret"]
        credentials = Credentials.from_authorized_user_info(token, SCOPES)
    except FileNotFoundError:
        return ask_consent(client)
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        report.say(f"token.json is of no use ({error}): please sign in again.")
        return ask_consent(client)
    if not credentials.valid:
        credentials.refresh(google_auth_httplib2.Request(PatientHttp()))
        save_token(credentials)
    return credentials


def save_token(credentials: Credentials) -> None:
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
        report.say(f"token.json can't be written, so this sign-in is not kept: {error}.")


def open_browser(address: str) -> None:
    with suppress(Exception):  # the user has the address anyway
        browser: Any = webbrowser.get()
        if Path(browser.name).name not in TEXT_BROWSERS:
            browser.open(address)


def receive_answer(flow: Any) -> dict[str, str]:
    """What Google's page sends the browser back with; empty if nobody answered."""
    answer: dict[str, str] = {}

    def page(request: Item, start: Callable[..., Any]) -> list[bytes]:
        query = dict(parse_qsl(request["QUERY_STRING"]))
        if "state" in query:  # else it is something else, such as an icon
            answer.update(query)
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"That is all: you may close this page."]

    # A browser may open a connection that it never uses; the address holds the secret code.
    quiet = {"timeout": 1, "log_message": lambda *_: None}
    handler = type("Handler", (wsgiref.simple_server.WSGIRequestHandler,), quiet)
    serve = wsgiref.simple_server.make_server
    try:
        server = serve("127.0.0.1", SIGN_IN_PORT, page, handler_class=handler)
    except OSError as error:
        raise Problem(f"SIGN_IN_PORT can't be used: {error}.") from error
    with server:
        port = server.server_port
        flow.redirect_uri = f"http://127.0.0.1:{port}/"
        # Without prompt=consent, Google gives no refresh token the second time.
        address, state = flow.authorization_url(prompt="consent")
        report.say(
            f"To sign in to Google, open this link, if no browser does by itself:\n{address}\n"
            "No browser on this machine? Run this on one that has one, and open the link there:\n"
            f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE"
        )
        threading.Thread(target=open_browser, args=[address], daemon=True).start()
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.timeout = 1  # second
        deadline = time.monotonic() + SIGN_IN_TIMEOUT
        while not answer and time.monotonic() < deadline:
            server.handle_request()
    if answer.get("state", state) != state:
        raise Problem("The answer is not to this run's question, maybe forged: run again.")
    return answer


def ask_consent(client: Item) -> Credentials:
    """A new sign-in, by consent in a browser, saved to token.json."""
    from google_auth_oauthlib.flow import InstalledAppFlow

    report.step = "Signing in"
    flow = InstalledAppFlow.from_client_config(client, SCOPES)
    answer = receive_answer(flow)
    if "code" not in answer:
        raise Problem(explain(ValueError(answer.get("error", "nobody answered on its page"))))
    persist(lambda: flow.fetch_token(code=answer["code"], timeout=NETWORK_TIMEOUT))
    save_token(flow.credentials)
    return flow.credentials


# ---- Drive ---------------------------------------------------------------------------------------
class Drive:
    """The steps of a run."""

    def __init__(self, credentials: Any) -> None:
        authorized = google_auth_httplib2.AuthorizedHttp(credentials, PatientHttp())
        self.service: Any = build("drive", "v3", http=authorized, cache_discovery=False)
        self.files: Any = self.service.files()
        self.listing: Item = {"supportsAllDrives": True, "pageSize": 1000}

    def find_parent(self) -> None:
        """See that PARENT_FOLDER_ID is a folder, and whether it is in a shared drive."""
        if PARENT_FOLDER_ID == "root":  # which the scope drive.file can't ask for
            return
        report.step = "Looking up PARENT_FOLDER_ID"
        answer = ANSWER | {"fields": "mimeType,trashed,driveId"}
        parent = self.files.get(fileId=PARENT_FOLDER_ID, **answer).execute()
        if parent["mimeType"] != FOLDER_TYPE or parent["trashed"]:
            raise Problem("It is no folder, or in the trash.")
        if drive_id := parent.get("driveId"):
            self.listing |= {"corpora": "drive", "driveId": drive_id}
            self.listing["includeItemsFromAllDrives"] = True

    def find(self, query: str, fields: str) -> Iterator[Item]:
        fields = f"nextPageToken,incompleteSearch,files({fields})"
        request = self.files.list(q=f"{query} and trashed = false", fields=fields, **self.listing)
        while request:
            answer = request.execute()
            if answer.get("incompleteSearch"):
                raise Problem("Drive did not search everything: run again.")
            yield from answer["files"]
            request = self.files.list_next(request, answer)

    def find_folders(self) -> list[Item]:
        """The folders that this run replaces or clears away."""
        report.step = "Looking for the old folder"
        names = [FOLDER_NAME, WORKING_NAME]
        quoted = [name.replace("\\", "\\\\").replace("'", "\\'") for name in names]
        query = (
            f"'{PARENT_FOLDER_ID}' in parents and mimeType = '{FOLDER_TYPE}' "
            f"and (name = '{quoted[0]}' or name = '{quoted[1]}')"
        )
        found = self.find(query, FOLDER_FIELDS)
        # Drive takes upper and lower case for the same.
        return [f for f in found if f["name"] in names and f["capabilities"]["canTrash"]]

    def find_unchanged(self, files: list[LocalFile], folders: list[Item]) -> dict[LocalFile, str]:
        """The files whose content is in one of the folders, each with the id that it has there."""
        held = {}
        for folder in folders:
            for item in self.find(f"'{folder['id']}' in parents", "id,size,md5Checksum"):
                held[item.get("md5Checksum")] = item

        def hash_file(file: LocalFile) -> None:
            with file.path.open("rb") as content:
                file.md5 = hashlib.file_digest(content, "md5").hexdigest()

        sizes = {item.get("size") for item in held.values()}
        same_size = [file for file in files if str(file.size) in sizes]
        hashed = list(in_parallel(hash_file, same_size))
        return {file: held[file.md5]["id"] for file in hashed if file.md5 in held}

    def make(self, request: Any, file_id: str) -> Item:
        """Execute a request that makes something, unless an earlier try has made it."""
        try:
            return request.execute()
        except HttpError as error:
            if error.status_code != 409:
                raise
            return self.files.get(fileId=file_id, **ANSWER).execute()

    def reserve_ids(self, files: list[LocalFile]) -> str:
        """Give each file the id that it will have in Drive; return the one for the folder."""
        report.step = "Making the folder"
        ids: list[str] = []
        while len(ids) <= len(files):
            count = min(len(files) + 1 - len(ids), 1000)
            ids += self.files.generateIds(count=count, fields="ids").execute()["ids"]
        for file in files:
            file.id = ids.pop()
        return ids[0]

    def create_folder(self, folder_id: str) -> None:
        report.standing = f'"{FOLDER_NAME}" is as it was; "{WORKING_NAME}" waits for the next run.'
        body: Item = {"id": folder_id, "name": WORKING_NAME, "mimeType": FOLDER_TYPE}
        request = self.files.create(body=body | {"parents": [PARENT_FOLDER_ID]}, **ANSWER)
        self.make(request, folder_id)

    def copy(self, sources: dict[LocalFile, str], folder_id: str) -> list[LocalFile]:
        """Have Drive copy what it holds; the files that it did copy."""
        report.step = "Copying"
        copied: list[LocalFile] = []
        faults: list[HttpError] = []

        def settle(file_id: str, item: Item, error: HttpError | None) -> None:
            if error and error.status_code == 409:  # an earlier try has made it
                item, error = self.files.get(fileId=file_id, **ANSWER).execute(), None
            if error and (is_passing(error) or "storageQuotaExceeded" in codes(error)):
                faults.append(error)
                return
            file = waiting.pop(file_id)
            if not error:
                file.confirm(item)
                copied.append(file)
                report.say(f"copied (unchanged)  {file.path.name}", sys.stdout)

        def attempt() -> None:
            batch = self.service.new_batch_http_request(settle)
            for file in waiting.values():
                body = file.metadata(folder_id)
                request = self.files.copy(fileId=sources[file], body=body, **ANSWER)
                batch.add(request, request_id=file.id)
            faults.clear()
            batch.execute()
            if faults:
                raise faults[0]

        for start in range(0, len(sources), BATCH_SIZE):
            waiting = {file.id: file for file in list(sources)[start : start + BATCH_SIZE]}
            with suppress(RetryError):  # what is not copied is uploaded
                persist(attempt, COPY_PATIENCE)
        return copied

    def upload(self, file: LocalFile, folder_id: str) -> None:
        for session in range(SESSIONS_PER_FILE):
            content = FileContent(file)
            body = file.metadata(folder_id)
            try:
                request = self.files.create(body=body, media_body=content, **ANSWER)
                file.confirm(self.make(request, file.id))
                return
            except HttpError as error:
                # Google knows the upload session no more: the file has to start over.
                if error.status_code not in (404, 410) or session == SESSIONS_PER_FILE - 1:
                    raise

    def upload_all(self, files: list[LocalFile], folder_id: str) -> None:
        report.step = "Uploading"
        for file in in_parallel(lambda file: self.upload(file, folder_id), files):
            report.say(f"uploaded  {file.path.name}  {amount(file.size)}", sys.stdout)

    def share(self, old: Item, folder_id: str) -> None:
        """Give the new folder the sharing of the old one; say what can't be carried over."""
        report.step = "Carrying over the sharing"
        permissions = self.service.permissions()
        request = permissions.list(fileId=old["id"], fields=SHARING, supportsAllDrives=True)
        for body in request.execute()["permissions"]:
            to: Item = {"fileId": folder_id, "supportsAllDrives": True, "fields": "id"}
            if body["type"] in ("user", "group"):  # the others get no mail, and must not be asked
                to["sendNotificationEmail"] = False
            try:
                if body["role"] != "owner":
                    permissions.create(body=body, **to).execute()
            except HttpError as error:
                who = body.get("emailAddress") or body.get("domain") or body["type"]
                report.say(f"Not shared with {who} as {body['role']}: {explain(error)}")

    def put_in_place(self, folder_id: str) -> Item:
        """Rename the folder: the one moment at which the new replaces the old."""
        report.step = "Putting the folder in place"
        report.standing = f'"{FOLDER_NAME}" is as it was, or is replaced already: {LINK}{folder_id}'
        body = {"name": FOLDER_NAME}
        new: Item = self.files.update(fileId=folder_id, body=body, **ANSWER).execute()
        if new["trashed"]:
            raise Problem("The folder was removed meanwhile, by hand or by a run started later.")
        report.standing = f"The new folder is in place: {LINK}{folder_id}"
        return new

    def remove(self, folder_id: str, permanently: bool) -> None:
        request: Any = self.files.update(fileId=folder_id, body={"trashed": True}, **ANSWER)
        if permanently:
            request = self.files.delete(fileId=folder_id, supportsAllDrives=True)
        try:
            request.execute()
        except HttpError as error:
            if error.status_code != 404:  # gone already
                raise

    def remove_older(self, new: Item, old: list[Item]) -> Item:
        """Remove all folders older than the newest complete one, which it gives."""
        report.step = "Removing the old folder"
        folders = {folder["id"]: folder for folder in [*old, *self.find_folders(), new]}
        seen = {folder["id"] for folder in old}

        def age(folder: Item) -> Any:  # what was there before the new one is older in any case
            created = datetime.fromisoformat(folder["createdTime"])
            return folder["id"] not in seen, created, folder["id"]

        newest = max((f for f in folders.values() if f["name"] == FOLDER_NAME), key=age)
        for folder in folders.values():
            if age(folder) < age(newest):
                self.remove(folder["id"], DELETE_PERMANENTLY)
        return newest


# ---- The run -------------------------------------------------------------------------------------
def preview(files: list[LocalFile], unchanged: dict[LocalFile, str], old: list[Item]) -> None:
    for file in files:
        what = "copy (unchanged)" if file in unchanged else "upload"
        report.say(f"{what}  {file.path.name}  {amount(file.size)}", sys.stdout)
    for folder in old:
        text = f'replace "{folder["name"]}", made {folder["createdTime"]}: {LINK}{folder["id"]}'
        report.say(text, sys.stdout)


def make_room(drive: Drive, folder_id: str, files: list[LocalFile]) -> str:
    """Delete the unfinished folder; what to tell the user of the room in Drive."""
    drive.remove(folder_id, permanently=True)
    report.standing = f'"{FOLDER_NAME}" is as it was.'
    quota = drive.service.about().get(fields="storageQuota").execute()["storageQuota"]
    needed, trash = sum(file.size for file in files), int(quota["usageInDriveTrash"])
    free = max(int(quota.get("limit", 0)) - int(quota["usage"]), 0)
    room = f"{amount(needed)} needed, {amount(free)} free, {amount(trash)} in the trash."
    if trash:
        room += " Old folders count there for 30 days: empty it, or set DELETE_PERMANENTLY."
    return room


def run(credentials: Any, files: list[LocalFile], dry_run: bool) -> None:
    """The order of a run. Until put_in_place(), a fault leaves the old folder as it was."""
    started = time.monotonic()
    drive = Drive(credentials)
    drive.find_parent()
    old = drive.find_folders()
    unchanged = drive.find_unchanged(files, old)
    if dry_run:
        preview(files, unchanged, old)
        return
    folder_id = drive.reserve_ids(files)
    replaced = [folder for folder in old if folder["name"] == FOLDER_NAME]
    shared = [folder for folder in replaced if folder.get("shared")]
    try:
        drive.create_folder(folder_id)
        copied = drive.copy(unchanged, folder_id)
        rest = [file for file in files if file not in copied]
        drive.upload_all(rest, folder_id)
        for folder in shared:
            drive.share(folder, folder_id)
        new = drive.put_in_place(folder_id)
    except HttpError as error:
        if "storageQuotaExceeded" not in codes(error):
            raise
        raise Problem(f"{explain(error)} {make_room(drive, folder_id, files)}") from error
    stays = drive.remove_older(new, old)
    if stays["id"] != folder_id:
        report.say("A run that was started later is in place already: its folder stays.")
    if shared or any(folder.get("starred") for folder in replaced):
        report.say("The old folder was shared or starred: its link has changed.", sys.stdout)
    sent, seconds = amount(sum(file.size for file in rest)), time.monotonic() - started
    report.say(
        f"{len(rest)} uploaded, {len(copied)} copied unchanged, {sent} sent in {seconds:.1f} s\n"
        f"{LINK}{stays['id']}",
        sys.stdout,
    )


def stop(number: int, _: Any) -> None:
    """End the run on the first signal; those after it come too late."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(130 if number == signal.SIGINT else 143)


def prepare() -> None:
    """Have signals end the run in order, and output never end it."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    logging.disable()  # the libraries' own remarks


def main(arguments: list[str] | None = None) -> int:
    """Run, and turn whatever ends the run into a message and an exit status."""
    prepare()
    try:
        parser = argparse.ArgumentParser(
            description=(__doc__ or "").split("\n")[0], allow_abbrev=False
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="change nothing, tell what would"
        )
        options = parser.parse_args(arguments)
        files, client = check()
        try:
            run(sign_in(client), files, options.dry_run)
        except (HttpError, RefreshError) as error:
            if "installed" not in client or not codes(error) & SIGN_IN_LOST:
                raise
            report.say(f"The sign-in has ended. {explain(error)}")
            run(ask_consent(client), files, options.dry_run)
        return 0
    except Problem as problem:
        text, status, *_ = *problem.args, 1
    except SystemExit as ending:
        if ending.code not in (130, 143):
            raise  # argparse's
        text, status = "Interrupted." if ending.code == 130 else "Terminated.", ending.code
    except (AttributeError, LookupError, TypeError) as error:
        text, status = f"Google's answer makes no sense ({error!r}).", 1
    except Exception as error:
        text, status = explain(error), 1
    if status == 2:
        report.say(f"{text}\nNothing was sent.")
    else:
        report.say(f"{report.step}: {text}\n{report.standing}")
    return status


if __name__ == "__main__":
    status = main()
    os._exit(status)  # not waiting for threads that wait for the network
