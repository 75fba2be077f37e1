"""The two upload protocols that have room for metadata: multipart, resumable.

https://developers.google.com/workspace/drive/api/guides/manage-uploads
"""

import re
import secrets
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import urlencode

from .errors import Refusal, not_found
from .messages import Reply, Request
from .operations import (
    UNKNOWN_TYPE,
    WRITABLE,
    add,
    check_storage,
    checked_metadata,
    new_file,
    parse_json,
)
from .state import GRAIN, Content, Session
from .viewer import Viewer, admit, authenticate

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
ENDED = {
    "session-400": "400-badRequest",
    "session-404": "404-notFound",
    "session-410": "410-gone",
}
HALF = {"keep-part", "503-keep-part", "cut"}  # faults that keep half of the content


class Cut(Exception):
    """The connection is to break in the middle of the body."""


# ---- Uploads in one request ----------------------------------------------------------------------
def multipart(sender: Viewer, request: Request) -> Any:
    body, data, mime_type = _related(request)
    request.call.content_bytes = len(data)
    return _create(sender, request, body, Content.of(data), mime_type)


def _related(request: Request) -> tuple[Any, bytes, str]:
    """(metadata, content, its type) of a multipart/related body. https://www.rfc-editor.org/rfc/rfc2387"""
    header = Message()
    header["Content-Type"] = request.headers.get("content-type", "")
    boundary = header.get_boundary()
    pieces = request.body.split(b"--" + (boundary or "").encode()) if boundary else []
    is_right = len(pieces) == 4 and pieces[0].strip() == b"" and pieces[3].startswith(b"--")
    if header.get_content_type() != "multipart/related" or not is_right:
        raise Refusal("400-badRequest", "The body must be multipart/related, of two parts.")
    (kind, metadata), (mime_type, content) = map(_part, pieces[1:3])
    if kind != "application/json":
        raise Refusal("400-badRequest", "The first of two parts must be JSON metadata.")
    return parse_json(metadata), content, mime_type


def _part(piece: bytes) -> tuple[str, bytes]:
    """(type, content). The last line end is the boundary's, whichever it is."""
    found = re.match(rb"[ \t]*\r?\n(|.*?\r?\n)\r?\n", piece, re.S)
    if not found:
        raise Refusal("400-badRequest", "A part has no end of its headers.")
    content = piece[found.end() :].removesuffix(b"\n").removesuffix(b"\r")
    return BytesParser().parsebytes(found[1]).get_content_type(), content


def _create(sender, request, body, content, mime_type):
    metadata = checked_metadata(body, WRITABLE)
    file = new_file(sender, metadata)
    file.mime_type = metadata.get("mimeType") or mime_type or UNKNOWN_TYPE
    return add(sender, request, file, content)


# ---- Resumable uploads ---------------------------------------------------------------------------
def start_session(sender: Viewer, request: Request) -> Reply:
    """The answer's Location is where the content is to be sent."""
    if request.body and "application/json" not in request.headers.get("content-type", ""):
        raise Refusal("400-badRequest", "The metadata must be JSON.")
    length = request.headers.get("x-upload-content-length")
    body = parse_json(request.body)
    file = new_file(sender, checked_metadata(body, WRITABLE))
    check_storage(sender, file, int(length or 0))
    session = Session(
        id="AAV" + secrets.token_urlsafe(96),
        grant=sender.grant,
        metadata=body,
        mime_type=request.headers.get("x-upload-content-type", ""),
        total=None if length is None else int(length),
    )
    sender.drive.sessions[session.id] = session
    request.call.file_id = body.get("id")
    query = urlencode(request.params | {"upload_id": session.id})
    address = f"{request.base}{request.call.path}?{query}"
    return Reply(200, b"", {"Location": address, "X-GUploader-UploadID": session.id})


def session_request(google: Any, request: Request) -> Reply:
    """A PUT to a session: content, or with `bytes */N` the question how much has arrived."""
    session, sender = _session(google, request)
    fault = request.call.fault
    with session.lock:
        if session.finished:
            return _finished(sender, session)
        start, stop = _content_range(request, session)
    if stop > start:
        _receive(request, session, start, stop)
    if fault == "503-keep-part":
        return Refusal("503-backendError").reply()
    with session.lock, google.drive.lock:
        if session.finished:
            return _finished(sender, session)
        is_whole = session.total == session.content.size
        if not is_whole or fault in ("keep-part", "308-no-range", "308-all-kept"):
            # Range tells what has arrived; without any, nothing has.
            arrived = session.content.size
            return Reply(308, b"", {"Range": f"bytes=0-{arrived - 1}"} if arrived else {})
        what = session.metadata, session.content, session.mime_type
        value = _create(sender, request, *what)
        session.finished = request.call.file_id
        return Reply(200, value)


def _session(google: Any, request: Request) -> tuple[Session, Viewer]:
    session = google.drive.sessions.get(request.params["upload_id"])
    if session is None:
        raise Refusal("404-notFound", "Upload session not found.", "upload_id")
    request.call.file_id = session.finished or session.metadata.get("id")
    session.dead = ENDED.get(request.call.fault or "", session.dead)
    if session.dead:
        raise Refusal(session.dead, "Upload session not found.")
    if request.call.token:  # the address alone is enough, but a bad token is refused all the same
        authenticate(google, request)
    # Whoever began the session; its address repeats the parameters given then.
    return session, admit(google, request, "files.create", session.grant)


def _content_range(request: Request, session: Session) -> tuple[int, int]:
    """(start, stop) of the content; equal for a question. Refused where it does not fit."""
    if request.stream.in_chunks:
        raise Refusal("400-badRequest", "Content needs a Content-Length.")
    length = request.stream.length
    whole = f"bytes 0-{length - 1}/{length}" if length else "bytes */0"
    text = request.headers.get("content-range", whole)
    match = CONTENT_RANGE.fullmatch(text)
    if not match:
        raise Refusal("400-badRequest", f"Invalid Content-Range: {text}")
    if match[3] != "*":
        if session.total not in (None, int(match[3])):
            raise Refusal("400-badRequest", f"Wrong total: it was {session.total}.")
        session.total = int(match[3])
    if match[1] is None:
        return 0, 0
    start, stop = int(match[1]), int(match[2]) + 1
    if start >= stop or length != stop - start:
        raise Refusal("400-badRequest", "Content-Range and Content-Length do not agree.")
    if start > session.content.size:
        text = f"Starts at {start}, but only {session.content.size} bytes have arrived."
        raise Refusal("503-backendError", text)
    if session.total is not None and stop > session.total:
        raise Refusal("400-badRequest", "The content goes beyond the total.")
    if stop != session.total and length % GRAIN:
        raise Refusal("400-badRequest", f"Chunks must be multiples of {GRAIN} bytes.")
    return start, stop


def _receive(request: Request, session: Session, start: int, stop: int) -> None:
    """Keep what is new: bytes that were sent before are passed over."""
    half = (stop - start) // 2
    if request.call.fault in HALF:
        stop = start + half // GRAIN * GRAIN
    if request.call.fault == "308-no-range":
        session.content, stop = Content(), 0
    for piece in request.stream.pieces():
        request.call.content_bytes += len(piece)
        with session.lock:
            arrived = session.content.size
            session.content.add(piece[max(arrived - start, 0) : max(stop - start, 0)])
        start += len(piece)
        if request.call.fault == "cut" and request.stream.taken >= half:
            raise Cut


def _finished(sender: Viewer, session: Session) -> Reply:
    file = sender.drive.files.get(session.finished or "")
    if not file:
        raise not_found(session.finished or "")
    return Reply(200, sender.show(file))
