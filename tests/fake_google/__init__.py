"""A strict local fake of the Google servers that quickstart.py talks to. See README.md."""

from .google import FakeGoogle

__all__ = ["FakeGoogle"]
