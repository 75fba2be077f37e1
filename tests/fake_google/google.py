"""The face of the fake: what tests start, set up, and ask afterwards."""

from collections.abc import Callable
from typing import Any, Self

from .accounts import DRIVE_FILE, Grant
from .messages import Call
from .server import Server, Throttle, certificates
from .service import Service
from .state import Mail

USER = "alex@example.com"


class FakeGoogle(Service):
    """Google's servers, on a local port, as long as the `with` block lasts."""

    def __init__(self, round_trip=0.0, bandwidth=None, *, user=USER):
        """`round_trip`: seconds added to each call. `bandwidth`: bytes a second for all of them."""
        super().__init__(user, round_trip)
        self.user = user
        self.throttle = Throttle(bandwidth)
        self.client: dict[str, Any] = self.accounts.add_client()
        self.server: Server

    def __enter__(self) -> Self:
        self.server = Server(self, self.throttle)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.server.is_listening:
            self.server.stop(at_once=True)
        if kind is None:
            self._raise_crash()

    # -- Getting there -----------------------------------------------------------------------------
    @property
    def proxy(self) -> str:
        return self.server.address

    @property
    def ca_file(self) -> str:
        return certificates()[1]

    def environment(self) -> dict[str, str]:
        """What leads a program here instead of to Google."""
        names = ("HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), self.proxy)
        return proxies | dict.fromkeys(names, self.ca_file)

    def stop_listening(self) -> None:
        """Refuse connections. Those that have a request under way still get its answer."""
        self.server.stop()

    def listen_again(self) -> None:
        self.server = Server(self, self.throttle, self.server.server_address[1])

    # -- Accounts ----------------------------------------------------------------------------------
    def credentials(self, new: bool = False) -> dict[str, Any]:
        """The content of credentials.json. `new`: of another client than before."""
        return self.accounts.add_client() if new else self.client

    def service_account(self, delegated: list[str] | None = None) -> dict[str, Any]:
        """Likewise of a service account, which may act for the delegated users."""
        return self.accounts.add_service_account(delegated or [])

    def token(self, expires_in=3600, user=None, scopes=None, client=None):
        """The content of a token.json with new tokens. `client`: as credentials() gives it."""
        client_id = (client or self.client)["installed"]["client_id"]
        grant = Grant(user or self.user, client_id, frozenset(scopes or [DRIVE_FILE]))
        return self.accounts.token_file(grant, expires_in)

    def revoke(self, token: dict[str, Any], access: bool = False) -> None:
        """Honour a refresh token no longer, nor (if `access`) the access tokens that came of it."""
        if not self.accounts.revoke(token["refresh_token"], access):
            raise ValueError("no token of this fake, or revoked already")

    def secrets(self) -> list[str]:
        """All texts so far that must not show up anywhere."""
        return [*self.accounts.secrets, *self.drive.sessions]

    @property
    def mails(self) -> list[Mail]:
        return self.drive.mails

    # -- Faults ------------------------------------------------------------------------------------
    def fail(self, operation: str, *faults: str, after: int = 0, repeat: int | None = 1) -> None:
        """Have the operation's next calls fail, after so many that go through.

        `repeat` is how often all the faults come; None: for ever. More faults for the same
        operation come when these are used up.
        """
        self.faults.fail(operation, faults, after, repeat)

    def unused_faults(self) -> list[str]:
        """The faults that were asked for and did not happen."""
        return self.faults.unused()

    def watch(self, callback: Callable[[str, Call], None]) -> None:
        """Have callback(moment, call) called in the thread of each call's connection.

        "before": the request's head is there, nothing is done yet. A client that is gone when the
        callback returns gets nothing done: who kills it here has to wait for its end. "after": the
        work is done, the reply not yet sent. What it raises comes out of calls() and check().
        """
        self.watchers.append(callback)

    # -- What happened -----------------------------------------------------------------------------
    def calls(self, *operations: str) -> list[Call]:
        """The calls of these operations, in the order of their arrival; or all."""
        self._raise_crash()
        every = list(self.log)
        return [call for call in every if not operations or call.operation in operations]

    def check(self) -> None:
        """Raise what a watcher, or the fake itself, has raised; or say what else went wrong."""
        self._raise_crash()
        assert self.unused_faults() == [], "faults that were asked for and never happened"
        assert self.strangers == [], "hosts that are not Google's were called"
        assert self.unknown == [], "addresses that Google does not have were called"

    def _raise_crash(self) -> None:
        if self.crashes:
            raise self.crashes[0]
