"""What some tests need of the system that they run on: where it is missing, they are skipped."""

import os
import shutil
import sys

import pytest
from workdir import WINDOWS


def needs(what: str, there: bool) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=f"needs {what}")


def modes_bind() -> bool:
    """Whether a file's mode can keep the script out: on Windows it can't, nor can it keep root."""
    if sys.platform == "win32":
        return False
    return os.getuid() != 0 or shutil.which("setpriv") is not None


file_modes = needs("file modes that keep a program out", modes_bind())
change_times = needs("a time of the last change that no program can set", not WINDOWS)
fifos = needs("named pipes in folders", not WINDOWS)
links = needs("links that anybody may make", not WINDOWS)
any_names = needs("file names of any characters", not WINDOWS)
letter_case = needs("names that differ in case alone", sys.platform not in ("win32", "darwin"))
file_limits = needs("a limit on the size of a program's files", not WINDOWS)
terminals = needs("a pty", not WINDOWS)
unix_shell = needs("a Unix shell", not WINDOWS)
sigterm = needs("SIGTERM", not WINDOWS)
loopback_addresses = needs("more loopback addresses than one", sys.platform != "darwin")
# Without BROWSER, these would open the browser of whoever runs the tests.
no_default_browser = needs(
    "a system without a browser of its own", sys.platform not in ("win32", "darwin")
)
linux_desktop = needs(
    "a desktop whose browser is what PATH and DISPLAY say", sys.platform == "linux"
)
