"""Whom tests/test_drive.py asks: a fake of Google's servers or, with --real, somebody's account."""

import copy
import json
import os
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import SimpleNamespace

import pytest
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials
from user import REPOSITORY, User

REPORT = REPOSITORY / "real_drive_report.md"
FOLDER = "application/vnd.google-apps.folder"
DRIVE = "https://www.googleapis.com/auth/drive"
API = "https://www.googleapis.com/drive/v3"
FILES, UPLOAD = f"{API}/files", "https://www.googleapis.com/upload/drive/v3/files"
FIELDS = "id,name,mimeType,parents,size,md5Checksum,sha256Checksum,modifiedTime,trashed"
FIELDS += ",explicitlyTrashed,appProperties,shared,inheritedPermissionsDisabled"
GRANTS = "permissions(id,role,emailAddress,view,permissionDetails(inherited))"
REMOVED = "Everything was removed."
# What looks like an ID or a token of Google's, an email address, the number of a project.
PRIVATE = re.compile(r"(?=[\w.-]*\d)[\w-]{19,}(?:\.[\w-]+)*|[\w.+-]+@[\w.-]+\w|\b\d{9,}\b")
QUESTION = """
This asks the Drive of {account} about {count} rules, and runs quickstart.py there. It makes
folders whose names begin with "{name}" in My Drive, and in them
about 150 small files, and one of 12 MB.{sharing}
At the end all of these folders are deleted for good: put nothing there meanwhile. Nothing else is
touched. It takes up to 5 minutes, and sends about 25 MB{slow}.
Go on? [y/N] """


class Answer:
    """What Drive says. What is missing in it is None."""

    def __init__(self, response):
        self.status, self.headers, self.text = response.status_code, response.headers, response.text
        try:
            self.json = response.json()
        except ValueError:
            self.json = {}
        self.id = self["id"]
        reasons = [entry.get("reason") for entry in (self["error"] or {}).get("errors", [])]
        self.error = (self.status, *reasons)
        limits = {"rateLimitExceeded", "userRateLimitExceeded"}
        self.is_busy = self.status in (408, 429) or self.status >= 500 or bool(limits & {*reasons})

    def __getitem__(self, name):
        return self.json.get(name)

    def __repr__(self):
        return f"<{self.status} {' '.join(self.text.split())[:300]}>"

    @property
    def kept(self):
        """How much of a session's content has arrived, as its 308 tells. None: it is no 308."""
        last = self.headers.get("Range", "bytes=0--1").removeprefix("bytes=0-")
        return int(last) + 1 if self.status == 308 else None


class Drive:
    """Drive's API as it is on the wire. `google` is the fake, or None."""

    def __init__(self, token, options, google=None, name="check"):
        self.token, self.google, self.name, self.folder = token, google, name, "root"
        self.is_wide, self.is_slow = options.wide, options.slow
        self.address, self.by_hand = options.share_with, options.by_hand
        self.connect()

    def connect(self):
        self.http = AuthorizedSession(Credentials.from_authorized_user_info(self.token))
        self.plain = requests.Session()  # sends no token
        for session in (self.http, self.plain) if self.google else ():
            session.trust_env = False
            session.proxies, session.verify = {"https": self.google.proxy}, self.google.ca_file

    def another(self):
        """Return the same Drive, over a connection of its own."""
        found = copy.copy(self)
        found.connect()
        return found

    def give_up(self, reason):
        """No answer contradicts nothing; but the fake answers everything."""
        (pytest.fail if self.google else pytest.skip)(reason)

    def call(self, method, url, body=None, headers=(), http=None, patient=True, **params):
        headers = dict(headers)
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        options = {"params": params, "data": body, "headers": headers, "timeout": 60}
        for wait in (1, 2, 4, 8, 16):
            try:
                response = (http or self.http).request(method, url, **options)
            except (requests.RequestException, GoogleAuthError) as error:
                self.give_up(f"The connection or the sign-in failed: {error!r}")
            answer = Answer(response)
            if answer.status == 409 and wait > 1:
                self.give_up(f"It may be an earlier try that is in the way: {answer!r}")
            if self.google or not patient or not answer.is_busy:
                return answer
            time.sleep(wait)
        return self.give_up(f"Drive did not get to it: {answer!r}")

    def made(self, answer):
        """Return the ID that the answer to a step before the rule gives."""
        if answer.status >= 400:
            self.give_up(f"A step before it failed: {answer!r}")
        return answer.id

    def wait_for(self, condition, seconds=30):
        """Wait until the condition holds. On the fake, it holds at once."""
        end = time.monotonic() + (0 if self.google else seconds)
        while not (found := condition()) and time.monotonic() < end:
            time.sleep(1)
        return found

    def new_id(self):
        return (self.call("GET", f"{FILES}/generateIds", count=1)["ids"] or ["none"])[0]

    def create(self, fields=FIELDS, **metadata):
        body = self.with_place(metadata) | {"mimeType": FOLDER}
        return self.call("POST", FILES, body, fields=fields)

    def with_place(self, metadata):
        return {"name": "rule", "parents": [self.folder]} | metadata

    def upload(self, content=b"content", **metadata):
        """Create a file in one request."""
        kinds, edge = ("application/json", "application/octet-stream"), secrets.token_hex(16)
        parts = (json.dumps(self.with_place(metadata)).encode(), content)
        body = b"".join(
            f"--{edge}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n"
            for kind, part in zip(kinds, parts, strict=True)
        )
        headers = {"Content-Type": f"multipart/related; boundary={edge}"}
        params = {"uploadType": "multipart", "fields": FIELDS}
        return self.call("POST", UPLOAD, body + f"--{edge}--".encode(), headers, **params)

    def begin(self, size, **metadata):
        """Begin an upload session."""
        headers, params = {"X-Upload-Content-Length": str(size)}, {"uploadType": "resumable"}
        body = self.with_place(metadata)
        return self.call("POST", UPLOAD, body, headers, **params, fields=FIELDS)

    def session(self, size, **metadata):
        answer = self.begin(size, **metadata)
        self.made(answer)
        return answer.headers.get("Location", UPLOAD)

    def put(self, session, content, start=0, total=None, **options):
        """Send content in a session, from byte `start` on."""
        end = start + len(content)
        span = {"Content-Range": f"bytes {start}-{end - 1}/{total or end}"} if content else {}
        return self.call("PUT", session, content, span, **options)

    def ask(self, session, size, http=None, **headers):
        """Ask how much has arrived in a session."""
        return self.call("PUT", session, b"", {"Content-Range": f"bytes */{size}"} | headers, http)

    def copy(self, source, **metadata):
        body = self.with_place(metadata)
        return self.call("POST", f"{FILES}/{source}/copy", body, fields=FIELDS)

    def get(self, file_id):
        return self.call("GET", f"{FILES}/{file_id}", fields=FIELDS)

    def update(self, file_id, **metadata):
        return self.call("PATCH", f"{FILES}/{file_id}", metadata, fields=FIELDS)

    def delete(self, file_id):
        return self.call("DELETE", f"{FILES}/{file_id}")

    def search(self, q, fields=f"nextPageToken,files({FIELDS})", **params):
        return self.call("GET", FILES, q=q, fields=fields, **params)

    def find(self, q):
        page = self.search(q, pageSize=1000)
        found = page["files"] or []
        while page["nextPageToken"]:
            page = self.search(q, pageSize=1000, pageToken=page["nextPageToken"])
            found += page["files"]
        return found

    def folders_in(self, parent):
        return self.find(f"'{parent}' in parents and mimeType = '{FOLDER}' and trashed = false")

    def share(self, file_id):
        if not self.address:
            pytest.skip("no --share-with was given")
        body = {"type": "user", "role": "reader", "emailAddress": self.address}
        params = {"sendNotificationEmail": "false", "fields": "id,role"}
        return self.call("POST", f"{FILES}/{file_id}/permissions", body, **params)

    def grants(self, file_id):
        answer = self.call("GET", f"{FILES}/{file_id}/permissions", fields=GRANTS)
        return answer["permissions"] or []


# ---- Somebody's account --------------------------------------------------------------------------
def pytest_addoption(parser):
    add = parser.getgroup("real", "asking a real account (tests/test_drive.py)").addoption
    add("--real", action="store_true", help="ask your Google account in place of the fake")
    add("--wide", action="store_true", help="sign in for all of Drive, not for drive.file")
    add("--share-with", metavar="ADDRESS", help="a Google account to share folders with meanwhile")
    add("--by-hand", metavar="ID", help="a folder that you made in the browser")
    add("--slow", action="store_true", help="also what takes long: one request of 256 MiB")


@pytest.hookimpl(tryfirst=True)  # before xdist looks
def pytest_cmdline_main(config):
    if config.option.real:  # one rule after the other, asked by who sits there
        config.option.numprocesses, config.option.timeout = 0, 1000


def pytest_configure(config):
    if config.option.real:
        config.pluginmanager.register(Report(), "report")


def on_signals(action):
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), action)


def stop(*_):
    """End the check. No second signal hinders the removal."""
    on_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def talking(config):
    """Let tests talk to whoever sits there."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        capture.resume_global_capture()


@pytest.fixture(scope="session")
def account(request, tmp_path_factory):
    """Sign in as the script does, ask, make a folder; remove all in the end, whatever comes."""
    option, report = request.config.option, request.config.pluginmanager.getplugin("report")
    name = f"quickstart.py check {datetime.now():%Y-%m-%d %H:%M} {secrets.token_hex(2)}"
    with talking(request.config):
        google = signed_in(tmp_path_factory.mktemp("account") / "sign-in", option.wide)
        drive = Drive(google.token(), option, name=name)
        user = drive.call("GET", f"{API}/about", fields="user")["user"] or {}
        texts = {"account": user.get("emailAddress"), "count": len(report.rules), "name": name}
        texts["sharing"] = f"\nSome it shares with {drive.address}." if drive.address else ""
        print(QUESTION.format(**texts, slow=", and 256 MiB" if drive.is_slow else ""), end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            pytest.exit("Nothing was made.", 1)
    report.began = time.monotonic()
    report.private = [drive.address, drive.by_hand, texts["account"]]
    on_signals(stop)
    drive.folder = drive.new_id()
    try:
        drive.made(drive.create(id=drive.folder, name=name, parents=["root"]))
        yield SimpleNamespace(drive=drive, google=google)
    finally:
        on_signals(signal.SIG_IGN)
        with talking(request.config):
            print("\nRemoving all that was made ...", flush=True)
            report.ending = removed(drive)
        if report.ending != REMOVED:
            pytest.fail(report.ending, pytrace=False)


def signed_in(home, is_wide):
    """Have a copy of the script sign in. Return what User needs to know of Google."""
    credentials, token = REPOSITORY / "credentials.json", REPOSITORY / "token.json"
    if not credentials.exists():
        pytest.exit("There is no credentials.json beside quickstart.py: see README.md.", 2)
    google = SimpleNamespace(
        credentials=lambda: json.loads(credentials.read_bytes()),
        token=lambda: user.token,
        environment=lambda: dict(os.environ),
        secrets=lambda: [user.token[key] for key in ("token", "refresh_token", "client_secret")],
    )
    user = User(home, google)
    user.settings = {"PARENT_FOLDER_ID": "root", "FILES": ["quickstart.py"]}
    user.set(SCOPES=[DRIVE if is_wide else f"{DRIVE}.file"])
    if token.exists():
        shutil.copy2(token, home)
    command = [sys.executable, user.script, "--dry-run"]
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    if status or not (home / "token.json").exists():
        pytest.exit("The sign-in failed, or is a service account's. Nothing was made.", 2)
    if not is_wide and not token.exists():
        shutil.copy2(home / "token.json", token)
    return google


def removed(drive):
    """Delete for good all that was made, until no list shows any of it."""

    def is_clean():
        found = drive.find("'root' in parents")
        left = {item["id"] for item in found if item["name"].startswith(drive.name)}
        return all(drive.delete(key).status == 404 for key in {*left, drive.folder})

    try:
        if drive.wait_for(is_clean, 60):
            return REMOVED
    except pytest.skip.Exception as error:
        print(error)
    return f'Not all could be removed: delete the folders "{drive.name}" by hand.'


class Report:
    """What was confirmed, contradicted and not tried, with nothing that is nobody's business."""

    def __init__(self):
        self.rules, self.began, self.ending, self.private = {}, None, "", []

    def pytest_collection_modifyitems(self, config, items):
        """Ask an account about Drive only; all other tests need the fake."""
        others = [item for item in items if "drive" not in item.fixturenames]
        items[:] = [item for item in items if "drive" in item.fixturenames]
        config.hook.pytest_deselected(items=others)

    def pytest_collection_finish(self, session):
        for item in session.items:
            self.rules[item.nodeid] = [item, "not tried", "the check ended before it"]

    def pytest_runtest_logreport(self, report):
        rule = self.rules[report.nodeid]
        if report.skipped:
            rule[1:] = "not tried", report.longrepr[2]
        elif report.failed and report.when == "call":
            rule[1:] = "contradicted", report.longrepr.reprcrash.message
        elif report.failed and report.when == "setup":
            rule[1:] = "not tried", report.longreprtext
        elif report.when == "call":
            rule[1:] = "confirmed", "; ".join(str(value) for _, value in report.user_properties)

    def clean(self, text):
        for each in filter(None, self.private):
            text = text.replace(str(each), "...")
        return PRIVATE.sub("...", " ".join(text.split()))[:500]

    def pytest_terminal_summary(self, terminalreporter):
        if self.began is None:
            return
        parts, counts = [], []
        for outcome in ("contradicted", "not tried", "confirmed"):
            rules = [rule for rule in self.rules.values() if rule[1] == outcome]
            counts.append(f"{len(rules)} {outcome}")
            parts += ["", f"## {outcome.capitalize()}", ""]
            for item, _, text in rules:
                sentence = " ".join(item.function.__doc__.split())
                parts.append(f"- **{item.name}**: {sentence} ({self.clean(text)})")
        lines = ["# quickstart.py's rules, asked of a real Drive", "", f"- {', '.join(counts)}"]
        lines += [f"- {datetime.now():%Y-%m-%d}, {time.monotonic() - self.began:.0f} s"]
        lines += [f"- Python {platform.python_version()} on {platform.system()}"]
        lines += [f"- {self.clean(self.ending)}", *parts, ""]
        REPORT.write_text("\n".join(lines).replace(" ()\n", "\n"), encoding="utf-8")
        terminalreporter.write_line(f"{self.ending}\n{', '.join(counts)}. Report: {REPORT.name}")


# ---- What a rule gets ----------------------------------------------------------------------------
@pytest.fixture
def drive(request):
    """Drive, with a folder in it for what the rules make."""
    if request.config.option.real:
        yield copy.copy(request.getfixturevalue("account").drive)
    else:
        google = request.getfixturevalue("google")
        found = Drive(google.token(), request.config.option, google)
        found.folder = google.drive.add_folder("rules").id
        found.by_hand = google.drive.add_folder("by hand", app=False).id
        found.address = "sam@example.com"
        yield found
        assert google.mails == []


@pytest.fixture
def scripts(request, drive, tmp_path):
    """Two copies of the script, which upload the same files to the same place."""
    google = drive.google or request.getfixturevalue("account").google
    users = [User(tmp_path / each, google) for each in "ab"]
    for user in users:
        if not drive.google:  # it takes the time that it takes, and starts as it does for a user
            user.settings, user.environment = {}, user.environment | {"REAL": "1"}
            user.run = partial(user.run, timeout=200)
        user.set(FOLDER_NAME=f"{drive.name} {request.node.name}", PARENT_FOLDER_ID="root")
        user.set(SCOPES=drive.token["scopes"], DELETE_PERMANENTLY=False)
        user.files({"a.txt": b"some text", "b.bin": b"ends in \r", "c.txt": b""})
        user.write_json("token.json", drive.token)
    yield users
    for user in users:
        if hasattr(user, "latest"):
            user.latest.kill()
