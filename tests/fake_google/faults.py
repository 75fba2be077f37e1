"""Faults on request: the closed lists of names, the queue for each operation, the accounting."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .errors import KINDS, error_reply, html_reply
from .messages import Reply, Request
from .state import GRAIN

OAUTH_OPERATIONS = {
    "oauth.consent",
    "oauth.token.authorization_code",
    "oauth.token.refresh",
    "oauth.token.jwt",
    "oauth.revoke",
}
CHUNK_OPERATIONS = {"upload.chunk", "upload.first", "upload.middle", "upload.last"}
API_OPERATIONS = {
    "files.list",
    "files.generateIds",
    "files.get",
    "files.create.metadata",
    "files.create.multipart",
    "files.create.media",
    "files.create.resumable",
    "upload.status",
    "files.copy",
    "files.update",
    "files.update.rename",
    "files.update.trash",
    "files.delete",
    "permissions.list",
    "permissions.create",
    "permissions.delete",
    "about.get",
    "drives.list",
    "drives.get",
    "batch",
}
OPERATIONS = OAUTH_OPERATIONS | CHUNK_OPERATIONS | API_OPERATIONS
LISTS = {"files.list", "permissions.list", "drives.list"}

SHORT_NAMES = {
    "400": "400-badRequest",
    "401": "401-authError",
    "404": "404-notFound",
    "408": "408-requestTimeout",
    "409": "409-fileIdInUse",
    "429": "429-rateLimitExceeded",
    "429-retry-after": "429-rateLimitExceeded",
    "500": "500-internalError",
    "502": "502-backendError",
    "503": "503-backendError",
    "504": "504-backendError",
}
# https://developers.google.com/identity/protocols/oauth2 ; a Workspace's refusals come with 400 too
OAUTH_ERRORS = {
    "invalid_grant": (400, "Token has been expired or revoked."),
    "invalid_client": (401, "The OAuth client was not found."),
    "deleted_client": (401, "The OAuth client was deleted."),
    "org_internal": (403, "This client is restricted to users within its organization."),
    "admin_policy_enforced": (400, "Access to your account data is restricted by policies."),
    "unauthorized_client": (401, "Unauthorized"),
    "invalid_scope": (400, "Some requested scopes were invalid."),
    "503-json": (503, "Please try again."),
}

STATUS = set(KINDS) | set(SHORT_NAMES) | {"502-html"}
UNREAD = {"close-unread", "reset"}  # the request's body is not, or not all, read
UNDONE = {"close-read", "stall"}  # it is, but nothing is done
DONE = {"answer-lost", "answer-reset", "body-cut"}  # the work is done, but the answer is lost
SOCKET = UNREAD | UNDONE | DONE
# Keys that an answer lacks, or that hold zeros in it.
LACKING = {"no-md5": "md5Checksum", "no-sha256": "sha256Checksum"}
WRONG = {"wrong-md5": "md5Checksum", "wrong-sha256": "sha256Checksum"}
KEYS = LACKING | WRONG
SPOILT = {"truncated-json", "html-200"} | KEYS.keys()  # the work is done, the answer is bad
PAGING = {"bad-page-token"}
SESSION = {"session-404", "session-410"}
CHUNK = SESSION | {"keep-part", "503-keep-part", "308-no-range", "308-all-kept"}
FAULTS = STATUS | SOCKET | SPOILT | PAGING | CHUNK | set(OAUTH_ERRORS)


class Ending(Enum):
    """What becomes of the connection."""

    ANSWER = "the reply is sent"
    CLOSE = "closed without a byte of an answer"
    RESET = "reset, as TCP knows it"
    HALF = "closed after half of the reply's body"
    SILENCE = "kept open, without an answer, until the client gives up"


ENDINGS = {
    "close-unread": Ending.CLOSE,
    "close-read": Ending.CLOSE,
    "reset": Ending.RESET,
    "stall": Ending.SILENCE,
    "answer-lost": Ending.CLOSE,
    "answer-reset": Ending.RESET,
    "body-cut": Ending.HALF,
}


def allowed(operation: str) -> set[str]:
    """The faults that an operation may be given."""
    if operation in OAUTH_OPERATIONS:
        return SOCKET | {"500", "503", "truncated-json", "html-200"} | set(OAUTH_ERRORS)
    found = STATUS | SOCKET | SPOILT
    if operation in LISTS:
        found = found | PAGING
    if operation in CHUNK_OPERATIONS:
        found = found | CHUNK
    return found | SESSION if operation == "upload.status" else found


@dataclass(eq=False)
class Plan:
    """A fault that waits for its call."""

    operation: str
    fault: str
    after: int = 0  # calls that go through first
    for_ever: bool = False
    used: bool = False

    def __str__(self) -> str:
        return f"{self.operation}: {self.fault}"


class FaultBook:
    """Each operation's faults, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.queues: dict[str, deque[Plan]] = defaultdict(deque)
        self.plans: list[Plan] = []
        self.retry_after = 1.0  # seconds, for 429-retry-after

    def fail(self, operation: str, faults: tuple[str, ...], after: int, repeat: int | None) -> None:
        if operation not in OPERATIONS:
            raise ValueError(f"{operation!r} is none of {sorted(OPERATIONS)}")
        if wrong := set(faults) - allowed(operation):
            raise ValueError(f"{sorted(wrong)} are none of {sorted(allowed(operation))}")
        if not faults or after < 0 or (repeat is not None and repeat < 1):
            raise ValueError("nothing is asked for")
        plans = [
            Plan(operation, fault, for_ever=repeat is None) for fault in faults * (repeat or 1)
        ]
        plans[0].after = after
        with self.lock:
            self.queues[operation].extend(plans)
            self.plans.extend(plans)

    def unused(self) -> list[str]:
        return [str(plan) for plan in self.plans if not plan.used]

    def take(self, request: Request, in_batch: bool = False) -> str | None:
        """The fault that strikes this call, if any."""
        with self.lock:
            for name in request.call.names:
                if fault := self._take(self.queues[name], request, in_batch):
                    request.call.fault = fault
                    return fault
        return None

    def _take(self, queue: deque[Plan], request: Request, in_batch: bool) -> str | None:
        if not queue or not applies(queue[0].fault, request, in_batch):
            return None
        plan = queue[0]
        if plan.after:
            plan.after -= 1
            return None
        plan.used = True
        if not plan.for_ever:
            queue.popleft()
        return plan.fault

    def reply(self, fault: str, operation: str) -> Reply | None:
        """The reply in place of the work, for a fault that is one."""
        if operation in OAUTH_OPERATIONS and fault in {"500", "503"}:
            return html_reply(int(fault), "Service Unavailable")
        if fault == "502-html":
            return html_reply(502, "Bad Gateway")
        if fault in OAUTH_ERRORS:
            status, text = OAUTH_ERRORS[fault]
            code = "internal_failure" if fault == "503-json" else fault
            return Reply(status, {"error": code, "error_description": text})
        if fault in PAGING:
            return error_reply("400-invalid", location="pageToken")
        if fault not in STATUS:
            return None
        found = error_reply(SHORT_NAMES.get(fault, fault))
        if fault == "429-retry-after":
            found.headers["Retry-After"] = f"{self.retry_after:g}"
        return found


def applies(fault: str, request: Request, in_batch: bool) -> bool:
    """Whether this call is one that the fault can befall; else it waits for the next."""
    length = request.stream.length or 0
    if in_batch and fault not in STATUS | KEYS.keys():
        return False
    if fault in PAGING:
        return "pageToken" in request.params
    if fault in KEYS:
        return KEYS[fault] in request.params.get("fields", "")
    if fault in ("keep-part", "503-keep-part"):
        return length >= 2 * GRAIN
    return fault != "308-all-kept" or "upload.last" in request.call.names


def spoil(fault: str | None, reply: Reply) -> Reply:
    """The reply as the fault leaves it."""
    if fault == "truncated-json":
        content = reply.encoded()
        return Reply(reply.status, content[: len(content) // 2], reply.headers)
    if fault == "html-200":
        return html_reply(200, "Sorry for the inconvenience")
    if fault in KEYS:
        return Reply(reply.status, _without(reply.body, fault), reply.headers)
    return reply


def _without(value: Any, fault: str) -> Any:
    """A JSON value that lacks the fault's key, or has zeros there."""
    if isinstance(value, list):
        return [_without(entry, fault) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {key: _without(entry, fault) for key, entry in value.items()}
    key = KEYS[fault]
    if key in found:
        found[key] = "0" * len(found[key])
    if fault in LACKING:
        found.pop(key, None)
    return found
