"""Signing in with a real browser: the link that was printed, a click, and back to the script."""

import os
import shutil
from base64 import b64encode
from collections.abc import Iterator

import pytest
from fake_google import FakeGoogle
from test_sign_in import (
    ANSWERS,
    ASKED,
    SIGNED_IN,
    SignIn,
    assert_refused,
    assert_uploaded,
    consents,
)
from workdir import Workdir

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
# Where tests are to run for certain, a missing browser is a failure.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason=f"none of {', '.join(NAMES)} is installed",
)


# Google's sign-in is the fake; what a browser else wants of the world leads nowhere.
PROXY_RULES = """
function FindProxyForURL(url, host) {
    if (host == "127.0.0.1") return "DIRECT";
    return host == "accounts.google.com" ? "PROXY %s" : "PROXY 127.0.0.1:1";
}
"""


@pytest.fixture
def page(google: FakeGoogle) -> Iterator[Page]:
    """A page of a browser that reaches the fake in place of Google."""
    assert CHROMIUM, "CI has to install Chromium"
    rules = b64encode((PROXY_RULES % google.proxy.removeprefix("http://")).encode()).decode()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                f"--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{rules}",
            ],
        ) as browser,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        yield context.new_page()
    # An icon, which a browser asks for unasked, is not what the fake has to offer.
    google.unknown[:] = [call for call in google.unknown if call.path != "/favicon.ico"]


def assert_page_says(page: Page, waiting: SignIn, title: str) -> None:
    page.wait_for_url(f"http://127.0.0.1:{waiting.port}/**")
    assert page.inner_text("h1") == title
    assert page.inner_text("p") == "Go back to the terminal."


def test_allow_leads_back_and_the_upload_goes_on(
    workdir: Workdir, google: FakeGoogle, page: Page
) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=60.0)
    waiting = SignIn(workdir)
    page.goto(waiting.link)
    assert google.user in page.inner_text("main")
    page.get_by_role("button", name="Allow").click()
    assert_page_says(page, waiting, "Signed in")
    assert_uploaded(google, waiting.finish(), ASKED, SIGNED_IN)
    assert consents(google) == 2, "the page and the click on it"


def test_cancel_ends_the_run(workdir: Workdir, google: FakeGoogle, page: Page) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(SIGN_IN_TIMEOUT=60.0)
    waiting = SignIn(workdir)
    page.goto(waiting.link)
    page.get_by_role("button", name="Cancel").click()
    assert_page_says(page, waiting, "Not signed in")
    assert_refused(google, waiting.finish(), ASKED, ANSWERS["deny"])
    assert not (workdir.path / "token.json").exists()
