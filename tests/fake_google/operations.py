"""The operations of the Drive API, a function each: a request in, an answer's value out.

Nobody here touches a socket. What is refused is raised as a Refusal. Uploads are in uploads.py.
"""

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from . import clock, fields, query, resources, schema
from .errors import Refusal, not_found
from .messages import Reply, Request
from .state import FOLDER, Content, File, Permission, permission_id, rank
from .viewer import Viewer, admit
from .world import Mail, World

Handler = Callable[[World, Request], Reply]
Operation = Callable[[Viewer, Request], Any]

EDITABLE_EXTRA = {"description", "properties", "appProperties"}
PROPERTIES = {"properties", "appProperties"}
ORDERS: dict[str, Callable[[File], Any]] = {
    "createdTime": lambda file: file.created,
    "modifiedTime": lambda file: file.modified,
    "name": lambda file: file.name.casefold(),
    "folder": lambda file: not file.is_folder,
}


def operation(method: str, returns: str | None = None) -> Callable[[Operation], Handler]:
    """Make a handler of an operation: `returns` names the kind of resource that it answers."""

    def decorate(function: Operation) -> Handler:
        @wraps(function)
        def handler(world: World, request: Request) -> Reply:
            viewer = admit(world, request, method, returns)
            with world.drive.lock:
                value = function(viewer, request)
            return value if isinstance(value, Reply) else Reply(200, value)

        return handler

    return decorate


# ---- Metadata ------------------------------------------------------------------------------------


def checked_metadata(body: Any, allowed: Iterable[str]) -> dict[str, Any]:
    """A File resource as a client sends it; only what a client may write."""
    metadata = schema.check_body("File", body)
    forbidden = set(metadata) & (schema.read_only("File") - set(allowed))
    if forbidden:
        raise Refusal("403-fieldNotWritable")
    mime_type = metadata.get("mimeType") or ""
    if mime_type.startswith("application/vnd.google-apps.") and mime_type != FOLDER:
        raise Refusal("400-invalid", "Of Google's own types, this fake knows folders only.")
    for key in ("createdTime", "modifiedTime"):
        if metadata.get(key) is not None:
            metadata[key] = _time(key, metadata[key])
    return metadata


def _time(key: str, text: str) -> str:
    try:
        if "T" not in text:
            raise ValueError
        return clock.stamp(clock.parse(text))
    except ValueError:
        raise Refusal("400-invalid", f"Invalid value for field {key}: {text}") from None


def new_file(viewer: Viewer, metadata: dict[str, Any], how: str, mime_type: str = "") -> File:
    """A File for the metadata, checked but not yet put into the Drive."""
    parents = metadata.get("parents") or ["root"]
    if len(parents) != 1:
        raise Refusal("400-invalid", "A file can only have one parent folder.", "parents")
    folder = viewer.find_parent(parents[0])
    given = viewer.drive.claim_id(viewer.user, metadata.get("id"))
    if metadata.get("inheritedPermissionsDisabled"):
        raise Refusal("403-fieldNotWritable")  # this fake has it settable by an update only
    mime_type = metadata.get("mimeType") or mime_type or "application/octet-stream"
    now = viewer.drive.creation_time(mime_type == FOLDER)
    return File(
        id=given,
        name=metadata.get("name") or "Untitled",
        mime_type=mime_type,
        parents=[folder.id],
        drive=viewer.drive,
        owner=None if folder.drive_id else viewer.user,
        created=metadata.get("createdTime") or now,
        modified=metadata.get("modifiedTime") or now,
        starred=bool(metadata.get("starred")),
        drive_id=folder.drive_id,
        how=how,
        extra=patched({}, metadata),
    )


def patched(extra: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Further metadata after a change. Properties are changed one by one; null removes one.

    https://developers.google.com/workspace/drive/api/guides/properties
    """
    found = extra | {key: metadata[key] for key in EDITABLE_EXTRA if key in metadata}
    for key in PROPERTIES & metadata.keys():
        if not all(isinstance(value, str | None) for value in (metadata[key] or {}).values()):
            raise Refusal("400-invalid", f"Invalid value for field {key}")
        both = extra.get(key, {}) | (metadata[key] or {})
        found[key] = {name: value for name, value in both.items() if value is not None}
    return found


def check_storage(viewer: Viewer, file: File, size: int) -> None:
    """Refuse content that its owner has no room for.

    https://developers.google.com/workspace/drive/api/guides/handle-errors
    """
    if file.drive_id:
        return
    if not viewer.grant.has_storage:
        text = (
            "Service Accounts do not have storage quota. Leverage shared drives "
            "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), "
            "or use OAuth delegation instead."
        )
        raise Refusal("403-storageQuotaExceeded", text)
    viewer.drive.check_room(viewer.user, size, replaced=file.size or 0)


def answer(viewer: Viewer, file: File) -> dict[str, Any]:
    return resources.file(viewer, file, viewer.selection)


# ---- Files ---------------------------------------------------------------------------------------


@operation("files.generateIds", "GeneratedIds")
def generate_ids(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/generateIds"""
    count = int(request.params.get("count", 10))
    ids = viewer.drive.issue_ids(viewer.user, count)
    value = {"kind": "drive#generatedIds", "space": "drive", "ids": ids}
    return fields.project(value, viewer.selection)


@operation("files.create", "File")
def create_metadata(viewer: Viewer, request: Request) -> Any:
    """A folder, or a file without content."""
    metadata = checked_metadata(request_json(request), ["mimeType"])
    file = new_file(viewer, metadata, "metadata")
    viewer.drive.count_write()
    viewer.drive.put(file, None if file.is_folder else Content.of(b""))
    request.call.file_id = file.id
    return answer(viewer, file)


@operation("files.get", "File")
def get(viewer: Viewer, request: Request) -> Any:
    file = viewer.find(request.captured["fileId"])
    if request.params.get("alt") == "media":
        if file.is_folder or file.content is None:
            raise Refusal("403-forbidden", "This fake has not kept any content of that file.")
        return Reply(200, file.content, {"Content-Type": file.mime_type})
    return answer(viewer, file)


@operation("files.copy", "File")
def copy(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/copy"""
    source = viewer.find(request.captured["fileId"])
    if source.is_folder:
        raise Refusal("403-cannotCopyFile")
    metadata = checked_metadata(request_json(request), ["mimeType"])
    metadata.setdefault("parents", source.parents)
    metadata.setdefault("name", source.name)
    metadata.setdefault("modifiedTime", source.modified)
    file = new_file(viewer, metadata, "copy", source.mime_type)
    check_storage(viewer, file, source.size or 0)
    viewer.drive.count_write()
    file.extra = patched(source.extra, metadata)
    viewer.drive.put(file, source.stored)
    request.call.file_id = file.id
    return answer(viewer, file)


@operation("files.update", "File")
def update(viewer: Viewer, request: Request) -> Any:
    file = viewer.find(request.captured["fileId"])
    apply_update(viewer, file, request, request_json(request))
    return answer(viewer, file)


def check_update(viewer: Viewer, file: File, body: Any) -> dict[str, Any]:
    """The metadata of an update, refused where the sender may not make it."""
    metadata = checked_metadata(body, ["mimeType"])
    if {"id", "createdTime"} & set(metadata):
        raise Refusal("403-fieldNotWritable")
    if "parents" in metadata:
        text = "The parents field is not directly writable in update requests. Use addParents."
        raise Refusal("403-fieldNotWritable", text)
    if "inheritedPermissionsDisabled" in metadata:
        viewer.require(file, resources.may_limit(viewer, file))
    if "trashed" in metadata:
        viewer.require(file, resources.may_trash(viewer, file))
    else:
        viewer.require(file, viewer.holds(file, "writer") and bool(file.parents))
    return metadata


def apply_update(viewer: Viewer, file: File, request: Request, body: Any) -> None:
    metadata = check_update(viewer, file, body)
    viewer.drive.count_write()
    move(viewer, file, request)
    if metadata.get("name"):
        viewer.drive.rename(file.id, metadata["name"])
    file.mime_type = metadata.get("mimeType") or file.mime_type
    file.starred = metadata.get("starred", file.starred)
    file.limited = metadata.get("inheritedPermissionsDisabled", file.limited)
    file.modified = metadata.get("modifiedTime") or (
        viewer.drive.clock.stamp() if metadata.keys() - {"starred", "trashed"} else file.modified
    )
    file.extra = patched(file.extra, metadata)
    if "trashed" in metadata:
        viewer.drive.set_trashed(file, bool(metadata["trashed"]))


def move(viewer: Viewer, file: File, request: Request) -> None:
    """A file has one parent: a new one takes the place of the old one, named for removal or not."""
    if "addParents" not in request.params:
        return
    folder = viewer.find_parent(request.params["addParents"])
    if file in viewer.drive.lineage(folder):
        raise Refusal("403-forbidden", "A folder can't be put into itself.")
    if folder.drive_id != file.drive_id:
        raise Refusal("403-forbidden", "This fake moves nothing from one drive to another.")
    file.parents = [folder.id]
    viewer.drive.note(file)


@operation("files.delete")
def delete(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/files/delete"""
    file = viewer.find(request.captured["fileId"])
    viewer.require(file, resources.may_delete(viewer, file))
    viewer.drive.count_write()
    viewer.drive.delete_for(viewer.user, file)
    return Reply(204)


def request_json(request: Request) -> Any:
    return parse_json(request.body)


def parse_json(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except ValueError:
        raise Refusal("400-parseError") from None


# ---- Listing -------------------------------------------------------------------------------------


@operation("files.list", "FileList")
def list_files(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/guides/search-files"""
    params = request.params
    corpus = _corpus(viewer, request)
    parsed = query.parse(params.get("q", ""), viewer.root_id)
    _check_parents(viewer, parsed, request)

    def every() -> list[File]:
        found = [
            file
            for file in reversed(viewer.drive.listed())
            if file.parents and corpus(file) and parsed.test(file) and viewer.sees(file)
        ]
        return _ordered(found, params.get("orderBy", ""))

    found, token = page(viewer, request, every)
    selection = viewer.selection.get("files", {})
    files = [resources.file(viewer, file, selection) for file in found]
    value = {"kind": "drive#fileList", "incompleteSearch": False, "files": files}
    # The entries are cut already.
    return fields.project(value | token, viewer.selection)


def _corpus(viewer: Viewer, request: Request) -> Callable[[File], bool]:
    """Which files the request is about.

    https://developers.google.com/workspace/drive/api/guides/enable-shareddrives
    """
    corpora, drive_id = request.params.get("corpora", "user"), request.params.get("driveId")
    shared = request.flag("includeItemsFromAllDrives")
    if corpora not in ("user", "domain", "drive", "allDrives"):
        raise Refusal("400-invalid", "Invalid value for corpora.", "corpora")
    if (drive_id is not None) != (corpora == "drive"):
        text = "The driveId parameter must be specified if and only if corpora is set to drive."
        raise Refusal("400-invalid", text, "driveId")
    if shared and not viewer.all_drives:
        text = "The includeItemsFromAllDrives parameter requires supportsAllDrives."
        raise Refusal("403-forbidden", text, "supportsAllDrives")
    if corpora in ("drive", "allDrives") and not shared:
        text = "The includeItemsFromAllDrives parameter must be set to true for this corpora."
        raise Refusal("403-forbidden", text, "includeItemsFromAllDrives")
    if drive_id is None:
        return lambda file: file.drive_id is None or shared
    top = viewer.drive.files.get(drive_id)
    if not top or not viewer.drive.role(top, viewer.user):
        raise Refusal("404-notFound", f"Shared drive not found: {drive_id}", "driveId")
    return lambda file: file.drive_id == drive_id


def _check_parents(viewer: Viewer, parsed: query.Query, request: Request) -> None:
    """A folder that the sender can't see makes the whole query fail, not come out empty."""
    own_drive = request.params.get("driveId")
    for key in parsed.parents:
        if key in (viewer.root_id, own_drive):
            continue
        folder = viewer.drive.files.get(key)
        if not folder or not viewer.sees(folder) or (folder.drive_id and not viewer.all_drives):
            raise not_found()


def _ordered(files: list[File], order: str) -> list[File]:
    """Sorted by the keys of orderBy. Without any, Google promises no order."""
    for entry in reversed([part.split() for part in order.split(",") if part.strip()]):
        name, direction = entry[0], entry[1:]
        if name not in ORDERS or direction not in ([], ["asc"], ["desc"]):
            raise Refusal("400-invalid", "Invalid Value", "orderBy")
        files = sorted(files, key=ORDERS[name], reverse=direction == ["desc"])
    return files


def page(
    viewer: Viewer, request: Request, every: Callable[[], list[Any]]
) -> tuple[list[Any], dict[str, str]]:
    """The entries of one page, and the token of the next as the answer shows it.

    A token stands for the rest of the list, and only for the request that the list was for.
    """
    own = {"pageToken", "pageSize", "fields", "alt", "prettyPrint", "key"}
    params = {key: value for key, value in request.params.items() if key not in own}
    subject = (viewer.user, request.path, sorted(params.items()))
    token = request.params.get("pageToken")
    found, rest = viewer.drive.pages.get(token, (None, [])) if token else (subject, every())
    if found != subject:
        raise Refusal("400-invalid", "Invalid Value", "pageToken")
    size = min(int(request.params.get("pageSize", 100)), 1000)
    size = min(size, viewer.drive.page_size_cap or size)
    if len(rest) <= size:
        return rest, {}
    following = "~!!~" + secrets.token_urlsafe(24)
    viewer.drive.pages[following] = subject, rest[size:]
    return rest[:size], {"nextPageToken": following}


# ---- Permissions ---------------------------------------------------------------------------------


@operation("permissions.list", "PermissionList")
def list_permissions(viewer: Viewer, request: Request) -> Any:
    file = viewer.find(request.captured["fileId"])
    viewer.require(file, resources.may_share(viewer, file) or viewer.holds(file, "writer"))
    held = viewer.drive.permissions(file)
    found, token = page(viewer, request, lambda: list(held.values()))
    entries = [resources.permission(viewer, entry) for entry in found]
    value = {"kind": "drive#permissionList", "permissions": entries}
    return fields.project(value | token, viewer.selection)


@operation("permissions.create", "Permission")
def create_permission(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/permissions/create"""
    file = viewer.find(request.captured["fileId"])
    wanted = _wanted_permission(file, request)
    viewer.require(file, resources.may_share(viewer, file))
    viewer.drive.count_write()
    key = f"{wanted.id} None"
    held = viewer.drive.permissions(file).get(key)
    if held is None or rank(held.role) < rank(wanted.role):
        # The same person has one permission, the higher one.
        file.direct[key] = wanted
    _send_mail(viewer, request, wanted, file)
    shown = viewer.drive.permissions(file)[key]
    return fields.project(resources.permission(viewer, shown), viewer.selection)


def _wanted_permission(file: File, request: Request) -> Permission:
    body = schema.check_body("Permission", request_json(request))
    # The document calls emailAddress read-only, yet this is where it is written.
    writable = {"type", "role", "emailAddress", "domain", "allowFileDiscovery", "expirationTime"}
    if body.keys() - writable:
        raise Refusal("403-fieldNotWritable")
    kind, role = body.get("type"), body.get("role")
    roles = {"reader", "commenter", "writer"}
    if kind not in ("user", "group", "domain", "anyone"):
        raise Refusal("400-required", "The permission type field is required.", "permission.type")
    if role == "owner":
        text = "The transferOwnership parameter must be enabled when the role is 'owner'."
        raise Refusal("403-forbidden", text, "transferOwnership")
    if role not in (roles | {"fileOrganizer"} if file.drive_id else roles):
        raise Refusal("400-invalid", "The specified role is invalid.", "permission.role")
    _check_grantee(kind, body)
    expiration = _expiration(kind, body.get("expirationTime"))
    email, domain = body.get("emailAddress"), body.get("domain")
    discovery = bool(body.get("allowFileDiscovery"))
    key = permission_id(kind, email, domain)
    return Permission(key, kind, role, email, domain, expiration, discovery)


def _check_grantee(kind: str, body: dict[str, Any]) -> None:
    for key, kinds in {"emailAddress": ("user", "group"), "domain": ("domain",)}.items():
        if (kind in kinds) != bool(body.get(key)):
            raise Refusal("400-invalid", f"A permission of type {kind} and {key} do not fit.", key)
    if "allowFileDiscovery" in body and kind not in ("domain", "anyone"):
        text = "allowFileDiscovery is only applicable for permissions of type domain or anyone."
        raise Refusal("400-invalid", text, "permission.allowFileDiscovery")


def _expiration(kind: str, text: str | None) -> str | None:
    """https://developers.google.com/workspace/drive/api/guides/manage-sharing"""
    if text is None:
        return None
    moment = clock.parse(_time("expirationTime", text))
    now = datetime.now(UTC)
    if kind not in ("user", "group") or not now < moment <= now + timedelta(days=366):
        text = "Expiration times are for users and groups, in the future, within a year."
        raise Refusal("403-forbidden", text, "permission.expirationTime")
    return clock.stamp(moment)


def _send_mail(viewer: Viewer, request: Request, permission: Permission, file: File) -> None:
    is_person = permission.type in ("user", "group")
    wanted = request.flag("sendNotificationEmail", default=is_person)
    if wanted and not is_person:
        raise Refusal("400-invalid", "No mails to domains or anyone.", "sendNotificationEmail")
    if wanted:
        viewer.world.mails.append(Mail(file.id, permission.email or ""))


# ---- About ------------------------------------------------------------------------


@operation("about.get", "About")
def about(viewer: Viewer, request: Request) -> Any:
    """https://developers.google.com/workspace/drive/api/reference/rest/v3/about"""
    drive = viewer.drive
    used = drive.used_by(viewer.user)
    quota = {
        "usage": str(used),
        "usageInDrive": str(used),
        "usageInDriveTrash": str(drive.used_by(viewer.user, trashed=True)),
    }
    if not viewer.grant.has_storage:
        quota["limit"] = "0"
    elif drive.quota_limit is not None:
        quota["limit"] = str(drive.quota_limit)
    value = {
        "kind": "drive#about",
        "user": resources.user(viewer, viewer.user),
        "storageQuota": quota,
    }
    return fields.project(value, viewer.selection)
