"""The door between sockets and operations: routing, faults, log, watchers. All calls pass here."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

from . import faults, oauth, operations, uploads
from .accounts import Accounts
from .errors import Refusal
from .faults import FaultBook
from .messages import Call, Reply, Request
from .state import Drive
from .viewer import admit

API, SIGN_IN, TOKENS = "www.googleapis.com", "accounts.google.com", "oauth2.googleapis.com"
HOSTS = {API, SIGN_IN, TOKENS}


def _update_name(request: Request) -> str:
    """An update goes by what it changes."""
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = None
    keys = body.keys() if isinstance(body, dict) else set()
    if "trashed" in keys:
        return "files.update.trash"
    return "files.update.rename" if "name" in keys else "files.update"


def _session_name(request: Request) -> str:
    text = request.headers.get("content-range", "")
    return "upload.status" if text.startswith("bytes */") else "upload.content"


def _drive_api(method: str, function: Callable[..., Any]) -> Callable[..., Reply]:
    """What does an operation of the Drive API, which Google's document knows by this name."""

    def handler(google: Any, request: Request) -> Reply:
        sender = admit(google, request, method)
        with google.drive.lock:
            value = function(sender, request)
        return value if isinstance(value, Reply) else Reply(200, value)

    return handler


FILES = f"{API} %s /drive/v3/files"
FILE = FILES + "/{fileId}"
UPLOAD = f"{API} %s /upload/drive/v3/files"
LIST, CREATE, GET, UPDATE = "files.list", "files.create", "files.get", "files.update"
GENERATE, COPY, DELETE = "files.generateIds", "files.copy", "files.delete"
SHARING, SHARE = "permissions.list", "permissions.create"
METADATA, MULTIPART, RESUMABLE = (
    f"{CREATE}.{way}" for way in ("metadata", "multipart", "resumable")
)
# What tests call the operation, and what does the work, by host, method and path. Uploads share
# their addresses: the last word tells them apart. A name that is a function may need the body.
ROUTES: dict[str, tuple[Any, Callable[..., Reply]]] = {
    FILES % "GET": (LIST, _drive_api(LIST, operations.list_files)),
    FILES % "POST": (METADATA, _drive_api(CREATE, operations.create_metadata)),
    FILES % "GET" + "/generateIds": (GENERATE, _drive_api(GENERATE, operations.generate_ids)),
    FILE % "GET": (GET, _drive_api(GET, operations.get)),
    FILE % "PATCH": (_update_name, _drive_api(UPDATE, operations.update)),
    FILE % "DELETE": (DELETE, _drive_api(DELETE, operations.delete)),
    FILE % "POST" + "/copy": (COPY, _drive_api(COPY, operations.copy)),
    FILE % "GET" + "/permissions": (SHARING, _drive_api(SHARING, operations.list_permissions)),
    FILE % "POST" + "/permissions": (SHARE, _drive_api(SHARE, operations.create_permission)),
    f"{API} GET /drive/v3/about": ("about.get", _drive_api("about.get", operations.about)),
    UPLOAD % "POST" + " multipart": (MULTIPART, _drive_api(CREATE, uploads.multipart)),
    UPLOAD % "POST" + " resumable": (RESUMABLE, _drive_api(CREATE, uploads.start_session)),
    # PUT is the documented way, but rclone sends its chunks by POST.
    UPLOAD % "(PUT|POST)" + " session": (_session_name, uploads.session_request),
    # The browser of a person who tries this out knows no proxy.
    f"({SIGN_IN})? (GET|POST) /o/oauth2/(v2/)?auth": ("oauth.consent", oauth.consent),
    f"{TOKENS} POST /token": (oauth.token_operation, oauth.token),
}
PATTERNS = {
    re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/ ]+)", text)): found
    for text, found in ROUTES.items()
}
NEED_BODY = {_update_name, oauth.token_operation}


class Service:
    """What is behind the sockets: the base of FakeGoogle."""

    def __init__(self, user: str, round_trip: float = 0.0) -> None:
        self.drive = Drive(user)
        self.accounts = Accounts()
        self.consent = oauth.Consent()
        self.round_trip = round_trip  # seconds
        self.slowness = 0.05  # seconds by which the fault `slow` holds back an answer
        # What the faults `429-retry-after` and `503-retry-after` say: seconds, or any text.
        self.retry_after: float | str = 1
        self.faults = FaultBook()
        self.log: list[Call] = []
        self.unknown: list[Call] = []  # calls for what this fake does not have
        self.strangers: list[str] = []  # hosts asked for that are not Google's
        self.watchers: list[Callable[[str, Call], None]] = []
        self.crashes: list[BaseException] = []  # of the fake itself, or of a watcher

    def answer(self, request: Request, is_gone: Callable[[], bool]) -> tuple[Reply | None, str]:
        """The reply, and what becomes of the connection: "" or one of faults.ENDINGS."""
        name, handler = self._find(request)
        if handler is None:
            request.stream.drain()
            self.unknown.append(request.call)
            text = f"Not Found: {request.call}"
            return Reply(404, text.encode(), {"Content-Type": "text/plain; charset=UTF-8"}), ""
        if name in NEED_BODY:
            request.body = request.stream.read()
        request.call.operation = name if isinstance(name, str) else name(request)
        fault = self.faults.take(request)
        if handler is not uploads.session_request and fault not in faults.UNREAD:
            request.body = request.body or request.stream.read()
        self._tell("before", request.call)
        # Google does not look; but who kills a client here wants nothing done.
        if self.watchers and is_gone():
            return None, "close"
        reply = faults.reply(fault, request.call.operation, self.retry_after)
        ending = faults.ENDINGS.get(fault or "", "")
        if fault in faults.UNREAD:
            return None, self._break_off(request, ending)
        if reply or fault in faults.UNDONE:
            request.stream.drain()
        else:
            try:
                reply = self._perform(handler, request)
            except uploads.Cut:
                return None, ending
        time.sleep(self.round_trip + (self.slowness if fault == "slow" else 0))
        return reply, ending

    def _find(self, request: Request) -> tuple[Any, Any]:
        call = request.call
        kind = f" {call.params.get('uploadType', '')}" if call.path.startswith("/upload/") else ""
        kind = " session" if "upload_id" in call.params else kind
        for pattern, found in PATTERNS.items():
            if match := pattern.fullmatch(f"{call.host} {call.method} {call.path}{kind}"):
                request.captured = match.groupdict()
                return found
        return None, None

    def _break_off(self, request: Request, ending: str) -> str:
        """Read no more than half of the body."""
        if request.body:  # it had to be read for the operation's name: what its loss looks like
            return "reset"
        half = request.stream.length // 2
        if ending != "close":
            for _ in request.stream.pieces():
                if request.stream.taken >= half:
                    break
        return ending

    def _perform(self, handler: Callable[..., Reply], request: Request) -> Reply:
        try:
            reply = handler(self, request)
        except Refusal as refusal:
            request.call.error = f"{refusal.name}: {refusal.message}"
            reply = refusal.reply()
        request.stream.drain()
        self._tell("after", request.call)
        return faults.spoil(request.call.fault, reply)

    def _tell(self, moment: str, call: Call) -> None:
        for watcher in list(self.watchers):
            watcher(moment, call)
