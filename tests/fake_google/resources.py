"""How Drive's things look in an answer: a line for each key that this fake knows."""

from collections.abc import Callable
from typing import Any

from . import fields
from .state import File, Permission, permission_id, rank
from .viewer import Viewer

Getter = Callable[[Viewer, File], Any]


def user(viewer: Viewer, email: str) -> dict[str, Any]:
    return {
        "kind": "drive#user",
        "displayName": email.partition("@")[0].title(),
        "me": email == viewer.user,
        "permissionId": permission_id("user", email),
        "emailAddress": email,
    }


def capabilities(viewer: Viewer, file: File) -> dict[str, bool]:
    """https://developers.google.com/workspace/drive/api/guides/about-shareddrives"""
    held = rank(viewer.drive.role(file, viewer.user))
    writes = held >= rank("writer")
    is_top = not file.parents
    return {
        "canAddChildren": file.is_folder and writes,
        "canCopy": not file.is_folder,
        "canDelete": may_delete(viewer, file),
        "canDownload": not file.is_folder,
        "canEdit": writes,
        "canListChildren": file.is_folder,
        "canModifyContent": writes and not file.is_folder,
        "canRename": writes and not is_top,
        "canShare": may_share(viewer, file),
        "canTrash": may_trash(viewer, file),
        "canUntrash": may_trash(viewer, file),
    }


def may_trash(viewer: Viewer, file: File) -> bool:
    if not file.parents or not file.can_trash:
        return False
    return viewer.holds(file, "fileOrganizer") if file.drive_id else viewer.owns(file)


def may_delete(viewer: Viewer, file: File) -> bool:
    if not file.parents or not file.can_delete:
        return False
    return viewer.holds(file, "organizer") if file.drive_id else viewer.owns(file)


def may_share(viewer: Viewer, file: File) -> bool:
    if file.drive_id and file.is_folder:
        return viewer.holds(file, "fileOrganizer")
    return viewer.holds(file, "writer") and bool(file.parents)


def may_limit(viewer: Viewer, file: File) -> bool:
    """https://developers.google.com/workspace/drive/api/guides/limited-expansive-access"""
    drive = viewer.drive
    if drive.refuse_limiting or not file.is_folder or file.parents in ([], [drive.root_id]):
        return False
    return viewer.holds(file, "organizer") if file.drive_id else viewer.owns(file)


def permission(viewer: Viewer, found: Permission) -> dict[str, Any]:
    value: dict[str, Any] = {
        "kind": "drive#permission",
        "id": found.id,
        "type": found.type,
        "role": found.role,
        "permissionDetails": [
            {"permissionType": "file", "role": role, "inherited": is_inherited}
            for role, is_inherited in found.details
        ],
    }
    if found.type in ("user", "group"):
        value["emailAddress"] = found.email
        value["displayName"] = (found.email or "").partition("@")[0].title()
        value["deleted"] = False
        value["pendingOwner"] = False
    else:
        value["allowFileDiscovery"] = found.allow_discovery
    if found.domain:
        value["domain"] = value["displayName"] = found.domain
    if found.view:
        value["view"] = found.view
    if found.expiration:
        value["expirationTime"] = found.expiration
    return value


def _mine_only(getter: Getter) -> Getter:
    """What Drive fills for My Drive only."""
    return lambda viewer, file: None if file.drive_id else getter(viewer, file)


def _permissions(viewer: Viewer, file: File) -> list[dict[str, Any]] | None:
    if not may_share(viewer, file):
        return None
    return [permission(viewer, entry) for entry in file.permissions]


def _size(viewer: Viewer, file: File) -> str | None:
    return None if file.size is None else str(file.size)


def _view_link(viewer: Viewer, file: File) -> str:
    if file.is_folder:
        return f"https://drive.google.com/drive/folders/{file.id}"
    return f"https://drive.google.com/file/d/{file.id}/view?usp=drivesdk"


def _parents(viewer: Viewer, file: File) -> list[str] | None:
    """Unless the folder is hidden from this sender."""
    files = viewer.drive.files
    held = [files[key] for key in file.parents if key in files]
    return [folder.id for folder in held if viewer.drive.role(folder, viewer.user)] or None


FILE: dict[str, Getter] = {
    "kind": lambda viewer, file: "drive#file",
    "id": lambda viewer, file: file.id,
    "name": lambda viewer, file: file.name,
    "mimeType": lambda viewer, file: file.mime_type,
    "parents": _parents,
    "size": _size,
    "md5Checksum": lambda viewer, file: file.md5,
    "sha256Checksum": lambda viewer, file: file.sha256,
    "createdTime": lambda viewer, file: file.created,
    "modifiedTime": lambda viewer, file: file.modified,
    "trashed": lambda viewer, file: file.trashed,
    "explicitlyTrashed": lambda viewer, file: file.explicitly_trashed,
    "starred": lambda viewer, file: file.starred,
    "inheritedPermissionsDisabled": lambda viewer, file: file.limited,
    "driveId": lambda viewer, file: file.drive_id,
    "owners": _mine_only(lambda viewer, file: [user(viewer, file.owner or "")]),
    "ownedByMe": _mine_only(lambda viewer, file: viewer.owns(file)),
    "shared": _mine_only(lambda viewer, file: file.shared),
    "permissions": _mine_only(_permissions),
    "capabilities": capabilities,
    "webViewLink": _view_link,
    "description": lambda viewer, file: file.extra.get("description"),
    "properties": lambda viewer, file: file.extra.get("properties"),
    "appProperties": lambda viewer, file: file.extra.get("appProperties"),
}


def file(viewer: Viewer, found: File, selection: fields.Selection) -> dict[str, Any]:
    """The file as the viewer sees it, with no more than what was asked for."""
    wanted = {key: FILE[key] for key in FILE if fields.wants(selection, key)}
    value = {key: getter(viewer, found) for key, getter in wanted.items()}
    present = {key: entry for key, entry in value.items() if entry is not None}
    return fields.project(present, selection)
