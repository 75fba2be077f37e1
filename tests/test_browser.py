"""Signing in with a real browser: the link that was shown, a click, and back to the script."""

import shutil
from base64 import b64encode

import pytest
from user import NAME, NEW, my_drive

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed")
# Google's sign-in is the fake; what else a browser wants of the world leads nowhere.
PROXY_RULES = """
function FindProxyForURL(url, host) {
    if (host == "127.0.0.1") return "DIRECT";
    return host == "accounts.google.com" ? "PROXY %s" : "PROXY 127.0.0.1:1";
}
"""


@pytest.fixture
def page(google):
    """A page of a browser that reaches the fake in place of Google."""
    rules = b64encode((PROXY_RULES % google.proxy.removeprefix("http://")).encode()).decode()
    proxy = f"--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{rules}"
    options = ["--no-sandbox", "--disable-dev-shm-usage", proxy]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=options) as browser,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        yield context.new_page()


def test_click_leads_back_to_the_script(user, google, page):
    """What comes of other answers, test_sign_in.py says."""
    user.set(SIGN_IN_TIMEOUT=60.0)
    (user.path / "token.json").unlink()
    run = user.start()
    page.goto(run.said(r"(https://accounts\.google\.com/\S+)\n")[1])
    assert google.user in page.inner_text("main")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("http://127.0.0.1:*/**")
    assert page.inner_text("body") == "Google's answer has arrived. Go back to the terminal."
    assert run.wait().status == 0
    assert my_drive(google) == [(NAME, NEW)]
