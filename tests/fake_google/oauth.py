"""Google's sign-in: the consent page, and the endpoints for tokens.

https://developers.google.com/identity/protocols/oauth2/native-app
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from . import pages
from .accounts import LIFETIME, Accounts, Grant, OAuthError
from .messages import Reply, Request
from .world import World

AUTH_PARAMETERS = {
    "access_type",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "enable_granular_consent",
    "hl",
    "include_granted_scopes",
    "login_hint",
    "prompt",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
}
REDIRECTED = {"access_denied", "admin_policy_enforced", "server_error", "temporarily_unavailable"}
PAGE_ONLY = {
    "deleted_client": "The OAuth client was deleted.",
    "invalid_client": "The OAuth client was not found.",
    "org_internal": "This client is restricted to users within its organization.",
    "redirect_uri_mismatch": "The redirect URI does not match the client's type.",
}
OTHER_SCOPE = "https://www.googleapis.com/auth/drive.appdata"


# ---- The consent page ----------------------------------------------------------------------------


def consent(world: World, request: Request) -> Reply:
    """What the person sees; or, once the person has decided, the way back to the app."""
    params = request.params
    wrong = _wrong_with(world.accounts, params)
    if wrong:
        return pages.error(*wrong)
    answer = world.consent.answer
    if request.method == "POST":
        answer = dict(parse_qsl(request.body.decode())).get("decision", "deny")
        answer = answer if answer in ("allow", "deny") else "deny"
    if answer is None:
        return pages.consent(world.user, params["client_id"], params["scope"], request.query)
    if answer == "never":
        return pages.waiting()
    if answer in PAGE_ONLY:
        return pages.error(answer, PAGE_ONLY[answer])
    return _redirect(params["redirect_uri"], _decision(world, params, answer))


def _wrong_with(accounts: Accounts, params: dict[str, str]) -> tuple[str, str] | None:
    """(code, text) of what Google shows on its own page, and never tells the app."""
    if unknown := params.keys() - AUTH_PARAMETERS:
        return "invalid_request", f"Unknown parameters: {sorted(unknown)}"
    for key in ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge"):
        if not params.get(key):
            return "invalid_request", f"Missing required parameter: {key}"
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
        return (
            parts.scheme == "http"
            and parts.hostname in ("127.0.0.1", "::1", "localhost")
            and bool(parts.port)
        )
    except ValueError:
        return False


def _decision(world: World, params: dict[str, str], answer: str) -> dict[str, str]:
    """What goes back to the app."""
    state = params["state"]
    if answer in REDIRECTED or answer == "deny":
        return {"error": "access_denied" if answer == "deny" else answer, "state": state}
    if answer == "wrong-state":
        state = "forged" + state[6:]
    scope = OTHER_SCOPE if answer == "other-scopes" else params["scope"]
    grant = Grant(world.user, params["client_id"], frozenset(scope.split()))
    code = world.accounts.new_code(grant, params["redirect_uri"], params["code_challenge"])
    return {"state": state, "code": code, "scope": scope}


def _redirect(uri: str, answer: dict[str, str]) -> Reply:
    separator = "&" if urlsplit(uri).query else "?"
    return Reply(302, b"", {"Location": uri + separator + urlencode(answer)})


# ---- Tokens --------------------------------------------------------------------------------------


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


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


def _answer(accounts: Accounts, grant: Grant, refresh_token: str | None = None) -> dict[str, Any]:
    value = {
        "access_token": accounts.new_access(grant),
        "expires_in": LIFETIME,
        "scope": " ".join(sorted(grant.scopes)),
        "token_type": "Bearer",
    }
    return value | ({"refresh_token": refresh_token} if refresh_token else {})


def _by_code(world: World, request: Request, form: dict[str, str]) -> dict[str, Any]:
    accounts = world.accounts
    client_id = _client(accounts, request, form)
    if not form.get("code_verifier"):
        raise OAuthError("invalid_grant", "Missing code verifier.")
    grant = accounts.redeem(
        form.get("code", ""), client_id, form.get("redirect_uri", ""), form["code_verifier"]
    )
    return _answer(accounts, grant, refresh_token=accounts.new_refresh(grant))


def _by_refresh(world: World, request: Request, form: dict[str, str]) -> dict[str, Any]:
    accounts = world.accounts
    client_id = _client(accounts, request, form)
    token = form.get("refresh_token", "")
    return _answer(accounts, accounts.refresh(token, client_id, form.get("scope", "")))


def _by_assertion(world: World, request: Request, form: dict[str, str]) -> dict[str, Any]:
    return _answer(world.accounts, world.accounts.assert_identity(form.get("assertion", "")))


JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANT_TYPES: dict[str, tuple[str, Callable[[World, Request, dict[str, str]], dict[str, Any]]]] = {
    "authorization_code": ("oauth.token.authorization_code", _by_code),
    "refresh_token": ("oauth.token.refresh", _by_refresh),
    JWT_BEARER: ("oauth.token.jwt", _by_assertion),
}


def token_operation(request: Request) -> str:
    """Which of the ways to a token it is; the likeliest one for what is none."""
    known = GRANT_TYPES.get(_form(request).get("grant_type", ""))
    return known[0] if known else "oauth.token.refresh"


def token(world: World, request: Request) -> Reply:
    form = _form(request)
    try:
        if form.get("grant_type") not in GRANT_TYPES:
            raise OAuthError("unsupported_grant_type", "Invalid grant_type.")
        value = GRANT_TYPES[form["grant_type"]][1](world, request, form)
    except OAuthError as error:
        request.call.error = f"{error.code}: {error.description}"
        return Reply(error.status, {"error": error.code, "error_description": error.description})
    return Reply(200, value)
