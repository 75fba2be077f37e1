"""The face of the fake: what tests start, set up, and ask afterwards."""

from collections.abc import Callable
from typing import Any, Self

from .accounts import DRIVE_FILE, Grant
from .messages import Call
from .server import Server
from .service import Service
from .state import Drive
from .world import Consent, Mail, World

USER = "alex@example.com"


class FakeGoogle:
    """Google's servers, on a local port, as long as the `with` block lasts."""

    def __init__(
        self,
        round_trip: float = 0.0,
        bandwidth: float | None = None,
        *,
        user: str = USER,
    ) -> None:
        """`round_trip`: seconds added to each call. `bandwidth`: bytes a second for all of them."""
        self.user = user
        self.world = World(user, Drive(user))
        self.service = Service(self.world, round_trip)
        self.server = Server(self.service, bandwidth)
        self.client: dict[str, Any] = self.world.accounts.add_client()

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.server.__exit__()
        if kind is None and self.service.crashes:
            raise self.service.crashes[0]

    # -- Getting there -----------------------------------------------------------------------------

    @property
    def proxy(self) -> str:
        return self.server.address

    @property
    def ca_file(self) -> str:
        return self.server.ca_file

    def environment(self) -> dict[str, str]:
        """What leads a program here instead of to Google."""
        names = ("HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), self.proxy)
        return proxies | dict.fromkeys(names, self.ca_file)

    def stop_listening(self) -> None:
        self.server.stop_listening()

    def listen_again(self) -> None:
        self.server.listen()

    # -- Accounts ----------------------------------------------------------------------------------

    def credentials(self, new: bool = False) -> dict[str, Any]:
        """The content of credentials.json. `new`: of another client than before."""
        if new:
            return self.world.accounts.add_client()
        return self.client

    def service_account(self, delegated: list[str] | None = None) -> dict[str, Any]:
        """Likewise of a service account, which may act for the delegated users."""
        return self.world.accounts.add_service_account(delegated or [])

    def token(
        self,
        expires_in: float = 3600,
        user: str | None = None,
        scopes: list[str] | None = None,
        client: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The content of a token.json with new tokens. `client`: as credentials() gives it."""
        client_id = (client or self.client)["installed"]["client_id"]
        grant = Grant(user or self.user, client_id, frozenset(scopes or [DRIVE_FILE]))
        return self.world.accounts.token_file(grant, expires_in)

    def revoke(self, token: dict[str, Any], access: bool = False) -> None:
        """Honour a refresh token no longer, nor (if `access`) the access tokens that came of it."""
        if not self.world.accounts.revoke(token["refresh_token"], access):
            raise ValueError("no token of this fake, or revoked already")

    def secrets(self) -> list[str]:
        """All texts so far that must not show up anywhere."""
        return list(self.world.accounts.secrets)

    @property
    def consent(self) -> Consent:
        return self.world.consent

    # -- Drive -------------------------------------------------------------------------------------

    @property
    def drive(self) -> Drive:
        return self.world.drive

    @property
    def mails(self) -> list[Mail]:
        return self.world.mails

    # -- Faults ------------------------------------------------------------------------------------

    def fail(self, operation: str, *faults: str, after: int = 0, repeat: int | None = 1) -> None:
        """Have the operation's next calls fail, after so many that go through.

        `repeat` is how often all the faults come; None: for ever. More faults for the same
        operation come when these are used up.
        """
        self.service.faults.fail(operation, faults, after, repeat)

    def unused_faults(self) -> list[str]:
        """The faults that were asked for and did not happen."""
        return self.service.faults.unused()

    @property
    def retry_after(self) -> float | str:
        """What the faults `429-retry-after` and `503-retry-after` say: seconds, or any text."""
        return self.service.faults.retry_after

    @retry_after.setter
    def retry_after(self, value: float | str) -> None:
        self.service.faults.retry_after = value

    @property
    def slowness(self) -> float:
        """The seconds by which the fault `slow` holds back an answer."""
        return self.service.faults.slowness

    @slowness.setter
    def slowness(self, seconds: float) -> None:
        self.service.faults.slowness = seconds

    def watch(self, callback: Callable[[str, Call], None]) -> None:
        """Have callback(moment, call) called in the thread of each call's connection.

        "before": the request is there (of an upload: its head), nothing is done yet. A client that
        is gone when the callback returns gets nothing done: who kills it here has to wait for its
        end. "after": the work is done, the reply not yet sent.
        """
        self.service.watchers.append(callback)

    # -- What happened -----------------------------------------------------------------------------

    @property
    def log(self) -> list[Call]:
        return self.service.log

    def calls(self, *operations: str) -> list[Call]:
        """The calls of these operations (or aliases), in the order of their arrival; or all."""
        every = list(self.log)
        return [call for call in every if not operations or set(operations) & set(call.names)]

    def check(self) -> None:
        """Raise what a watcher has raised, or say what else went wrong."""
        if self.service.crashes:
            raise self.service.crashes[0]
        assert self.unused_faults() == [], "faults that were asked for and never happened"
        assert self.strangers == [], "hosts that are not Google's were called"
        assert self.unknown == [], "addresses that Google does not have were called"
        self.drive.consistency_check()

    @property
    def unknown(self) -> list[Call]:
        return self.service.unknown

    @property
    def strangers(self) -> list[str]:
        return self.service.strangers
