"""Batch requests: up to a hundred calls in one.

https://developers.google.com/workspace/drive/api/guides/performance#batch-requests
"""

import secrets
from http.client import responses
from urllib.parse import urlsplit

from .errors import Refusal
from .messages import Call, EmptyBody, Reply, Request
from .uploads import split_headers, split_parts
from .world import World

MOST_PARTS = 100


def run(world: World, request: Request) -> Reply:
    try:
        parts = split_parts(
            request.headers.get("content-type", ""), request.body, "multipart/mixed"
        )
        if not 1 <= len(parts) <= MOST_PARTS:
            text = f"The batch request has {len(parts)} parts; it may have 1 to {MOST_PARTS}."
            raise Refusal("400-badRequest", text)
        inner = [_part(request, headers, content) for headers, content in parts]
    except Refusal as refusal:
        return refusal.reply()
    request.call.parts = [part.call for part, _ in inner]
    boundary = "batch_" + secrets.token_urlsafe(24)
    texts = [_answer(_perform(world, part), content_id) for part, content_id in inner]
    if request.fault == "part-missing":
        del texts[len(texts) // 2]
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(mark + text + b"\r\n" for text in texts) + f"--{boundary}--\r\n".encode()
    return Reply(200, body, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _part(outer: Request, headers: dict[str, str], content: bytes) -> tuple[Request, str]:
    """(the call inside, its Content-ID)"""
    if headers.get("content-type", "").partition(";")[0].strip() != "application/http":
        raise Refusal("400-badRequest", "Each part must be application/http.")
    line, _, rest = content.lstrip().partition(b"\n")
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[1].startswith("/"):
        raise Refusal("400-badRequest", f"Not a request line: {line!r}")
    inner_headers, body = split_headers(rest, blank_line_needed=False)
    inner_headers.setdefault("authorization", outer.headers.get("authorization", ""))
    parts = urlsplit(words[1])
    call = Call(words[0], outer.host, parts.path, {}, sent=len(body))
    found = Request(
        method=words[0],
        host=outer.host,
        path=parts.path,
        query=parts.query,
        headers=inner_headers,
        stream=EmptyBody(),
        call=call,
        body=body,
        base=outer.base,
    )
    call.token = found.token
    return found, headers.get("content-id", "")


def _perform(world: World, part: Request) -> Reply:
    reply = world.perform(part)
    if reply.status == 200 and part.params.get("alt") == "media":
        part.call.status = 302  # no content comes in a batch, only where to find it
        return Reply(302, b"", {"Location": f"{part.base}{part.path}?{part.query}"})
    return reply


def _answer(reply: Reply, content_id: str) -> bytes:
    body = reply.encoded()
    lines = ["Content-Type: application/http"]
    if content_id:
        lines.append(f"Content-ID: <response-{content_id.strip('<>')}>")
    lines += ["", f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
