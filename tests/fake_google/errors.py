"""Google's errors: the one list of them, and the one builder of their replies."""

import html
from dataclasses import dataclass
from typing import Any

from .messages import Reply


@dataclass(frozen=True)
class Kind:
    message: str
    domain: str = "global"
    state: str | None = None  # Google's canonical name, where its answers carry one
    detail: str | None = None  # the reason under "details", where that differs
    location: str | None = None
    location_type: str | None = None


def _usage(message: str) -> Kind:
    return Kind(message, "usageLimits")


# By "status-reason", which is also how tests ask for them.
# https://developers.google.com/workspace/drive/api/guides/handle-errors
KINDS = {
    "400-badRequest": Kind("Bad Request", state="INVALID_ARGUMENT"),
    "400-invalid": Kind("Invalid Value", state="INVALID_ARGUMENT"),
    "400-invalidParameter": Kind("Invalid Value", state="INVALID_ARGUMENT"),
    "400-required": Kind("Required", state="INVALID_ARGUMENT"),
    "400-parseError": Kind("Parse Error", state="INVALID_ARGUMENT"),
    "401-authError": Kind(
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        state="UNAUTHENTICATED",
        location="Authorization",
        location_type="header",
    ),
    "403-accessNotConfigured": Kind(
        "Google Drive API has not been used in project 112233445566 before or it is disabled. "
        "Enable it by visiting https://console.developers.google.com/apis/api/"
        "drive.googleapis.com/overview?project=112233445566 then retry. If you enabled this API "
        "recently, wait a few minutes for the action to propagate to our systems and retry.",
        domain="usageLimits",
        state="PERMISSION_DENIED",
        detail="SERVICE_DISABLED",
    ),
    "403-insufficientPermissions": Kind(
        "Request had insufficient authentication scopes.",
        state="PERMISSION_DENIED",
        detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ),
    "403-insufficientFilePermissions": Kind(
        "The user does not have sufficient permissions for this file."
    ),
    "403-insufficientParentPermissions": Kind("Insufficient permissions for the specified parent."),
    "403-appNotAuthorizedToFile": Kind(
        "The user has not granted the app 112233445566 write access to the file."
    ),
    "403-storageQuotaExceeded": Kind("The user's Drive storage quota has been exceeded."),
    "403-userRateLimitExceeded": _usage("User Rate Limit Exceeded"),
    "403-rateLimitExceeded": _usage("Rate Limit Exceeded"),
    "403-dailyLimitExceeded": _usage("Daily Limit Exceeded"),
    "403-sharingRateLimitExceeded": Kind(
        "Rate limit exceeded. User message: These items could not be shared because a rate limit "
        "was exceeded."
    ),
    "403-quotaExceeded": _usage("Quota exceeded."),
    "403-domainPolicy": Kind("The domain administrators have disabled Drive apps."),
    "403-numChildrenInNonRootLimitExceeded": Kind(
        "The limit for this folder's number of children (files and folders) has been exceeded."
    ),
    "403-myDriveHierarchyDepthLimitExceeded": Kind(
        "Your My Drive hierarchy depth limit has been exceeded."
    ),
    "403-activeItemCreationLimitExceeded": Kind(
        "This account has exceeded the creation limit of 500 million items."
    ),
    "403-teamDriveFileLimitExceeded": Kind(
        "The file limit for this shared drive has been exceeded."
    ),
    "403-teamDriveHierarchyTooDeep": Kind(
        "The shared drive hierarchy depth will exceed the limit."
    ),
    "403-teamDriveMembershipRequired": Kind(
        "The attempted action requires shared drive membership."
    ),
    "403-fieldNotWritable": Kind(
        "The resource body includes fields which are not directly writable."
    ),
    "403-parentNotAFolder": Kind("The specified parent is not a folder."),
    "403-cannotCopyFile": Kind("This file cannot be copied by the user."),
    "403-forbidden": Kind("Forbidden"),
    "404-notFound": Kind("File not found: .", location="fileId", location_type="parameter"),
    "408-requestTimeout": Kind("Request Timeout"),
    "409-fileIdInUse": Kind("A file already exists with the provided ID."),
    "410-gone": Kind("The upload session is gone."),
    "429-rateLimitExceeded": _usage("Rate Limit Exceeded"),
    "500-internalError": Kind("Internal Error"),
    "502-backendError": Kind("Bad Gateway"),
    "503-backendError": Kind("Transient failure"),
    "504-backendError": Kind("Deadline exceeded"),
}

PROJECT = {"consumer": "projects/112233445566", "service": "drive.googleapis.com"}


class Refusal(Exception):
    """Raised by an operation in place of an answer. `name` is one of KINDS."""

    def __init__(self, name: str, message: str | None = None, location: str | None = None) -> None:
        super().__init__(name, message or KINDS[name].message)
        self.name = name
        self.message = message or KINDS[name].message
        self.location = location

    def reply(self) -> Reply:
        return error_reply(self.name, self.message, self.location)


def not_found(file_id: str = "") -> Refusal:
    return Refusal("404-notFound", f"File not found: {file_id}.")


def _details(kind: Kind) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": kind.detail,
            "domain": "googleapis.com",
            "metadata": PROJECT,
        }
    ]
    links = [word for word in kind.message.split() if word.startswith("https://")]
    if links:
        found.append(
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [
                    {"description": "Google developers console API activation", "url": links[0]}
                ],
            }
        )
    return found


def error_reply(name: str, message: str | None = None, location: str | None = None) -> Reply:
    kind = KINDS[name]
    status, _, reason = name.partition("-")
    text = message or kind.message
    entry = {"message": text, "domain": kind.domain, "reason": reason}
    if location or kind.location:
        entry["location"] = location or kind.location or ""
        entry["locationType"] = "parameter" if location else kind.location_type or "parameter"
    error: dict[str, Any] = {"code": int(status), "message": text, "errors": [entry]}
    if kind.state:
        error["status"] = kind.state
    if kind.detail:
        error["details"] = _details(kind)
    headers = {}
    if status == "401":
        headers["WWW-Authenticate"] = (
            'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        )
    return Reply(int(status), {"error": error}, headers)


def web_page(status: int) -> Reply:
    """What a proxy, or a hotel's network, answers in Google's place: long, and full of words."""
    words = ("notFound", "invalid_grant", "storageQuotaExceeded", "rateLimitExceeded", "authError")
    lines = [f"<p>Line {number}: this is no {words[number % 5]}.</p>" for number in range(295)]
    head = ["<!DOCTYPE html>", "<html lang=en>", f"<title>{status} Sign in to the network</title>"]
    text = "\n".join([*head, *lines, "</html>", ""])
    return Reply(status, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def html_reply(status: int, title: str) -> Reply:
    """What Google's front ends answer when what is behind them does not."""
    text = (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Error {status}</title>"
        f"<p><b>{status}.</b> <ins>{html.escape(title)}</ins></html>\n"
    )
    return Reply(status, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})
