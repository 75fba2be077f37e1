"""Signing in: the consent page, tokens, service accounts."""

import http.client
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from google.auth import crypt, jwt
from google.auth.transport import requests as google_requests
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from . import FakeGoogle
from .client import DRIVE, UPLOAD, Answer, Client, ask, exchange, redirected, refresh, related, wish

# ---- Signing in ----------------------------------------------------------------------------------


def test_consent_page(google: FakeGoogle) -> None:
    """It tells who asks for what, for whose account, and that it is a fake."""
    answer = ask(google)
    text = answer.content.decode()
    assert answer.status == 200
    for part in ("a fake for tests", google.user, "only the specific", "Allow", "Cancel"):
        assert part in text
    assert google.log[-1].operation == "oauth.consent"


def test_consent_in_a_browser_without_proxy(google: FakeGoogle) -> None:
    """The page and its form also work on the fake's own address."""
    address = urlsplit(google.proxy)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    target = "/o/oauth2/auth?" + urlencode(wish(google))
    connection.request("GET", target)
    page = connection.getresponse().read().decode()
    (action,) = re.findall(r'action="([^"]*)"', page)
    connection.request("POST", "/o/oauth2/auth" + action.replace("&amp;", "&"), "decision=allow")
    reply = connection.getresponse()
    assert reply.status == 302
    assert "code" in parse_qs(urlsplit(reply.headers["Location"]).query)
    connection.close()


def test_allow(google: FakeGoogle) -> None:
    """Code and state go back to the app; the code brings both tokens (oauth2/native-app)."""
    back = redirected(ask(google, "allow"))
    assert back["state"] == "the-state"
    found = exchange(google, back["code"]).json
    assert found["scope"] == DRIVE + ".file"
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 3599)
    assert Client(google, found["access_token"]).search().status == 200
    assert {back["code"], found["access_token"], found["refresh_token"]} <= set(google.secrets())


def test_cancel(google: FakeGoogle) -> None:
    """error=access_denied goes back (oauth2/native-app)."""
    assert redirected(ask(google, "deny")) == {"error": "access_denied", "state": "the-state"}


@pytest.mark.parametrize(
    ("answer", "back"),
    [
        ("allow", {"state": "the-state", "scope": DRIVE + ".file"}),
        ("deny", {"state": "the-state", "error": "access_denied"}),
        ("admin_policy_enforced", {"state": "the-state", "error": "admin_policy_enforced"}),
        ("wrong-state", {"state": "forgedate", "scope": DRIVE + ".file"}),
        ("other-scopes", {"state": "the-state", "scope": DRIVE + ".appdata"}),
    ],
)
def test_prepared_answer(google: FakeGoogle, answer: str, back: dict[str, str]) -> None:
    google.consent.answer = answer
    found = redirected(ask(google))
    code = found.pop("code", None)
    assert found == back
    if code and answer == "other-scopes":
        assert exchange(google, code).json["scope"] == back["scope"]


@pytest.mark.parametrize("answer", ["never", "org_internal", "deleted_client"])
def test_answer_that_stays_on_the_page(google: FakeGoogle, answer: str) -> None:
    """Some errors Google shows to the person and never tells the app (oauth2/native-app)."""
    google.consent.answer = answer
    assert "Location" not in ask(google).headers


def test_unknown_answer(google: FakeGoogle) -> None:
    with pytest.raises(ValueError, match="maybe"):
        google.consent.answer = "maybe"


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "123-x.apps.googleusercontent.com"},
        {"redirect_uri": "https://example.com/"},
        {"redirect_uri": "http://192.168.0.1:80/"},
        {"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"},
        {"redirect_uri": None},
        {"response_type": "token"},
        {"scope": None},
        {"state": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"approval_prompt": "force"},
    ],
    ids=lambda change: "-".join(f"{key}" for key in change),
)
def test_wrong_wish(google: FakeGoogle, change: dict[str, str | None]) -> None:
    """A page for the person, and no redirect (oauth2/native-app, #step-2)."""
    google.consent.answer = "allow"
    answer = ask(google, **change)
    assert (answer.status, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_loopback_addresses(google: FakeGoogle, host: str) -> None:
    """Any port of the machine itself (oauth2/native-app#redirect-uri_loopback)."""
    google.consent.answer = "allow"
    answer = ask(google, redirect_uri=f"http://{host}:5/")
    assert answer.headers["Location"].startswith(f"http://{host}:5/?")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "4/invented"}, (400, "invalid_grant")),
        ({"code_verifier": "w" * 64}, (400, "invalid_grant")),
        ({"code_verifier": ""}, (400, "invalid_grant")),
        ({"redirect_uri": "http://127.0.0.1:9/"}, (400, "invalid_grant")),
        ({"client_secret": "GOCSPX-wrong"}, (401, "invalid_client")),
        ({"client_secret": ""}, (400, "invalid_request")),
        ({"client_id": "unknown"}, (401, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_exchange(google: FakeGoogle, change: Any, error: tuple[int, str]) -> None:
    """A code goes with its verifier, address and client (oauth2/native-app; RFC 7636)."""
    code = redirected(ask(google, "allow"))["code"]
    answer = exchange(google, code, **change)
    assert (answer.status, answer.json["error"]) == error


def test_code_works_once(google: FakeGoogle) -> None:
    """(RFC 6749, section 4.1.2)"""
    code = redirected(ask(google, "allow"))["code"]
    assert exchange(google, code).status == 200
    assert exchange(google, code).json["error"] == "invalid_grant"


def test_refresh(google: FakeGoogle) -> None:
    """A refresh token brings a new access token, and stays good itself (oauth2/native-app)."""
    token = google.token(expires_in=-1)
    for _ in range(2):
        found = refresh(google, token, scope=DRIVE + ".file").json
        assert "refresh_token" not in found
        assert Client(google, found["access_token"]).search().status == 200


def test_refresh_that_is_refused(google: FakeGoogle) -> None:
    """Revoked or another client's: invalid_grant. More than was granted: invalid_scope."""
    token, other = google.token(), google.credentials(new=True)["installed"]
    ids = {key: other[key] for key in ("client_id", "client_secret")}
    assert refresh(google, token, **ids).json["error"] == "invalid_grant"
    assert refresh(google, token, scope=DRIVE).json["error"] == "invalid_scope"
    google.revoke(token)
    answer = refresh(google, token)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


def test_token_of_another_client(google: FakeGoogle) -> None:
    other = google.credentials(new=True)
    assert other["installed"]["client_id"] != google.credentials()["installed"]["client_id"]
    token = google.token(client=other)
    assert token["client_id"] == other["installed"]["client_id"]
    assert refresh(google, token).status == 200


# ---- Service accounts ----------------------------------------------------------------------------


def robot(google: FakeGoogle, info: dict[str, Any], key: str = "", **claims: Any) -> Answer:
    """Ask for a token by a signed assertion, as google-auth makes it."""
    now = int(time.time())
    usual = {
        "iss": info["client_email"],
        "scope": DRIVE,
        "aud": info["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    signer = crypt.RSASigner.from_string(key or info["private_key"])
    assertion = jwt.encode(signer, usual | claims).decode()
    kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return Client(google).form("/token", grant_type=kind, assertion=assertion)


def test_service_account_has_no_storage(google: FakeGoogle) -> None:
    """It may make folders, but no content, except in a shared drive (guides/handle-errors)."""
    info = google.service_account()
    client = Client(google, robot(google, info).json["access_token"])
    assert client.create().status == 200
    for answer in (client.upload(), client.start(4)):
        assert answer.error == (403, "storageQuotaExceeded")
        assert answer.json["error"]["message"].startswith("Service Accounts do not have storage")
    team = google.drive.add_shared_drive("Team", {info["client_email"]: "writer"})
    body, kind = related({"name": "x", "parents": [team]}, b"data")
    params = {"uploadType": "multipart", "fields": "id", "supportsAllDrives": "true"}
    assert client.call("POST", UPLOAD, body, {"Content-Type": kind}, **params).status == 200


def test_delegation(google: FakeGoogle) -> None:
    """It acts for those users that the administrator allowed (oauth2/service-account)."""
    info = google.service_account(delegated=[google.user])
    answer = robot(google, info, sub=google.user)
    found = Client(google, answer.json["access_token"]).upload().json
    assert google.drive.file(found["id"]).owner == google.user
    refused = robot(google, info, sub="sam@example.com")
    assert (refused.status, refused.json["error"]) == (401, "unauthorized_client")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": "https://example.com/"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"exp": 9999999999}, "invalid_grant"),
        ({"iss": "nobody@example.com"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
    ],
    ids=["audience", "expired", "lives too long", "unknown", "no scope"],
)
def test_wrong_assertion(google: FakeGoogle, claims: Any, error: str) -> None:
    """Its claims are checked (oauth2/service-account#authorizingrequests) ..."""
    assert robot(google, google.service_account(), **claims).json["error"] == error


def test_forged_assertion(google: FakeGoogle) -> None:
    """... and so is its signature."""
    info, other = google.service_account(), google.service_account()
    answer = robot(google, info, key=other["private_key"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


def test_google_auth_signs_in(google: FakeGoogle) -> None:
    """Google's own library makes do with what the fake hands out."""
    session = requests.Session()
    session.trust_env = False
    session.proxies, session.verify = {"https": google.proxy}, google.ca_file
    info = google.service_account()
    robots = service_account.Credentials.from_service_account_info(info, scopes=[DRIVE])
    users = Credentials.from_authorized_user_info(google.token(expires_in=-1))
    for credentials in (robots, users):
        assert not credentials.valid
        credentials.refresh(google_requests.Request(session))
        assert credentials.valid
        assert Client(google, credentials.token).search().status == 200
