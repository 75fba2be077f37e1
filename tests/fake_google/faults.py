"""Faults on request: the closed lists of names, the queue for each operation, the accounting."""

import threading
from dataclasses import dataclass, replace
from typing import Any

from .errors import ERRORS, error_reply, front_end_page, web_page
from .messages import Reply, Request
from .state import GRAIN
from .uploads import CONTENT_RANGE, ENDED

SIGNING_IN = "consent token.authorization_code token.refresh token.jwt"
OAUTH_OPERATIONS = {f"oauth.{name}" for name in SIGNING_IN.split()}
FILES = "list generateIds get create.metadata create.multipart create.resumable copy update"
OPERATIONS = OAUTH_OPERATIONS | {f"files.{name}" for name in FILES.split()}
OPERATIONS |= {"files.update.rename", "files.update.trash", "files.delete"}
OPERATIONS |= {"upload.content", "upload.status", "permissions.list", "permissions.create"}
# A status alone is the first of its kind.
SHORT_NAMES = {name[:3]: name for name in reversed(ERRORS) if not name.startswith("403")}
SHORT_NAMES |= {f"{status}-retry-after": SHORT_NAMES[status] for status in ("429", "503")}
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
STATUS = ERRORS.keys() | SHORT_NAMES.keys() | {"502-html"}
# Of something on the way to Google.
PAGES = {f"html-{status}": status for status in (403, 404, 407, 429)}
UNREAD = {"close-unread", "reset"}  # the request's body is not, or not all, read
# What becomes of the connection. Else, the reply is sent, and the connection goes on.
ENDINGS = {
    "close-unread": "close",
    "close-read": "close",
    "reset": "reset",
    "cut": "reset",
    "stall": "silence",
    "answer-lost": "close",
    "answer-reset": "reset",
    "body-cut": "half",
}
SOCKET = ENDINGS.keys() - {"cut"} | {"slow"}
UNDONE = {"close-read", "stall"}  # the body is read, but nothing is done
# Keys that an answer lacks, or that hold zeros in it.
KEYS = {"no-sha256": "sha256Checksum", "wrong-md5": "md5Checksum"}
SPOILT = {"truncated-json", "html-200"}  # the work is done, the answer is bad
SESSION = ENDED.keys() | {"308-all-kept"}
# What only some operations can suffer.
SPECIAL = {
    "upload.content": SESSION | {"cut", "keep-part", "503-keep-part", "308-no-range"},
    "upload.status": SESSION,
}


def allowed(operation: str) -> set[str]:
    """The faults that an operation may be given."""
    if operation in OAUTH_OPERATIONS:
        return SOCKET | PAGES.keys() | SPOILT | {"500", "503"} | OAUTH_ERRORS.keys()
    special = SPECIAL.get(operation, set())
    return STATUS | PAGES.keys() | SOCKET | SPOILT | KEYS.keys() | special


@dataclass(eq=False)
class Plan:
    """A fault that waits for its call."""

    operation: str
    fault: str
    after: int = 0  # calls that go through first
    for_ever: bool = False
    used: bool = False


class FaultBook:
    """All faults, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.plans: list[Plan] = []

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
            self.plans += plans

    def unused(self) -> list[str]:
        return [f"{plan.operation}: {plan.fault}" for plan in self.plans if not plan.used]

    def take(self, request: Request) -> str | None:
        """The fault that strikes this call, if any."""
        with self.lock:
            waiting = (plan for plan in self.plans if plan.for_ever or not plan.used)
            mine = (plan for plan in waiting if plan.operation == request.call.operation)
            plan = next(mine, None)
            if not plan or not applies(plan.fault, request):
                return None
            if plan.after:
                plan.after -= 1
                return None
            plan.used = True
        request.call.fault = plan.fault
        return plan.fault


def reply(fault: str | None, operation: str, retry_after: float | str) -> Reply | None:
    """The reply in place of the work, for a fault that is one."""
    if operation in OAUTH_OPERATIONS and fault in {"500", "503"}:
        return front_end_page(int(fault), "Service Unavailable")
    if fault == "502-html":
        return front_end_page(502, "Bad Gateway")
    if fault in PAGES:
        return web_page(PAGES[fault])
    if fault in OAUTH_ERRORS:
        status, text = OAUTH_ERRORS[fault]
        code = "internal_failure" if fault == "503-json" else fault
        return Reply(status, {"error": code, "error_description": text})
    if fault not in STATUS:
        return None
    found = error_reply(SHORT_NAMES.get(fault, fault))
    if fault.endswith("-retry-after"):
        found.headers["Retry-After"] = str(retry_after)
    return found


def applies(fault: str, request: Request) -> bool:
    """Whether this call is one that the fault can befall; else it waits for the next."""
    if fault in KEYS:
        fields = request.params.get("fields", "")
        return KEYS[fault] in fields or fields == "*"
    if fault in ("keep-part", "503-keep-part"):
        return request.stream.length >= 2 * GRAIN
    if fault == "308-all-kept":
        match = CONTENT_RANGE.fullmatch(request.headers.get("content-range", ""))
        return not match or match[1] is None or int(match[2]) + 1 == int(match[3].strip("*") or 0)
    return True


def spoil(fault: str | None, reply: Reply) -> Reply:
    """The reply as the fault leaves it."""
    if fault == "truncated-json":
        content = reply.encoded()
        return Reply(reply.status, content[: len(content) // 2], reply.headers)
    if fault == "html-200":
        return web_page(200)
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
    if text := found.pop(KEYS[fault], None):
        found |= {KEYS[fault]: "0" * len(text)} if fault.startswith("wrong-") else {}
    return found
