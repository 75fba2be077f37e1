"""The two upload protocols that have room for metadata: multipart, resumable.

https://developers.google.com/workspace/drive/api/guides/manage-uploads
"""

import re
from collections.abc import Iterator
from email import policy
from email.parser import BytesHeaderParser
from typing import Any

from . import resources
from .errors import Refusal, not_found
from .messages import Reply, Request
from .operations import (
    answer,
    apply_update,
    check_storage,
    check_update,
    checked_metadata,
    new_file,
    parse_json,
)
from .state import GRAIN, Content, File, Session
from .viewer import Viewer, admit, authenticate
from .world import World

ENDED = {
    "session-400": "400-badRequest",
    "session-404": "404-notFound",
    "session-410": "410-gone",
}
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Cut(Exception):
    """The connection is to break in the middle of the body."""


# ---- Simple uploads ------------------------------------------------------------------------------


def create_multipart(world: World, request: Request) -> Reply:
    viewer = admit(world, request, "files.create", "File")
    metadata, data, mime_type = split_related(request)
    with world.drive.lock:
        content = Content.of(data)
        return Reply(200, create(viewer, request, metadata, content, "multipart", mime_type))


def update_content(world: World, request: Request) -> Reply:
    """New content for a file, in one request."""
    viewer = admit(world, request, "files.update", "File")
    metadata, data, mime_type = split_related(request)
    with world.drive.lock:
        file = viewer.find(request.captured["fileId"])
        return Reply(200, replace(viewer, request, file, metadata, Content.of(data), mime_type))


def split_related(request: Request) -> tuple[Any, bytes, str]:
    """(metadata, content, its type) of a multipart/related body. https://www.rfc-editor.org/rfc/rfc2387"""
    body = request.stream.read()
    parts = split_parts(request.headers.get("content-type", ""), body, "multipart/related")
    if len(parts) != 2 or "application/json" not in parts[0][0].get("content-type", ""):
        raise Refusal("400-badRequest", "The first of two parts must be JSON metadata.")
    (_, metadata), (headers, content) = parts
    request.call.content_bytes = len(content)
    return parse_json(metadata), content, headers.get("content-type", "")


def split_parts(content_type: str, body: bytes, kind: str) -> list[tuple[dict[str, str], bytes]]:
    """(headers, content) of each part of a multipart body."""
    header = BytesHeaderParser(policy=policy.HTTP).parsebytes(
        f"Content-Type: {content_type}\r\n\r\n".encode()
    )
    boundary = header.get_boundary()
    if header.get_content_type() != kind or not boundary:
        raise Refusal("400-badRequest", f"The body must be {kind}, with a boundary.")
    mark = b"--" + boundary.encode()
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(mark) + rb"(?=--|[ \t]*\r?\n)", body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal("400-badRequest", "The body does not end with its boundary.")
    return [split_headers(re.sub(rb"^[ \t]*\r?\n", b"", piece)) for piece in pieces[1:-1]]


def split_headers(text: bytes, blank_line_needed: bool = True) -> tuple[dict[str, str], bytes]:
    end = rb"^\r?\n|\r?\n\r?\n" + (b"" if blank_line_needed else rb"|\Z")
    match = re.search(end, text)
    if not match:
        raise Refusal("400-badRequest", "A part has no end of its headers.")
    headers = BytesHeaderParser(policy=policy.HTTP).parsebytes(text[: match.start()] + b"\n\n")
    return {key.lower(): str(value) for key, value in headers.items()}, text[match.end() :]


def create(
    viewer: Viewer,
    request: Request,
    body: Any,
    content: Content,
    how: str,
    mime_type: str,
) -> dict[str, Any]:
    metadata = checked_metadata(body, ["mimeType"])
    file = new_file(viewer, metadata, how, mime_type)
    check_storage(viewer, file, content.size)
    viewer.drive.count_write()
    viewer.drive.put(file, content)
    request.call.file_id = file.id
    return answer(viewer, file)


def replace(
    viewer: Viewer, request: Request, file: File, body: Any, content: Content, mime_type: str
) -> dict[str, Any]:
    check_update(viewer, file, body)
    check_storage(viewer, file, content.size)
    apply_update(viewer, file, request, body)
    if not body.get("modifiedTime"):
        file.modified = viewer.drive.clock.stamp()
    if mime_type and "mimeType" not in body:
        file.mime_type = mime_type
    viewer.drive.put(file, content)
    request.call.file_id = file.id
    return answer(viewer, file)


# ---- Resumable uploads ---------------------------------------------------------------------------


def start_session(world: World, request: Request) -> Reply:
    """The answer's Location is where the content is to be sent."""
    is_update = "fileId" in request.captured
    viewer = admit(world, request, "files.update" if is_update else "files.create", "File")
    length = request.headers.get("x-upload-content-length")
    total = int(length) if length is not None else None
    with world.drive.lock:
        body = _session_metadata(viewer, request, total)
        session = viewer.drive.begin_session(
            Session(
                id=world.accounts.secret("AAV", 96),
                grant=viewer.grant,
                metadata=body,
                mime_type=request.headers.get("x-upload-content-type"),
                total=total,
                target=request.captured.get("fileId"),
            )
        )
    request.call.file_id = body.get("id") or session.target
    separator = "&" if request.query else "?"
    address = f"{request.base}{request.path}?{request.query}{separator}upload_id={session.id}"
    return Reply(200, b"", {"Location": address, "X-GUploader-UploadID": session.id})


def _session_metadata(viewer: Viewer, request: Request, total: int | None) -> dict[str, Any]:
    """The metadata, after the checks that can be made before the content is there."""
    if request.body and "application/json" not in request.headers.get("content-type", ""):
        raise Refusal("400-badRequest", "The metadata must be JSON.")
    body = parse_json(request.body)
    if "fileId" in request.captured:
        file = viewer.find(request.captured["fileId"])
        check_update(viewer, file, body)
    else:
        file = new_file(viewer, checked_metadata(body, ["mimeType"]), "resumable")
    check_storage(viewer, file, total or 0)
    return body


def send_chunk(world: World, request: Request) -> Reply:
    """A PUT to a session: a chunk, or with `bytes */N` the question how much has arrived."""
    session, viewer = _session(world, request)
    with session.lock:
        session.turn += 1
        turn = session.turn
        if session.finished:
            return _finished(viewer, session)
        start, stop, total = _content_range(request, session)
        _check_range(session, start, stop, total)
        session.total = session.total if total is None else total
    if start is None or stop is None:  # a question
        request.stream.drain()
        if request.fault == "308-all-kept":
            return _go_on(session)
        return _progress(viewer, request, session)
    keep_until = _limit(request, session, start, stop)
    for piece in _pieces(request, start):
        _keep(session, turn, piece, keep_until)
        if request.fault == "cut" and request.stream.taken >= (stop - start) // 2:
            raise Cut
    return _chunk_answer(viewer, request, session)


def _session(world: World, request: Request) -> tuple[Session, Viewer]:
    session = world.drive.sessions.get(request.params.get("upload_id", ""))
    if session is None:
        raise Refusal("404-notFound", "Upload session not found.", "upload_id")
    request.call.file_id = session.finished or session.metadata.get("id") or session.target
    if request.fault in ENDED:
        world.drive.end_session(session, ENDED[request.fault])
    if session.dead:
        raise Refusal(session.dead, "Upload session not found.")
    if request.token:  # the address alone is enough, but a bad token is refused all the same
        authenticate(world, request)
    # Whoever began the session; its address repeats the parameters given then.
    method = "files.update" if session.target else "files.create"
    return session, admit(world, request, method, "File", session.grant)


def _content_range(request: Request, session: Session) -> tuple[int | None, int | None, int | None]:
    """(start, stop, total) of the chunk; no start: a question; no total: not known yet."""
    text = request.headers.get("content-range")
    length = request.stream.length
    if length is None:
        raise Refusal("400-badRequest", "A chunk needs a Content-Length.")
    if text is None:  # all the content at once
        return 0, length, length
    match = CONTENT_RANGE.fullmatch(text)
    if not match:
        raise Refusal("400-badRequest", f"Invalid Content-Range: {text}")
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return None, None, total
    start, stop = int(match[1]), int(match[2]) + 1
    if start >= stop or length != stop - start:
        raise Refusal("400-badRequest", "Content-Range and Content-Length do not agree.")
    return start, stop, total


def _check_range(session: Session, start: int | None, stop: int | None, total: int | None) -> None:
    known = session.total
    if known is not None and total is not None and total != known:
        raise Refusal("400-badRequest", f"Wrong total: it was {known}, now it is {total}.")
    total = known if total is None else total
    if start is None or stop is None:
        return
    if start > session.received:
        text = f"Chunk starts at {start}, but only {session.received} bytes have arrived."
        raise Refusal("503-backendError", text)
    if total is not None and stop > total:
        raise Refusal("400-badRequest", "The chunk goes beyond the total.")
    if stop != total and (stop - start) % GRAIN:
        raise Refusal("400-badRequest", f"Chunks must be multiples of {GRAIN} bytes.")


def _limit(request: Request, session: Session, start: int, stop: int) -> int:
    """Up to where the chunk is kept: all of it, unless a fault was asked for."""
    if request.fault == "308-no-range":
        session.forget()
        return 0
    if request.fault in ("keep-part", "503-keep-part", "cut"):
        return start + (stop - start) // 2 // GRAIN * GRAIN
    return stop


def _pieces(request: Request, start: int) -> Iterator[tuple[int, memoryview]]:
    for piece in request.stream.pieces():
        request.call.content_bytes += len(piece)
        yield start, piece
        start += len(piece)


def _keep(session: Session, turn: int, piece: tuple[int, memoryview], limit: int) -> None:
    """Add what is new: bytes that were sent before are passed over."""
    start, data = piece
    with session.lock:
        if session.turn != turn or session.dead:
            return  # another request has taken over
        fresh = data[max(session.received - start, 0) : max(limit - start, 0)]
        if fresh:
            session.keep(fresh)


def _chunk_answer(viewer: Viewer, request: Request, session: Session) -> Reply:
    if request.fault == "503-keep-part":
        return Refusal("503-backendError").reply()
    if request.fault in ("keep-part", "308-no-range", "308-all-kept"):
        return _go_on(session)
    return _progress(viewer, request, session)


def _progress(viewer: Viewer, request: Request, session: Session) -> Reply:
    with session.lock, viewer.drive.lock:
        if session.finished:
            return _finished(viewer, session)
        if session.total is None or session.received < session.total:
            return _go_on(session)
        return Reply(200, _finish(viewer, request, session))


def _go_on(session: Session) -> Reply:
    """308 with a Range tells what has arrived; without any, nothing has."""
    headers = {"Range": f"bytes=0-{session.received - 1}"} if session.received else {}
    return Reply(308, b"", headers)


def _finish(viewer: Viewer, request: Request, session: Session) -> dict[str, Any]:
    mime_type = session.mime_type or ""
    content = session.content
    if session.target:
        file = viewer.find(session.target)
        value = replace(viewer, request, file, session.metadata, content, mime_type)
    else:
        value = create(viewer, request, session.metadata, content, "resumable", mime_type)
    session.finished = request.call.file_id
    session.kept.clear()
    return value


def _finished(viewer: Viewer, session: Session) -> Reply:
    file = viewer.drive.files.get(session.finished or "")
    if not file:
        raise not_found(session.finished or "")
    return Reply(200, resources.file(viewer, file, viewer.selection))
