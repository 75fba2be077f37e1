"""Signing in: when consent is asked for and when not, what each refusal tells, what is kept."""

import importlib
import itertools
import os
import re
import shlex
import socket
import ssl
import stat
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import needs
import pytest
from fake_google import FakeGoogle
from situations import (
    NAME,
    OLD,
    WORKING_NAME,
    add_old_folder,
    assert_replaced,
    folders,
    once,
    prepare,
)
from test_settings import DRIVE, DRIVE_FILE, check, load
from workdir import WINDOWS, Outcome, Run, Workdir, free_port

if sys.platform != "win32":
    import resource

CHANGED_NOTHING = "Nothing in Drive was changed."
NOT_SAVED = "Signed in."
SIGNED_IN = f"{NOT_SAVED} Later runs don't ask, if you run this at least every 6 months."
ASKED = "the request to sign in"  # which stands for these lines
REQUEST = re.compile(
    r"To sign in to Google, open this link, unless a browser opens by itself:\n"
    r"https://accounts\.google\.com/\S+\n"
    r"No browser here\? On a machine with one, run this line and open the link there:\n"
    r"ssh -L (\d+):127\.0\.0\.1:\1 USER@THIS-MACHINE\n"
    r"Waiting up to \S+ minutes for you to sign in\.\n"
)


# ---- The user ------------------------------------------------------------------------------------

# A browser whose user says what google.consent.answer says. Its environment leads it to the fake.
PERSON = """
import sys, urllib.request
urllib.request.urlopen(sys.argv[1]).read()
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


def assert_page(text: str, title: str) -> None:
    assert f"<h1>{title}</h1><p>Go back to the terminal.</p>" in text


class SignIn:
    """A run that has asked its user to sign in, and waits for that."""

    def __init__(self, workdir: Workdir, **options: Any) -> None:
        self.google = workdir.google
        self.run = workdir.start(**options)
        self.said = ""
        while not REQUEST.search(self.said):
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

    def visit(self) -> str:
        return visit(self.google, self.link)

    def call(self, path: str, method: str = "GET") -> str:
        """Ask the script's own page for something."""
        request = Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as page:
            text: str = page.read().decode()
        return text

    def finish(self) -> Outcome:
        outcome = self.run.wait()
        outcome.err = self.said + outcome.err
        return outcome


@pytest.fixture
def user(workdir: Workdir) -> Workdir:
    """A user's folder with a file to upload; the user allows what is asked."""
    workdir.files(a_txt=b"a")
    workdir.google.consent.answer = "allow"
    return workdir


def run(workdir: Workdir, *arguments: str, **options: Any) -> Outcome:
    """A run, whose user follows the link that it prints."""
    under_way = workdir.start(*arguments, **options)
    assert under_way.process.stderr
    said = ""
    for line in under_way.process.stderr:
        said += line
        if line.startswith("https://accounts.google.com/"):
            visit(workdir.google, line.strip())
    outcome = under_way.wait()
    outcome.err = said + outcome.err
    return outcome


def lines(outcome: Outcome) -> list[str]:
    """What was said on stderr, with a word for the request to sign in."""
    return REQUEST.sub(f"{ASKED}\n", outcome.err).splitlines()


def consents(google: FakeGoogle) -> int:
    return len(google.calls("oauth.consent"))


def assert_uploaded(google: FakeGoogle, outcome: Outcome, *said: str) -> None:
    assert lines(outcome) == list(said)
    assert outcome.status == 0
    assert_replaced(google, {"a.txt": b"a"})


def assert_refused(google: FakeGoogle, outcome: Outcome, *said: str) -> None:
    """The run ended while it signed in; these were its last words before that on Drive."""
    *before, what, standing = lines(outcome)
    assert [*before, what] == [*said[:-1], f"Signing in: {said[-1]}"]
    assert (outcome.status, outcome.out, standing) == (1, "", CHANGED_NOTHING)
    assert google.drive.everything() == []


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
    assert_uploaded(google, run(user))
    assert len(google.calls("oauth.token.refresh")) == refreshes
    assert google.calls("files.list")[-1].token == user.token["token"], "it is not kept"
    assert_private(user)


def test_access_token_that_drive_refuses_is_refreshed(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in()
    google.fail("files.list", "401")
    assert_uploaded(google, run(user))


def test_two_scopes_are_asked_for_once(user: Workdir, google: FakeGoogle) -> None:
    user.set(SCOPES=[DRIVE_FILE, DRIVE])
    assert_uploaded(google, run(user), ASKED, SIGNED_IN)
    assert run(user).err == ""


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


NO_USE = "token.json is damaged, or for other SCOPES or another credentials.json. Sign in again."
EXPIRED = (
    "Your sign-in has expired or was revoked: sign in again. If this comes every 7 days, publish "
    "the app as README.md shows. (Google: 400 invalid_grant Bad Request)"
)
LOST: dict[str, Any] = {
    "expired and revoked": (lambda workdir: revoked(workdir, -10), EXPIRED),
    "revoked, but it looks valid": (lambda workdir: revoked(workdir, 3600), EXPIRED),
    "claims more than was granted": (
        claiming_more_than_was_granted,
        "Google refused this. (Google: 400 invalid_scope Bad Request)",
    ),
    "of another client": (of_another_client, NO_USE),
    "zeros, as after a power cut": (raw(bytes(400)), NO_USE),
    "unreadable": pytest.param(unreadable, NO_USE, marks=needs.file_modes),
}


@pytest.mark.parametrize(("arrange", "why"), LOST.values(), ids=LOST.keys())
def test_token_that_will_not_do(
    user: Workdir, google: FakeGoogle, arrange: Arrange, why: str
) -> None:
    arrange(user)
    assert_uploaded(google, run(user, as_root=arrange is not unreadable), why, ASKED, SIGNED_IN)
    assert consents(google) == 1
    assert_private(user)


DAMAGED: dict[str, Arrange] = {
    "for other scopes": for_other_scopes,
    "no refresh token": lambda workdir: edit_token(workdir, "refresh_token"),
    "refresh token null": lambda workdir: edit_token(workdir, refresh_token=None),
    "refresh token a number": lambda workdir: edit_token(workdir, refresh_token=5),
    "refresh token with a line feed": lambda workdir: edit_token(workdir, refresh_token="1\n2"),
    "no client": lambda workdir: edit_token(workdir, "client_id"),
    "no scopes": lambda workdir: edit_token(workdir, "scopes"),
    "scopes null": lambda workdir: edit_token(workdir, scopes=None),
    "scopes a number": lambda workdir: edit_token(workdir, scopes=3),
    "scopes within scopes": lambda workdir: edit_token(workdir, scopes=[[]]),
    "access token with a letter of no head": lambda workdir: edit_token(workdir, token="ł"),
    "expiry a number": lambda workdir: edit_token(workdir, expiry=1700000000),
    "expiry no time": lambda workdir: edit_token(workdir, expiry="tomorrow"),
    "empty": raw(b""),
    "not JSON": raw(b"ya29.secret"),
    "not UTF-8": raw(b'{"token": "\xff"}'),
    "a list": raw(b"[]"),
    "a text": raw(b'"token"'),
    "null": raw(b"null"),
    "an empty object": raw(b"{}"),
}


@pytest.mark.parametrize("arrange", DAMAGED.values(), ids=DAMAGED.keys())
def test_token_of_no_use_is_told(user: Workdir, arrange: Arrange) -> None:
    arrange(user)

    def look(script: Any, client: Any) -> None:
        assert script.read_token(client["installed"]) is None

    assert check(user, look).err == f"{NO_USE}\n"


def test_first_run_asks_without_a_reason(user: Workdir, google: FakeGoogle) -> None:
    """A dry run does so too; the run after it finds its token."""
    outcome = run(user, "--dry-run")
    assert lines(outcome) == [ASKED, SIGNED_IN]
    assert (outcome.status, outcome.lines) == (0, ["upload  a.txt  1 byte"])
    assert google.drive.folders(NAME) == []
    assert_private(user)
    assert_uploaded(google, run(user))


def test_sign_in_lost_in_the_middle_of_a_run(user: Workdir, google: FakeGoogle) -> None:
    """The threads of one run must not mix with a second try: the next run goes on."""
    content = prepare(user)
    add_old_folder(google)
    token = user.sign_in()
    once(google, "before", "files.create.multipart", lambda: google.revoke(token, access=True))
    outcome = run(user)
    assert (outcome.status, lines(outcome)) == (
        1,
        [
            f"Uploading: {EXPIRED}",
            f'"{NAME}" was not replaced by this run. '
            f'The next run continues with "{WORKING_NAME}", if that is still there.',
        ],
    )
    assert (NAME, OLD) in folders(google)
    outcome = run(user)
    assert (outcome.status, lines(outcome)) == (0, [EXPIRED, ASKED, SIGNED_IN])
    assert_replaced(google, content)


def test_token_is_private_whatever_was_there(user: Workdir) -> None:
    path = user.write("token.json", b"{}")
    path.chmod(0o666)
    assert run(user, umask=0).status == 0
    assert_private(user)


# ---- token.json that can't be written ------------------------------------------------------------

NOT_WRITTEN = "token.json can't be written, so it stays as it was. (%s)"


@needs.file_modes
def test_read_only_folder(user: Workdir, google: FakeGoogle) -> None:
    user.path.chmod(0o555)
    outcome = run(user, as_root=False)
    user.path.chmod(0o755)
    assert_uploaded(google, outcome, ASKED, NOT_WRITTEN % "Permission denied", NOT_SAVED)
    assert not (user.path / "token.json").exists()


@needs.file_modes
def test_read_only_folder_and_expired_token(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in(expires_in=-10)
    user.path.chmod(0o555)
    with untouched(user.path / "token.json"):
        outcome = run(user, as_root=False)
    user.path.chmod(0o755)
    assert_uploaded(google, outcome, NOT_WRITTEN % "Permission denied")


def test_folder_in_the_place_of_the_token(user: Workdir, google: FakeGoogle) -> None:
    (user.path / "token.json").mkdir()
    outcome = run(user)
    assert outcome.status == 0
    *before, why, last = lines(outcome)
    assert (*before, last) == (NO_USE, ASKED, NOT_SAVED)
    assert why.startswith((NOT_WRITTEN % "").rstrip(")"))
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]


@needs.file_limits
def test_full_disk_leaves_no_part_of_a_token(user: Workdir, google: FakeGoogle) -> None:
    def allow_no_file_over_100_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    user.sign_in(expires_in=-10)
    with untouched(user.path / "token.json"):
        outcome = run(user, preexec_fn=allow_no_file_over_100_bytes)
    assert_uploaded(google, outcome, NOT_WRITTEN % "File too large")


# ---- Google's token server: hiccups --------------------------------------------------------------

# On the way to a refreshed token, and to the first one.
WAYS = {"refresh": "oauth.token.refresh", "first": "oauth.token.authorization_code"}
HICCUPS = ["500", "503", "503-json", "close-unread", "close-read", "reset", "stall"]
# The work is done, yet nobody hears of it: a refresh can be repeated, a code works once.
UNHEARD = ["answer-lost", "answer-reset", "body-cut"]
NONSENSE = ["truncated-json", "html-200"]
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google. Open any web page to see its page."
AGAIN = re.compile(r"Signing in: .*\) Trying again in \d+\.\d s; giving up in \d+ s\.")


def arrange_way(workdir: Workdir, way: str) -> None:
    if way == "refresh":
        workdir.sign_in(expires_in=-10)


@pytest.mark.parametrize("way", WAYS)
def test_hiccups_are_waited_out(user: Workdir, google: FakeGoogle, way: str) -> None:
    arrange_way(user, way)
    user.set(NETWORK_TIMEOUT=0.5)
    google.fail(WAYS[way], *HICCUPS, *(UNHEARD if way == "refresh" else []))
    outcome = run(user)
    said = [line for line in lines(outcome) if not AGAIN.fullmatch(line)]
    assert said == ([] if way == "refresh" else [ASKED, SIGNED_IN])
    assert outcome.status == 0
    assert_replaced(google, {"a.txt": b"a"})
    assert_private(user)


def test_refused_connections_are_waited_out(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in(expires_in=-10)
    google.stop_listening()
    under_way = user.start()
    assert under_way.process.stderr
    waits = [under_way.process.stderr.readline() for _ in range(3)]
    google.listen_again()
    assert under_way.wait().status == 0
    assert all(AGAIN.fullmatch(line.strip()) for line in waits)
    assert "The connection to Google failed. (" in waits[0]
    assert consents(google) == 0


@pytest.mark.parametrize("way", WAYS)
def test_patience_has_an_end(user: Workdir, google: FakeGoogle, way: str) -> None:
    arrange_way(user, way)
    user.set(PATIENCE=0.2)
    google.fail(WAYS[way], "503", repeat=None)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    *before, what, standing = [line for line in lines(outcome) if not AGAIN.fullmatch(line)]
    assert before == ([] if way == "refresh" else [ASKED])
    assert what.startswith("Signing in: ")
    assert re.search(r"\) It lasted \d+ s\. Run again later\.$", what)
    assert (outcome.status, standing) == (1, CHANGED_NOTHING)


@pytest.mark.parametrize("fault", NONSENSE)
def test_nonsense_is_not_taken_for_a_lost_token(
    user: Workdir, google: FakeGoogle, fault: str
) -> None:
    user.sign_in(expires_in=-10)
    google.fail("oauth.token.refresh", fault)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(google, outcome, NOT_GOOGLE)


@pytest.mark.parametrize("fault", ["answer-lost", "body-cut", "html-200"])
def test_code_that_is_used_up_ends_the_run(user: Workdir, google: FakeGoogle, fault: str) -> None:
    """When the answer to it is lost, only a new sign-in helps."""
    revoked(user, -10)
    google.fail("oauth.token.authorization_code", fault)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    *_, what, standing = lines(outcome)
    assert (outcome.status, outcome.out, standing) == (1, "", CHANGED_NOTHING)
    assert what.startswith("Signing in: ")


def test_hiccup_after_drive_refused_the_token(user: Workdir, google: FakeGoogle) -> None:
    user.sign_in()
    google.fail("files.list", "401", repeat=4)
    google.fail("oauth.token.refresh", "503", "503-json", "close-read")
    assert run(user).status == 0
    assert_replaced(google, {"a.txt": b"a"})
    assert consents(google) == 0


# ---- Refusals ------------------------------------------------------------------------------------

MEANINGS = {
    "deleted_client": "The OAuth client was deleted (after 6 months without use?). Make a new one.",
    "invalid_client": "Google does not know the OAuth client of credentials.json. Make a new one.",
    "org_internal": "The OAuth client is for one organization. Sign in with an account from it.",
    "admin_policy_enforced": "Your Workspace administrator does not allow this app. Ask them.",
    "access_denied": "You canceled: run again. Or publish the app, as README.md shows.",
}
REFUSALS = [
    ("refresh", "deleted_client"),
    ("refresh", "invalid_client"),
    ("refresh", "org_internal"),
    ("refresh", "admin_policy_enforced"),
    ("first", "deleted_client"),
]


@pytest.mark.parametrize(("way", "error"), REFUSALS)
def test_refusal_of_the_token_server(
    user: Workdir, google: FakeGoogle, way: str, error: str
) -> None:
    arrange_way(user, way)
    google.fail(WAYS[way], error)
    with untouched(user.path / "token.json"):
        outcome = run(user)
    *before, what, standing = lines(outcome)
    assert before == ([] if way == "refresh" else [ASKED])
    assert what.startswith(f"Signing in: {MEANINGS[error]} (Google: 40")
    assert f" {error} " in what
    assert (outcome.status, outcome.out, standing) == (1, "", CHANGED_NOTHING)


NOBODY = "Nobody signed in. Run again, and sign in on Google's page."
ANSWERS = {
    "deny": f"{MEANINGS['access_denied']} (access_denied)",
    "admin_policy_enforced": f"{MEANINGS['admin_policy_enforced']} (admin_policy_enforced)",
    "server_error": "Google refused this. (server_error)",
    "other-scopes": "You did not allow all SCOPES. Run again, and select every checkbox.",
    # Google's answer to another question, and what it shows on a page of its own.
    "wrong-state": NOBODY,
    "deleted_client": NOBODY,
}


@pytest.mark.parametrize(("answer", "meaning"), ANSWERS.items(), ids=ANSWERS.keys())
def test_consent_that_is_not_given(
    user: Workdir, google: FakeGoogle, answer: str, meaning: str
) -> None:
    revoked(user, -10)
    user.set(SIGN_IN_TIMEOUT=1.0 if meaning == NOBODY else 30.0)
    google.consent.answer = answer
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(google, outcome, EXPIRED, ASKED, meaning)
    assert consents(google) == 1


def test_consent_that_is_not_given_in_the_middle_of_a_run(
    user: Workdir, google: FakeGoogle
) -> None:
    revoked(user, 3600)
    google.consent.answer = "deny"
    with untouched(user.path / "token.json"):
        outcome = run(user)
    assert_refused(google, outcome, EXPIRED, ASKED, ANSWERS["deny"])


def test_nobody_answers(user: Workdir, google: FakeGoogle) -> None:
    """A connection that sends nothing, as browsers keep to spare, is no reason to wait longer."""
    user.set(SIGN_IN_TIMEOUT=0.2)
    waiting = SignIn(user)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", waiting.port)):
        outcome = waiting.finish()
    assert time.monotonic() - began < 5
    assert_refused(google, outcome, ASKED, NOBODY)
    assert google.log == []


SIGNALS = [
    (Run.interrupt, 130, "Interrupted."),
    pytest.param(Run.terminate, 143, "Terminated.", marks=needs.sigterm),
]


@pytest.mark.parametrize(("signal", "status", "word"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_signal_while_the_user_is_waited_for(
    user: Workdir, signal: Callable[[Run], None], status: int, word: str
) -> None:
    user.set(SIGN_IN_TIMEOUT=60.0)
    waiting = SignIn(user)
    signal(waiting.run)
    outcome = waiting.finish()
    assert outcome.status == status
    assert lines(outcome) == [ASKED, f"Signing in: {word}", CHANGED_NOTHING]


# ---- What is asked for ---------------------------------------------------------------------------


def test_link_asks_for_drive_file_only_with_pkce_and_state(
    user: Workdir, google: FakeGoogle
) -> None:
    user.set(SIGN_IN_TIMEOUT=0.1)
    waiting = [SignIn(user) for _ in range(2)]
    assert [entry.finish().status for entry in waiting] == [1, 1]
    one, two = (entry.asked for entry in waiting)
    for name in ("state", "code_challenge", "redirect_uri"):
        assert one[name] != two[name]
    redirect = urlsplit(one.pop("redirect_uri"))
    assert (redirect.scheme, redirect.hostname) == ("http", "127.0.0.1")
    assert len(one.pop("state")) >= 20
    assert len(one.pop("code_challenge")) == 43
    assert one == {
        "access_type": "offline",
        "client_id": google.credentials()["installed"]["client_id"],
        "code_challenge_method": "S256",
        "prompt": "consent",
        "response_type": "code",
        "scope": DRIVE_FILE,
    }


# ---- The browser ---------------------------------------------------------------------------------


def test_browser_opens_by_itself_and_may_stay_open(user: Workdir, google: FakeGoogle) -> None:
    user.environment["BROWSER"] = browser(user, LINGERING_PERSON)
    under_way = user.start()
    try:
        under_way.process.wait(30)
    finally:
        (user.path.parent / "enough").touch()
    assert_uploaded(google, under_way.wait(), ASKED, SIGNED_IN)


BROWSERS = {
    "not set": pytest.param(None, marks=needs.no_default_browser),
    "not there": "/nonexistent/browser %s",
    "fails": "false %s",
    "no command line": "'%s",
}


@pytest.mark.parametrize("command", BROWSERS.values(), ids=BROWSERS.keys())
def test_no_browser(user: Workdir, google: FakeGoogle, command: str | None) -> None:
    user.environment.pop("BROWSER")
    if command is not None:
        user.environment["BROWSER"] = command
    assert_uploaded(google, run(user), ASKED, SIGNED_IN)


TEXT_BROWSERS = ["www-browser", "links", "elinks", "lynx", "w3m"]
# What BROWSER says of them.
COMMANDS = [None, "{name}", "{name} %s", "{name} -accept_all_cookies %s", "{path}", "{path} %s"]


@needs.unix_shell
@needs.no_default_browser
@pytest.mark.parametrize("name", [*TEXT_BROWSERS, "netsurf"])
def test_text_browser_is_not_started(
    workdir: Workdir, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It would take the terminal; without BROWSER, it is what a machine without a screen has."""
    started = workdir.path / "started"
    program = workdir.path / name
    program.write_text(f"#!/bin/sh\n: > {shlex.quote(str(started))}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(workdir.path))
    monkeypatch.setenv("TERM", "xterm")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    script = load(workdir)
    for command in COMMANDS:
        monkeypatch.delenv("BROWSER", raising=False)
        if command:
            monkeypatch.setenv("BROWSER", command.format(name=name, path=program))
        importlib.reload(webbrowser)  # as it is in a process of its own
        script.open_browser("https://accounts.google.com/")
        assert not started.exists() or name not in TEXT_BROWSERS, command
    assert started.exists() == (name not in TEXT_BROWSERS)


# ---- The page that the browser comes back to -----------------------------------------------------


def test_page_tells_how_it_ended(user: Workdir, google: FakeGoogle) -> None:
    waiting = SignIn(user)
    assert_page(waiting.visit(), "Signed in")
    assert waiting.finish().status == 0
    (user.path / "token.json").unlink()
    google.consent.answer = "deny"
    waiting = SignIn(user)
    assert_page(waiting.visit(), "Not signed in")
    assert waiting.finish().status == 1


@pytest.fixture
def waiting(user: Workdir) -> Iterator[SignIn]:
    """A run that waits for its user."""
    user.set(SIGN_IN_TIMEOUT=30.0)
    found = SignIn(user)
    yield found
    found.run.process.kill()


def assert_true_answer_counts(google: FakeGoogle, waiting: SignIn) -> None:
    """It is heard in spite of what came before, of which nothing is said."""
    assert_page(waiting.visit(), "Signed in")
    assert_uploaded(google, waiting.finish(), ASKED, SIGNED_IN)


# What is no answer of Google's to this run.
PATHS = {
    "page without an answer": "/",
    "icon": "/favicon.ico",
    "code with another state": "/?code=4/0Astolen&state=another",
    "error with another state": "/?error=access_denied&state=another",
    "code with an empty state": "/?code=4/0Astolen&state=",
    "code without a state": "/?code=4/0Astolen",
    "error without a state": "/?error=access_denied",
    "a state twice": "/?code=4/0Astolen&state=one&state=two",
    "the state alone": "/?state={state}",
    "letters that are none": "/?code=%ff%00&state=%ff%00",
    "a long query": "/?" + "x=y&" * 10000,
}
RAW = {
    "nothing": b"",
    "half a request": b"GET /favi",
    "an endless line": b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n",
    "zeros": bytes(100_000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "TLS with an end of a head": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no version": b"GET\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "a header without end": b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n",
    "a length that is none": b"POST / HTTP/1.1\r\nContent-Length: -x\r\n\r\nbody",
    "an address that is none": b"GET http://[ HTTP/1.1\r\n\r\n",
    "percent signs": b"GET /%%%zz?%%%=%& HTTP/1.1\r\n\r\n",
}


def test_what_is_no_answer_is_passed_over(google: FakeGoogle, waiting: SignIn) -> None:
    """Also while connections stay open on which it came."""
    for name, path in PATHS.items():
        for method in ("GET", "POST", "HEAD"):
            page = waiting.call(path.format(state=waiting.asked["state"]), method)
            assert "Signed in" not in page, name
    assert_page(waiting.call("/"), "Not Google's answer")
    with ExitStack() as stack:
        for name, content in RAW.items():
            for ending in ("left open", "closed", "reset"):
                connection = socket.create_connection(("127.0.0.1", waiting.port), timeout=10)
                stack.enter_context(connection)
                with suppress(OSError):
                    connection.sendall(content)
                if ending == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
                if ending != "left open":
                    connection.close()
            assert waiting.run.process.poll() is None, name
        assert_true_answer_counts(google, waiting)


def test_web_page_that_asks_again_and_again_is_passed_over(
    google: FakeGoogle, waiting: SignIn
) -> None:
    for number in range(100):
        waiting.call(f"/?code=4/0Aforged&state={number}")
    assert_true_answer_counts(google, waiting)


def test_hundreds_of_idle_connections_do_not_hold_up_the_true_answer(
    google: FakeGoogle, waiting: SignIn
) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", waiting.port), timeout=10))
        assert_true_answer_counts(google, waiting)


DRIPS = {
    "a request line": b"GET /" + b"x" * 1000,
    "headers": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200,
    "no HTTP": bytes(1000),
}


@contextmanager
def dripping(port: int) -> Iterator[None]:
    """Connections on which a byte comes, and another one, and another one."""
    ended = threading.Event()

    def drip(connection: socket.socket, content: bytes) -> None:
        with suppress(OSError):
            for byte in itertools.cycle(content):
                connection.send(bytes([byte]))
                if ended.wait(0.05):
                    return

    with ExitStack() as stack:
        for content in list(DRIPS.values()) * 5:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            threading.Thread(target=drip, args=[connection, content]).start()
        yield
        ended.set()


def test_one_byte_after_another_does_not_hold_up_the_true_answer(
    google: FakeGoogle, waiting: SignIn
) -> None:
    with dripping(waiting.port):
        assert_true_answer_counts(google, waiting)


def test_one_byte_after_another_does_not_make_the_sign_in_last(
    user: Workdir, google: FakeGoogle
) -> None:
    user.set(SIGN_IN_TIMEOUT=1.0)
    waiting = SignIn(user)
    began = time.monotonic()
    with dripping(waiting.port):
        outcome = waiting.finish()
    assert time.monotonic() - began < 3
    assert_refused(google, outcome, ASKED, NOBODY)


@needs.loopback_addresses
def test_page_is_for_this_machine_only(user: Workdir) -> None:
    waiting = SignIn(user)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", waiting.port), timeout=5)
    waiting.run.process.kill()
    waiting.finish()


def test_fixed_port_is_used(user: Workdir) -> None:
    port = free_port()
    user.set(SIGN_IN_PORT=port)
    for _ in range(2):  # a port that was just in use can be used again
        waiting = SignIn(user)
        waiting.visit()
        assert waiting.finish().status == 0
        (user.path / "token.json").unlink()
        assert waiting.port == port


def test_port_in_use_is_said(user: Workdir, google: FakeGoogle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        user.set(SIGN_IN_PORT=server.getsockname()[1])
        outcome = run(user)
        # The system's own words for that.
        with socket.socket() as second, pytest.raises(OSError) as taken:  # noqa: PT011
            second.bind(server.getsockname())
    why = taken.value.strerror
    what = f"SIGN_IN_PORT can't be used. Choose another. ({why})"
    assert_refused(google, outcome, what)
    assert google.log == []
