"""All that a test knows beside the fake: a user's folder with the script in it, and their Drive."""

import ast
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from functools import cache
from pathlib import Path
from threading import Lock, Thread

from forking import FREE, Forked

REPOSITORY = Path(__file__).resolve().parent.parent
WINDOWS = sys.platform == "win32"
KILLED = 1 if WINDOWS else -9  # the status of a process that was killed
NAME = "Quickstart uploads"
WORKING_NAME = f"{NAME} (uploading)"
# One file is copied, one is uploaded in a single request, one in a session.
OLD = {"same.txt": b"unchanged", "gone.txt": b"no longer in FILES"}
NEW = {
    "same.txt": b"unchanged",
    "new.txt": b"new",
    "big.bin": random.Random(1).randbytes(1_300_000),
}
# The calls of a run over a shared old folder with an expired token, in their order.
CALLS = [
    "oauth.token.refresh",
    "files.list",  # the folders
    "files.generateIds",
    "files.list",  # what the old one holds
    "files.create.metadata",
    "files.copy",  # same.txt
    "files.create.multipart",  # new.txt
    "files.create.resumable",  # big.bin
    "upload.content",
    "files.list",  # the folders once more
    "permissions.list",
    "permissions.create",
    "files.update.rename",
    "files.get",  # is the old one still where it was?
    "files.update.trash",
]
# Waits are settings as well: what takes seconds in earnest takes milliseconds here. One upload at a
# time, so that calls come in one order.
USUAL = {
    "FIRST_WAIT": 0.001,
    "LONGEST_WAIT": 0.01,
    "PATIENCE": 10.0,
    "COPY_PATIENCE": 2.0,
    "NETWORK_TIMEOUT": 10.0,
    "SIGN_IN_TIMEOUT": 5.0,
    "PARALLEL_UPLOADS": 1,
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

# What the user gets to see of a run.
Outcome = namedtuple("Outcome", "status out err")


# ---- The script, and where it runs ---------------------------------------------------------------
@cache
def original():
    """The script as shipped, by lines, and which of them give each constant its value."""
    text = (REPOSITORY / "quickstart.py").read_text(encoding="utf-8")
    places = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            places[ast.unparse(node.targets[0])] = slice(node.lineno - 1, node.end_lineno)
    return text.split("\n"), places


def edited(**settings):
    """The script's text with these settings, as a user would edit it."""
    lines, places = original()
    lines = list(lines)
    if unknown := settings.keys() - places.keys():
        raise KeyError(f"quickstart.py does not have the settings {sorted(unknown)}")
    for name in sorted(settings, key=lambda name: -places[name].start):  # so that the numbers hold
        lines[places[name]] = [f"{name} = {settings[name]!r}"]
    return "\n".join(lines)


def clean_environment(home):
    """An environment in which nothing of this machine decides: no proxy, no browser."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    if WINDOWS:  # where text in a file has another encoding in each country
        kept |= {"PYTHONIOENCODING": "utf-8", "USERPROFILE": str(home)}
    return kept | {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BROWSER": "/nonexistent/browser",
    }


class User:
    """Somebody's folder with a copy of the script in it."""

    def __init__(self, path, google):
        self.path, self.google = path, google
        path.mkdir()
        self.script = path / "quickstart.py"
        self.settings = {}
        self.set(**USUAL)
        self.write_json("credentials.json", google.credentials())
        self.usual_environment = clean_environment(path) | google.environment()
        self.environment = dict(self.usual_environment)
        self.starting = Lock()

    def set(self, **settings):
        self.settings |= settings
        self.script.write_text(edited(**self.settings), encoding="utf-8")

    def write(self, name, content, modified=None):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if modified is not None:
            os.utime(path, (modified, modified))
        return path

    def files(self, content):
        """Write files, by their names, and make them FILES."""
        for name, data in content.items():
            self.write(name, data)
        self.set(FILES=list(content))

    def write_json(self, name, value):
        path = self.write(name, json.dumps(value).encode())
        path.chmod(0o600)
        return path

    def sign_in(self, **token):
        """Leave a token.json, as an earlier run would have. It is what google.token(**token) is."""
        self.write_json("token.json", self.google.token(**token))
        return self.token

    @property
    def token(self):
        return json.loads((self.path / "token.json").read_bytes())

    def hook(self, program, **variables):
        """Have Python run a program before the script. It gets variables as HOOK_... there."""
        folder = self.path.parent / f"{self.path.name}'s hook"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(program, encoding="utf-8")
        self.environment |= {f"HOOK_{name}": str(value) for name, value in variables.items()}
        self.environment["PYTHONPATH"] = str(folder)

    def start(self, *arguments, as_root=True, **options):
        """Start the script; as_root=False: without root's right to read and write everything.

        Options are those of subprocess.Popen; with any, the run is not forked.
        """
        command = [sys.executable, str(self.script), *arguments]
        if not as_root and not WINDOWS and os.getuid() == 0:
            command[:0] = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        changed = {name for name, _ in self.environment.items() ^ self.usual_environment.items()}
        changed -= FREE | {name for name in changed if name.startswith("HOOK_")}
        may_fork = sys.platform == "linux" and as_root and not options and not changed
        if WINDOWS:  # a console of its own, in which Ctrl-C reaches nobody else
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        own = {"stdout", "stderr"} & options.keys()  # which the test reads itself, if anybody
        options = {"cwd": self.path.parent, "stdin": subprocess.DEVNULL} | options
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        with self.starting:
            kind = Forked if may_fork else subprocess.Popen
            self.latest = Run(kind(command, env=self.environment, **options), own, self.google)
        return self.latest

    @property
    def running(self):
        """The latest run, which may call Google before start() has returned."""
        with self.starting:
            return self.latest

    def run(self, *arguments, timeout=60, **options):
        return self.start(*arguments, **options).wait(timeout)

    def check(self, **settings):
        """Run with these settings, which have to be found wrong before anything is called."""
        self.set(**settings)
        outcome = self.run()
        assert self.google.calls() == []
        return outcome


class Run:
    """A run under way. `process` is like one of subprocess.Popen."""

    def __init__(self, process, own, google):
        self.process, self.google = process, google
        self.shown = {"stdout": bytearray(), "stderr": bytearray()}
        names = self.shown.keys() - own
        self.readers = [Thread(target=self.read, args=[name], daemon=True) for name in names]
        for thread in self.readers:
            thread.start()

    def read(self, name):
        with getattr(self.process, name) as pipe:
            while piece := pipe.read1():
                self.shown[name] += piece

    def text(self, name):
        """What has been shown so far on stdout or stderr."""
        text = self.shown[name].decode(errors="replace")
        return text.replace("\r\n", "\n") if WINDOWS else text

    def wait(self, timeout=60):
        try:
            status = self.process.wait(timeout)
        finally:
            self.process.kill()
        for thread in self.readers:
            thread.join(timeout)
        out, err = self.text("stdout"), self.text("stderr")
        for secret in self.google.secrets():
            assert secret not in out + err, "a secret is shown"
        return Outcome(status, out, err)

    def said(self, pattern, timeout=30):
        """Wait until this stands on stderr, and return the match."""
        end = time.monotonic() + timeout
        while True:
            is_over = self.process.poll() is not None or time.monotonic() > end
            if match := re.search(pattern, self.text("stderr")):
                return match
            assert not is_over, f"{pattern!r} was not said: {self.text('stderr')}"
            time.sleep(0.01)

    def interrupt(self):
        """Press Ctrl-C."""
        if WINDOWS:
            command = [sys.executable, "-c", PRESS_CTRL_C, str(self.process.pid)]
            subprocess.run(command, check=True, timeout=30)
        else:
            self.process.send_signal(signal.SIGINT)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


# ---- Their Drive ---------------------------------------------------------------------------------
def add_old_folder(google, content=OLD, generation=1, shared=False, **options):
    """A folder that an earlier run made; shared: a friend may look into it.

    Options are those of google.drive.add_folder().
    """
    mark = {"quickstart.py": str(generation)}
    folder = google.drive.add_folder(NAME, mark=mark, **options)
    for name, data in content.items():
        google.drive.add_file(name, data, parent=folder.id)
    if shared:
        google.drive.share(folder.id, email="friend@example.com")
    return folder


def my_drive(google, trashed=False):
    """(name, {file's name: content}) of each folder in My Drive outside the trash, sorted."""
    found = []
    with google.drive.lock:
        for folder in google.drive.folders(trashed=trashed):
            files = google.drive.children(folder.id, trashed=trashed)
            found.append((folder.name, {file.name: file.content for file in files}))
            assert len(found[-1][1]) == len(files), "a file is there twice"
    return sorted(found, key=lambda folder: (folder[0], sorted(folder[1].items())))


def trash(google):
    """Likewise of those in the trash."""
    return my_drive(google, trashed=True)


def at(google, moment, call, action):
    """Do something once, "before" or "after" the first such call. See google.watch()."""
    todo = [action]

    def watcher(when, made):
        if todo and (when, made.operation) == (moment, call):
            todo.pop()()

    google.watch(watcher)
