"""A folder of a user: a copy of the script with settings of their own, files, a way to run it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fake_google import FakeGoogle
from forked import FORKS, Forked, shared
from real_drive.settings import edited

REPOSITORY = Path(__file__).resolve().parent.parent
WINDOWS = sys.platform == "win32"
KILLED = 1 if WINDOWS else -9  # the status of a process that was killed
# Waits are settings as well: what takes seconds in earnest takes milliseconds here.
SHORT_WAITS = {
    "FIRST_WAIT": 0.001,
    "LONGEST_WAIT": 0.01,
    "PATIENCE": 10.0,
    "COPY_PATIENCE": 2.0,
    "NETWORK_TIMEOUT": 10.0,
    "SIGN_IN_TIMEOUT": 5.0,
}
# What Windows' programs do not start without, or do not find their packages without.
KEPT = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "APPDATA", "LOCALAPPDATA")
# Does in the console of the process with this number what Ctrl-C does there.
PRESS_CTRL_C = """
import ctypes, sys

console = ctypes.windll.kernel32
console.FreeConsole()
assert console.AttachConsole(int(sys.argv[1]))
console.SetConsoleCtrlHandler(None, True)
assert console.GenerateConsoleCtrlEvent(0, 0)
"""


@dataclass
class Outcome:
    """What the user gets to see of a run."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Run:
    """A run under way."""

    def __init__(self, process: "subprocess.Popen[str]", google: FakeGoogle) -> None:
        self.process = process
        self.google = google

    def wait(self, timeout: float = 60) -> Outcome:
        try:
            out, err = self.process.communicate(timeout=timeout)
        finally:
            self.process.kill()
        for secret in self.google.secrets():
            assert secret not in (out or "") + (err or ""), "a secret is shown"
        return Outcome(self.process.returncode, out, err)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        if WINDOWS:
            command = [sys.executable, "-c", PRESS_CTRL_C, str(self.process.pid)]
            subprocess.run(command, check=True, timeout=30)
        else:
            self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Workdir:
    def __init__(self, path: Path, google: FakeGoogle) -> None:
        self.path = path
        self.google = google
        path.mkdir(exist_ok=True)
        self.script = path / "quickstart.py"
        self.settings: dict[str, Any] = {}
        self.may_fork = True
        self.starting = threading.Lock()
        self.latest: Run
        self.set(**SHORT_WAITS)
        self.write_json("credentials.json", google.credentials())
        self.environment = clean_environment(path) | google.environment()

    def set(self, **settings: Any) -> None:
        """Edit constants of the script as its user would."""
        self.settings |= settings
        self.script.write_text(edited(original(), self.settings), encoding="utf-8")

    def write(self, name: str, content: bytes, modified: float | None = None) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if modified is not None:
            os.utime(path, (modified, modified))
        return path

    def files(self, **content: bytes) -> None:
        """Write files and make them FILES. Names are given with _ in place of the dot."""
        self.contents({name.replace("_", ".", 1): data for name, data in content.items()})

    def contents(self, content: dict[str, bytes]) -> None:
        for name, data in content.items():
            self.write(name, data)
        self.set(FILES=list(content))

    def write_json(self, name: str, content: Any) -> Path:
        path = self.path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        path.chmod(0o600)
        return path

    def hook(self, program: str, *, is_early: bool = False, **variables: Any) -> None:
        """Have Python run a program before the script, which knows nothing of it.

        It gets the variables, by names that begin with HOOK_. `is_early`: before the packages, too.
        """
        path = self.path.parent / "hook"
        path.mkdir()
        (path / "sitecustomize.py").write_text(program, encoding="utf-8")
        self.environment |= {f"HOOK_{name}": str(value) for name, value in variables.items()}
        self.environment["PYTHONPATH"] = str(path)
        self.may_fork = not is_early

    def sign_in(self, **token: Any) -> dict[str, Any]:
        """Leave a token.json, as an earlier run would have."""
        made = self.google.token(**token)
        self.write_json("token.json", made)
        return made

    @property
    def token(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.path / "token.json").read_bytes())
        return content

    def start(self, *arguments: str, as_root: bool = True, **options: Any) -> Run:
        """Start the script; as_root False: without root's right to read and write everything."""
        lowered = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        command = [sys.executable, str(self.script), *arguments]
        usual: dict[str, Any] = {
            "cwd": self.path.parent,  # never the script's own folder, as under cron
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
        }
        if sys.platform == "win32":  # a console of its own, in which Ctrl-C reaches nobody else
            usual["creationflags"] = subprocess.CREATE_NO_WINDOW
        elif os.getuid() == 0 and not as_root:
            command = [*lowered, *command]
        program: Any = subprocess.Popen
        usual_environment = clean_environment(self.path) | self.google.environment()
        is_usual = shared(self.environment) == shared(usual_environment)
        may_fork = FORKS and self.may_fork and is_usual and as_root
        if may_fork and options.keys() <= {"cwd", "stdout", "stderr"}:
            program = Forked
        with self.starting:
            self.latest = Run(program(command, **(usual | options)), self.google)
        return self.latest

    @property
    def running(self) -> Run:
        """The latest run, which may call Google before start() has returned."""
        with self.starting:
            return self.latest

    def run(self, *arguments: str, timeout: float = 60, **options: Any) -> Outcome:
        return self.start(*arguments, **options).wait(timeout)


@cache
def original() -> str:
    return (REPOSITORY / "quickstart.py").read_text(encoding="utf-8")


def clean_environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of this machine decides: no proxy, no browser."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    if WINDOWS:  # where text in a pipe has another encoding in each country
        kept |= {"PYTHONIOENCODING": "utf-8", "USERPROFILE": str(home)}
    return kept | {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BROWSER": "/nonexistent/browser",
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
