"""Who may do what: users, OAuth clients, codes, tokens, service accounts. No HTTP here."""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

AUTH_URI = "https://accounts.google.com/o/oauth2/auth"
TOKEN_URI = "https://oauth2.googleapis.com/token"
CERTS_URI = "https://www.googleapis.com/oauth2/v1/certs"
PROJECT = "fake-project"
DRIVE = "https://www.googleapis.com/auth/drive"
DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
LIFETIME = 3599  # seconds that an access token lives


class OAuthError(Exception):
    """Raised with the error code that the token endpoint answers."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


@dataclass(frozen=True)
class Grant:
    """What one consent, or one service account's key, permits."""

    user: str
    client_id: str
    scopes: frozenset[str]
    has_storage: bool = True  # a service account has none of its own


class Accounts:
    def __init__(self) -> None:
        self.clients: dict[str, str] = {}  # secrets by client id
        # With what each code has to be redeemed with: (grant, redirect_uri, challenge).
        self.codes: dict[str, tuple[Grant, str, str]] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.access_tokens: dict[str, tuple[Grant, float]] = {}  # with the end by time.time()
        # By their addresses: (key, the users for whom it may act).
        self.service_accounts: dict[str, tuple[rsa.RSAPrivateKey, list[str]]] = {}
        self.secrets: list[str] = []  # all that must never be shown

    def secret(self, prefix: str, length: int = 32) -> str:
        text = prefix + secrets.token_urlsafe(length)
        self.secrets.append(text)
        return text

    # -- Clients -----------------------------------------------------------------------------------
    def add_client(self) -> dict[str, Any]:
        """A desktop client, as the console's download describes it."""
        client_id = f"{secrets.randbelow(10**12):012d}-{secrets.token_hex(16)}"
        client_id += ".apps.googleusercontent.com"
        self.clients[client_id] = self.secret("GOCSPX-", 21)
        return {
            "installed": {
                "client_id": client_id,
                "project_id": PROJECT,
                "auth_uri": AUTH_URI,
                "token_uri": TOKEN_URI,
                "auth_provider_x509_cert_url": CERTS_URI,
                "client_secret": self.clients[client_id],
                "redirect_uris": ["http://localhost"],
            }
        }

    def check_client(self, client_id: str, secret: str) -> None:
        if self.clients.get(client_id) != secret:
            raise OAuthError("invalid_client", "Unauthorized", 401)

    # -- Tokens ------------------------------------------------------------------------------------
    def new_access(self, grant: Grant, seconds: float = LIFETIME) -> str:
        token = self.secret("ya29.")
        self.access_tokens[token] = grant, time.time() + seconds
        return token

    def new_refresh(self, grant: Grant) -> str:
        token = self.secret("1//")
        self.refresh_tokens[token] = grant
        return token

    def grant_of(self, token: str | None) -> Grant | None:
        """What an access token permits, if it is good."""
        grant, expires = self.access_tokens.get(token or "", (None, 0))
        return grant if expires > time.time() else None

    def token_file(self, grant: Grant, seconds: float) -> dict[str, Any]:
        """A fresh pair of tokens, in the form in which google-auth saves them."""
        expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds)
        return {
            "token": self.new_access(grant, seconds),
            "refresh_token": self.new_refresh(grant),
            "token_uri": TOKEN_URI,
            "client_id": grant.client_id,
            "client_secret": self.clients[grant.client_id],
            "scopes": sorted(grant.scopes),
            "universe_domain": "googleapis.com",
            "account": "",
            "expiry": expiry.isoformat() + "Z",
        }

    def revoke(self, token: str, access_too: bool) -> bool:
        """Honour a refresh token no longer; whether it was one."""
        grant = self.refresh_tokens.pop(token, None)
        for key, (held, _) in list(self.access_tokens.items()) if access_too else ():
            if held is grant:
                del self.access_tokens[key]
        return grant is not None

    # -- Ways to a token ---------------------------------------------------------------------------
    def new_code(self, grant: Grant, redirect_uri: str, challenge: str) -> str:
        code = self.secret("4/0A")
        self.codes[code] = grant, redirect_uri, challenge
        return code

    def redeem(self, client_id: str, code: str, redirect_uri: str, verifier: str) -> Grant:
        """The grant of a code, which works once. https://www.rfc-editor.org/rfc/rfc7636#section-4.6"""
        grant, *wanted = self.codes.pop(code, (None, "", ""))
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not grant or [grant.client_id, redirect_uri, challenge] != [client_id, *wanted]:
            raise OAuthError("invalid_grant", "Malformed auth code.")
        return grant

    def refresh(self, token: str, client_id: str, scope: str) -> Grant:
        grant = self.refresh_tokens.get(token)
        if not grant or grant.client_id != client_id:
            raise OAuthError("invalid_grant", "Token has been expired or revoked.")
        if not grant.scopes.issuperset(scope.split()):
            raise OAuthError("invalid_scope", "Some requested scopes were invalid.")
        return grant

    def add_service_account(self, delegated: list[str]) -> dict[str, Any]:
        """A service account with a new key, as the console's download describes it."""
        key = private_key(len(self.service_accounts))
        email = f"robot-{secrets.token_hex(4)}@{PROJECT}.iam.gserviceaccount.com"
        self.service_accounts[email] = key, delegated
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        self.secrets.append(pem.splitlines()[1])  # a line is enough to know it by
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": secrets.token_hex(20),
            "private_key": pem,
            "client_email": email,
            "client_id": str(secrets.randbelow(10**21)),
            "auth_uri": AUTH_URI,
            "token_uri": TOKEN_URI,
            "auth_provider_x509_cert_url": CERTS_URI,
            "client_x509_cert_url": f"{CERTS_URI}/{email}",
            "universe_domain": "googleapis.com",
        }

    def assert_identity(self, assertion: str) -> Grant:
        """The grant of a signed assertion.

        https://developers.google.com/identity/protocols/oauth2/service-account
        """
        try:
            email = jwt.decode(assertion, verify=False)["iss"]
            key, delegated = self.service_accounts[email]
            claims = jwt.decode(assertion, _public(key), audience=TOKEN_URI)
        except (KeyError, ValueError):  # of a wrong signature, audience or time
            raise OAuthError("invalid_grant", "Invalid JWT Signature.") from None
        if not claims.get("scope"):
            raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
        user = claims.get("sub", email)
        if user not in (email, *delegated):
            text = (
                "Client is unauthorized to retrieve access tokens using this method, or client "
                "not authorized for any of the scopes requested."
            )
            raise OAuthError("unauthorized_client", text, 401)
        scopes = frozenset(claims["scope"].split())
        return Grant(user, email, scopes, has_storage=user != email)


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """That of a fake's first service account, its second, ...: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)
