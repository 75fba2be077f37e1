"""Clients for the fake's own tests."""

from collections.abc import Iterator

import pytest

from . import FakeGoogle
from .client import DRIVE, Client


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    yield
    while Client.all_of_them:
        Client.all_of_them.pop().close()


@pytest.fixture
def client(google: FakeGoogle) -> Client:
    """One with the scope drive.file, like the script."""
    return Client(google, google.token()["token"])


@pytest.fixture
def wide(google: FakeGoogle) -> Client:
    """One that reaches all of the user's files."""
    return Client(google, google.token(scopes=[DRIVE])["token"])
