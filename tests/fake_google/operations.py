"""The operations of the Drive API, a function each: a request in, an answer's value out.

Nobody here touches a socket. What is refused is raised as a Refusal. Uploads are in uploads.py.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

from . import discovery, query, viewer
from .errors import Refusal, not_found
from .messages import Reply, Request
from .state import FOLDER, Content, File, Mail, Permission, moment, permission_id, rank, stamp
from .viewer import Viewer

# What a client may write of a file. Others are Google's, or nothing that this fake knows.
WRITABLE = {"id", "name", "mimeType", "parents", "modifiedTime", "appProperties"}
CHANGEABLE = WRITABLE - {"id", "parents"} | {"trashed", "inheritedPermissionsDisabled"}
UNKNOWN_TYPE = "application/octet-stream"


# ---- Metadata ------------------------------------------------------------------------------------
def parse_json(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except ValueError:
        raise Refusal("400-parseError") from None


def checked_metadata(body: Any, writable: set[str]) -> dict[str, Any]:
    """A File resource as a client sends it; only what a client may write."""
    metadata = discovery.check_body("File", body)
    if metadata.keys() - writable:
        raise Refusal("403-fieldNotWritable")
    mime_type = metadata.get("mimeType") or ""
    if mime_type.startswith("application/vnd.google-apps.") and mime_type != FOLDER:
        raise Refusal("400-invalid", "Of Google's own types, this fake knows folders only.")
    if metadata.get("modifiedTime") is not None:
        metadata["modifiedTime"] = _time("modifiedTime", metadata["modifiedTime"])
    return metadata


def _time(key: str, text: str) -> str:
    try:
        if "T" not in text:
            raise ValueError
        return stamp(moment(text))
    except ValueError:
        raise Refusal("400-invalid", f"Invalid value for field {key}: {text}") from None


def new_file(sender: Viewer, metadata: dict[str, Any]) -> File:
    """A File for the metadata, checked but not yet put into the Drive."""
    parents = metadata.get("parents") or ["root"]
    if len(parents) != 1:
        raise Refusal("400-invalid", "A file can only have one parent folder.", "parents")
    folder = sender.find_parent(parents[0])
    given = sender.drive.claim_id(sender.user, metadata.get("id"))
    file = File(given, metadata.get("name") or "Untitled", "", [folder.id], sender.drive)
    file.mime_type = metadata.get("mimeType") or UNKNOWN_TYPE
    file.owner = None if folder.drive_id else sender.user
    file.created = sender.drive.now()
    file.modified = metadata.get("modifiedTime") or file.created
    file.drive_id, file.extra = folder.drive_id, patched({}, metadata)
    return file


def patched(extra: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Further metadata after a change. Properties are changed one by one.

    https://developers.google.com/workspace/drive/api/guides/properties
    """
    key = "appProperties"
    if not metadata.get(key):
        return extra
    if not all(isinstance(value, str) for value in metadata[key].values()):
        raise Refusal("400-invalid", f"Invalid value for field {key}")
    return extra | {key: extra.get(key, {}) | metadata[key]}


def check_storage(sender: Viewer, file: File, size: int) -> None:
    """Refuse content that its owner has no room for."""
    drive = sender.drive
    if file.drive_id:
        return
    if not sender.grant.has_storage:
        text = (
            "Service Accounts do not have storage quota. Leverage shared drives "
            "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), "
            "or use OAuth delegation instead."
        )
        raise Refusal("403-storageQuotaExceeded", text)
    if drive.quota_limit is not None and drive.used_by(sender.user) + size > drive.quota_limit:
        raise Refusal("403-storageQuotaExceeded")


def add(sender: Viewer, request: Request, file: File, content: Content | None) -> Any:
    """Put a new file into the Drive."""
    if content:
        check_storage(sender, file, content.size)
    request.call.file_id = sender.drive.put(file, content).id
    return sender.show(file)


# ---- Files ---------------------------------------------------------------------------------------
def generate_ids(sender: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/generateIds"""
    ids = sender.drive.issue_ids(sender.user, int(request.params.get("count", 10)))
    return discovery.project({"ids": ids}, sender.selection)


def create_metadata(sender: Viewer, request: Request) -> Any:
    """A folder, or a file without content."""
    file = new_file(sender, checked_metadata(parse_json(request.body), WRITABLE))
    return add(sender, request, file, None if file.is_folder else Content())


def get(sender: Viewer, request: Request) -> Any:
    file = sender.find(request.captured["fileId"])
    if request.params.get("alt") != "media":
        return sender.show(file)
    return Reply(200, file.content, {"Content-Type": file.mime_type})


def copy(sender: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/copy"""
    source = sender.find(request.captured["fileId"])
    if source.is_folder:
        raise Refusal("403-cannotCopyFile")
    kept = {"parents": source.parents, "name": source.name, "modifiedTime": source.modified}
    kept["mimeType"] = source.mime_type
    metadata = kept | checked_metadata(parse_json(request.body), WRITABLE)
    file = new_file(sender, metadata)
    file.extra = patched(source.extra, metadata)
    return add(sender, request, file, source.stored)


def update(sender: Viewer, request: Request) -> Any:
    file = sender.find(request.captured["fileId"])
    metadata = checked_metadata(parse_json(request.body), CHANGEABLE)
    if "inheritedPermissionsDisabled" in metadata:
        sender.require(sender.may_limit(file))
    if "trashed" in metadata:
        sender.require(sender.rules(file, "fileOrganizer"))
    else:
        sender.require(sender.holds(file, "writer") and bool(file.parents))
    now = sender.drive.now() if metadata.keys() - {"trashed"} else file.modified
    sender.drive.change(
        file,
        name=metadata.get("name") or file.name,
        mime_type=metadata.get("mimeType") or file.mime_type,
        modified=metadata.get("modifiedTime") or now,
        limited=metadata.get("inheritedPermissionsDisabled", file.limited),
        explicitly_trashed=metadata.get("trashed", file.explicitly_trashed),
        extra=patched(file.extra, metadata),
    )
    return sender.show(file)


def delete(sender: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/delete"""
    file = sender.find(request.captured["fileId"])
    sender.require(sender.rules(file, "organizer"))
    sender.drive.delete(file.id, sender.user)
    return Reply(204)


# ---- Listing -------------------------------------------------------------------------------------
def list_files(sender: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/guides/search-files"""
    in_corpus = _corpus(sender, request)
    test, parents = query.parse(request.params.get("q", ""), sender.root_id)
    _check_parents(sender, parents, request)

    def every() -> list[File]:
        return [
            file
            for file in reversed(sender.drive.listed())
            if file.parents and in_corpus(file) and test(file) and sender.sees(file)
        ]

    found, token = page(sender, request, every)
    chosen = sender.selection.get("files", {})
    files = [sender.show(file, chosen) for file in found]
    value = {"incompleteSearch": False, "files": files}
    return discovery.project(value | token, sender.selection)  # the entries are cut already


def _corpus(sender: Viewer, request: Request) -> Callable[[File], bool]:
    """Which files the request is about.

    https://developers.google.com/workspace/drive/api/guides/enable-shareddrives
    """
    corpora, drive_id = request.params.get("corpora", "user"), request.params.get("driveId")
    shared = request.flag("includeItemsFromAllDrives")
    if corpora not in ("user", "drive") or (drive_id is not None) != (corpora == "drive"):
        raise Refusal("400-invalid", "driveId goes with corpora=drive.", "driveId")
    if (shared and not sender.all_drives) or (drive_id and not shared):
        text = "supportsAllDrives and includeItemsFromAllDrives are needed."
        raise Refusal("403-forbidden", text, "corpora")
    if drive_id is None:
        return lambda file: file.drive_id is None or shared
    top = sender.drive.files.get(drive_id)
    if not top or not top.role(sender.user):
        raise Refusal("404-notFound", f"Shared drive not found: {drive_id}", "driveId")
    return lambda file: file.drive_id == drive_id


def _check_parents(sender: Viewer, parents: list[str], request: Request) -> None:
    """A folder that the sender can't see makes the whole query fail, not come out empty."""
    for key in set(parents) - {sender.root_id, request.params.get("driveId")}:
        folder = sender.drive.files.get(key)
        if not folder or not sender.sees(folder) or (folder.drive_id and not sender.all_drives):
            raise not_found()


def page(sender, request, every):
    """The entries of one page, and the token of the next as the answer shows it.

    A token stands for the rest of the list, and only for the request that the list was for.
    """
    own = {"pageToken", "pageSize", "fields", "alt", "prettyPrint", "key"}
    params = {key: value for key, value in request.params.items() if key not in own}
    subject = (sender.user, request.call.path, sorted(params.items()))
    token = request.params.get("pageToken")
    found, rest = sender.drive.pages.get(token, (None, [])) if token else (subject, every())
    if found != subject:
        raise Refusal("400-invalid", "Invalid Value", "pageToken")
    size = min(int(request.params.get("pageSize", 100)), 1000)
    size = min(size, sender.drive.page_size_cap or size)
    if len(rest) <= size:
        return rest, {}
    following = "~!!~" + secrets.token_urlsafe(24)
    sender.drive.pages[following] = subject, rest[size:]
    return rest[:size], {"nextPageToken": following}


# ---- Permissions ---------------------------------------------------------------------------------
def list_permissions(sender: Viewer, request: Request) -> Any:
    file = sender.find(request.captured["fileId"])
    sender.require(sender.may_share(file) or sender.holds(file, "writer"))
    found, token = page(sender, request, lambda: file.permissions)
    entries = [viewer.permission(entry) for entry in found]
    return discovery.project({"permissions": entries} | token, sender.selection)


def create_permission(sender: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/permissions/create"""
    file = sender.find(request.captured["fileId"])
    wanted = _wanted_permission(file, request)
    sender.require(sender.may_share(file))
    is_person = wanted.type in ("user", "group")
    if not is_person and "sendNotificationEmail" in request.params:
        raise Refusal("400-invalid", "Not for domains or anyone.", "sendNotificationEmail")
    held = {permission.key: permission for permission in file.permissions}.get(wanted.key)
    if held is None or rank(held.role) < rank(wanted.role):
        file.direct[wanted.key] = wanted  # the same person has one permission, the higher one
    if request.flag("sendNotificationEmail", default=is_person):
        sender.drive.mails.append(Mail(file.id, wanted.email or ""))
    shown = {permission.key: permission for permission in file.permissions}[wanted.key]
    return discovery.project(viewer.permission(shown), sender.selection)


def _wanted_permission(file: File, request: Request) -> Permission:
    body = discovery.check_body("Permission", parse_json(request.body))
    writable = {"type", "role", "emailAddress", "domain", "allowFileDiscovery", "expirationTime"}
    if body.keys() - writable:
        raise Refusal("403-fieldNotWritable")
    kind, role = body.get("type"), body.get("role")
    roles = {"reader", "commenter", "writer"} | ({"fileOrganizer"} if file.drive_id else set())
    who = {
        "user": {"emailAddress"},
        "group": {"emailAddress"},
        "domain": {"domain"},
        "anyone": set(),
    }
    if role not in roles or {"emailAddress", "domain"} & body.keys() != who.get(kind):
        raise Refusal("400-invalid", "The role, the type, and whom they are for do not fit.")
    only_for = {"allowFileDiscovery": ("domain", "anyone"), "expirationTime": ("user", "group")}
    for key, kinds in only_for.items():
        if key in body and kind not in kinds:
            raise Refusal("400-invalid", f"Not for a permission of type {kind}.", key)
    email, domain = body.get("emailAddress"), body.get("domain")
    ends = body.get("expirationTime") and _time("expirationTime", body["expirationTime"])
    key, is_found = permission_id(kind, email or domain), bool(body.get("allowFileDiscovery"))
    return Permission(key, kind, role, email, domain, ends, is_found)


def about(sender: Viewer, request: Request) -> Any:
    """Who one is, but nothing about storage."""
    return discovery.project({"user": {"emailAddress": sender.user}}, sender.selection)
