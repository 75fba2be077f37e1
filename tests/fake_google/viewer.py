"""One request's sender: who it is, what it may reach, and what it asked to see."""

from dataclasses import dataclass

from . import fields, schema
from .accounts import DRIVE, DRIVE_FILE, Grant
from .errors import Refusal, not_found
from .messages import Request
from .state import Drive, File, rank
from .world import World


@dataclass(eq=False)
class Viewer:
    world: World
    grant: Grant
    all_drives: bool  # whether the request knows of shared drives
    selection: fields.Selection

    @property
    def drive(self) -> Drive:
        return self.world.drive

    @property
    def user(self) -> str:
        return self.grant.user

    @property
    def root_id(self) -> str:
        return self.drive.root(self.user)

    @property
    def sees_all(self) -> bool:
        """Whether it reaches more than what the app made."""
        return any(scope.startswith(DRIVE) and scope != DRIVE_FILE for scope in self.grant.scopes)

    def sees(self, file: File) -> bool:
        visible = file.app_visible or self.sees_all
        return visible and self.drive.role(file, self.user) is not None

    def holds(self, file: File, role: str) -> bool:
        return rank(self.drive.role(file, self.user)) >= rank(role)

    def owns(self, file: File) -> bool:
        return file.owner == self.user

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

    def require(self, file: File, may: bool) -> None:
        if not may:
            raise Refusal("403-insufficientFilePermissions")


def authenticate(world: World, request: Request) -> Grant:
    grant = world.accounts.grant_of(request.token)
    if not grant:
        raise Refusal("401-authError")
    return grant


def admit(
    world: World, request: Request, method: str, returns: str | None, grant: Grant | None = None
) -> Viewer:
    """The sender of a request, refused where it may not call the method, or not so."""
    grant = grant or authenticate(world, request)
    if not grant.scopes & schema.scopes(method):
        raise Refusal("403-insufficientPermissions")
    schema.check_parameters(method, request.params)
    selection = _selection(request, returns) if returns else {}
    return Viewer(world, grant, request.flag("supportsAllDrives"), selection)


def _selection(request: Request, returns: str) -> fields.Selection:
    text = request.params.get("fields")
    if text:
        return fields.parse(text, returns)
    if text == "" and returns == "File":  # rclone's way to say that it needs nothing
        return fields.parse("id", returns)
    if returns != "GeneratedIds" and request.params.get("alt") != "media":
        raise Refusal(
            "400-required", "The 'fields' parameter is required for this method.", "fields"
        )
    return {}
