"""Signing in: when the script asks for it, what each refusal tells, and what is kept.

What the network does at a refresh is in test_faults.py, and a token that ends within a stream in
test_streams.py.
"""

import re
import shlex
import socket
import ssl
import stat
import sys
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest
from user import NAME, NEW, OLD, WINDOWS, WORKING_NAME, add_old_folder, at, my_drive

DRIVE = "https://www.googleapis.com/auth/drive"
FILE_SCOPE = "https://www.googleapis.com/auth/drive.file"
CONTENT = {"a.txt": b"hello"}
LINK = r"(https://accounts\.google\.com/\S+)\n"
ASKED = "the request to sign in"  # stands for these lines
REQUEST = rf"""To sign in to Google, open this link, unless a browser opens by itself:
{LINK}No browser here\? On a machine with one, run this line and open the link there:
ssh -L (\d+):127\.0\.0\.1:\2 USER@THIS-MACHINE
Waiting up to \S+ minutes for you to sign in\.
"""
SIGNED_IN = "Signed in. After 6 months without a run, Google asks again."
ARRIVED = "Google's answer has arrived. Go back to the terminal."
NOTHING_CHANGED = "Nothing in Drive was changed."
# Why the script asks, and why it ends.
OF_NO_USE = "token.json is damaged, or for other SCOPES or another credentials.json."
OVER = (
    "Google does not accept the sign-in any more: sign in again. If this comes every 7 days, "
    "publish the app as README.md shows. Of a service account, the key, DELEGATED_USER or the "
    "clock is wrong. "
)
REVOKED = OVER + "(400 invalid_grant Bad Request)"
CANCELED = "You canceled: run again. Or publish the app, as README.md shows."
STRANGER = "Something else than Google called the sign-in page. Run again."
NOBODY = "Nobody signed in. Run again, and sign in on Google's page."
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google. Open any web page to see its page."


# ---- The person ----------------------------------------------------------------------------------
@pytest.fixture
def user(user, google):
    """Has a file to upload, has not signed in yet, and allows what the script asks for."""
    user.files(CONTENT)
    user.set(SIGN_IN_TIMEOUT=60.0)
    (user.path / "token.json").unlink()
    google.consent.answer = "allow"
    return user


def visit(google, link):
    """Follow a link as a browser does. Return what it shows in the end."""
    context = ssl.create_default_context(cafile=google.ca_file)
    opener = build_opener(ProxyHandler({"https": google.proxy}), HTTPSHandler(context=context))
    with opener.open(link, timeout=30) as page:
        return page.read().decode()


def start(user, *arguments, **options):
    """Start the script. Return the run, and the link that it shows."""
    run = user.start(*arguments, **options)
    return run, run.said(LINK)[1]


def sign_in(user, **options):
    """Run the script for a person who follows its link. google.consent.answer is what they say."""
    run, link = start(user, **options)
    visit(user.google, link)
    return run.wait()


def said(outcome):
    """The lines on stderr."""
    return re.sub(REQUEST, f"{ASKED}\n", outcome.err).splitlines()


def asked(link):
    """What the link asks of Google."""
    return dict(parse_qsl(urlsplit(link).query))


def assert_uploaded(google, outcome, *lines):
    assert said(outcome) == list(lines)
    assert outcome.status == 0
    assert my_drive(google) == [(NAME, CONTENT)]


def assert_refused(google, outcome, *lines):
    """The last of these words ended the run, before it called Drive."""
    assert said(outcome) == [*lines[:-1], f"Signing in: {lines[-1]}", NOTHING_CHANGED]
    assert (outcome.status, outcome.out) == (1, "")
    assert not [call for call in google.calls() if not call.operation.startswith("oauth.")]


def assert_kept(user):
    """token.json is whole and for its user's eyes only, and nothing is left of its making."""
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]
    assert {"client_id", "refresh_token", "scopes"} <= user.token.keys()
    if not WINDOWS:
        assert stat.S_IMODE((user.path / "token.json").stat().st_mode) == 0o600


# ---- token.json that will do ---------------------------------------------------------------------
def change_token(user, *gone, expires_in=3600, **values):
    token = user.sign_in(expires_in=expires_in) | values
    user.write_json("token.json", {key: token[key] for key in token if key not in gone})


GOOD = {
    "valid": ({}, 0),
    "expired": ({"expires_in": -10}, 1),
    "expires in a moment": ({"expires_in": 60}, 1),
    "without an access token": ({"token": None}, 1),
    "with an older secret of the client": ({"expires_in": -10, "client_secret": "older"}, 1),
    "with more in it than we know": ({"unheard_of": [1]}, 0),
}


@pytest.mark.parametrize(("values", "refreshes"), GOOD.values(), ids=GOOD)
def test_token_that_will_do_is_used_and_a_new_one_kept(user, google, values, refreshes):
    change_token(user, **values)
    if refreshes:
        (user.path / "token.json").chmod(0o644)
    assert_uploaded(google, user.run())
    assert len(google.calls("oauth.token.refresh")) == refreshes
    assert google.calls("files.list")[-1].token == user.token["token"]
    assert_kept(user)


# ---- token.json that will not do: one line why, then consent -------------------------------------
def revoked(user):
    user.google.revoke(user.sign_in(expires_in=-10))


def of_another_client(user):
    user.sign_in()
    user.write_json("credentials.json", user.google.credentials(new=True))


def for_other_scopes(user):
    user.sign_in()
    user.set(SCOPES=[DRIVE])


def claiming_more_than_was_granted(user):
    change_token(user, expires_in=-10, scopes=[DRIVE])
    user.set(SCOPES=[DRIVE])


def unreadable(user):
    user.sign_in()
    (user.path / "token.json").chmod(0)


def changed(*gone, **values):
    return lambda user: change_token(user, *gone, **values)


def containing(content):
    return lambda user: user.write("token.json", content)


NO_SCOPES = "Google refused this. (400 invalid_scope Bad Request)"
NEEDS_MODES = pytest.mark.needs("file modes that bind the script")
BAD = {
    "revoked, or expired": (revoked, REVOKED),
    "claims more than was granted": (claiming_more_than_was_granted, NO_SCOPES),
    "for other scopes": (for_other_scopes, OF_NO_USE),
    "of another client": (of_another_client, OF_NO_USE),
    "no refresh token": (changed("refresh_token"), OF_NO_USE),
    "refresh token is null": (changed(refresh_token=None, expires_in=-10), OF_NO_USE),
    "no client": (changed("client_id"), OF_NO_USE),
    "no scopes": (changed("scopes"), OF_NO_USE),
    "expiry is no time": (changed(expiry="tomorrow"), OF_NO_USE),
    "zeros, as after a power cut": (containing(bytes(400)), OF_NO_USE),
    "no object": (containing(b"[]"), OF_NO_USE),
    "unreadable": pytest.param(unreadable, OF_NO_USE, marks=NEEDS_MODES),
}


@pytest.mark.parametrize(("spoil", "why"), BAD.values(), ids=BAD)
def test_token_that_will_not_do_is_told_and_replaced(user, google, spoil, why):
    spoil(user)
    outcome = sign_in(user, as_root=spoil is not unreadable)
    assert_uploaded(google, outcome, why, ASKED, SIGNED_IN)
    assert_kept(user)
    assert user.run().err == ""


# ---- Asking --------------------------------------------------------------------------------------
def test_first_run_asks_without_a_reason_and_results_alone_are_on_stdout(user, google):
    run, link = start(user, "--dry-run")
    port = urlsplit(asked(link)["redirect_uri"]).port
    assert visit(google, link) == ARRIVED
    assert run.wait() == (
        0,
        "to be uploaded  a.txt  5 bytes\n",
        f"""\
To sign in to Google, open this link, unless a browser opens by itself:
{link}
No browser here? On a machine with one, run this line and open the link there:
ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE
Waiting up to 1 minutes for you to sign in.
{SIGNED_IN}
""",
    )
    assert_kept(user)
    assert user.run().err == ""


def test_link_asks_for_nothing_but_the_scopes_with_pkce_and_state(user, google):
    user.set(SIGN_IN_TIMEOUT=0.05)
    one, two = (asked(re.search(LINK, user.run().err)[1]) for _ in range(2))
    different = {name for name in one if one[name] != two[name]}
    assert different == {"redirect_uri", "state", "code_challenge"}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", one.pop("redirect_uri"))
    assert len(one.pop("state")) >= 20
    assert len(one.pop("code_challenge")) == 43
    assert one == {
        "access_type": "offline",
        "client_id": google.credentials()["installed"]["client_id"],
        "code_challenge_method": "S256",
        "prompt": "consent",
        "response_type": "code",
        "scope": FILE_SCOPE,
    }


def test_several_scopes_are_asked_for_once(user, google):
    user.set(SCOPES=[FILE_SCOPE, DRIVE])
    assert_uploaded(google, sign_in(user), ASKED, SIGNED_IN)
    assert user.run().err == ""


# ---- Consent that is not given -------------------------------------------------------------------
ADMIN = "Your Workspace administrator does not allow this app. Ask them."
ANSWERS = {
    "deny": f"{CANCELED} (access_denied)",
    "other-scopes": "You did not allow all SCOPES. Run again, and select every checkbox.",
    "admin_policy_enforced": f"{ADMIN} (admin_policy_enforced)",
    "server_error": "Google did not sign you in. Run again. (server_error)",
    "wrong-state": f"{STRANGER} (mismatching_state CSRF Warning! State not equal in request "
    "and response.)",
}


@pytest.mark.parametrize(("answer", "meaning"), ANSWERS.items(), ids=ANSWERS)
def test_consent_that_is_not_given_is_told(user, google, answer, meaning):
    google.consent.answer = answer
    assert_refused(google, sign_in(user), ASKED, meaning)
    assert not (user.path / "token.json").exists()


def test_ctrl_c_ends_the_waiting(user, google):
    run, _ = start(user)
    run.interrupt()
    outcome = run.wait()
    assert (outcome.status, outcome.out) == (130, "")
    assert said(outcome) == [ASKED, "Signing in: Interrupted.", NOTHING_CHANGED]


def test_nobody_signs_in(user, google):
    user.set(SIGN_IN_TIMEOUT=0.05)
    assert_refused(google, user.run(), ASKED, NOBODY)
    assert google.calls() == []


@pytest.mark.parametrize("path", ["favicon.ico", "?code=4/0Astolen&state=another"])
def test_stray_request_ends_the_run(user, google, path):
    run, link = start(user)
    visit(google, asked(link)["redirect_uri"] + path)
    assert_refused(google, run.wait(), ASKED, ANSWERS["wrong-state"])
    assert google.calls() == []


AGAIN = "Google did not sign you in. Run again."
NO_TOKEN = f"{AGAIN} (missing_token Missing access token parameter.)"
DELETED = "The OAuth client was deleted (after 6 months without use?). Make a new one."
CODE_REFUSED = {
    "503": NO_TOKEN,
    "503-json": f"{AGAIN} (internal_failure Please try again.)",
    "html-200": NO_TOKEN,
    "deleted_client": f"{DELETED} (deleted_client The OAuth client was deleted.)",
}


@pytest.mark.parametrize(("fault", "meaning"), CODE_REFUSED.items(), ids=CODE_REFUSED)
def test_code_that_the_token_server_does_not_take_is_told(user, google, fault, meaning):
    google.fail("oauth.token.authorization_code", fault)
    assert_refused(google, sign_in(user), ASKED, meaning)
    assert not (user.path / "token.json").exists()


def test_line_that_breaks_as_the_code_is_sent_ends_the_run(user, google):
    google.fail("oauth.token.authorization_code", "close-read")
    outcome = sign_in(user)
    *_, why, standing = said(outcome)
    assert (outcome.status, standing) == (1, NOTHING_CHANGED)
    assert why.startswith("Signing in: The connection to Google failed. (")


REFUSALS = {
    "deleted_client": f"{DELETED} (401 deleted_client Unauthorized)",
    "invalid_client": "Google does not know the OAuth client of credentials.json. Make a new one. "
    "(401 invalid_client Unauthorized)",
    "org_internal": "Google refused this. (403 org_internal Forbidden)",
    "admin_policy_enforced": f"{ADMIN} (400 admin_policy_enforced Bad Request)",
    "html-200": NOT_GOOGLE,
    "html-403": NOT_GOOGLE,
}


@pytest.mark.parametrize(("error", "meaning"), REFUSALS.items(), ids=REFUSALS)
def test_refusal_of_another_kind_is_told_and_leaves_the_sign_in_alone(user, google, error, meaning):
    token = user.sign_in(expires_in=-10)
    google.fail("oauth.token.refresh", error)
    assert_refused(google, user.run(), meaning)
    assert user.token == token


# ---- The port, and the browser -------------------------------------------------------------------
def test_fixed_port_is_used(user, google):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    user.set(SIGN_IN_PORT=port)
    run, link = start(user)
    assert asked(link)["redirect_uri"] == f"http://127.0.0.1:{port}/"
    visit(google, link)
    assert_uploaded(google, run.wait(), ASKED, SIGNED_IN)


TAKEN = "SIGN_IN_PORT can't be used now. Choose another, or run again in a minute."


def test_port_that_is_taken_is_told(user, google):
    with socket.create_server(("127.0.0.1", 0)) as server:
        user.set(SIGN_IN_PORT=server.getsockname()[1])
        outcome = user.run()
        with pytest.raises(OSError) as taken:  # noqa: PT011
            socket.create_server(server.getsockname())
    why = taken.value.strerror  # the system's own words
    assert_refused(google, outcome, f"{TAKEN} ({why})")


# A browser that comes back at once, and goes on in the background, where its user does the rest.
BROWSER = f"""#!/bin/sh
echo "$1" >"$0 was opened"
{shlex.quote(sys.executable)} -c 'import sys, urllib.request
urllib.request.urlopen(sys.argv[1]).read()' "$1" >/dev/null 2>&1 &
"""


def set_browser(user, name, options=""):
    """Make a program of this name the browser. Return what is there once it was opened."""
    path = user.write(name, BROWSER.encode())
    path.chmod(0o755)
    # Without %s, it is the name as a whole.
    user.environment["BROWSER"] = shlex.quote(str(path)) + options if options else str(path)
    return path.with_name(f"{name} was opened")


@pytest.mark.needs("Unix")
@pytest.mark.parametrize("options", ["", " %s"])
def test_browser_opens_by_itself(user, google, options):
    opened = set_browser(user, "netsurf", options)
    outcome = user.run()
    assert_uploaded(google, outcome, ASKED, SIGNED_IN)
    assert opened.read_text() == re.search(LINK, outcome.err)[0]
    assert outcome.out.startswith("uploaded  a.txt  5 bytes\n")


TEXT_BROWSERS = ["www-browser", "links", "elinks", "lynx", "w3m"]


@pytest.mark.needs("Unix")
@pytest.mark.parametrize(
    ("name", "options"), [*((name, "") for name in TEXT_BROWSERS), ("lynx", " -nocolor %s")]
)
def test_browser_that_would_take_the_terminal_is_not_opened(user, google, name, options):
    opened = set_browser(user, name, options)
    assert_uploaded(google, sign_in(user), ASKED, SIGNED_IN)
    assert not opened.exists()


NO_DEFAULT = pytest.mark.needs("no default browser")
NONE = [pytest.param(None, marks=NO_DEFAULT), "/nonexistent/browser", "/nonexistent/browser %s"]


@pytest.mark.parametrize("command", NONE)
def test_no_browser_is_there(user, google, command):
    user.environment.pop("BROWSER")
    if command:
        user.environment["BROWSER"] = command
    assert_uploaded(google, sign_in(user), ASKED, SIGNED_IN)


# ---- token.json that can't be written ------------------------------------------------------------
NOT_WRITTEN = "token.json can't be written: a later run may ask again. (Permission denied)"


@NEEDS_MODES
def test_folder_that_is_read_only_keeps_the_sign_in(user, google):
    token = user.sign_in(expires_in=-10)
    user.path.chmod(0o555)
    outcome = user.run(as_root=False)
    user.path.chmod(0o755)
    assert_uploaded(google, outcome, NOT_WRITTEN)
    assert user.token == token


def test_folder_in_the_place_of_the_token_is_told(user, google):
    (user.path / "token.json").mkdir()
    outcome = sign_in(user)
    *before, why, last = said(outcome)
    assert (outcome.status, before, last) == (0, [OF_NO_USE, ASKED], SIGNED_IN)
    assert why.startswith("token.json can't be written: a later run may ask again. (")
    assert [path.name for path in user.path.glob("*token.json*")] == ["token.json"]


# ---- A sign-in that dies in mid-run --------------------------------------------------------------
def revoke(google, token):
    at(google, "before", "upload.content", lambda: google.revoke(token, access=True))


def refuse_each_token(google, token, fault="401"):
    google.fail("upload.content", fault)
    google.fail("upload.status", fault, repeat=3)


def refuse_in_other_words(google, token):
    refuse_each_token(google, token, "401-required")


REFUSED = "Google does not accept the sign-in any more. Run again, and sign in. (401 authError "
BY_REASON = REFUSED + (
    "Request had invalid authentication credentials. Expected OAuth 2 access token.)"
)
ENDS = {
    "revoked": (revoke, REVOKED),
    "refused after a refresh": (refuse_each_token, BY_REASON),
    "refused for another reason": (refuse_in_other_words, f"{REFUSED}required Login Required.)"),
}


@pytest.mark.parametrize(("end", "why"), ENDS.values(), ids=ENDS)
def test_sign_in_that_ends_in_mid_run_ends_it(user, google, end, why):
    """The next run asks, as token.json is gone, and goes on like any after one that broke off."""
    add_old_folder(google)
    user.files(NEW)
    end(google, user.sign_in())
    outcome = user.run()
    assert outcome.err.splitlines()[-2:] == [
        f"Uploading: {why}",
        f'"{NAME}" was not replaced by this run. The next run copies what has reached Drive.',
    ]
    assert outcome.status == 1
    assert not (user.path / "token.json").exists()
    arrived = {name: NEW[name] for name in ("same.txt", "new.txt")}
    assert my_drive(google) == [(NAME, OLD), (WORKING_NAME, arrived)]
