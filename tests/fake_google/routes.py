"""The routing table: which operation a request is for."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import batch, oauth, operations, uploads
from .messages import Reply, Request
from .operations import Handler
from .uploads import CONTENT_RANGE

API = {"www.googleapis.com"}
SIGN_IN = {"accounts.google.com"}
TOKENS = {"oauth2.googleapis.com"}
HOSTS = API | SIGN_IN | TOKENS


@dataclass(frozen=True)
class Route:
    hosts: set[str]
    method: str
    path: str  # with {names} of the variable parts
    names: str | Callable[[Request], tuple[str, ...]]  # the operation's, and its aliases
    handler: Handler
    streams: bool = False  # the handler reads the body, as it comes

    def matches(self, request: Request) -> bool:
        if request.method != self.method or request.host not in self.hosts:
            return False
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        match = re.fullmatch(pattern, request.path)
        if match:
            request.captured = match.groupdict()
        return match is not None

    def operation(self, request: Request) -> tuple[str, ...]:
        return (self.names,) if isinstance(self.names, str) else self.names(request)


def _token_names(request: Request) -> tuple[str, ...]:
    return (oauth.token_operation(request),)


def _update_names(request: Request) -> tuple[str, ...]:
    """An update goes by what it changes."""
    try:
        body: Any = json.loads(request.body or b"{}")
    except ValueError:
        body = None
    keys = body.keys() if isinstance(body, dict) else set()
    if "trashed" in keys:
        return ("files.update.trash",)
    return ("files.update.rename",) if "name" in keys else ("files.update",)


def _session_names(request: Request) -> tuple[str, ...]:
    text = request.headers.get("content-range")
    if text is None:
        return ("upload.content",)
    match = CONTENT_RANGE.fullmatch(text)
    return ("upload.status" if match and match[1] is None else "upload.content",)


UPLOAD = "/upload/drive/v3/files"
FILES = "/drive/v3/files"
FILE = FILES + "/{fileId}"
PERMISSIONS = FILE + "/permissions"

ROUTES = [
    Route(API, "GET", FILES, "files.list", operations.list_files),
    Route(API, "GET", FILES + "/generateIds", "files.generateIds", operations.generate_ids),
    Route(API, "POST", FILES, "files.create.metadata", operations.create_metadata),
    Route(API, "GET", FILE, "files.get", operations.get),
    Route(API, "PATCH", FILE, _update_names, operations.update),
    Route(API, "DELETE", FILE, "files.delete", operations.delete),
    Route(API, "POST", FILE + "/copy", "files.copy", operations.copy),
    Route(API, "GET", PERMISSIONS, "permissions.list", operations.list_permissions),
    Route(API, "POST", PERMISSIONS, "permissions.create", operations.create_permission),
    Route(API, "GET", "/drive/v3/about", "about.get", operations.about),
    Route(API, "POST", "/batch/drive/v3", "batch", batch.run),
    Route(SIGN_IN | {""}, "GET", "/o/oauth2/auth", "oauth.consent", oauth.consent),
    Route(SIGN_IN | {""}, "POST", "/o/oauth2/auth", "oauth.consent", oauth.consent),
    Route(SIGN_IN | {""}, "GET", "/o/oauth2/v2/auth", "oauth.consent", oauth.consent),
    Route(SIGN_IN | {""}, "POST", "/o/oauth2/v2/auth", "oauth.consent", oauth.consent),
    Route(TOKENS, "POST", "/token", _token_names, oauth.token),
]
# Uploads share their addresses; what is sent tells them apart. By method and uploadType:
UPLOADS = {
    ("POST", "multipart"): Route(
        API, "POST", UPLOAD, "files.create.multipart", uploads.create_multipart, streams=True
    ),
    ("POST", "resumable"): Route(
        API, "POST", UPLOAD, "files.create.resumable", uploads.start_session
    ),
    ("PATCH", "multipart"): Route(
        API, "PATCH", UPLOAD + "/{fileId}", "files.update", uploads.update_content, streams=True
    ),
    ("PATCH", "resumable"): Route(
        API, "PATCH", UPLOAD + "/{fileId}", "files.update", uploads.start_session
    ),
}
# To a session's address: PUT is the documented way, but rclone sends its chunks by POST.
SESSIONS = [
    Route(API, method, UPLOAD + below, _session_names, uploads.send_chunk, streams=True)
    for method in ("PUT", "POST")
    for below in ("", "/{fileId}")
]


def find(request: Request) -> Route | None:
    """The route of a request; its variable parts are noted in the request."""
    if "upload_id" in request.params:
        return next((route for route in SESSIONS if route.matches(request)), None)
    kind = request.method, request.params.get("uploadType", "")
    if kind in UPLOADS and UPLOADS[kind].matches(request):
        return UPLOADS[kind]
    return next((route for route in ROUTES if route.matches(request)), None)


def unknown(request: Request) -> Reply:
    text = f"Not Found: {request.method} {request.host}{request.path}"
    return Reply(404, text.encode(), {"Content-Type": "text/plain; charset=UTF-8"})
