"""One request's sender: who it is, what it may reach, how things look from there."""

from dataclasses import dataclass
from typing import Any

from . import discovery
from .accounts import DRIVE, DRIVE_FILE, Grant
from .errors import Refusal, not_found
from .messages import Request
from .state import Drive, File, Permission, rank


@dataclass(eq=False)
class Viewer:
    drive: Drive
    grant: Grant
    all_drives: bool  # whether the request knows of shared drives
    selection: discovery.Selection

    @property
    def user(self) -> str:
        return self.grant.user

    @property
    def root_id(self) -> str:
        return self.drive.root(self.user)

    def sees(self, file: File) -> bool:
        scopes = self.grant.scopes
        sees_all = any(scope.startswith(DRIVE) and scope != DRIVE_FILE for scope in scopes)
        return (file.app_visible or sees_all) and file.role(self.user) is not None

    def find(self, file_id: str) -> File:
        """The file, refused where this sender can't see it.

        https://developers.google.com/workspace/drive/api/guides/enable-shareddrives
        """
        file_id = self.root_id if file_id == "root" else file_id
        file = self.drive.files.get(file_id)
        if not file or not self.sees(file) or (file.drive_id and not self.all_drives):
            raise not_found(file_id)
        return file

    def find_parent(self, file_id: str) -> File:
        """Likewise for a folder to put something into; there one's own root is always reached."""
        if file_id in ("root", self.root_id):
            return self.drive.files[self.root_id]
        folder = self.drive.files.get(file_id)
        if not folder or not self.sees(folder) or (folder.drive_id and not self.all_drives):
            raise not_found()
        if not folder.is_folder:
            raise Refusal("403-parentNotAFolder")
        if not self.holds(folder, "writer"):
            raise Refusal("403-insufficientParentPermissions")
        return folder

    def require(self, may: bool) -> None:
        if not may:
            raise Refusal("403-insufficientFilePermissions")

    # -- What it may do: https://developers.google.com/workspace/drive/api/guides/about-shareddrives

    def holds(self, file: File, role: str) -> bool:
        return rank(file.role(self.user)) >= rank(role)

    def rules(self, file: File, role: str) -> bool:
        """Whether it owns the file or, in a shared drive, has the role. Nobody rules a top."""
        has = self.holds(file, role) if file.drive_id else file.owner == self.user
        return has and bool(file.parents)

    def may_share(self, file: File) -> bool:
        if file.drive_id and file.is_folder:
            return self.holds(file, "fileOrganizer")
        return self.holds(file, "writer") and bool(file.parents)

    def may_limit(self, file: File) -> bool:
        """https://developers.google.com/workspace/drive/api/guides/limited-expansive-access"""
        can_be = (
            file.is_folder and file.parents != [self.root_id] and not self.drive.refuse_limiting
        )
        return can_be and self.rules(file, "organizer")

    # -- How things look ---------------------------------------------------------------------------
    def show(self, file: File, selection: discovery.Selection | None = None) -> dict[str, Any]:
        """A file with no more than what was asked for."""
        chosen = self.selection if selection is None else selection
        _, *above = file.lineage()
        value = {
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime_type,
            # Unless the folder is hidden from this sender.
            "parents": [folder.id for folder in above[:1] if folder.role(self.user)] or None,
            "size": None if file.size is None else str(file.size),
            "md5Checksum": file.md5,
            "sha256Checksum": file.sha256,
            "createdTime": file.created,
            "modifiedTime": file.modified,
            "trashed": file.trashed,
            "explicitlyTrashed": file.explicitly_trashed,
            "inheritedPermissionsDisabled": file.limited,
            "driveId": file.drive_id,
            # Drive fills this for My Drive only.
            "shared": None if file.drive_id else file.shared,
            **file.extra,
        }
        present = {key: entry for key, entry in value.items() if entry is not None}
        return discovery.project(present, chosen)


def admit(google: Any, request: Request, method: str, grant: Grant | None = None) -> Viewer:
    """The sender of a request, refused where it may not call the method, or not so."""
    grant = grant or authenticate(google, request)
    if not grant.scopes & set(discovery.method(method)["scopes"]):
        raise Refusal("403-insufficientPermissions")
    discovery.check_parameters(method, request.params)
    returns = discovery.method(method).get("response", {}).get("$ref")
    selection = _selection(request, returns) if returns else {}
    return Viewer(google.drive, grant, request.flag("supportsAllDrives"), selection)


def authenticate(google: Any, request: Request) -> Grant:
    grant = google.accounts.grant_of(request.call.token)
    if not grant:
        raise Refusal("401-authError")
    return grant


def _selection(request: Request, returns: str) -> discovery.Selection:
    text = request.params.get("fields")
    if text == "" and returns == "File":  # rclone's way to say that it needs nothing
        return discovery.selection("id", returns)
    if not text and returns != "GeneratedIds" and request.params.get("alt") != "media":
        text = "The 'fields' parameter is required for this method."
        raise Refusal("400-required", text, "fields")
    return discovery.selection(text, returns) if text else {}


def permission(found: Permission) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": found.id,
        "type": found.type,
        "role": found.role,
        "permissionDetails": [
            {"permissionType": "file", "role": role, "inherited": inherited}
            for role, inherited in found.details
        ],
    }
    if found.type in ("user", "group"):
        value["emailAddress"] = found.email
    else:
        value["allowFileDiscovery"] = found.allow_discovery
    more = {"domain": found.domain, "view": found.view, "expirationTime": found.expiration}
    return value | {key: text for key, text in more.items() if text}
