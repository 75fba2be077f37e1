"""See quickstart.py at work, without a Google account: `python -m tests.try_it`.

Runs a copy of the script twice, in a temporary folder with two files, against the fake. You are the
user: the sign-in page opens in your browser, and says that it is a fake.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

try:
    import socks  # type: ignore[import-untyped]  # noqa: F401  # for httplib2, to find the fake
    from fake_google import FakeGoogle
    from real_drive.settings import edit_settings
    from workdir import REPOSITORY, free_port
except ImportError as missing:
    raise SystemExit(f"Run: pip install -r tests/try_it.txt ({missing})") from None

FILES = {
    "figures.csv": b"month,visitors\nJanuary,12\nFebruary,15\n",
    "report.txt": b"The first version of the report.\n",
}
INTRODUCTION = """
quickstart.py will run twice, against a fake of Google on this computer. You
need no Google account, and no file leaves this computer. The first run asks
you to sign in, in your browser: click Allow there. The links to Drive lead
nowhere, because the folders are in the fake.

If this computer has no browser, run the next line on a computer that has one.
It replaces the ssh line from quickstart.py, which does not lead to the fake.
Then open the link from quickstart.py on that computer.
ssh -L {page}:127.0.0.1:{page} -L {answer}:127.0.0.1:{answer} USER@THIS-MACHINE"""

PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
OPEN = "import sys, webbrowser; webbrowser.open(sys.argv[1])"
OPEN_PAGE = [sys.executable, "-c", OPEN, "%s"]


def fill(folder: Path, google: FakeGoogle, answer_port: int) -> None:
    """Put the script into the folder, and what it needs."""
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    # The browser, which knows no proxy, gets the fake's own address.
    client = google.credentials()["installed"] | {"auth_uri": f"{google.proxy}/o/oauth2/auth"}
    credentials = json.dumps({"installed": client})
    (folder / "credentials.json").write_text(credentials, encoding="utf-8")
    script = Path(shutil.copy(REPOSITORY / "quickstart.py", folder))
    # Whatever its user has made of the settings: these are what leads to the fake's Drive.
    own = {"PARENT_FOLDER_ID": "root", "DELEGATED_USER": None, "SIGN_IN_PORT": answer_port}
    edit_settings(script, FILES=list(FILES), **own)


def environment(google: FakeGoogle) -> dict[str, str]:
    """What leads the script to the fake, but not a browser that it starts."""
    kept = {name: value for name, value in os.environ.items() if name not in PROXIES}
    screen = {"DISPLAY", "WAYLAND_DISPLAY"} & kept.keys()
    if sys.platform == "linux" and screen and not kept.get("BROWSER"):
        without = [word for name in google.environment() for word in ("-u", name)]
        kept["BROWSER"] = shlex.join(["env", *without, "-u", "BROWSER", *OPEN_PAGE])
    # oauthlib asks for https, which a page on this machine can do without.
    return kept | google.environment() | {"OAUTHLIB_INSECURE_TRANSPORT": "1"}


def title(text: str) -> None:
    print(f"\n{f'---- {text} ':-<80}", flush=True)


def run(folder: Path, google: FakeGoogle) -> None:
    print("$ python quickstart.py", flush=True)
    command = [sys.executable, str(folder / "quickstart.py")]
    if status := subprocess.run(command, env=environment(google)).returncode:
        raise SystemExit(status)


def show(google: FakeGoogle, trashed: bool) -> None:
    print("Trash" if trashed else "My Drive")
    for folder in google.drive.folders(trashed=trashed):
        print(f"    {folder.name}")
        children = google.drive.children(folder.id, trashed=trashed)
        for file in sorted(children, key=lambda file: file.name):
            print(f"        {file.name}  {file.size} bytes  {file.mime_type}  {file.modified}")


def main() -> None:
    with FakeGoogle() as google, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        fill(folder, google, port)
        print(INTRODUCTION.format(page=google.proxy.rpartition(":")[2], answer=port))
        title("First run: you sign in, and two new files are uploaded")
        run(folder, google)
        (folder / "report.txt").write_bytes(b"A second, longer version of the report.\n")
        title("Second run: report.txt has changed since, figures.csv has not")
        run(folder, google)
        title("What is in the fake Drive now")
        show(google, trashed=False)
        show(google, trashed=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
