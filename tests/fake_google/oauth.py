"""Google's sign-in: the consent page, and the endpoint for tokens.

https://developers.google.com/identity/protocols/oauth2/native-app
"""

import base64
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from .accounts import LIFETIME, Accounts, Grant, OAuthError
from .messages import HTML_TYPE, Reply, Request

# How the person may answer; the last ones are sent on to the app as they are.
ANSWERS = {None, "allow", "deny", "wrong-state", "other-scopes"}
ANSWERS |= {"admin_policy_enforced", "server_error"}
OTHER_SCOPE = "https://www.googleapis.com/auth/drive.appdata"


class Consent:
    """How the person answers. None: the page is shown, and the form on it answers."""

    def __init__(self) -> None:
        vars(self)["answer"] = None

    def __setattr__(self, name: str, answer: str | None) -> None:
        if name != "answer" or answer not in ANSWERS:
            raise ValueError(f"{name} {answer!r} is none of {ANSWERS}")
        vars(self)[name] = answer


# ---- The consent page ----------------------------------------------------------------------------
def consent(google: Any, request: Request) -> Reply:
    """What the person sees; or, once the person has decided, the way back to the app.

    What the app has to send here, test_sign_in.py says.
    """
    params, answer = request.params, google.consent.answer
    if request.call.method == "POST":
        form = dict(parse_qsl(request.body.decode()))
        answer = "allow" if form.get("decision") == "allow" else "deny"
    if answer is None:
        return consent_page(google.drive.user, params)
    address = f"{params['redirect_uri']}?{urlencode(_decision(google, params, answer))}"
    return Reply(302, b"", {"Location": address})


def _decision(google: Any, params: dict[str, str], answer: str) -> dict[str, str]:
    """What goes back to the app."""
    state = params["state"]
    if answer not in ("allow", "wrong-state", "other-scopes"):
        return {"error": "access_denied" if answer == "deny" else answer, "state": state}
    if answer == "wrong-state":
        state = "forged" + state[6:]
    scope = OTHER_SCOPE if answer == "other-scopes" else params["scope"]
    grant = Grant(google.drive.user, params["client_id"], frozenset(scope.split()))
    code = google.accounts.new_code(grant, params["redirect_uri"], params["code_challenge"])
    return {"state": state, "code": code, "scope": scope}


# ---- Tokens --------------------------------------------------------------------------------------
def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def token(google: Any, request: Request) -> Reply:
    accounts, form = google.accounts, _form(request)
    try:
        if form.get("grant_type") not in GRANT_TYPES:
            raise OAuthError("unsupported_grant_type", "Invalid grant_type.")
        grant, refresh_token = GRANT_TYPES[form["grant_type"]][1](accounts, request, form)
    except OAuthError as error:
        request.call.error = f"{error.code}: {error.description}"
        return Reply(error.status, {"error": error.code, "error_description": error.description})
    value = {
        "access_token": accounts.new_access(grant),
        "expires_in": LIFETIME,
        "scope": " ".join(sorted(grant.scopes)),
        "token_type": "Bearer",
    }
    return Reply(200, value | ({"refresh_token": refresh_token} if refresh_token else {}))


def _client(accounts: Accounts, request: Request, form: dict[str, str]) -> str:
    """The client's id; its secret is in the form, or in the header. https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        client_id, _, secret = base64.b64decode(text).decode().partition(":")
        client_id, secret = unquote(client_id), unquote(secret)
    accounts.check_client(client_id, secret)
    return client_id


def _by_code(accounts: Accounts, request: Request, form: dict[str, str]) -> tuple[Grant, str]:
    client_id = _client(accounts, request, form)
    given = (form.get(key, "") for key in ("code", "redirect_uri", "code_verifier"))
    grant = accounts.redeem(client_id, *given)
    return grant, accounts.new_refresh(grant)


def _by_refresh(accounts: Accounts, request: Request, form: dict[str, str]) -> tuple[Grant, str]:
    client_id = _client(accounts, request, form)
    return accounts.refresh(form.get("refresh_token", ""), client_id, form.get("scope", "")), ""


def _by_assertion(accounts: Accounts, request: Request, form: dict[str, str]) -> tuple[Grant, str]:
    return accounts.assert_identity(form.get("assertion", "")), ""


GRANT_TYPES: dict[str, tuple[str, Any]] = {
    "authorization_code": ("oauth.token.authorization_code", _by_code),
    "refresh_token": ("oauth.token.refresh", _by_refresh),
    "urn:ietf:params:oauth:grant-type:jwt-bearer": ("oauth.token.jwt", _by_assertion),
}


def token_operation(request: Request) -> str:
    """Which of the ways to a token it is; the likeliest one for what is none."""
    return GRANT_TYPES.get(_form(request).get("grant_type", ""), ("oauth.token.refresh",))[0]


# ---- The page that a person gets to see ----------------------------------------------------------
def consent_page(user: str, params: dict[str, str]) -> Reply:
    text = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Sign in (fake)</title>
<style>
main {{ font: 16px/1.5 sans-serif; max-width: 27rem; margin: 3rem auto }}
button {{ font: inherit; padding: .5rem 1.5rem }}
</style>
<main>
<p><strong>This is a fake for tests.</strong>
It is not Google, and no real Google account is involved.</p>
<h1>Quickstart wants access to your Google Account</h1>
<p>{escape(user)}</p>
<p>This will allow <strong>Quickstart</strong> to use {escape(params["scope"])}</p>
<form method="post" action="?{escape(urlencode(params))}">
<button name="decision" value="deny">Cancel</button>
<button name="decision" value="allow">Allow</button>
</form>
</main>
</html>
"""
    return Reply(200, text.encode(), {"Content-Type": HTML_TYPE})
