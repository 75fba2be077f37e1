"""Google's errors: the one list of them, and the one builder of their replies.

https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from typing import Any

from .messages import HTML_TYPE, Reply

DISABLED = (
    "Google Drive API has not been used in project 112233445566 before or it is disabled. "
    "Enable it by visiting https://console.developers.google.com/apis/api/"
    "drive.googleapis.com/overview?project=112233445566 then retry. If you enabled this API "
    "recently, wait a few minutes for the action to propagate to our systems and retry."
)
NO_TOKEN = "Request had invalid authentication credentials. Expected OAuth 2 access token."
# By "status-reason", which is also how tests ask for them.
ERRORS = {
    "400-badRequest": "Bad Request",
    "400-invalid": "Invalid Value",
    "400-invalidParameter": "Invalid Value",
    "400-required": "Required",
    "400-parseError": "Parse Error",
    "401-authError": NO_TOKEN,
    "401-required": "Login Required.",
    "403-accessNotConfigured": DISABLED,
    "403-insufficientPermissions": "Request had insufficient authentication scopes.",
    "403-insufficientFilePermissions": "You do not have sufficient permissions for this file.",
    "403-insufficientParentPermissions": "Insufficient permissions for the specified parent.",
    "403-storageQuotaExceeded": "The user's Drive storage quota has been exceeded.",
    "403-userRateLimitExceeded": "User Rate Limit Exceeded",
    "403-rateLimitExceeded": "Rate Limit Exceeded",
    "403-sharingRateLimitExceeded": "Rate limit exceeded. These items could not be shared.",
    "403-fieldNotWritable": "The resource body includes fields which are not directly writable.",
    "403-parentNotAFolder": "The specified parent is not a folder.",
    "403-cannotCopyFile": "This file cannot be copied by the user.",
    "403-forbidden": "Forbidden",
    "404-notFound": "File not found: .",
    "408-requestTimeout": "Request Timeout",
    "409-fileIdInUse": "A file already exists with the provided ID.",
    "410-gone": "The upload session is gone.",
    "429-rateLimitExceeded": "Rate Limit Exceeded",
    "500-internalError": "Internal Error",
    "502-backendError": "Bad Gateway",
    "503-backendError": "Transient failure",
    "504-backendError": "Deadline exceeded",
}
USAGE = {"accessNotConfigured", "userRateLimitExceeded", "rateLimitExceeded"}
# Google's canonical names, where its answers carry one; and its newer reasons, under "details".
STATES = {"400": "INVALID_ARGUMENT", "401": "UNAUTHENTICATED"}
DETAILS = {
    "accessNotConfigured": "SERVICE_DISABLED",
    "insufficientPermissions": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
}


class Refusal(Exception):
    """Raised by an operation in place of an answer. `name` is one of ERRORS."""

    def __init__(self, name: str, message: str | None = None, location: str | None = None) -> None:
        super().__init__(name, message or ERRORS[name])
        self.name = name
        self.message = message or ERRORS[name]
        self.location = location

    def reply(self) -> Reply:
        return error_reply(self.name, self.message, self.location)


def not_found(file_id: str = "") -> Refusal:
    return Refusal("404-notFound", f"File not found: {file_id}.", "fileId")


def error_reply(name: str, message: str | None = None, location: str | None = None) -> Reply:
    status, _, reason = name.partition("-")
    text = message or ERRORS[name]
    domain = "usageLimits" if reason in USAGE else "global"
    entry = {"message": text, "domain": domain, "reason": reason}
    if location:
        entry |= {"location": location, "locationType": "parameter"}
    error: dict[str, Any] = {"code": int(status), "message": text, "errors": [entry]}
    if status in STATES:
        error["status"] = STATES[status]
    if reason in DETAILS:
        info = {"reason": DETAILS[reason], "domain": "googleapis.com"}
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo"} | info]
        error |= {"status": "PERMISSION_DENIED", "details": details}
    bearer = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    headers = {"WWW-Authenticate": bearer} if status == "401" else {}
    return Reply(int(status), {"error": error}, headers)


def web_page(status: int) -> Reply:
    """What a proxy, or a hotel's network, answers in Google's place: long, and full of words."""
    words = ("notFound", "invalid_grant", "storageQuotaExceeded", "rateLimitExceeded", "authError")
    lines = [f"<p>Line {number}: this is no {words[number % 5]}.</p>" for number in range(295)]
    head = ["<!DOCTYPE html>", "<html lang=en>", f"<title>{status} Sign in to the network</title>"]
    text = "\n".join([*head, *lines, "</html>", ""])
    return Reply(status, text.encode(), {"Content-Type": HTML_TYPE})


def front_end_page(status: int, title: str) -> Reply:
    """What Google's front ends answer when what is behind them does not."""
    text = f"<!DOCTYPE html><title>Error {status}</title><p><b>{status}.</b> {title}</html>\n"
    return Reply(status, text.encode(), {"Content-Type": HTML_TYPE})
