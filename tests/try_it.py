"""See quickstart.py at work, without a Google account: `python -m tests.try_it`.

Runs the unmodified script twice, in a temporary folder, against the fake. You are the user: the
sign-in page opens in your browser, and says that it is a fake.
"""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

try:
    import socks  # type: ignore[import-untyped]  # noqa: F401  # for httplib2, to find the fake
    from fake_google import FakeGoogle
except ImportError as missing:
    raise SystemExit(f"{missing}. Run: pip install -r tests/requirements.txt") from None

SCRIPT = Path(__file__).resolve().parent.parent / "quickstart.py"
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
OPEN = "import sys, webbrowser; webbrowser.open(sys.argv[1])"
OPEN_PAGE = [sys.executable, "-c", OPEN, "%s"]


def copy_script(folder: Path) -> None:
    """The script, and those of its FILES that lie beside it."""
    shutil.copy(SCRIPT, folder)
    for node in ast.parse(SCRIPT.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FILES":
            for entry in ast.literal_eval(node.value):
                if not Path(entry).is_absolute() and (SCRIPT.parent / entry).exists():
                    (folder / entry).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(SCRIPT.parent / entry, folder / entry)


def credentials(google: FakeGoogle) -> dict[str, Any]:
    """As from Google's console; the browser, which knows no proxy, gets the fake's own address."""
    installed = google.credentials()["installed"]
    return {"installed": installed | {"auth_uri": f"{google.proxy}/o/oauth2/auth"}}


def environment(google: FakeGoogle) -> dict[str, str]:
    """What leads the script to the fake, but not a browser that it starts."""
    kept = {name: value for name, value in os.environ.items() if name not in PROXIES}
    screen = {"DISPLAY", "WAYLAND_DISPLAY"} & kept.keys()
    if screen and not kept.get("BROWSER") and shutil.which("env"):
        without = [word for name in google.environment() for word in ("-u", name)]
        kept["BROWSER"] = shlex.join(["env", *without, "-u", "BROWSER", *OPEN_PAGE])
    # oauthlib asks for https, which a page on this machine can do without.
    return kept | google.environment() | {"OAUTHLIB_INSECURE_TRANSPORT": "1"}


def title(text: str) -> None:
    print(f"\n{f'---- {text} ':-<80}", flush=True)


def describe(google: FakeGoogle) -> None:
    for trashed in (False, True):
        for folder in google.drive.folders(trashed=trashed):
            print(f"{folder.name}/" + (" (in the trash)" if trashed else ""))
            children = google.drive.children(folder.id, trashed=trashed)
            for file in sorted(children, key=lambda file: file.name):
                print(f"    {file.name}  {file.size} bytes  {file.mime_type}  {file.modified}")


def main() -> int:
    with FakeGoogle() as google, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_script(folder)
        (folder / "credentials.json").write_text(json.dumps(credentials(google)))
        for run in ("First run: you sign in, on a page of the fake", "Second run: nothing is new"):
            title(run)
            print("$ python quickstart.py", flush=True)
            command = [sys.executable, str(folder / "quickstart.py")]
            if status := subprocess.run(command, env=environment(google)).returncode:
                return status
        title("What the fake Drive holds")
        describe(google)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
