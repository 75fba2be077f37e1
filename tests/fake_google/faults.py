"""Faults on request: the closed lists of names, the queue for each operation, the accounting."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from .errors import KINDS, error_reply, html_reply, web_page
from .messages import Reply, Request
from .state import GRAIN

OAUTH_OPERATIONS = {
    "oauth.consent",
    "oauth.token.authorization_code",
    "oauth.token.refresh",
    "oauth.token.jwt",
}
API_OPERATIONS = {
    "files.list",
    "files.generateIds",
    "files.get",
    "files.create.metadata",
    "files.create.multipart",
    "files.create.resumable",
    "upload.content",
    "upload.status",
    "files.copy",
    "files.update",
    "files.update.rename",
    "files.update.trash",
    "files.delete",
    "permissions.list",
    "permissions.create",
    "about.get",
    "batch",
}
OPERATIONS = OAUTH_OPERATIONS | API_OPERATIONS

SAME_TOKEN = "~!!~page-token-again"
SHORT_NAMES = {
    "400": "400-badRequest",
    "401": "401-authError",
    "404": "404-notFound",
    "408": "408-requestTimeout",
    "409": "409-fileIdInUse",
    "429": "429-rateLimitExceeded",
    "429-retry-after": "429-rateLimitExceeded",
    "503-retry-after": "503-backendError",
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
# Of something on the way to Google.
PAGES = {"html-403", "html-404", "html-407", "html-429", "html-503"}
EARLY = {"403-storageQuotaExceeded-early", "503-early"}  # while the body is still on its way
UNREAD = {"close-unread", "reset"} | EARLY  # the request's body is not, or not all, read
UNDONE = {"close-read", "stall"}  # it is, but nothing is done
# The work is done, but the answer is late, or lost on its way.
DONE = {"slow", "answer-lost", "answer-reset", "head-cut", "head-cut-no-length", "body-cut"}
SOCKET = (UNREAD - EARLY) | UNDONE | DONE
# Keys that an answer lacks, or that hold zeros in it.
LACKING = {"no-md5": "md5Checksum", "no-sha256": "sha256Checksum"}
WRONG = {"wrong-md5": "md5Checksum", "wrong-sha256": "sha256Checksum"}
KEYS = LACKING | WRONG
SHAPES: dict[str, Any] = {"empty-object": {}, "empty-list": [], "empty-body": b""}
# The work is done, the answer is bad.
SPOILT = {"truncated-json", "html-200"} | SHAPES.keys() | KEYS.keys()
PAGING = {"bad-page-token", "page-token-again"}
SESSION = {"session-400", "session-404", "session-410", "308-all-kept"}
CHUNK = SESSION | {"cut", "keep-part", "503-keep-part", "308-no-range"}
PLAYED = CHUNK | {"part-missing"}  # by the operations themselves
# What only some operations can suffer.
SPECIAL = {
    "files.list": PAGING,
    "files.generateIds": {"no-ids"},
    "files.create.multipart": EARLY,
    "upload.content": EARLY | CHUNK,
    "upload.status": SESSION,
    "permissions.list": PAGING,
    "batch": {"part-missing"},
}
FAULTS = STATUS | PAGES | SOCKET | SPOILT | set(OAUTH_ERRORS) | set().union(*SPECIAL.values())


class Ending(Enum):
    """What becomes of the connection."""

    ANSWER = "the reply is sent"
    CLOSE = "closed without a byte of an answer"
    RESET = "reset, as TCP knows it"
    EARLY = "reset once the reply is sent"
    HEAD = "closed before the blank line after the reply's headers"
    SHORT_HEAD = "closed before the header that tells the length"
    HALF = "closed after half of the reply's body"
    SILENCE = "kept open, without an answer, until the client gives up"


ENDINGS = {
    "close-unread": Ending.CLOSE,
    "close-read": Ending.CLOSE,
    "reset": Ending.RESET,
    "cut": Ending.RESET,
    "stall": Ending.SILENCE,
    "answer-lost": Ending.CLOSE,
    "answer-reset": Ending.RESET,
    "head-cut": Ending.HEAD,
    "head-cut-no-length": Ending.SHORT_HEAD,
    "body-cut": Ending.HALF,
}
ENDINGS |= dict.fromkeys(EARLY, Ending.EARLY)


def allowed(operation: str) -> set[str]:
    """The faults that an operation may be given."""
    if operation in OAUTH_OPERATIONS:
        bad = {"500", "503", "truncated-json", "html-200"} | SHAPES.keys()
        return SOCKET | PAGES | bad | set(OAUTH_ERRORS)
    return STATUS | PAGES | SOCKET | SPOILT | SPECIAL.get(operation, set())


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
        self.retry_after: float | str = 1  # what the header of 429-retry-after says
        self.slowness = 0.05  # seconds

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
        if fault in PAGES:
            return web_page(int(fault.removeprefix("html-")))
        if fault in OAUTH_ERRORS:
            status, text = OAUTH_ERRORS[fault]
            code = "internal_failure" if fault == "503-json" else fault
            return Reply(status, {"error": code, "error_description": text})
        if fault == "bad-page-token":
            return error_reply("400-invalid", location="pageToken")
        if fault not in STATUS | EARLY:
            return None
        name = fault.removesuffix("-early")
        found = error_reply(SHORT_NAMES.get(name, name))
        if fault.endswith("-retry-after"):
            found.headers["Retry-After"] = str(self.retry_after)
        return found


def applies(fault: str, request: Request, in_batch: bool) -> bool:
    """Whether this call is one that the fault can befall; else it waits for the next."""
    length = request.stream.length or 0
    fields = request.params.get("fields", "")
    if in_batch and fault not in STATUS | KEYS.keys() | SHAPES.keys():
        return False
    if fault == "bad-page-token":
        return "pageToken" in request.params
    if fault == "page-token-again":
        return "nextPageToken" in fields or fields == "*"
    if fault in KEYS:
        return KEYS[fault] in fields
    if fault in ("keep-part", "503-keep-part"):
        return length >= 2 * GRAIN
    return True


def spoil(fault: str | None, reply: Reply) -> Reply:
    """The reply as the fault leaves it."""
    if fault == "truncated-json":
        content = reply.encoded()
        return Reply(reply.status, content[: len(content) // 2], reply.headers)
    if fault == "html-200":
        return web_page(200)
    if fault in SHAPES:
        return replace(reply, body=SHAPES[fault])
    if fault == "no-ids":
        return replace(reply, body=reply.body | {"ids": []})
    if fault == "page-token-again":
        return replace(reply, body=reply.body | {"nextPageToken": SAME_TOKEN})
    if fault in KEYS:
        return replace(reply, body=_without(reply.body, fault))
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
