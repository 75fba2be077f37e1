"""Drive's API over plain HTTP, and the account of what this check has made there.

Plain, because googleapiclient would never ask some of the questions: a chunk of a forbidden size, a
body that breaks off, an address without a token.
"""

import http.client
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

import google_auth_httplib2
import httplib2
from google.auth.exceptions import GoogleAuthError
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest, HttpRequest, build_http

Item = dict[str, Any]  # what Drive tells of a file or folder

FILES = "https://www.googleapis.com/drive/v3/files"
UPLOAD = "https://www.googleapis.com/upload/drive/v3/files"
BATCH = "https://www.googleapis.com/batch/drive/v3"
FOLDER = "application/vnd.google-apps.folder"
FIELDS = (
    "id,name,mimeType,parents,size,md5Checksum,sha256Checksum,createdTime,modifiedTime,trashed,"
    "explicitlyTrashed,appProperties"
)
ONE = {"fields": FIELDS, "supportsAllDrives": "true"}
MANY = {"fields": f"nextPageToken,files({FIELDS})", "supportsAllDrives": "true", "pageSize": "1000"}
MARK = "quickstart-check"  # the key in appProperties of what lies directly in My Drive

GRAIN = 256 * 1024  # bytes; chunks of an upload are multiples of this
NETWORK_TIMEOUT = 60.0  # seconds without a byte from or to Google
RETRY_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds, while Drive is busy
FIRST_POLL, SLOWEST_POLL = 0.05, 2.0  # seconds between two polls: each is twice the one before
TIME_LIMIT = 250.0  # seconds that all questions may take together
REMOVAL_LIMIT = 90.0  # seconds that the removal may take; 10 to 20 are usual

NETWORK_ERRORS = (OSError, http.client.HTTPException, httplib2.HttpLib2Error, GoogleAuthError)


class NotTried(Exception):
    """The question could not be asked. The text says why."""


class Contradicted(Exception):
    """Drive does not behave as claimed. The text says what it does."""


class Stopped(Exception):
    """The person wants an end."""


def assume(condition: bool, otherwise: object) -> None:
    if not condition:
        raise Contradicted(str(otherwise))


def some_bytes(size: int) -> bytes:
    """Content that no other file has."""
    return os.urandom(size)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes

    @property
    def json(self) -> Item:
        """The content, or nothing where that is no JSON object."""
        try:
            found = json.loads(self.content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def error(self) -> Item:
        found = self.json.get("error")
        return found if isinstance(found, dict) else {}

    @property
    def reasons(self) -> set[str]:
        """Google's names for what went wrong."""
        return {entry.get("reason", "") for entry in self.error.get("errors", [])}

    @property
    def is_transient(self) -> bool:
        limits = {"rateLimitExceeded", "userRateLimitExceeded"}
        is_limited = self.status == 403 and bool(self.reasons & limits)
        return is_limited or self.status in (408, 429) or self.status >= 500

    @property
    def kept(self) -> int:
        """How many bytes a session has kept, as its 308 says."""
        last = self.headers.get("range", "").rpartition("-")[2]
        return int(last) + 1 if last else 0

    def __str__(self) -> str:
        if self.error:
            reasons = ", ".join(sorted(self.reasons)) or "without a reason"
            return f"{self.status} {reasons}: {self.error.get('message', '')}"
        where = f" Range: {self.headers['range']}" if "range" in self.headers else ""
        return f"{self.status}{where} {' '.join(self.content.decode(errors='replace').split())}"

    def expect(self, status: int, reason: str = "") -> Self:
        """Take the claim for contradicted unless this is the answer that it speaks of."""
        if self.is_transient:
            raise NotTried(f"Drive did not get to it: {self}")
        assume(self.status == status and (not reason or reason in self.reasons), self)
        return self

    def prepared(self) -> Item:
        """The answer to a request that only prepares the question."""
        if self.status not in (200, 201, 204, 308):
            raise NotTried(f"a step before it failed: {self}")
        return self.json


@dataclass
class Session:
    """A resumable upload."""

    drive: "Drive"
    address: str
    content: bytes

    def send(
        self,
        start: int = 0,
        stop: int | None = None,
        body: Any = None,
        token: str | None = "",
    ) -> Answer:
        """Send the content from start to stop; or `body`, as if it were that."""
        stop = len(self.content) if stop is None else stop
        place = f"bytes {start}-{stop - 1}/{len(self.content)}"
        headers = {"Content-Range": place, "Content-Length": str(stop - start)}
        body = body or self.content[start:stop]
        return self.drive.note(self.drive.call("PUT", self.address, {}, body, headers, token))

    def status(self) -> Answer:
        headers = {"Content-Range": f"bytes */{len(self.content)}", "Content-Length": "0"}
        return self.drive.call("PUT", self.address, {}, None, headers)


@dataclass
class Drive:
    """The Drive of whoever signed in, and all that this check has made in it."""

    credentials: Any
    name: str  # of the folder that everything lies in
    limited: bool = True  # whether the sign-in is for drive.file alone
    lag_limit: float = 240.0  # seconds that the index of names may lag
    share_with: str | None = None  # an email address
    folder_made_by_hand: str | None = None  # its ID
    shared_drive: str | None = None  # its ID
    any_scope: bool = False  # whether more than drive.file may be used, or asked for
    connect: Callable[[], httplib2.Http] = build_http
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Any] | None = None

    folder: str = ""  # the ID of the folder that everything lies in
    made: list[str] = field(default_factory=list)  # the IDs of all that was made
    answers: list[Answer] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    stopping: threading.Event = field(default_factory=threading.Event)
    removing: bool = False
    own: threading.local = field(default_factory=threading.local)  # httplib2 is for one thread

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Have the time that the check may take begin now."""
        self.started = self.clock()
        self.lag_end = self.started + self.lag_limit
        self.deadline = self.started + max(TIME_LIMIT, self.lag_limit + 10)

    # -- Calling ---------------------------------------------------------------------------------

    @property
    def plain_http(self) -> httplib2.Http:
        """This thread's connections, which send no token."""
        if not hasattr(self.own, "http"):
            self.own.http = self.connect()
            self.own.http.timeout = NETWORK_TIMEOUT
        http: httplib2.Http = self.own.http
        return http

    @property
    def authorized_http(self) -> Any:
        return google_auth_httplib2.AuthorizedHttp(self.credentials, self.plain_http)

    def call(
        self,
        method: str,
        address: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """The answer to a request, which is repeated while Drive is busy.

        `token`: "" for that of the sign-in, None for none.
        """
        address += f"?{urlencode(params)}" if params else ""
        sent = dict(headers or {})
        if isinstance(body, dict):
            body, sent["Content-Type"] = json.dumps(body), "application/json; charset=UTF-8"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        tries: list[Answer] = []
        for seconds in (*RETRY_WAITS, None):
            self.go_on()
            with self.network():
                http = self.authorized_http if token == "" else self.plain_http
                response, content = http.request(address, method, body, sent)
            answer = Answer(response.status, response, content)
            self.answers.append(answer)
            if not answer.is_transient or seconds is None:
                break
            tries.append(answer)
            asked_for = answer.headers.get("retry-after", "")
            self.wait(max(seconds, float(asked_for) if asked_for.isdecimal() else 0))
        if answer.status == 409 and tries:  # it may be about what an earlier try has made
            raise NotTried(f"the answer was {tries[-1].status} first, then {answer}")
        return answer

    @contextmanager
    def network(self) -> Iterator[None]:
        """What is left of a call that broke off must not pass for the answer to the next."""
        try:
            yield
        except NETWORK_ERRORS as error:
            self.plain_http.close()
            raise NotTried(f"the connection to Google or the sign-in failed: {error}") from error
        except BaseException:
            self.plain_http.close()
            raise

    def go_on(self) -> None:
        """Raise if the person wants an end, or the time is over."""
        if self.stopping.is_set() and not self.removing:
            raise Stopped
        if self.clock() > self.deadline:
            raise NotTried("the time for the whole check was over")

    def wait(self, seconds: float) -> None:
        if self.clock() + seconds > self.deadline:
            raise NotTried(f"there was no time left to wait for {seconds:.0f} s")
        if self.sleep:
            self.sleep(seconds)
        elif self.removing:
            time.sleep(seconds)
        else:
            self.stopping.wait(seconds)
        self.go_on()

    def until(self, happens: Callable[[], bool], last: float) -> float | None:
        """How many seconds it takes until something happens; None if it is later than `last`."""
        started = self.clock()
        pause = FIRST_POLL
        while True:
            asked = self.clock()
            if happens():
                return asked - started
            if self.clock() + pause > last:
                return None
            self.wait(pause)
            pause = min(2 * pause, SLOWEST_POLL)

    def note(self, answer: Answer) -> Answer:
        """Remember what an answer says was made."""
        if answer.status in (200, 201) and "id" in answer.json:
            self.made.append(answer.json["id"])
        return answer

    # -- Operations ------------------------------------------------------------------------------

    def new_id(self) -> str:
        params = {"count": "1", "fields": "ids"}
        ids: list[str] = self.call("GET", f"{FILES}/generateIds", params).prepared()["ids"]
        return ids[0]

    def metadata(self, given: Item) -> Item:
        return {"name": "check", "parents": [self.folder]} | given

    def create(self, **metadata: Any) -> Answer:
        """Create a folder."""
        body = {"mimeType": FOLDER} | self.metadata(metadata)
        return self.note(self.call("POST", FILES, ONE, body))

    def upload(self, content: bytes = b"content", **metadata: Any) -> Answer:
        """Create a file in one request."""
        mark = uuid.uuid4().hex
        head = (
            f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps(self.metadata(metadata))}\r\n"
            f"--{mark}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/related; boundary={mark}"}
        params = {"uploadType": "multipart", **ONE}
        return self.note(self.call("POST", UPLOAD, params, body, headers))

    def start_session(self, content: bytes, **metadata: Any) -> Answer:
        params = {"uploadType": "resumable", **ONE}
        headers = {"X-Upload-Content-Length": str(len(content))}
        return self.call("POST", UPLOAD, params, self.metadata(metadata), headers)

    def copy(self, source: str, **metadata: Any) -> Answer:
        address = f"{FILES}/{source}/copy"
        return self.note(self.call("POST", address, ONE, self.metadata(metadata)))

    def copy_in_batch(self, source: str, **metadata: Any) -> Answer:
        """Copy in a batch of one, as googleapiclient sends it."""
        answers: list[Answer] = []

        def receive(_: str, answer: Any, error: HttpError | None) -> None:
            failed = error and Answer(error.resp.status, error.resp, error.content)
            answers.append(failed or answer)

        def read(response: Any, content: Any) -> Answer:
            return Answer(response.status, response, content)

        batch = BatchHttpRequest(receive, BATCH)
        address = f"{FILES}/{source}/copy?{urlencode(ONE)}"
        body = json.dumps(self.metadata(metadata))
        headers = {"content-type": "application/json"}
        batch.add(HttpRequest(self.plain_http, read, address, "POST", body, headers))
        self.go_on()
        with self.network():
            try:
                batch.execute(self.authorized_http)
            except HttpError as error:  # the batch as a whole is refused
                answers = [Answer(error.resp.status, error.resp, error.content or b"")]
        return self.note(answers[0])

    def get(self, file_id: str) -> Answer:
        return self.call("GET", f"{FILES}/{file_id}", ONE)

    def update(self, file_id: str, **metadata: Any) -> Answer:
        return self.call("PATCH", f"{FILES}/{file_id}", ONE, metadata)

    def delete(self, file_id: str) -> Answer:
        return self.call("DELETE", f"{FILES}/{file_id}", {"supportsAllDrives": "true"})

    def search(self, query: str, **params: str) -> Answer:
        return self.call("GET", FILES, {"q": query, **MANY, **params})

    def share(self, file_id: str, role: str) -> Answer:
        """Share it with the person whom the options name, without mail."""
        if not self.share_with:
            raise NotTried("no --share-with was given")
        body = {"type": "user", "role": role, "emailAddress": self.share_with}
        params = {"sendNotificationEmail": "false", "supportsAllDrives": "true"}
        address = f"{FILES}/{file_id}/permissions"
        return self.call("POST", address, {**params, "fields": "id,role"}, body)

    def permissions(self, file_id: str) -> Answer:
        params = {"fields": "permissions(id,role,emailAddress)", "supportsAllDrives": "true"}
        return self.call("GET", f"{FILES}/{file_id}/permissions", params)

    # -- What questions need before they can be asked ----------------------------------------------

    def find(self, query: str) -> list[Item]:
        """All that a query finds, page by page."""
        found: list[Item] = []
        more: Item = {}
        while True:
            answer = self.search(query, **more).prepared()
            found += answer.get("files", [])
            if "nextPageToken" not in answer:
                return found
            more = {"pageToken": answer["nextPageToken"]}

    def new_folder(self, **metadata: Any) -> str:
        key: str = self.create(**metadata).prepared()["id"]
        return key

    def new_file(self, content: bytes = b"content", **metadata: Any) -> str:
        key: str = self.upload(content, **metadata).prepared()["id"]
        return key

    def new_session(self, size: int, **metadata: Any) -> Session:
        content = some_bytes(size)
        answer = self.start_session(content, **metadata)
        answer.prepared()
        return Session(self, answer.headers.get("location", ""), content)

    # -- Beginning and end -------------------------------------------------------------------------

    def make_folder(self) -> None:
        """Make the folder that everything lies in."""
        self.folder = self.new_folder(**self.at_the_top())

    def at_the_top(self) -> Item:
        """Metadata of what lies directly in My Drive, for the removal to find it."""
        return {"name": self.name, "parents": ["root"], "appProperties": self.marked}

    @property
    def marked(self) -> dict[str, str]:
        return {MARK: self.mark}

    def everything(self) -> set[str]:
        """The IDs of all that was made, also by quickstart.py or where the answer was lost."""
        folders = [self.folder] if self.folder else []
        with suppress(NotTried):
            top = self.find("'root' in parents")
            folders += [item["id"] for item in top if item.get("appProperties") == self.marked]
        found = {*self.made, *folders}
        for key in folders:  # grows meanwhile
            with suppress(NotTried):
                items = self.find(f"'{key}' in parents")
                found.update(item["id"] for item in items)
                folders += [item["id"] for item in items if item["mimeType"] == FOLDER]
        return found

    def remove_everything(self) -> int:
        """Delete for good all that was made. How many things may be left after that."""
        self.removing, self.deadline = True, self.clock() + REMOVAL_LIMIT
        left = self.everything()
        if self.folder:
            self.unless_gone(self.folder)  # nor anything below
        pause = FIRST_POLL
        with ThreadPoolExecutor(4) as pool, suppress(NotTried):
            while left := {key for key in pool.map(self.unless_gone, left) if key}:
                self.wait(pause)
                pause = min(2 * pause, SLOWEST_POLL)
        return len(left)

    def unless_gone(self, file_id: str) -> str | None:
        """Delete what has the ID. Returns the ID; nothing if nothing had it."""
        with suppress(NotTried):
            if self.get(file_id).status == 404:
                return None
            self.delete(file_id)
        return file_id
