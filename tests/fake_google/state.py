"""What Google Drive holds: files, folders, sharing, shared drives, upload sessions, quota.

Plain Python, no HTTP. Tests set it up and look into it; operations.py is what clients reach.
Everything is guarded by one lock, `Drive.lock`, which callers may hold over several steps.
"""

import hashlib
import math
import secrets
import threading
import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from .errors import Refusal

FOLDER = "application/vnd.google-apps.folder"
GRAIN = 256 * 1024  # what is sent to a session is kept in multiples of this
KEPT_CONTENT = 16 * 1024 * 1024  # bytes; of larger files only size and digests are kept
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")  # rising
FOR_GOOD = math.inf  # seconds


def rank(role: str | None) -> int:
    return ROLES.index(role) if role else -1


def new_id() -> str:
    return "1" + secrets.token_urlsafe(24)


def moment(text: str) -> datetime:
    """The moment that an RFC 3339 text names; UTC where it names no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Permission:
    id: str
    type: str  # user, group, domain, anyone
    role: str
    email: str | None = None
    domain: str | None = None
    expiration: str | None = None
    allow_discovery: bool = False
    inherited: bool = False
    view: str | None = None
    details: tuple[tuple[str, bool], ...] = ()  # of each source: (role, whether it is inherited)

    def covers(self, user: str) -> bool:
        if self.view or (self.expiration and moment(self.expiration) <= datetime.now(UTC)):
            return False  # a view gives no access
        if self.type == "domain":
            return user.endswith(f"@{self.domain}")
        return self.type == "anyone" or self.email == user

    @property
    def key(self) -> tuple[str, str | None]:
        return self.id, self.view


def permission_id(type: str, who: str | None = None) -> str:
    """One person has the same id everywhere. https://developers.google.com/drive/api/reference/rest/v3/permissions"""
    if type == "anyone":
        return "anyoneWithLink"
    return f"{int(hashlib.sha256((who or '').encode()).hexdigest()[:16], 16):020d}"


class Content:
    """What a file holds, of which pieces may still come. Much of it is not kept."""

    def __init__(self) -> None:
        self.size = 0
        self.kept: bytearray | None = bytearray()
        self.md5, self.sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()

    @classmethod
    def of(cls, data: bytes) -> "Content":
        found = cls()
        found.add(data)
        return found

    def add(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        self.md5.update(piece)
        self.sha256.update(piece)
        if self.kept is not None and self.size <= KEPT_CONTENT:
            self.kept += piece
        else:
            self.kept = None


@dataclass(eq=False)
class File:
    """A file or folder. A shared drive is one too: the folder at its top."""

    id: str
    name: str
    mime_type: str
    parents: list[str]
    drive: "Drive" = field(repr=False)
    owner: str | None = None  # None: in a shared drive, which owns what is in it
    stored: Content | None = field(default=None, repr=False)  # None: a folder
    created: str = ""
    modified: str = ""
    explicitly_trashed: bool = False
    app_visible: bool = True  # made by the app, so that the scope drive.file reaches it
    limited: bool = False  # inheritedPermissionsDisabled
    drive_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)  # further metadata, kept as sent
    direct: dict[Any, Permission] = field(default_factory=dict)  # permissions of its own
    # How it was from some moments on, for lists; None: it was gone.
    history: "list[tuple[float, File | None]]" = field(default_factory=list, repr=False)
    among: "dict[str, File] | None" = field(default=None, repr=False)  # if it is part of that

    @property
    def is_folder(self) -> bool:
        return self.mime_type == FOLDER

    @property
    def size(self) -> int | None:
        return self.stored.size if self.stored else None

    @property
    def md5(self) -> str | None:
        return self.stored.md5.hexdigest() if self.stored else None

    @property
    def sha256(self) -> str | None:
        return self.stored.sha256.hexdigest() if self.stored else None

    @property
    def content(self) -> bytes | None:
        """None: a folder, or too large to be kept."""
        return None if not self.stored or self.stored.kept is None else bytes(self.stored.kept)

    def lineage(self) -> "Iterator[File]":
        """The file, the folder that it is in, and so on to the top."""
        around = self.drive.files if self.among is None else self.among
        found: File | None = self
        while found:
            yield found
            found = around.get(found.parents[0]) if found.parents else None

    @property
    def trashed(self) -> bool:
        """Whether it, or a folder above it, is in the trash."""
        return any(file.explicitly_trashed for file in self.lineage())

    @property
    def permissions(self) -> list[Permission]:
        """Its own, and those of the folders that it is in. One person has one: the highest."""
        found: dict[Any, Permission] = {}
        for permission in self._sources():
            held = found.get(permission.key)
            details = (held.details if held else ()) + ((permission.role, permission.inherited),)
            if held and rank(permission.role) <= rank(held.role):
                permission = held
            found[permission.key] = replace(permission, details=details)
        return list(found.values())

    def _sources(self) -> Iterator[Permission]:
        """https://developers.google.com/workspace/drive/api/guides/limited-expansive-access"""
        if self.owner:
            yield Permission(permission_id("user", self.owner), "user", "owner", self.owner)
        limited = False
        for folder in self.lineage():
            held = list(folder.direct.values())
            if folder.owner and folder.owner != self.owner:
                # Whoever owns the folder may edit what others put there.
                key = permission_id("user", folder.owner)
                held.append(Permission(key, "user", "writer", folder.owner))
            for permission in held:
                inherited = folder is not self or permission.inherited
                cut_off = limited or (folder.limited and permission.inherited)
                # Who manages a shared drive reaches all of it.
                if not (inherited and cut_off) or permission.role == "organizer":
                    yield replace(permission, inherited=inherited)
            limited = limited or folder.limited

    @property
    def shared(self) -> bool:
        return any(permission.role != "owner" for permission in self.permissions)

    def role(self, user: str) -> str | None:
        """The highest role that the user has on it."""
        held = [permission.role for permission in self.permissions if permission.covers(user)]
        return max(held, key=rank, default=None)


@dataclass(eq=False)
class Session:
    """A resumable upload on its way."""

    id: str
    grant: Any  # of who began it
    metadata: dict[str, Any]
    mime_type: str
    total: int | None  # bytes, once they are known
    content: Content = field(default_factory=Content)  # what has arrived
    finished: str | None = None  # the id of the file that it became
    dead: str | None = None  # the error that every further request gets
    lock: Any = field(default_factory=threading.RLock, repr=False)


@dataclass(frozen=True)
class Mail:
    """A message that Google would have sent about a file that was shared."""

    file_id: str
    to: str


class Drive:
    """Everybody's files, seen from the one user that the tests are about."""

    def __init__(self, user: str) -> None:
        self.lock = threading.RLock()
        self.user = user
        self.files: dict[str, File] = {}
        self.ever: dict[str, File] = {}  # with those that are gone: their ids stay in use
        self.sessions: dict[str, Session] = {}
        self.issued: dict[str, str] = {}  # ids given out beforehand, with the user who got each
        self.roots: dict[str, str] = {}  # each user's My Drive
        self.pages: dict[str, tuple[object, list[Any]]] = {}  # what page tokens stand for
        self.mails: list[Mail] = []
        self.passed = 0.0  # seconds, on top of the machine's time
        # What tests may set:
        self.lag = 0.0  # seconds by which all lists are late, or FOR_GOOD
        self.quota_limit: int | None = None  # bytes
        self.page_size_cap: int | None = None
        self.refuse_limiting = False  # no folder can be given limited access
        self.root_id = self.root(user)

    # -- For tests: setting up ---------------------------------------------------------------------
    def add_folder(self, name, parent="root", *, owner=None, app=True, mark=None, limited=False):
        """`mark`: its appProperties. `app`: made by the app."""
        folder = self._new(name, FOLDER, parent, owner, app)
        folder.extra = {"appProperties": mark} if mark else {}
        folder.limited = limited
        return self.put(folder, since=-math.inf)

    def add_file(self, name, content, parent="root", *, app=True):
        file = self._new(name, "application/octet-stream", parent, None, app)
        return self.put(file, Content.of(content), since=-math.inf)

    def _new(self, name, mime_type, parent, owner, app):
        folder = self.file(parent)
        file = File(new_id(), name, mime_type, [folder.id], self, app_visible=app)
        file.owner = None if folder.drive_id else owner or self.user
        file.created = file.modified = self.now()
        file.drive_id = folder.drive_id
        return file

    def share(self, file_id, type="user", role="reader", *, email=None, domain=None, **options):
        """The options: expiration, allow_discovery, inherited, view."""
        key = permission_id(type, email or domain)
        found = Permission(key, type, role, email, domain, **options)
        with self.lock:
            self.file(file_id).direct[found.key] = found
        return found

    def rename(self, file_id: str, name: str) -> None:
        self.change(self.file(file_id), name=name)

    def set_content(self, file_id: str, content: bytes) -> None:
        self.put(self.file(file_id), Content.of(content))

    def move(self, file_id: str, parent: str) -> None:
        self.change(self.file(file_id), parents=[self.file(parent).id])

    def trash(self, file_id: str) -> None:
        self.change(self.file(file_id), explicitly_trashed=True)

    def delete(self, file_id: str, user: str | None = None) -> None:
        """Remove for good, with all that is below; or with what this user owns of it.

        The rest goes back to its owners. https://developers.google.com/workspace/drive/api/guides/delete
        """
        with self.lock:
            found = [self.file(file_id)]
            for file in found:  # grows meanwhile
                found += self._below(file.id)
            for file in found:
                if user is None or file.owner in (None, user):
                    del self.files[file.id]
                    self._note(file)
            for file in list(self.files.values()):
                if file.parents and file.parents[0] not in self.files:
                    self.change(file, parents=[self.root(file.owner or self.user)])

    def pass_time(self, seconds: float) -> None:
        """Let that much time pass at once, for lists and all that is stamped."""
        self.passed += seconds

    def add_shared_drive(self, name, members=None, *, app=False):
        """A shared drive's id. `app`: the scope drive.file reaches its top folder."""
        key = "0A" + new_id()[:14] + "Uk9PVA"
        top = File(key, name, FOLDER, [], self, app_visible=app, drive_id=key, created=self.now())
        self.put(top, since=-math.inf)
        for email, role in (members or {self.user: "organizer"}).items():
            self.share(key, "user", role, email=email)
        return key

    # -- For tests: looking ------------------------------------------------------------------------
    def file(self, file_id: str) -> File:
        return self.files[self.root_id if file_id == "root" else file_id]

    def children(self, folder_id: str = "root", trashed: bool = False) -> list[File]:
        with self.lock:
            found = self._below(self.file(folder_id).id)
            return [file for file in found if file.trashed == trashed]

    def folders(self, name=None, parent="root", trashed=False):
        found = self.children(parent, trashed)
        return [file for file in found if file.is_folder and name in (None, file.name)]

    def everything(self, folder_id: str = "root") -> list[tuple[str, Any]]:
        """(name, content) of each file and (name, [...]) of each folder that is not trashed."""
        found = sorted(self.children(folder_id), key=lambda file: (file.name, file.created))
        return [
            (file.name, self.everything(file.id) if file.is_folder else file.content)
            for file in found
        ]

    # -- For operations: reading -------------------------------------------------------------------
    def elapsed(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic() + self.passed

    def now(self) -> str:
        return stamp(datetime.now(UTC) + timedelta(seconds=self.passed))

    def root(self, user: str) -> str:
        """The id of the user's My Drive, made when first needed."""
        with self.lock:
            if user not in self.roots:
                key = self.roots[user] = "0A" + new_id()[:11] + "Uk9PVA"
                top = File(key, "My Drive", FOLDER, [], self, owner=user, app_visible=False)
                top.created = top.modified = self.now()
                self.put(top, since=-math.inf)
            return self.roots[user]

    def _below(self, folder_id: str) -> list[File]:
        return [file for file in self.files.values() if folder_id in file.parents]

    def listed(self) -> list[File]:
        """All files as lists show them: as they were `lag` seconds ago."""
        if not self.lag:
            return list(self.files.values())
        until = self.elapsed() - self.lag
        found: dict[str, File] = {}
        for key, file in self.ever.items():
            then = next((old for since, old in reversed(file.history) if since <= until), None)
            if then:
                then.among, found[key] = found, then
        return list(found.values())

    # -- For operations: writing -------------------------------------------------------------------
    def issue_ids(self, user: str, count: int) -> list[str]:
        ids = [new_id() for _ in range(count)]
        self.issued.update(dict.fromkeys(ids, user))
        return ids

    def claim_id(self, user: str, given: str | None) -> str:
        """The id for something new: the one given, if it may be used, else a fresh one."""
        if given in self.ever:
            raise Refusal("409-fileIdInUse")
        if given and self.issued.get(given) != user:
            raise Refusal("400-invalid", "The provided file ID is not usable.", "file.id")
        return given or new_id()

    def put(self, file: File, content: Content | None = None, since: float | None = None) -> File:
        """Have the file from now on, with new content if any. `since`: when lists know it."""
        with self.lock:
            file.stored = content or file.stored
            self.files[file.id] = self.ever[file.id] = file
            self._note(file, since)
        return file

    def change(self, file: File, **values: Any) -> None:
        with self.lock:
            vars(file).update(values)
            self._note(file)

    def _note(self, file: File, since: float | None = None) -> None:
        """Keep for lists how the file is from now on."""
        since = self.elapsed() if since is None else since
        file.history.append((since, copy(file) if file.id in self.files else None))

    def used_by(self, user: str) -> int:
        """Bytes of the user's files, with those in the trash."""
        with self.lock:
            return sum(file.size or 0 for file in self.files.values() if file.owner == user)
