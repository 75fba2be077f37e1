"""See quickstart.py at work, without a Google account.

A copy of the script runs twice, in a temporary folder with two files, against a fake of Google on
this computer. At a terminal with a browser, you sign in by a click on the fake's page; elsewhere,
the fake's user clicks by itself.
"""

import sys

COMMAND = "python3 -m venv .venv && .venv/bin/python -m pip install -r tests/try_it.txt && "
COMMAND += ".venv/bin/python -m tests.try_it"
if sys.platform == "win32":
    COMMAND = COMMAND.replace("python3", "py").replace("/", "\\").replace("bin", "Scripts")
    COMMAND = COMMAND.replace(" &&", ";")
if sys.version_info < (3, 11):
    found = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        f"This needs Python 3.11 or newer, but this is Python {found}. Install a newer one from\n"
        "https://www.python.org/downloads/ and delete the folder .venv. Then run this line with\n"
        f"the newer one, such as python3.12 in place of python3 (Windows: py -3.12):\n{COMMAND}"
    )

import argparse
import json
import os
import shlex
import subprocess
import tempfile
import time
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

try:
    import socks  # noqa: F401  # without which httplib2 does not find the fake
    from fake_google import FakeGoogle
    from user import edited
except ImportError as error:
    sys.exit(f"Packages are missing. In the folder of README.md, run this: ({error})\n{COMMAND}")

FILES = {
    "figures.csv": b"month,visitors\nJanuary,12\nFebruary,15\n",
    "report.txt": b"The first version of the report.\n",
}
INTRODUCTION = """
quickstart.py will run twice, against a fake of Google on this computer. You
need no Google account, and no file leaves this computer. The links to Drive
lead nowhere, because the folders are in the fake.
"""
YOU_CLICK = """
The first run asks you to sign in, in your browser: click Allow there. If you
don't within a minute, the fake's user does.
"""
FAKE_CLICKS = """
There is no terminal here, or no browser to open. So the fake's user clicks
Allow by itself: whatever the first run asks you to do, you need not do.
"""
CLICK_WITHIN = 60  # seconds
TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}  # they would take the terminal
PERSON = "TRY_IT_PERSON"  # the variable that tells open_page() of a person


def can_click():
    """Whether somebody is there who could click on a page."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    with suppress(webbrowser.Error):
        browser = Path(webbrowser.get().name).name
        return browser not in TEXT_BROWSERS and all(s and s.isatty() for s in streams)
    return False


def open_page(address):
    """Have the page answered, by a person if there is one. The script starts this as a browser."""
    if PERSON in os.environ:
        before, token = json.loads(os.environ[PERSON])
        os.environ.clear()  # what leads the script to the fake is not for a browser
        os.environ.update(before)
        end = time.monotonic() + (CLICK_WITHIN if webbrowser.open(address) else 0)
        while time.monotonic() < end:
            if os.path.exists(token) or not os.path.exists(os.path.dirname(token)):
                return  # signed in, or refused
            time.sleep(0.1)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(address, b"decision=allow").close()


def environment(google, token, is_person):
    """What leads the script to the fake, and a browser to its page."""
    # The & is webbrowser's: it does not wait for this to end.
    browser = f"{shlex.join([sys.executable, __file__, '--open'])} %s &"
    found = os.environ | google.environment() | {"BROWSER": browser, "no_proxy": "", "NO_PROXY": ""}
    if is_person:
        found[PERSON] = json.dumps([dict(os.environ), str(token)])
    # oauthlib asks for https, which a page on this machine can do without.
    return found | {"OAUTHLIB_INSECURE_TRANSPORT": "1"}


def run(title, script, variables):
    print(f"\n{f'---- {title} ':-<80}\n$ python quickstart.py", flush=True)
    if status := subprocess.run([sys.executable, str(script)], env=variables).returncode:
        sys.exit(status)


def show(title, google, trashed):
    print(title)
    for folder in google.drive.folders(trashed=trashed):
        print(f"    {folder.name}")
        children = google.drive.children(folder.id, trashed=trashed)
        for file in sorted(children, key=lambda file: file.name):
            print(f"        {file.name}  {file.size} bytes  {file.mime_type}  {file.modified}")


def main():
    with FakeGoogle() as google, tempfile.TemporaryDirectory() as name:
        folder, script = Path(name), Path(name, "quickstart.py")
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
        # The page is at an address that a browser reaches without a proxy.
        client = google.credentials()["installed"] | {"auth_uri": f"{google.proxy}/o/oauth2/auth"}
        (folder / "credentials.json").write_text(json.dumps({"installed": client}))
        # Whatever their user has made of these settings, they have to lead to the fake's Drive.
        own = {"PARENT_FOLDER_ID": "root", "DELEGATED_USER": None, "SIGN_IN_PORT": 0}
        text = edited(FOLDER_NAME="Reports", FILES=list(FILES), **own)
        script.write_text(text, encoding="utf-8")
        is_person = can_click()
        print(INTRODUCTION + (YOU_CLICK if is_person else FAKE_CLICKS), end="")
        variables = environment(google, folder / "token.json", is_person)
        run("First run: a sign-in, and two new files are uploaded", script, variables)
        (folder / "report.txt").write_bytes(b"A second, longer version of the report.\n")
        run("Second run: report.txt has changed, figures.csv has not", script, variables)
        print(f"\n{'---- What is in the fake Drive now ':-<80}")
        show("My Drive", google, trashed=False)
        show("Trash", google, trashed=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.try_it", description=__doc__)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        open_page(arguments.open) if arguments.open else main()
    except KeyboardInterrupt:
        sys.exit(130)
