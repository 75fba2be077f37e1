"""What Google Drive holds: files, folders, sharing, shared drives, upload sessions, quota.

Plain Python, no HTTP. Tests set it up and look into it; operations.py is what clients reach.
Everything is guarded by one lock, `Drive.lock`, which callers may hold over several steps.
"""

import hashlib
import math
import secrets
import string
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from . import clock
from .errors import Refusal

FOLDER = "application/vnd.google-apps.folder"
GRAIN = 256 * 1024  # chunks of an upload are multiples of this
KEPT_CONTENT = 16 * 1024 * 1024  # bytes; of larger files only size and digests are kept
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")  # rising
ID_LETTERS = string.ascii_letters + string.digits + "-_"
FOR_GOOD = math.inf  # seconds


def rank(role: str | None) -> int:
    return ROLES.index(role) if role else -1


def new_id() -> str:
    return "1" + "".join(secrets.choice(ID_LETTERS) for _ in range(32))


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
    # Of each source of it: (role, whether it is inherited).
    details: tuple[tuple[str, bool], ...] = ()

    def covers(self, user: str) -> bool:
        if self.view:  # which gives no access
            return False
        if self.expiration and clock.parse(self.expiration) <= datetime.now(UTC):
            return False
        if self.type == "domain":
            return user.endswith(f"@{self.domain}")
        return self.type == "anyone" or self.email == user


def permission_id(type: str, email: str | None = None, domain: str | None = None) -> str:
    """One person has the same id everywhere. https://developers.google.com/drive/api/reference/rest/v3/permissions"""
    if type == "anyone":
        return "anyoneWithLink"
    digest = hashlib.sha256((email or domain or "").encode()).hexdigest()
    return f"{int(digest[:16], 16):020d}"


class Digests:
    """MD5 and SHA-256 of what comes in pieces."""

    def __init__(self) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()

    def update(self, piece: bytes | memoryview) -> None:
        self.md5.update(piece)
        self.sha256.update(piece)

    def texts(self) -> tuple[str, str]:
        return self.md5.hexdigest(), self.sha256.hexdigest()


@dataclass(frozen=True)
class Content:
    size: int
    md5: str
    sha256: str
    kept: bytes | None

    @classmethod
    def of(cls, data: bytes) -> "Content":
        digests = Digests()
        digests.update(data)
        return cls(len(data), *digests.texts(), data if len(data) <= KEPT_CONTENT else None)


@dataclass(frozen=True)
class Version:
    """What lists show of a file, from some moment on."""

    since: float
    name: str
    parents: list[str]
    explicitly_trashed: bool
    is_gone: bool


@dataclass(eq=False)
class File:
    """A file or folder. A shared drive is one too: the folder at its top."""

    id: str
    name: str
    mime_type: str
    parents: list[str]
    drive: "Drive" = field(repr=False)
    owner: str | None = None  # None: in a shared drive, which owns what is in it
    size: int | None = None  # None: a folder
    md5: str | None = None
    sha256: str | None = None
    content: bytes | None = field(default=None, repr=False)  # None: a folder, or too large to keep
    created: str = ""
    modified: str = ""
    explicitly_trashed: bool = False
    app_visible: bool = True  # made by the app, so that the scope drive.file reaches it
    limited: bool = False  # nothing is inherited: inheritedPermissionsDisabled
    can_trash: bool = True  # False: nobody may, whatever the role
    can_delete: bool = True
    starred: bool = False
    drive_id: str | None = None
    how: str = "metadata"  # or multipart, resumable, copy, "set up": the way it came to Drive
    extra: dict[str, Any] = field(default_factory=dict)  # further metadata, kept as sent
    direct: dict[str, Permission] = field(default_factory=dict)  # permissions, by their ids
    history: list[Version] = field(default_factory=list, repr=False)
    among: dict[str, "File"] | None = field(default=None, repr=False)  # where its parents are

    @property
    def is_folder(self) -> bool:
        return self.mime_type == FOLDER

    @property
    def stored(self) -> Content:
        return Content(self.size or 0, self.md5 or "", self.sha256 or "", self.content)

    @property
    def trashed(self) -> bool:
        """Whether it, or a folder above it, is in the trash."""
        return any(file.explicitly_trashed for file in self.drive.lineage(self))

    @property
    def permissions(self) -> list[Permission]:
        return list(self.drive.permissions(self).values())

    @property
    def shared(self) -> bool:
        return any(permission.role != "owner" for permission in self.permissions)


@dataclass(eq=False)
class Session:
    """A resumable upload on its way."""

    id: str
    grant: Any  # of who began it
    metadata: dict[str, Any]
    mime_type: str | None
    total: int | None  # bytes, once they are known
    target: str | None = None  # the file whose content is replaced
    received: int = 0  # bytes
    digests: Digests = field(default_factory=Digests)
    kept: bytearray = field(default_factory=bytearray)
    finished: str | None = None  # the id of the file that it became
    dead: str | None = None  # the error that every further request gets
    turn: int = 0  # of the request that sends now: a later one ends an earlier one
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def keep(self, piece: memoryview) -> None:
        self.digests.update(piece)
        self.received += len(piece)
        if self.received <= KEPT_CONTENT:
            self.kept += piece
        else:
            self.kept.clear()

    def forget(self) -> None:
        self.received = 0
        self.kept.clear()
        self.digests = Digests()

    @property
    def content(self) -> Content:
        kept = bytes(self.kept) if self.received <= KEPT_CONTENT else None
        return Content(self.received, *self.digests.texts(), kept)


class Drive:
    """Everybody's files, seen from the one user that the tests are about."""

    def __init__(self, user: str) -> None:
        self.lock = threading.RLock()
        self.user = user
        self.clock = clock.Clock()
        self.files: dict[str, File] = {}
        self.sessions: dict[str, Session] = {}
        self.issued: dict[str, str] = {}  # ids given out beforehand, with the user who got each
        self.ever: dict[str, File] = {}  # with those that are gone
        self.roots: dict[str, str] = {}  # each user's My Drive
        self.pages: dict[str, tuple[object, list[str]]] = {}  # what page tokens stand for
        self.folder_times: deque[float | str] = deque()
        self.writes: deque[float] = deque()
        # What tests may set:
        self.quota_limit: int | None = None  # bytes
        self.write_limit: int | None = None  # a second
        self.lag = 0.0  # seconds by which all lists are late; or FOR_GOOD
        self.refuse_limiting = False  # whether no folder can get limited access
        self.page_size_cap: int | None = None
        self.root_id = self.root(user)

    # -- For tests: setting up ---------------------------------------------------------------------

    def add_folder(
        self,
        name: str,
        parent: str = "root",
        *,
        owner: str | None = None,
        app: bool = True,
        created: str | None = None,
        starred: bool = False,
        mark: dict[str, str] | None = None,
        can_trash: bool = True,
        can_delete: bool = True,
        limited: bool = False,
    ) -> File:
        """`mark`: its appProperties."""
        folder = self._new(name, FOLDER, parent, owner, app)
        folder.created = created or folder.created
        folder.starred = starred
        folder.extra = {"appProperties": mark} if mark else {}
        folder.can_trash, folder.can_delete = can_trash, can_delete
        folder.limited = limited
        return self.put(folder, since=-math.inf)

    def add_file(
        self,
        name: str,
        content: bytes,
        parent: str = "root",
        *,
        owner: str | None = None,
        app: bool = True,
        mime_type: str = "application/octet-stream",
        modified: str | None = None,
        created: str | None = None,
    ) -> File:
        file = self._new(name, mime_type, parent, owner, app)
        file.created = created or file.created
        file.modified = modified or file.created
        file.how = "set up"
        return self.put(file, Content.of(content), since=-math.inf)

    def _new(self, name: str, mime_type: str, parent: str, owner: str | None, app: bool) -> File:
        folder = self.file(parent)
        now = self.clock.stamp()
        return File(
            id=new_id(),
            name=name,
            mime_type=mime_type,
            parents=[folder.id],
            drive=self,
            owner=None if folder.drive_id else owner or self.user,
            created=now,
            modified=now,
            app_visible=app,
            drive_id=folder.drive_id,
        )

    def share(
        self,
        file_id: str,
        type: str = "user",
        role: str = "reader",
        *,
        email: str | None = None,
        domain: str | None = None,
        expiration: str | None = None,
        inherited: bool = False,
        allow_discovery: bool = False,
        view: str | None = None,
    ) -> Permission:
        key = permission_id(type, email, domain)
        found = Permission(
            key, type, role, email, domain, expiration, allow_discovery, inherited, view
        )
        with self.lock:
            self.file(file_id).direct[f"{key} {view}"] = found
        return found

    def rename(self, file_id: str, name: str) -> None:
        """As a person does it, so that lists learn of it as late as ever."""
        with self.lock:
            self.file(file_id).name = name
            self.note(self.file(file_id))

    def pass_time(self, seconds: float) -> None:
        """Let that much time pass at once, for lists and all that is stamped."""
        self.clock.passed += timedelta(seconds=seconds)

    def trash(self, file_id: str) -> None:
        self.set_trashed(self.file(file_id), True)

    def delete(self, file_id: str) -> None:
        """Remove for good, with all that is below."""
        with self.lock:
            for file in [self.file(file_id), *self.descendants(file_id)]:
                self.remove(file)

    def add_shared_drive(
        self, name: str, members: dict[str, str] | None = None, *, app: bool = False
    ) -> str:
        """A shared drive's id. `app`: the scope drive.file reaches its top folder."""
        with self.lock:
            key = "0A" + new_id()[:14] + "Uk9PVA"
            top = File(key, name, FOLDER, [], self, app_visible=app, drive_id=key)
            top.created = top.modified = self.clock.stamp()
            self.put(top, since=-math.inf)
            for email, role in (members or {self.user: "organizer"}).items():
                self.share(key, "user", role, email=email)
        return key

    def skew_folders(self, *skews: float | str) -> None:
        """Have the next folders that clients make bear a createdTime that is so many seconds off,
        or that very one: Google's servers have more than one clock."""
        self.folder_times.extend(skews)

    # -- For tests: looking ------------------------------------------------------------------------

    def file(self, file_id: str) -> File:
        return self.files[self.root_id if file_id == "root" else file_id]

    def children(self, folder_id: str = "root", trashed: bool = False) -> list[File]:
        with self.lock:
            found = self._below(self.file(folder_id).id)
            return [file for file in found if file.trashed == trashed]

    def folders(
        self, name: str | None = None, parent: str = "root", trashed: bool = False
    ) -> list[File]:
        found = self.children(parent, trashed)
        return [file for file in found if file.is_folder and name in (None, file.name)]

    def everything(self, folder_id: str = "root") -> list[tuple[str, Any]]:
        """(name, content) of each file and (name, [...]) of each folder that is not trashed.

        Content too large to be kept is told by its size and MD5.
        """
        found = sorted(self.children(folder_id), key=lambda file: (file.name, file.created))
        return [
            (file.name, self.everything(file.id) if file.is_folder else described(file))
            for file in found
        ]

    @property
    def usage(self) -> int:
        return self.used_by(self.user)

    @property
    def usage_in_trash(self) -> int:
        return self.used_by(self.user, trashed=True)

    def used_by(self, user: str, trashed: bool = False) -> int:
        """Bytes of the user's files, or of those in the trash."""
        with self.lock:
            mine = [file for file in self.files.values() if file.owner == user and file.size]
            return sum(file.size or 0 for file in mine if not trashed or file.trashed)

    def consistency_check(self) -> None:
        """Raise AssertionError where the state is one that can't be."""
        with self.lock:
            tops = {file.id for file in self.files.values() if file.id == file.drive_id}
            tops |= set(self.roots.values())
            assert tops <= self.files.keys(), "a My Drive is gone"
            for key, file in self.files.items():
                assert key == file.id, f"{file}: wrong id"
                assert key in self.ever, f"{file}: id not noted"
                assert file.is_folder == (file.size is None), f"{file}: content of a folder"
                assert (file.owner is None) == bool(file.drive_id), f"{file}: wrong owner"
                self._check_place(file, tops)
                if file.content is not None:
                    assert Content.of(file.content) == file.stored, f"{file}: not its content"
            for session in self.sessions.values():
                total = session.received if session.total is None else session.total
                assert session.received <= total, "more bytes than the upload has"

    def _check_place(self, file: File, tops: set[str]) -> None:
        assert len(file.parents) == (file.id not in tops), f"{file}: wrong number of parents"
        *_, top = self.lineage(file)
        assert top.id in tops, f"{file}: hangs in the air"
        assert top.drive_id == file.drive_id, f"{file}: in the wrong drive"
        assert all(folder.is_folder for folder in list(self.lineage(file))[1:]), (
            f"{file}: in a file"
        )

    # -- For operations: reading -------------------------------------------------------------------

    def root(self, user: str) -> str:
        """The id of the user's My Drive, made when first needed."""
        with self.lock:
            if user not in self.roots:
                key = "0A" + new_id()[:11] + "Uk9PVA"
                top = File(key, "My Drive", FOLDER, [], self, owner=user, app_visible=False)
                top.created = top.modified = self.clock.stamp()
                self.roots[user] = key
                self.put(top, since=-math.inf)
            return self.roots[user]

    def lineage(self, file: File) -> Iterator[File]:
        """The file, the folder that it is in, and so on to the top."""
        found: File | None = file
        while found:
            yield found
            around = self.files if file.among is None else file.among
            found = around.get(found.parents[0]) if found.parents else None

    def _below(self, folder_id: str) -> list[File]:
        return [file for file in self.files.values() if folder_id in file.parents]

    def descendants(self, folder_id: str) -> list[File]:
        """All that is below, the deepest last."""
        found = self._below(folder_id)
        for file in found:  # grows meanwhile
            found += self._below(file.id)
        return found

    def permissions(self, file: File) -> dict[str, Permission]:
        """The permissions of a file: its own, and those of the folders that it is in."""
        found: dict[str, Permission] = {}
        for permission in self._granted(file):
            key = f"{permission.id} {permission.view}"
            held = found.get(key)
            details = (held.details if held else ()) + ((permission.role, permission.inherited),)
            if held and rank(permission.role) <= rank(held.role):
                permission = held
            found[key] = replace(permission, details=details)
        return found

    def _granted(self, file: File) -> Iterator[Permission]:
        if file.owner:
            yield Permission(permission_id("user", file.owner), "user", "owner", file.owner)
        limited = False
        for folder in self.lineage(file):
            for permission in folder.direct.values():
                if folder is file:
                    yield permission
                # Who manages a shared drive reaches all of it.
                elif not limited or permission.role == "organizer":
                    yield replace(permission, inherited=True)
            if folder.owner and folder.owner != file.owner and not limited:
                # Whoever owns the folder may edit what others put there.
                key = permission_id("user", folder.owner)
                yield Permission(key, "user", "writer", folder.owner, inherited=True)
            limited = limited or folder.limited

    def role(self, file: File, user: str) -> str | None:
        """The highest role that the user has on the file."""
        held = [p.role for p in self.permissions(file).values() if p.covers(user)]
        return max(held, key=rank, default=None)

    def listed(self) -> list[File]:
        """All files as lists show them: as they were `lag` seconds ago."""
        if not self.lag:
            return list(self.files.values())
        until = self.clock.elapsed() - self.lag
        found: dict[str, File] = {}
        for key, file in self.ever.items():
            then = next((v for v in reversed(file.history) if v.since <= until), None)
            if then and not then.is_gone:
                shown = replace(file, name=then.name, parents=then.parents, among=found)
                shown.explicitly_trashed = then.explicitly_trashed
                found[key] = shown
        return list(found.values())

    def note(self, file: File, since: float | None = None) -> None:
        """Keep for lists how the file is from now on."""
        since = self.clock.elapsed() if since is None else since
        is_gone = file.id not in self.files
        file.history.append(
            Version(since, file.name, file.parents, file.explicitly_trashed, is_gone)
        )

    # -- For operations: writing -------------------------------------------------------------------

    def issue_ids(self, user: str, count: int) -> list[str]:
        with self.lock:
            ids = [new_id() for _ in range(count)]
            self.issued.update(dict.fromkeys(ids, user))
        return ids

    def creation_time(self, is_folder: bool) -> str:
        now = self.clock.stamp()
        if not is_folder or not self.folder_times:
            return now
        skew = self.folder_times.popleft()
        if isinstance(skew, str):
            return skew
        return clock.stamp(clock.parse(now) + timedelta(seconds=skew))

    def claim_id(self, user: str, given: str | None) -> str:
        """The id for something new: the one given, if it may be used, else a fresh one."""
        if given is None:
            return new_id()
        if given in self.ever:
            raise Refusal("409-fileIdInUse")
        if self.issued.get(given) != user:
            raise Refusal("400-invalid", "The provided file ID is not usable.", "file.id")
        return given

    def put(self, file: File, content: Content | None = None, since: float | None = None) -> File:
        """Have the file from now on, with new content if any."""
        if content:
            file.size, file.content = content.size, content.kept
            file.md5, file.sha256 = content.md5, content.sha256
        with self.lock:
            self.files[file.id] = self.ever[file.id] = file
            self.note(file, since)
        return file

    def set_trashed(self, file: File, trashed: bool) -> None:
        with self.lock:
            file.explicitly_trashed = trashed
            self.note(file)

    def remove(self, file: File) -> None:
        del self.files[file.id]
        self.note(file)

    def delete_for(self, user: str, folder: File) -> None:
        """Remove what the user owns of a folder and all below; the rest goes back to its owners.

        https://developers.google.com/workspace/drive/api/guides/delete
        """
        with self.lock:
            for file in [folder, *self.descendants(folder.id)]:
                if file.owner in (None, user):
                    self.remove(file)
            for file in list(self.files.values()):
                if file.parents and file.parents[0] not in self.files:
                    file.parents = [self.root(file.owner or user)]
                    self.note(file)

    def check_room(self, user: str, size: int, replaced: int = 0) -> None:
        if self.quota_limit is None:
            return
        if self.used_by(user) + size - replaced > self.quota_limit:
            raise Refusal("403-storageQuotaExceeded")

    def count_write(self) -> None:
        """Refuse a write that is one too many in this second."""
        with self.lock:
            now = time.monotonic()
            while self.writes and self.writes[0] <= now - 1:
                self.writes.popleft()
            if self.write_limit is not None and len(self.writes) >= self.write_limit:
                raise Refusal("403-userRateLimitExceeded")
            self.writes.append(now)

    def begin_session(self, session: Session) -> Session:
        with self.lock:
            self.sessions[session.id] = session
        return session

    def end_session(self, session: Session, error: str) -> None:
        session.dead = error
        session.kept.clear()


def described(file: File) -> Any:
    return file.content if file.content is not None else f"{file.size} bytes, MD5 {file.md5}"
