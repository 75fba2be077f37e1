"""tests/real_drive, on the fake: what it asks, that it notices, and that it leaves nothing."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import needs
import pytest
import real_drive.__main__ as command
from fake_google import FakeGoogle, server
from fake_google.errors import error_reply
from fake_google.messages import EmptyBody, Reply, Request
from google.oauth2.credentials import Credentials
from googleapiclient.http import build_http
from httplib2 import proxy_info_from_url
from real_drive.claims import CLAIMS, SCRIPT, Claim
from real_drive.drive import Contradicted, Drive, NotTried
from real_drive.report import CONTRADICTED, Results
from real_drive.script import FOLDER_NAME, Script
from real_drive.settings import edit_settings
from workdir import REPOSITORY, SHORT_WAITS, Run, clean_environment

PERSON = "bo@example.com"
SLOW = "multipart-over-5-mb"  # takes as long as all others


# ---- The command, as its user gives it -----------------------------------------------------------


class Checkout:
    """What a person has who cloned this repository and signed in once."""

    def __init__(self, path: Path, google: FakeGoogle) -> None:
        self.path = path
        self.google = google
        shutil.copy(REPOSITORY / "quickstart.py", path)
        shutil.copytree(REPOSITORY / "tests" / "real_drive", path / "tests" / "real_drive")
        edit_settings(path / "quickstart.py", **SHORT_WAITS)
        edit_settings(path / "tests" / "real_drive" / "drive.py", RETRY_WAITS=(0.01, 0.02, 0.04))
        self.write("credentials.json", google.credentials())
        self.write("token.json", google.token(expires_in=-1))
        self.temporary = path / "temporary"
        self.temporary.mkdir()
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.temporary))
        self.environment = clean_environment(path) | google.environment() | places

    def write(self, name: str, content: Any) -> None:
        (self.path / name).write_text(json.dumps(content), encoding="utf-8")

    def start(self, *arguments: str) -> Run:
        options: dict[str, Any] = {}
        if sys.platform == "win32":  # a console of its own, in which Ctrl-C reaches nobody else
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.real_drive", *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **options,
        )
        return Run(process, self.google)

    @property
    def report(self) -> str:
        return (self.path / "real_drive_report.md").read_text(encoding="utf-8")


def private(google: FakeGoogle) -> list[str]:
    """What no report may show."""
    return [*google.secrets(), *google.drive.used, google.user, PERSON]


@pytest.fixture
def checkout(tmp_path: Path, google: FakeGoogle) -> Checkout:
    google.drive.name_lag = 0.05
    return Checkout(tmp_path, google)


def test_all_claims_are_confirmed(checkout: Checkout, google: FakeGoogle) -> None:
    by_hand = google.drive.add_folder("by hand", app=False).id
    shared_drive = google.drive.add_shared_drive("team")
    google.fail("about.get", "429-retry-after")
    google.retry_after = 0
    before = set(google.drive.files)
    options = ["--yes", "--any-scope", "--share-with", PERSON, "--folder-made-by-hand", by_hand]
    options += ["--shared-drive", f"https://drive.google.com/drive/folders/{shared_drive}"]
    outcome = checkout.start(*options).wait(timeout=110)
    assert outcome.status == 0, outcome.out + outcome.err
    assert outcome.lines[-1].startswith(f"{len(CLAIMS)} confirmed, 0 contradicted, 0 not tried.")
    assert len(re.findall(r"(?m)^ *\d+/\d+  confirmed", outcome.out)) == len(CLAIMS)
    assert google.drive.files.keys() == before
    assert google.mails == []
    assert all(f"| {claim.name} | {claim.sentence} |" in checkout.report for claim in CLAIMS)
    assert "Everything was removed." in checkout.report
    assert [text for text in private(google) if text in checkout.report] == []


def test_ctrl_c_leaves_nothing(checkout: Checkout, google: FakeGoogle) -> None:
    """The first one ends the questions while the script runs, the second not the removal."""
    before = set(google.drive.files)
    run = checkout.start("--yes")
    assert run.process.stdout
    for moment in ("dry-run", "Removing"):
        next(line for line in run.process.stdout if moment in line)
        run.interrupt()
    outcome = run.wait(timeout=110)
    assert outcome.status == 130, outcome.out + outcome.err
    assert "Traceback" not in outcome.err
    assert google.drive.files.keys() == before
    assert list(checkout.temporary.iterdir()) == []  # where the copy of token.json was


@needs.sigterm
def test_sigterm_leaves_nothing(checkout: Checkout, google: FakeGoogle) -> None:
    """Even if nobody reads what it says."""
    before = set(google.drive.files)
    run = checkout.start("--yes")
    assert run.process.stdout
    run.process.stdout.readline()
    run.process.stdout.close()
    run.terminate()
    assert run.wait().status == 143
    assert google.drive.files.keys() == before


def test_nothing_is_made_without_a_yes(checkout: Checkout, google: FakeGoogle) -> None:
    outcome = checkout.start().wait()
    assert outcome.status == 1
    assert google.user in outcome.out  # whose Drive it would be
    assert outcome.lines[-1] == "Nothing was made."
    assert {call.operation for call in google.log} == {"oauth.token.refresh", "about.get"}


def test_what_quickstart_can_not_begin_with_this_can_not(checkout: Checkout) -> None:
    (checkout.path / "credentials.json").unlink()
    outcome = checkout.start("--yes").wait()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("credentials.json is missing.")
    assert outcome.err.endswith("Nothing was asked.\n")


# ---- Claims that do not hold ---------------------------------------------------------------------

Answer = Callable[[], Reply]
# A rule of the fake that is another: from a request, and what the fake would answer.
Rule = Callable[[FakeGoogle, Request, Answer], Reply]


def instead(operation: str, status: int, reply: Reply) -> Rule:
    """Where the operation would answer with the status, it answers that."""

    def rule(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
        found = answer()
        fits = operation in request.call.names and found.status == status
        return Reply(reply.status, reply.body, dict(reply.headers)) if fits else found

    return rule


def refused(operation: str, status: int = 200) -> Rule:
    return instead(operation, status, error_reply("403-forbidden"))


def taken(operation: str, status: int, body: Any = None) -> Rule:
    return instead(operation, status, Reply(200, body or {"id": "another"}))


def shown(
    operation: str, when: Callable[[FakeGoogle, Request, Any], bool] | None = None, **changes: Any
) -> Rule:
    """The operation's answer has other values; None: lacks the key."""

    def rule(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
        found = answer()
        fits = operation in request.call.names and found.status == 200
        if fits and (when is None or when(google, request, found.body)):
            body = {**found.body, **changes}
            found.body = {key: value for key, value in body.items() if value is not None}
        return found

    return rule


def has_given_id(google: FakeGoogle, request: Request, body: Any) -> bool:
    return body["id"] in google.drive.issued


def is_in_batch(google: FakeGoogle, request: Request, body: Any) -> bool:
    return has_given_id(google, request, body) and isinstance(request.stream, EmptyBody)


def is_alone(google: FakeGoogle, request: Request, body: Any) -> bool:
    return has_given_id(google, request, body) and not isinstance(request.stream, EmptyBody)


def gets_lower_role(google: FakeGoogle, request: Request, body: Any) -> bool:
    return b'"reader"' in request.body


def refused_in_batch(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    is_conflict = found.status == 409 and isinstance(request.stream, EmptyBody)
    return error_reply("400-invalid") if is_conflict else found


def forgets_ids(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    if request.call.operation == "files.delete":
        google.drive.used.discard(request.captured["fileId"])
    return found


def listed(change: Callable[[FakeGoogle, str, list[Any]], list[Any]]) -> Rule:
    """Lists show other entries: by the query, from what they would show."""

    def rule(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
        found = answer()
        if request.call.operation == "files.list" and found.status == 200:
            found.body["files"] = change(google, request.params.get("q", ""), found.body["files"])
        return found

    return rule


def lists_late(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    now = google.drive.clock.stamp()
    return [
        file for file in files if file["name"] != "first" or file["createdTime"][:-5] < now[:-5]
    ]


def finds_no_new_names(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [] if query.startswith("name = 'new ") else files


def finds_old_names(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [] if query.startswith("name = 'changed ") else files


def tells_case(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [file for file in files if "name = " not in query or f"'{file['name']}'" in query]


def hides_marks(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [{**file, "appProperties": None} for file in files]


def has_no_root(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [] if "'root' in parents" in query else files


def has_no_milliseconds(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    text = re.sub(rb'("createdTime": "[^"]*)\.\d+Z', rb"\1Z", found.encoded())
    return Reply(found.status, text, found.headers)


def moves_created_time(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    if request.call.operation == "files.update.rename":
        file = google.drive.file(request.captured["fileId"])
        file.created = google.drive.clock.stamp()
    return answer()


def hides_the_deleted_late(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    """What was in a folder can be had for a while after the folder was deleted."""
    found = answer()
    seen = google.calls("files.get")
    again = [call for call in seen if call.path == request.path]
    is_content = google.drive.names.get(request.captured.get("fileId", ""), [(0, "")])[-1][1]
    if found.status == 404 and is_content == "check" and len(again) == 1:
        return Reply(200, {"id": request.captured["fileId"]})
    return found


def needs_token(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    is_chunk = "upload_id" in request.params
    return error_reply("401-authError") if is_chunk and not request.token else answer()


def refuses_what_it_has(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    session = google.drive.sessions.get(request.params.get("upload_id", ""))
    first = re.match(r"bytes (\d+)-", request.headers.get("content-range", ""))
    if session and first and int(first[1]) < session.received:
        return error_reply("400-badRequest")
    return answer()


def keeps_odd_parts(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    if request.call.operation == "upload.status" and found.status == 308:
        found.headers["Range"] = "bytes=0-1000"
    return found


def big_is_refused(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    is_big = request.call.content_bytes > 5 * 1024 * 1024
    return error_reply("400-badRequest") if is_big else found


def knows_root(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    is_root = request.captured.get("fileId") == "root"
    return Reply(200, {"id": google.drive.root_id}) if is_root else answer()


def tells_no_parent(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    """A parent that does not exist is refused otherwise than one that is out of reach."""
    body = request.body if request.call.operation == "files.create.metadata" else b"{}"
    parents = json.loads(body).get("parents", ["root"])
    return answer() if parents[0] in {"root", *google.drive.files} else error_reply("403-forbidden")


def tells_of_what_is_hidden(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    file = google.drive.files.get(request.captured.get("fileId", ""))
    is_hidden = file and not file.app_visible and not file.drive_id
    return error_reply("403-appNotAuthorizedToFile") if is_hidden else answer()


def reaches_shared_drives(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    file = google.drive.files.get(request.captured.get("fileId", ""))
    return Reply(200, {"id": file.id}) if file and file.drive_id else answer()


def binds_or_closer(google: FakeGoogle, query: str, files: list[Any]) -> list[Any]:
    return [file for file in files if " or " not in query or "folder" in file["mimeType"]]


def grants_more(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    is_refresh = request.call.operation == "oauth.token.refresh"
    return Reply(200, {"access_token": "ya29.more"}) if is_refresh else found


def comes_back_later(google: FakeGoogle, request: Request, answer: Answer) -> Reply:
    found = answer()
    return Reply(found.status, found.body, {**found.headers, "Retry-After": "later"})


CHANGES: dict[str, Rule] = {
    "id-for-folder": shown("files.create.metadata", has_given_id, id="another"),
    "id-for-file": shown("files.create.multipart", has_given_id, id="another"),
    "id-for-session": shown("upload.last", has_given_id, id="another"),
    "id-for-copy": shown("files.copy", is_alone, id="another"),
    "id-for-copy-in-batch": shown("files.copy", is_in_batch, id="another"),
    "id-in-use": instead("files.create.metadata", 409, error_reply("400-invalid")),
    "id-in-use-in-batch": refused_in_batch,
    "id-in-use-at-session-start": taken("files.create.resumable", 409),
    "id-in-use-at-session-end": instead("upload.last", 409, error_reply("400-invalid")),
    "id-after-deletion": forgets_ids,
    "list-by-parent": listed(lists_late),
    "lag-of-new-names": listed(finds_no_new_names),
    "lag-of-changed-names": listed(finds_old_names),
    "name-ignores-case": listed(tells_case),
    "and-before-or": listed(binds_or_closer),
    "app-properties-in-lists": listed(hides_marks),
    "created-time-rises": has_no_milliseconds,
    "created-time-stays": moves_created_time,
    "root-as-parent": shown("files.create.metadata", parents=["one", "another"]),
    "root-in-queries": listed(has_no_root),
    "root-by-get": knows_root,
    "missing-parent": tells_no_parent,
    "list-of-missing-parent": taken("files.list", 404, {"files": []}),
    "parent-made-by-hand": tells_of_what_is_hidden,
    "shared-drive-by-get": reaches_shared_drives,
    "work-in-the-trash": shown("files.update.rename", trashed=False),
    "digests-after-upload": shown("files.create.multipart", sha256Checksum=None),
    "digests-after-session": shown("upload.last", md5Checksum=None),
    "digests-after-copy": shown("files.copy", md5Checksum="0" * 32),
    "modified-time": shown("files.copy", modifiedTime="2001-02-03T04:05:06.000Z"),
    "type-as-sent": shown("files.create.multipart", mimeType="application/octet-stream"),
    "trashed-folder": shown("files.get", trashed=False),
    "deleted-folder": hides_the_deleted_late,
    "deleted-twice": instead("files.delete", 404, Reply(204)),
    "storage-figures": shown("about.get", storageQuota={"usage": "0"}),
    SLOW: big_is_refused,
    "odd-chunk": instead("upload.first", 400, Reply(308)),
    "bytes-sent-twice": refuses_what_it_has,
    "chunk-that-breaks-off": keeps_odd_parts,
    "status-after-the-end": refused("upload.status"),
    "session-without-token": needs_token,
    "session-with-bad-token": taken("upload.last", 401),
    "refresh-for-more": grants_more,
    "misspelled-fields": taken("files.list", 400, {"files": []}),
    "retry-after": comes_back_later,
    "sharing-without-mail": shown("permissions.list", permissions=[]),
    "shared-twice": shown("permissions.create", gets_lower_role, role="reader"),
}
QUESTIONS = [claim for claim in CLAIMS if claim.strand != SCRIPT]


@pytest.fixture
def drive(google: FakeGoogle) -> Drive:
    """The Drive in this process; waiting takes no time."""

    def connect() -> Any:
        http = build_http()
        http.ca_certs = google.ca_file
        http.proxy_info = proxy_info_from_url(google.proxy, "https")
        return http

    google.drive.name_lag = 20.0
    return Drive(
        Credentials.from_authorized_user_info(google.token()),
        name="check",
        share_with=PERSON,
        folder_made_by_hand=google.drive.add_folder("by hand", app=False).id,
        shared_drive=google.drive.add_shared_drive("team"),
        any_scope=True,
        connect=connect,
        clock=google.drive.clock.elapsed,
        sleep=google.drive.pass_time,
    )


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_rule_contradicts_its_claim(
    google: FakeGoogle, drive: Drive, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    perform = google.service._run

    def changed(route: Any, request: Request) -> Reply:
        return CHANGES[name](google, request, partial(perform, route, request))

    drive.make_folder()
    monkeypatch.setattr(google.service, "_run", changed)
    assert contradicted(google, drive, name) == [name]


def test_a_missing_date_contradicts_its_claim(
    google: FakeGoogle, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = server.encode
    dates = re.compile(rb"Date: .*\r\n")
    monkeypatch.setattr(server, "encode", lambda *reply: dates.sub(b"", encode(*reply), 1))
    drive.make_folder()
    assert contradicted(google, drive) == ["date-header"]


def test_every_claim_can_be_contradicted() -> None:
    assert {claim.name for claim in QUESTIONS} - CHANGES.keys() == {"date-header"}


def contradicted(google: FakeGoogle, drive: Drive, name: str = "") -> list[str]:
    results = Results(len(QUESTIONS), lambda: drive.made)
    for claim in QUESTIONS:
        if claim.name != SLOW or name == SLOW:
            drive.begin()  # none of them takes the time of another
            command.ask(claim, drive, results)
    texts = " ".join(result.text for result in results.found)
    assert [text for text in private(google) if text in texts] == []
    return [result.claim.name for result in results.of(CONTRADICTED)]


# ---- What a run of the script has left -----------------------------------------------------------

FILES = {"a.txt": b"a", "b.txt": b"b"}


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        ({}, "The folders are now: none."),
        ({FOLDER_NAME: FILES, "another": {}}, "The folders are now: another, "),
        ({"another": FILES}, "The folders are now: another."),
        ({FOLDER_NAME: {"a.txt": b"a"}}, "These are not as they should be: b.txt."),
        ({FOLDER_NAME: FILES | {"c.txt": b"c"}}, "These are not as they should be: c.txt."),
        ({FOLDER_NAME: FILES | {"b.txt": b"other"}}, "These are not as they should be: b.txt."),
    ],
)
def test_a_bad_run_is_noticed(
    google: FakeGoogle,
    drive: Drive,
    tmp_path: Path,
    folders: dict[str, dict[str, bytes]],
    text: str,
) -> None:
    parent = google.drive.add_folder("parent").id
    for name, files in folders.items():
        folder = google.drive.add_folder(name, parent).id
        for file, content in files.items():
            google.drive.add_file(file, content, folder)
    with pytest.raises(Contradicted, match=re.escape(text)):
        Script(drive, tmp_path, parent, content=FILES).holds_all()


# ---- Drive is busy -------------------------------------------------------------------------------


def test_a_conflict_after_a_second_try_tells_nothing(google: FakeGoogle, drive: Drive) -> None:
    """It may be about what the first try has made."""
    drive.make_folder()
    google.fail("files.create.multipart", "503", after=1)
    used = drive.new_file(id=drive.new_id())
    with pytest.raises(NotTried, match="503 first, then 409"):
        drive.upload(id=used)


def test_a_busy_drive_contradicts_nothing(google: FakeGoogle, drive: Drive) -> None:
    """Calls in a batch request are not repeated."""
    drive.make_folder()
    google.fail("files.copy", "503")
    with pytest.raises(NotTried, match="503 backendError"):
        drive.copy_in_batch(drive.new_file()).expect(200)


def test_nobody_waits_for_a_day(google: FakeGoogle, drive: Drive) -> None:
    google.retry_after = 86400
    google.fail("files.get", "429-retry-after")
    with pytest.raises(NotTried, match="no time left to wait for 86400 s"):
        drive.get("root")


# ---- What is left --------------------------------------------------------------------------------


def only(monkeypatch: pytest.MonkeyPatch, ask: Callable[[Drive], None]) -> Results:
    """Have this be the only question."""
    monkeypatch.setattr(command, "CLAIMS", [Claim(ask, "", QUESTIONS[0].strand)])
    return Results(1)


def test_mistakes_leave_nothing(
    google: FakeGoogle, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do answers that are lost; and what others have made stays."""
    google.drive.add_file("a file", b"", google.drive.add_folder("check").id)
    before = set(google.drive.files)
    google.fail("files.create.metadata", "answer-lost", after=1, repeat=2)

    def mistaken(drive: Drive) -> None:
        with suppress(NotTried):
            drive.create()
        drive.create(**drive.at_the_top())
        raise RuntimeError("of a new kind")

    (wrong,) = command.check(drive, only(monkeypatch, mistaken))
    assert "of a new kind" in wrong
    assert google.drive.files.keys() == before


def test_what_survives_its_folder_is_removed_too(
    google: FakeGoogle, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(google.drive.files)
    monkeypatch.setattr(google.drive, "descendants", lambda folder_id: [])

    def two_deep(drive: Drive) -> None:
        drive.new_file(parents=[drive.new_folder(parents=[drive.new_folder()])])

    assert command.check(drive, only(monkeypatch, two_deep)) == []
    assert google.drive.files.keys() == before


def test_what_may_be_left_is_told(
    google: FakeGoogle, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(drive: Drive) -> None:
        google.stop_listening()

    (wrong,) = command.check(drive, only(monkeypatch, cut_off))
    assert wrong == 'Not all could be removed: delete the folders "check" by hand.'


# ---- What is written of it -----------------------------------------------------------------------


def test_fake_assumes_what_is_asked() -> None:
    """And a rule that is assumed can be asked for on a real account."""
    readme = (REPOSITORY / "tests" / "fake_google" / "README.md").read_text(encoding="utf-8")
    section = re.search(r"(?ms)^## Assumed\n(.*?)(?=^## |\Z)", readme)
    assert section
    rows = re.findall(r"(?m)^\| ([\w-]+) \| (.*) \|$", section[1])
    assert rows[1:] == [(claim.name, claim.sentence) for claim in QUESTIONS]
