"""Google's sign-in: the consent page, and the endpoint for tokens.

https://developers.google.com/identity/protocols/oauth2/native-app
"""

import base64
import binascii
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from .accounts import LIFETIME, Accounts, Grant, OAuthError
from .messages import HTML_TYPE, Reply, Request

NEEDED = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge")
OPTIONAL = {"code_challenge_method", "access_type", "prompt", "login_hint", "hl"}
OPTIONAL |= {"include_granted_scopes", "enable_granular_consent"}
# How the person may answer. These are sent to the redirect address,
REDIRECTED = {"access_denied", "admin_policy_enforced", "server_error", "temporarily_unavailable"}
DECIDED = {"allow", "deny", "wrong-state", "other-scopes"} | REDIRECTED
# and these are shown on Google's own page, so that the app hears nothing.
PAGE_ONLY = {
    "deleted_client": "The OAuth client was deleted.",
    "invalid_client": "The OAuth client was not found.",
    "org_internal": "This client is restricted to users within its organization.",
    "redirect_uri_mismatch": "The redirect URI does not match the client's type.",
}
OTHER_SCOPE = "https://www.googleapis.com/auth/drive.appdata"


class Consent:
    """How the person answers. None: the page is shown, and the form on it answers."""

    def __init__(self) -> None:
        vars(self)["answer"] = None

    def __setattr__(self, name: str, answer: str | None) -> None:
        possible = DECIDED | PAGE_ONLY.keys() | {"never", None}
        if name != "answer" or answer not in possible:
            raise ValueError(f"{name} {answer!r} is none of {possible}")
        vars(self)[name] = answer


# ---- The consent page ----------------------------------------------------------------------------


def consent(google: Any, request: Request) -> Reply:
    """What the person sees; or, once the person has decided, the way back to the app."""
    params = request.params
    if wrong := _wrong_with(google.accounts, params):
        return error_page(*wrong)
    answer = google.consent.answer
    if request.call.method == "POST":
        form = dict(parse_qsl(request.body.decode()))
        answer = "allow" if form.get("decision") == "allow" else "deny"
    if answer is None:
        return consent_page(google.drive.user, params)
    if answer == "never":
        return page("Somebody is thinking it over", "<p>Nothing is going to happen here.</p>")
    if answer in PAGE_ONLY:
        return error_page(answer, PAGE_ONLY[answer])
    separator = "&" if urlsplit(params["redirect_uri"]).query else "?"
    address = params["redirect_uri"] + separator + urlencode(_decision(google, params, answer))
    return Reply(302, b"", {"Location": address})


def _wrong_with(accounts: Accounts, params: dict[str, str]) -> tuple[str, str] | None:
    """(code, text) of what Google shows on its own page, and never tells the app."""
    if unknown := params.keys() - OPTIONAL - set(NEEDED):
        return "invalid_request", f"Unknown parameters: {sorted(unknown)}"
    if missing := [key for key in NEEDED if not params.get(key)]:
        return "invalid_request", f"Missing required parameters: {missing}"
    if params["client_id"] not in accounts.clients:
        return "invalid_client", PAGE_ONLY["invalid_client"]
    if not _is_loopback(params["redirect_uri"]):
        return "redirect_uri_mismatch", PAGE_ONLY["redirect_uri_mismatch"]
    if params["response_type"] != "code":
        return "unsupported_response_type", "Only the flow with a code is for desktop apps."
    if params.get("code_challenge_method") != "S256":
        return "invalid_request", "The code challenge must be made by S256."
    return None


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
        return parts.scheme == "http" and is_here and bool(parts.port)
    except ValueError:
        return False


def _decision(google: Any, params: dict[str, str], answer: str) -> dict[str, str]:
    """What goes back to the app."""
    state = params["state"]
    if answer in REDIRECTED or answer == "deny":
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
        try:
            client_id, _, secret = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise OAuthError("invalid_request", "Bad authorization header.") from None
        client_id, secret = unquote(client_id), unquote(secret)
    accounts.check_client(client_id, secret)
    return client_id


def _by_code(accounts: Accounts, request: Request, form: dict[str, str]) -> tuple[Grant, str]:
    client_id = _client(accounts, request, form)
    if not form.get("code_verifier"):
        raise OAuthError("invalid_grant", "Missing code verifier.")
    code, uri = form.get("code", ""), form.get("redirect_uri", "")
    grant = accounts.redeem(code, client_id, uri, form["code_verifier"])
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


# ---- The pages that a person gets to see ---------------------------------------------------------

SCOPES = {
    "https://www.googleapis.com/auth/drive.file": (
        "See, edit, create and delete only the specific Google Drive files that you use with it"
    ),
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; background: #eef1f6; color: #1f2328;
  margin: 0; display: grid; place-items: center; min-height: 100vh }
main { background: #fff; border-radius: 1.5rem; padding: 2.5rem; max-width: 27rem; margin: 1rem }
.fake { background: #fff3cd; color: #664d03; border-radius: .75rem; padding: .75rem 1rem }
code { overflow-wrap: anywhere; font-size: .85em }
form { display: flex; gap: .75rem; justify-content: flex-end }
button { font: inherit; border-radius: 1.25rem; padding: .5rem 1.5rem; cursor: pointer }
"""


def page(title: str, body: str, status: int = 200) -> Reply:
    text = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{escape(title)} (fake)</title>
<style>{STYLE}</style>
<main>
<p class="fake"><strong>This is a fake for tests.</strong>
It is not Google, and no real Google account is involved.</p>
<h1>{escape(title)}</h1>
{body}
</main>
</html>
"""
    return Reply(status, text.encode(), {"Content-Type": HTML_TYPE})


def consent_page(user: str, params: dict[str, str]) -> Reply:
    scopes = params["scope"].split()
    wishes = "".join(f"<li>{escape(SCOPES.get(scope, scope))}</li>" for scope in scopes)
    return page(
        "Quickstart wants access to your Google Account",
        f"""<p>{escape(user)}</p>
<p>This will allow <strong>Quickstart</strong> to:</p>
<ul>{wishes}</ul>
<p><small>Client: <code>{escape(params["client_id"])}</code></small></p>
<form method="post" action="?{escape(urlencode(params))}">
<button name="decision" value="deny">Cancel</button>
<button name="decision" value="allow">Allow</button>
</form>""",
    )


def error_page(code: str, text: str) -> Reply:
    body = f"<p>{escape(text)}</p><p><code>Error 400: {escape(code)}</code></p>"
    return page("Access blocked: the request is invalid", body, 400)
