"""A strict local fake of the Google servers that quickstart.py talks to. See README.md."""

from .google import FakeGoogle
from .state import FOR_GOOD

__all__ = ["FOR_GOOD", "FakeGoogle"]
