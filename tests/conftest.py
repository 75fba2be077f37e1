"""The fixtures of all tests: a fresh fake of Google's servers, a user's folder that it serves."""

import os
import shutil
import signal
import sys

import pytest
from fake_google import FakeGoogle
from user import NEW, WINDOWS, User

pytest_plugins = ["account"]  # the fixtures of test_drive.py

# Tests press Ctrl-C, which a shell has its background commands ignore, with all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What `@pytest.mark.needs("...")` may name. Without it, the test is skipped.
THERE = {
    "file modes that bind the script": not WINDOWS and (os.getuid() or shutil.which("setpriv")),
    "file names in any letters and cases": sys.platform == "linux",
    "links that anybody may make": not WINDOWS,
    "Linux": sys.platform == "linux",
    "named pipes": not WINDOWS,
    "no default browser": sys.platform == "linux",
    "terminals": not WINDOWS,
    "Unix": not WINDOWS,
}


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(what): what not every system has")


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for what in marker.args:
            if not THERE[what]:
                pytest.skip(f"needs {what}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than processors: while a test waits for a slow line, another one runs."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """A watcher that fails is what fails its test, not what comes of it."""
    outcome = yield
    google = pyfuncitem.funcargs.get("google")
    if google and google.crashes:
        outcome.force_exception(google.crashes.pop(0))


@pytest.fixture
def google(request):
    """A fake of its own for the test, which accounts for all that happened to it at the end."""
    marker = request.node.get_closest_marker("line")
    with FakeGoogle(**(marker.kwargs if marker else {})) as fake:
        yield fake
    fake.check()


@pytest.fixture
def user(tmp_path, google):
    """Signed in, and about to upload NEW."""
    found = User(tmp_path / "a user's folder", google)
    found.files(NEW)
    found.sign_in()
    return found
