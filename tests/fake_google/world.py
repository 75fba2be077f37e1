"""All that one fake Google consists of, for the layers that need more than the Drive."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .accounts import Accounts
from .messages import Reply, Request
from .state import Drive

CONSENT_ANSWERS = {
    # sent to the redirect address
    "allow",
    "deny",
    "wrong-state",
    "other-scopes",
    "access_denied",
    "admin_policy_enforced",
    "server_error",
    "temporarily_unavailable",
    # shown on Google's own page, so that the app hears nothing
    "never",
    "deleted_client",
    "invalid_client",
    "org_internal",
    "redirect_uri_mismatch",
}


class Consent:
    """How the person answers. None: the page is shown, and the form on it answers."""

    def __init__(self) -> None:
        self._answer: str | None = None

    @property
    def answer(self) -> str | None:
        return self._answer

    @answer.setter
    def answer(self, answer: str | None) -> None:
        if answer is not None and answer not in CONSENT_ANSWERS:
            raise ValueError(f"{answer!r} is none of {sorted(CONSENT_ANSWERS)}")
        self._answer = answer


@dataclass(frozen=True)
class Mail:
    """A message that Google would have sent about a file that was shared."""

    file_id: str
    to: str


def routeless(request: Request) -> Reply:
    raise NotImplementedError


@dataclass(eq=False)
class World:
    user: str
    drive: Drive
    accounts: Accounts = field(default_factory=Accounts)
    consent: Consent = field(default_factory=Consent)
    mails: list[Mail] = field(default_factory=list)
    # Handles a call inside a batch; the service, which is a layer above, puts itself here.
    perform: Callable[[Request], Reply] = field(default=routeless)
