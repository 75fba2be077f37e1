"""Signing in: when consent is asked for and when not, what each refusal tells, what is kept."""

import json
import os
import shlex
import socket
import ssl
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import needs
import pytest
from fake_google import FakeGoogle
from situations import NAME, add_old_folder, assert_replaced, prepare
from workdir import REPOSITORY, WINDOWS, Outcome, Run, Workdir, free_port

if sys.platform != "win32":
    import resource

DRIVE = "https://www.googleapis.com/auth/drive"
DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
NOTICE = "To sign in"  # how the request to sign in begins
CHANGED_NOTHING = "Nothing in Drive was changed."


# ---- The user ------------------------------------------------------------------------------------

# A browser whose user says what google.consent.answer says. Its environment leads it to the fake.
PERSON = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1]).read()
except urllib.error.HTTPError as page:
    page.read()
"""
# Likewise, in a browser that stays open until there is a file beside it.
LINGERING_PERSON = f"""
import pathlib, time
{PERSON}
while not pathlib.Path(__file__).with_name("enough").exists():
    time.sleep(0.05)
"""


def browser(workdir: Workdir, program: str = PERSON) -> str:
    """The command line of a browser that is this program."""
    path = workdir.path.parent / "browser.py"
    path.write_text(program, encoding="utf-8")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(path))} %s"


def visit(google: FakeGoogle, link: str) -> str:
    """The page that a browser shows in the end."""
    context = ssl.create_default_context(cafile=google.ca_file)
    opener = build_opener(ProxyHandler({"https": google.proxy}), HTTPSHandler(context=context))
    try:
        with opener.open(link, timeout=30) as page:
            text: str = page.read().decode()
    except HTTPError as error:
        text = error.read().decode()
    return text


def keeps_secrets(google: FakeGoogle, outcome: Outcome) -> Outcome:
    shown = [text for text in google.secrets() if text in outcome.out + outcome.err]
    assert shown == [], "a secret was printed"
    return outcome


class SignIn:
    """A run that has asked its user to sign in, and waits for that."""

    def __init__(self, workdir: Workdir, **options: Any) -> None:
        self.google = workdir.google
        self.run = workdir.start(**options)
        self.said = ""
        while "ssh -L" not in self.said:
            self.said += self._line()
        (self.link,) = (line for line in self.said.splitlines() if line.startswith("https://"))
        self.asked = dict(parse_qsl(urlsplit(self.link).query))
        self.port = urlsplit(self.asked["redirect_uri"]).port or 0

    def _line(self) -> str:
        """The next line on stderr, and nothing of what comes after: that is for finish()."""
        assert self.run.process.stderr
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.run.process.stderr.fileno(), 1)
            assert byte, f"the run ended: {self.said}"
            line += byte
        return line.decode().replace("\r\n", "\n")

    def call(self, path: str, method: str = "GET") -> str:
        """Ask the script's own page for something."""
        request = Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as page:
            text: str = page.read().decode()
        return text

    def finish(self) -> Outcome:
        outcome = self.run.wait()
        outcome.err = self.said + outcome.err
        return keeps_secrets(self.google, outcome)


@pytest.fixture
def user(workdir: Workdir) -> Workdir:
    """A user's folder with a file to upload, and a browser whose user allows what is asked."""
    workdir.files(a_txt=b"a")
    workdir.environment["BROWSER"] = browser(workdir)
    workdir.google.consent.answer = "allow"
    return workdir


def run(workdir: Workdir, **options: Any) -> Outcome:
    return keeps_secrets(workdir.google, workdir.run(**options))


def reasons(outcome: Outcome) -> list[str]:
    """What was said before the user was asked to sign in."""
    before, asked, _ = outcome.err.partition(NOTICE)
    assert asked, outcome.err
    return before.splitlines()


def consents(google: FakeGoogle) -> int:
    return len(google.calls("oauth.consent"))


def assert_uploaded(google: FakeGoogle, outcome: Outcome) -> None:
    assert outcome.status == 0, outcome.err
    assert_replaced(google, {"a.txt": b"a"})


def assert_private(workdir: Workdir) -> None:
    """There is a token.json for the user's eyes only, whole, and nothing left of its making."""
    assert [path.name for path in workdir.path.glob("*token.json*")] == ["token.json"]
    if not WINDOWS:
        assert stat.S_IMODE((workdir.path / "token.json").stat().st_mode) == 0o600
    assert {"client_id", "client_secret", "refresh_token", "scopes"} <= workdir.token.keys()


@contextmanager
def untouched(path: Path) -> Iterator[None]:
    """What is in the folder under a name like this one stays as it is."""

    def state() -> dict[str, tuple[bytes, int]]:
        paths = path.parent.glob(f"*{path.name}*")
        return {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in paths}

    before = state()
    yield
    assert state() == before


# ---- credentials.json ----------------------------------------------------------------------------


def changed(client: dict[str, Any], **values: Any) -> str:
    return json.dumps({"installed": client["installed"] | values})


def without(client: dict[str, Any], key: str) -> str:
    return json.dumps({"installed": {k: v for k, v in client["installed"].items() if k != key}})


UNFILLED = {"client_id": "YOUR_CLIENT_ID.apps.googleusercontent.com"}
NOT_FOR_DESKTOP = "is not what Google's console gives for a desktop app"
CREDENTIALS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "empty": (lambda client: "", NOT_FOR_DESKTOP),
    "not JSON": (lambda client: "client_id=1", NOT_FOR_DESKTOP),
    "cut short": (lambda client: json.dumps(client)[:-20], NOT_FOR_DESKTOP),
    "a list": (lambda client: "[]", NOT_FOR_DESKTOP),
    "null": (lambda client: "null", NOT_FOR_DESKTOP),
    "a web client": (lambda client: json.dumps({"web": client["installed"]}), NOT_FOR_DESKTOP),
    "an API key": (lambda client: '{"key": "AIza"}', NOT_FOR_DESKTOP),
    "without the secret": (lambda client: without(client, "client_secret"), NOT_FOR_DESKTOP),
    "without the id": (lambda client: without(client, "client_id"), NOT_FOR_DESKTOP),
    "secret is a number": (lambda client: changed(client, client_secret=5), NOT_FOR_DESKTOP),
    "the example, unfilled": (lambda client: changed(client, **UNFILLED), "is still the example"),
}


def assert_points_to_the_console(outcome: Outcome, wrong: str) -> None:
    assert (outcome.status, outcome.out) == (2, "")
    first, *_, last = outcome.err.splitlines()
    assert first.startswith(f"credentials.json {wrong}. ")
    assert "'Desktop app'" in outcome.err
    assert "https://console.cloud.google.com/auth/clients" in outcome.err
    assert last == "Nothing was sent."


@pytest.mark.parametrize(("make", "wrong"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials_that_cannot_do(
    user: Workdir, google: FakeGoogle, make: Callable[[dict[str, Any]], str], wrong: str
) -> None:
    (user.path / "credentials.json").write_text(make(google.credentials()), encoding="utf-8")
    assert_points_to_the_console(run(user), wrong)
    assert google.log == []


NO_FILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "is missing"),
    "a binary file": (lambda path: path.write_bytes(b"\xff\xfe{\x00"), NOT_FOR_DESKTOP),
    "the example as it is shipped": (
        lambda path: path.write_bytes((REPOSITORY / "credentials.json.example").read_bytes()),
        "is still the example",
    ),
}


@pytest.mark.parametrize(("make", "wrong"), NO_FILE.values(), ids=NO_FILE.keys())
def test_credentials_that_are_not_there(
    user: Workdir, google: FakeGoogle, make: Callable[[Path], object], wrong: str
) -> None:
    path = user.path / "credentials.json"
    path.unlink()
    make(path)
    assert_points_to_the_console(run(user), wrong)
    assert google.log == []


def test_credentials_that_cannot_be_read(user: Workdir, google: FakeGoogle) -> None:
    path = user.path / "credentials.json"
    path.unlink()
    path.mkdir()
    outcome = run(user)
    assert (outcome.status, google.log) == (2, [])
    assert outcome.err.startswith("credentials.json can't be read: [Errno 21] Is a directory: ")


# ---- token.json that will do ---------------------------------------------------------------------

Arrange = Callable[[Workdir], object]


def edit_token(workdir: Workdir, *gone: str, expires_in: float = 3600, **values: Any) -> None:
    """Leave a token.json that somebody has changed by hand."""
    made = workdir.sign_in(expires_in=expires_in) | values
    workdir.write_json("token.json", {k: v for k, v in made.items() if k not in gone})


GOOD: dict[str, tuple[Arrange, int]] = {
    "valid": (lambda workdir: workdir.sign_in(), 0),
    "expired": (lambda workdir: workdir.sign_in(expires_in=-10), 1),
    "about to expire": (lambda workdir: workdir.sign_in(expires_in=60), 1),
    "without an access token": (lambda workdir: edit_token(workdir, token=None), 1),
    "without an expiry": (lambda workdir: edit_token(workdir, "expiry"), 1),
    "with an older secret of the same client": (
        lambda workdir: edit_token(workdir, expires_in=-10, client_secret="an older one"),
        1,
    ),
    "with more in it than we know": (lambda workdir: edit_token(workdir, unheard_of=[1]), 0),
}


@pytest.mark.parametrize(("arrange", "refreshes"), GOOD.values(), ids=GOOD.keys())
def test_token_that_will_do(
    user: Workdir, google: FakeGoogle, arrange: Arrange, refreshes: int
) -> None:
    arrange(user)
    (user.path / "token.json").chmod(0o600)
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert (outcome.err, consents(google)) == ("", 0)
    assert len(google.calls("oauth.token.refresh")) == refreshes
    assert_private(user)
    assert run(user).err == ""
    assert len(google.calls("oauth.token.refresh")) == refreshes, "what was refreshed is not kept"


def test_access_token_that_drive_refuses_is_refreshed(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in()
    google.fail("files.list", "401")
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert (outcome.err, consents(google)) == ("", 0)


def test_order_of_scopes_is_no_matter(user: Workdir, google: FakeGoogle) -> None:
    user.set(SCOPES=[DRIVE_FILE, DRIVE])
    user.sign_in(scopes=[DRIVE, DRIVE_FILE])
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert (outcome.err, consents(google)) == ("", 0)


# ---- token.json that will not do: one line why, then consent -------------------------------------


def revoked(workdir: Workdir, expires_in: float) -> None:
    workdir.google.revoke(workdir.sign_in(expires_in=expires_in), access=True)


def of_another_client(workdir: Workdir) -> None:
    workdir.sign_in()
    workdir.write_json("credentials.json", workdir.google.credentials(new=True))


def for_other_scopes(workdir: Workdir) -> None:
    workdir.sign_in()
    workdir.set(SCOPES=[DRIVE])


def claiming_more_than_was_granted(workdir: Workdir) -> None:
    edit_token(workdir, expires_in=-10, scopes=[DRIVE])
    workdir.set(SCOPES=[DRIVE])


def raw(content: bytes) -> Arrange:
    return lambda workdir: workdir.write("token.json", content)


def unreadable(workdir: Workdir) -> None:
    workdir.sign_in()
    (workdir.path / "token.json").chmod(0)


SEVEN_DAYS = "7 days"  # after which a token of an app in "Testing" expires: the likeliest reason
LOST: dict[str, Any] = {
    "expired and revoked": (lambda workdir: revoked(workdir, -10), SEVEN_DAYS),
    "revoked, but it looks valid": (lambda workdir: revoked(workdir, 3600), SEVEN_DAYS),
    "of another client": (of_another_client, "from another OAuth client"),
    "for other scopes": (for_other_scopes, "for other SCOPES"),
    "claims more than was granted": (claiming_more_than_was_granted, "invalid_scope"),
    "no refresh token": (lambda workdir: edit_token(workdir, "refresh_token"), "refresh_token"),
    "refresh token null, expired": (
        lambda workdir: edit_token(workdir, expires_in=-10, refresh_token=None),
        "refresh",
    ),
    "no client": (lambda workdir: edit_token(workdir, "client_id"), "token.json"),
    "no scopes": (lambda workdir: edit_token(workdir, "scopes"), "token.json"),
    "scopes null": (lambda workdir: edit_token(workdir, scopes=None), "token.json"),
    "scopes a number": (lambda workdir: edit_token(workdir, scopes=3), "token.json"),
    "scopes within scopes": (lambda workdir: edit_token(workdir, scopes=[[]]), "token.json"),
    "expiry a number": (lambda workdir: edit_token(workdir, expiry=1700000000), "token.json"),
    "expiry no time": (lambda workdir: edit_token(workdir, expiry="tomorrow"), "token.json"),
    "refresh token a number": (
        lambda workdir: edit_token(workdir, expires_in=-10, refresh_token=5),
        "",
    ),
    "empty": (raw(b""), "token.json"),
    "zeros, as after a power cut": (raw(bytes(400)), "token.json"),
    "not JSON": (raw(b"ya29.secret"), "token.json"),
    "not UTF-8": (raw(b'{"token": "\xff"}'), "token.json"),
    "a list": (raw(b"[]"), "token.json"),
    "a text": (raw(b'"token"'), "token.json"),
    "null": (raw(b"null"), "token.json"),
    "an empty object": (raw(b"{}"), "token.json"),
    "unreadable": pytest.param(unreadable, "Permission denied", marks=needs.file_modes),
}


@pytest.mark.parametrize(("arrange", "why"), LOST.values(), ids=LOST.keys())
def test_token_that_will_not_do(
    user: Workdir, google: FakeGoogle, arrange: Arrange, why: str
) -> None:
    arrange(user)
    outcome = run(user, as_root=False)
    assert_uploaded(google, outcome)
    (line,) = reasons(outcome)
    assert why in line
    assert consents(google) == 1
    assert_private(user)
    outcome = run(user)
    assert (outcome.status, outcome.err, consents(google)) == (0, "", 1)


def test_first_run_asks_without_a_reason(user: Workdir, google: FakeGoogle) -> None:
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert reasons(outcome) == []
    assert_private(user)


def test_sign_in_lost_in_the_middle_of_a_run(user: Workdir, google: FakeGoogle) -> None:
    content = prepare(user)
    old = add_old_folder(google)
    token = user.sign_in()

    def lose(moment: str, call: Any) -> None:
        if call.operation == "files.create.multipart" and not consents(google):
            google.service.watchers.clear()
            google.revoke(token, access=True)

    google.watch(lose)
    outcome = run(user)
    assert outcome.status == 0, outcome.err
    assert len(reasons(outcome)) == 1
    assert consents(google) == 1
    assert google.drive.file(old.id).trashed
    assert_replaced(google, content)


def test_token_is_private_whatever_was_there(user: Workdir) -> None:
    path = user.write("token.json", b"{}")
    path.chmod(0o666)
    assert run(user, umask=0).status == 0
    assert_private(user)


# ---- token.json that can't be written ------------------------------------------------------------


@needs.file_modes
def test_read_only_folder(user: Workdir, google: FakeGoogle) -> None:
    user.path.chmod(0o555)
    outcome = run(user, as_root=False)
    user.path.chmod(0o755)
    assert_uploaded(google, outcome)
    (warning,) = (line for line in outcome.err.splitlines() if "token.json" in line)
    assert warning.startswith("token.json can't be written, so this sign-in is not kept: ")
    assert not (user.path / "token.json").exists()


@needs.file_modes
def test_read_only_folder_and_expired_token(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in(expires_in=-10)
    user.path.chmod(0o555)
    with untouched(user.path / "token.json"):
        outcome = run(user, as_root=False)
    user.path.chmod(0o755)
    assert_uploaded(google, outcome)
    assert outcome.err.startswith("token.json can't be written")
    assert consents(google) == 0


def test_folder_in_the_place_of_the_token(user: Workdir, google: FakeGoogle) -> None:
    (user.path / "token.json").mkdir()
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert "token.json can't be written" in outcome.err
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]


@needs.file_limits
def test_full_disk_leaves_no_part_of_a_token(user: Workdir, google: FakeGoogle) -> None:
    def allow_no_file_over_100_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    old = user.sign_in(expires_in=-10)
    outcome = run(user, preexec_fn=allow_no_file_over_100_bytes)
    assert_uploaded(google, outcome)
    assert "token.json can't be written" in outcome.err
    assert user.token == old
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]


# ---- Google's token server: hiccups --------------------------------------------------------------

# On the way to a refreshed token, and to the first one.
WAYS = {"refresh": "oauth.token.refresh", "first": "oauth.token.authorization_code"}
HICCUPS = {
    "500": ["500"],
    "503 with a web page": ["503"],
    "503 with a web page, four times": ["503"] * 4,
    "503 with JSON": ["503-json"],
    "503 with JSON, five times": ["503-json"] * 5,
    "closed before reading": ["close-unread"],
    "closed after reading": ["close-read"],
    "reset": ["reset"],
    "silence": ["stall"],
}
# The work is done, yet nobody hears of it: a refresh can be repeated.
UNHEARD = {
    "answer lost": ["answer-lost"],
    "answer lost by reset": ["answer-reset"],
    "answer cut": ["body-cut"],
}
NONSENSE = {"JSON cut short": ["truncated-json"], "200 with a web page": ["html-200"]}
ROWS = [(way, fault) for way in WAYS for fault in HICCUPS] + [("refresh", f) for f in UNHEARD]


def arrange_way(workdir: Workdir, way: str) -> None:
    if way == "refresh":
        workdir.sign_in(expires_in=-10)


@pytest.mark.parametrize(("way", "fault"), ROWS)
def test_hiccup_is_waited_out(user: Workdir, google: FakeGoogle, way: str, fault: str) -> None:
    arrange_way(user, way)
    if fault == "silence":
        user.set(NETWORK_TIMEOUT=0.5)
    google.fail(WAYS[way], *(HICCUPS | UNHEARD)[fault])
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert consents(google) == (way == "first"), "a hiccup was taken for a lost token"
    assert_private(user)


def test_refused_connections_are_waited_out(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in(expires_in=-10)
    google.stop_listening()
    under_way = user.start()
    assert under_way.process.stderr
    waits = [under_way.process.stderr.readline() for _ in range(3)]
    google.listen_again()
    assert_uploaded(google, keeps_secrets(google, under_way.wait()))
    assert all(line.startswith("Signing in: ") and "Trying again in" in line for line in waits)
    assert consents(google) == 0


@pytest.mark.parametrize("fault", ["503", "503-json", "close-read"])
@pytest.mark.parametrize("way", WAYS)
def test_patience_has_an_end(user: Workdir, google: FakeGoogle, way: str, fault: str) -> None:
    arrange_way(user, way)
    user.set(PATIENCE=0.2)
    google.fail(WAYS[way], fault, repeat=None)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == CHANGED_NOTHING
    assert consents(google) == (way == "first"), "a hiccup was taken for a lost token"
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("fault", NONSENSE)
def test_nonsense_is_not_taken_for_a_lost_token(
    user: Workdir, google: FakeGoogle, fault: str
) -> None:
    user.sign_in(expires_in=-10)
    google.fail("oauth.token.refresh", *NONSENSE[fault])
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(outcome, google, "Google's answer makes no sense")
    assert consents(google) == 0


@pytest.mark.parametrize("fault", UNHEARD | NONSENSE)
def test_code_that_is_used_up_ends_the_run(user: Workdir, google: FakeGoogle, fault: str) -> None:
    """A code works once: when the answer to it is lost, only a new sign-in helps."""
    revoked(user, -10)
    google.fail("oauth.token.authorization_code", *(UNHEARD | NONSENSE)[fault])
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(outcome, google, "again")


def test_hiccup_after_drive_refused_the_token(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in()
    google.fail("files.list", "401")
    google.fail("oauth.token.refresh", "503", "503-json", "close-read")
    outcome = run(user)
    assert_uploaded(google, outcome)
    assert consents(google) == 0


# ---- Refusals ------------------------------------------------------------------------------------

MEANINGS = {
    "deleted_client": "The OAuth client is gone (unused for 6 months?): restore or replace it.",
    "invalid_client": "credentials.json no longer fits its OAuth client: make a new one.",
    "org_internal": "The OAuth client is for one organisation: sign in with an account of that.",
    "admin_policy_enforced": "Your Workspace administrator does not allow this app: ask there.",
}
ACCESS_DENIED = "It was refused, or the account is no test user of the app: publish the app."


def assert_refused(outcome: Outcome, google: FakeGoogle, meaning: str) -> None:
    assert (outcome.status, outcome.out) == (1, "")
    *_, what, standing = outcome.err.splitlines()
    assert what.startswith("Signing in: ")
    assert meaning in what
    assert standing == CHANGED_NOTHING
    assert "Traceback" not in outcome.err
    assert google.calls("files.list") == []
    assert google.drive.everything() == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("error", "meaning"), MEANINGS.items(), ids=MEANINGS.keys())
def test_refusal_of_the_token_server(
    user: Workdir, google: FakeGoogle, way: str, error: str, meaning: str
) -> None:
    arrange_way(user, way)
    google.fail(WAYS[way], error)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(outcome, google, meaning)
    assert "Trying again" not in outcome.err
    assert consents(google) == (way == "first")


ANSWERS = {
    "deny": ACCESS_DENIED,
    "access_denied": ACCESS_DENIED,
    "admin_policy_enforced": MEANINGS["admin_policy_enforced"],
    "server_error": "server_error",
    "temporarily_unavailable": "temporarily_unavailable",
    "wrong-state": "forged",
    "other-scopes": "cope",  # "Scope has changed", or other words with SCOPES
}


@pytest.mark.parametrize("before", ["no token.json", "token.json"])
@pytest.mark.parametrize(("answer", "meaning"), ANSWERS.items(), ids=ANSWERS.keys())
def test_consent_that_is_not_given(
    user: Workdir, google: FakeGoogle, answer: str, meaning: str, before: str
) -> None:
    if before == "token.json":
        revoked(user, -10)
    google.consent.answer = answer
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(outcome, google, meaning)
    assert consents(google) == 1


def test_consent_that_is_not_given_in_the_middle_of_a_run(
    user: Workdir, google: FakeGoogle
) -> None:
    revoked(user, 3600)
    google.consent.answer = "deny"
    with untouched(user.path / "token.json"):
        outcome = run(user)
    *_, what, standing = outcome.err.splitlines()
    assert (outcome.status, standing) == (1, CHANGED_NOTHING)
    assert what.startswith("Signing in: ")
    assert ACCESS_DENIED in what


def test_other_scopes_are_named(user: Workdir, google: FakeGoogle) -> None:
    google.consent.answer = "other-scopes"
    outcome = run(user)
    assert DRIVE_FILE in outcome.err.splitlines()[-2]
    assert "Trying again" not in outcome.err


@pytest.mark.parametrize("answer", ["never", "deleted_client", "org_internal"])
def test_nobody_comes_back_from_googles_page(
    workdir: Workdir, google: FakeGoogle, answer: str
) -> None:
    """What Google shows on a page of its own, the script never hears of."""
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=0.5)
    revoked(workdir, -10)
    google.consent.answer = answer
    with untouched(workdir.path / "token.json"):
        waiting = SignIn(workdir)
        page = visit(google, waiting.link)
        outcome = waiting.finish()
    assert "closed" not in page
    assert_refused(outcome, google, "nobody answered")


def test_nobody_answers(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=0.2)
    waiting = SignIn(workdir)
    began = time.monotonic()
    outcome = waiting.finish()
    assert time.monotonic() - began < 5
    assert_refused(outcome, google, "nobody answered")
    assert google.log == []


SIGNALS = [
    (Run.interrupt, 130, "Interrupted."),
    pytest.param(Run.terminate, 143, "Terminated.", marks=needs.sigterm),
]


@pytest.mark.parametrize(("signal", "status", "word"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_signal_while_the_user_is_waited_for(
    workdir: Workdir, signal: Callable[[Run], None], status: int, word: str
) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=60.0)
    waiting = SignIn(workdir)
    signal(waiting.run)
    outcome = waiting.finish()
    assert outcome.status == status
    assert outcome.err.splitlines()[-2:] == [f"Signing in: {word}", CHANGED_NOTHING]


# ---- What is asked for ---------------------------------------------------------------------------


def test_link_asks_for_drive_file_only_with_pkce_and_state(
    workdir: Workdir, google: FakeGoogle
) -> None:
    workdir.files(a_txt=b"a")
    google.consent.answer = "allow"
    asked = []
    for _ in range(2):
        waiting = SignIn(workdir)
        visit(google, waiting.link)
        assert waiting.finish().status == 0
        (workdir.path / "token.json").unlink()
        assert waiting.link.startswith("https://accounts.google.com/o/oauth2/auth?")
        asked.append(waiting.asked)
    for params in asked:
        redirect = urlsplit(params["redirect_uri"])
        assert (redirect.scheme, redirect.hostname) == ("http", "127.0.0.1")
        assert params.pop("redirect_uri")
        assert len(params.pop("state")) >= 20
        assert len(params.pop("code_challenge")) == 43
        assert params == {
            "access_type": "offline",
            "client_id": google.credentials()["installed"]["client_id"],
            "code_challenge_method": "S256",
            "prompt": "consent",
            "response_type": "code",
            "scope": DRIVE_FILE,
        }


def test_state_and_challenge_are_new_each_time(workdir: Workdir) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=0.1)
    waiting = [SignIn(workdir) for _ in range(2)]
    assert [entry.finish().status for entry in waiting] == [1, 1]
    for name in ("state", "code_challenge", "redirect_uri"):
        one, two = (entry.asked[name] for entry in waiting)
        assert one != two


# ---- The browser ---------------------------------------------------------------------------------


def assert_user_can_follow_the_link(workdir: Workdir, google: FakeGoogle) -> Outcome:
    """The link is there while the script waits, and leads through; what was printed in the end."""
    workdir.files(a_txt=b"a")
    google.consent.answer = "allow"
    waiting = SignIn(workdir)
    assert f"ssh -L {waiting.port}:127.0.0.1:{waiting.port} " in waiting.said
    assert "close this page" in visit(google, waiting.link)
    outcome = waiting.finish()
    assert_uploaded(google, outcome)
    assert consents(google) == 1
    return outcome


BROWSERS = {
    "not set": pytest.param(None, marks=needs.no_default_browser),
    "empty": pytest.param("", marks=needs.no_default_browser),
    "not there": "/nonexistent/browser",
    "not there, with the address": "/nonexistent/browser %s",
    "not to be executed": "/etc/passwd %s",
    "fails": "false %s",
    "no command line": "'%s",
}


@pytest.mark.parametrize("command", BROWSERS.values(), ids=BROWSERS.keys())
def test_no_browser(workdir: Workdir, google: FakeGoogle, command: str | None) -> None:
    workdir.environment.pop("BROWSER")
    if command is not None:
        workdir.environment["BROWSER"] = command
    outcome = assert_user_can_follow_the_link(workdir, google)
    assert len(outcome.err.splitlines()) == 4, "there is more than the request to sign in"


TEXT_BROWSERS = [
    *(
        pytest.param(name, None, marks=needs.no_default_browser)
        for name in ("www-browser", "links", "elinks", "lynx", "w3m")
    ),
    ("w3m", "w3m"),
    ("w3m", "w3m %s"),
    ("lynx", "lynx -accept_all_cookies %s"),
    ("w3m", "{path}"),
    ("w3m", "{path} %s"),
]


@needs.unix_shell
@pytest.mark.parametrize(("name", "command"), TEXT_BROWSERS)
def test_text_browser_is_not_started(
    workdir: Workdir, google: FakeGoogle, name: str, command: str | None
) -> None:
    """It would take the terminal; without BROWSER, it is what a machine without a screen has."""
    programs = workdir.path.parent / "bin"
    programs.mkdir()
    started = programs / "started"
    program = programs / name
    program.write_text(f"#!/bin/sh\n: > {shlex.quote(str(started))}\n", encoding="utf-8")
    program.chmod(0o755)
    workdir.environment |= {
        "PATH": f"{programs}:{workdir.environment['PATH']}",
        "TERM": "xterm",
        "BROWSER": (command or "").format(path=program),
    }
    if command is None:
        del workdir.environment["BROWSER"]
    assert_user_can_follow_the_link(workdir, google)
    assert not started.exists()


def test_browser_that_stays_open_is_not_waited_for(user: Workdir, google: FakeGoogle) -> None:
    user.environment["BROWSER"] = browser(user, LINGERING_PERSON)
    under_way = user.start()
    try:
        under_way.process.wait(30)
    finally:
        (user.path.parent / "enough").touch()
    outcome = keeps_secrets(google, under_way.wait())
    assert_uploaded(google, outcome)
    assert reasons(outcome) == []


# ---- The page that the browser comes back to -----------------------------------------------------


def get(path: str, method: str = "GET") -> Callable[[SignIn], object]:
    return lambda waiting: waiting.call(path, method)


def send(content: bytes, reset: bool = False) -> Callable[[SignIn], object]:
    """Open a connection, send this, and close it."""

    def stray(waiting: SignIn) -> None:
        with socket.create_connection(("127.0.0.1", waiting.port)) as connection:
            connection.sendall(content)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))

    return stray


STRAYS: dict[str, Callable[[SignIn], object]] = {
    "icon": get("/favicon.ico"),
    "page without an answer": get("/"),
    "code without a state": get(f"/?code={quote('4/0Astolen')}"),
    "error without a state": get("/?error=access_denied"),
    "only the head": get("/", "HEAD"),
    "form": get("/", "POST"),
    "connection closed at once": send(b""),
    "connection reset": send(b"", reset=True),
    "half a request": send(b"GET /favi"),
    "no HTTP": send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    "an endless line": send(b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n"),
}


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS.keys())
def test_stray_request_does_not_end_the_sign_in(
    workdir: Workdir, google: FakeGoogle, stray: Callable[[SignIn], object]
) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=30.0)
    google.consent.answer = "allow"
    waiting = SignIn(workdir)
    with suppress(OSError):
        stray(waiting)
    assert "close this page" in visit(google, waiting.link)
    outcome = waiting.finish()
    assert_uploaded(google, outcome)
    assert outcome.err == waiting.said, "a stray request was talked about"


def test_connection_that_sends_nothing_does_not_end_the_sign_in(
    workdir: Workdir, google: FakeGoogle
) -> None:
    """Browsers open connections to spare, and may keep them."""
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=30.0)
    google.consent.answer = "allow"
    waiting = SignIn(workdir)
    with socket.create_connection(("127.0.0.1", waiting.port)):
        assert "close this page" in visit(google, waiting.link)
        outcome = waiting.finish()
    assert_uploaded(google, outcome)
    assert outcome.err == waiting.said


def test_connection_that_sends_nothing_is_no_reason_to_wait_longer(workdir: Workdir) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=0.2)
    waiting = SignIn(workdir)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", waiting.port)):
        outcome = waiting.finish()
    assert outcome.status == 1
    assert time.monotonic() - began < 10


@needs.loopback_addresses
def test_page_is_for_this_machine_only(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    google.consent.answer = "allow"
    waiting = SignIn(workdir)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", waiting.port), timeout=5)
    visit(google, waiting.link)
    assert waiting.finish().status == 0


def test_fixed_port_is_used(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_PORT=free_port())
    google.consent.answer = "allow"
    ports = []
    for _ in range(2):  # a port that was just in use can be used again
        waiting = SignIn(workdir)
        visit(google, waiting.link)
        assert waiting.finish().status == 0
        (workdir.path / "token.json").unlink()
        ports.append(waiting.port)
    assert f"SIGN_IN_PORT = {ports[0]}\n" in workdir.script.read_text(encoding="utf-8")
    assert ports[0] == ports[1]


def test_port_in_use_is_said(workdir: Workdir, google: FakeGoogle) -> None:
    workdir.files(a_txt=b"a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        workdir.set(SIGN_IN_PORT=port)
        outcome = run(workdir)
    assert (outcome.status, outcome.err.splitlines()[-1]) == (1, CHANGED_NOTHING)
    assert "Address already in use" in outcome.err
    assert "SIGN_IN_PORT" in outcome.err
    assert google.log == []


# ---- A dry run signs in as well ------------------------------------------------------------------


def test_dry_run_signs_in_and_changes_nothing(user: Workdir, google: FakeGoogle) -> None:
    outcome = keeps_secrets(google, user.run("--dry-run"))
    assert (outcome.status, outcome.lines) == (0, ["upload  a.txt  1 bytes"])
    assert reasons(outcome) == []
    assert google.drive.folders(NAME) == []
    assert_private(user)
