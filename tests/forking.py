"""Runs that fork from a Python which has imported the script's packages: 0.3 s less for each.

The processes are real, and each reads its script anew. Linux only: elsewhere, and where something
about a run is unusual, Python starts as it does for a user.
"""

import ast
import functools
import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing import connection, forkserver, reduction
from pathlib import Path
from unittest.mock import patch

SCRIPT = Path(__file__).resolve().parent.parent / "quickstart.py"
# What may differ from run to run without a package noticing when it is imported.
FREE = {"PYTHONPATH", "BROWSER", "HOME"}


class Forked:
    """A process like those of subprocess."""

    lock = threading.Lock()  # multiprocessing's own records are not for several threads

    def __init__(self, command, cwd, env, **_):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        (out, stdout), (err, stderr) = os.pipe(), os.pipe()
        self.stdout, self.stderr = open(out, "rb"), open(err, "rb")  # noqa: SIM115
        with self.lock, open(stdout, "wb"), open(stderr, "wb"):
            # httplib2 reads HTTPLIB2_CA_CERTS when it is imported. PYTHONPATH is for this module.
            with patch.dict(os.environ, env | {"PYTHONPATH": str(Path(__file__).parent)}):
                forkserver.ensure_running()
            self.process = context.Process(
                target=play, args=(command[1:], cwd, env, *map(reduction.DupFd, (stdout, stderr)))
            )
            self.process.start()
        self.pid, self.returncode = self.process.pid, None

    def poll(self):
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        # Not by join(), which several threads can't do at once, as a test and its watcher do.
        if self.returncode is None and not connection.wait([self.process.sentinel], timeout):
            raise subprocess.TimeoutExpired("quickstart.py", timeout)
        with self.lock:
            self.returncode = self.process.exitcode
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def play(arguments, cwd, env, stdout, stderr):
    """Do what Python does when it starts a script."""
    sys.stdout = open(stdout.detach(), "w", encoding="utf-8")  # noqa: SIM115
    # Python's own shows each line at once.
    options = {"encoding": "utf-8", "errors": "backslashreplace", "buffering": 1}
    sys.stderr = open(stderr.detach(), "w", **options)  # noqa: SIM115
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stderr.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv, path = arguments, arguments[0]
    sys.path[0] = str(Path(path).parent)
    if "PYTHONPATH" in env:
        sys.path.insert(1, env["PYTHONPATH"])
        sys.modules.pop("sitecustomize", None)  # Debian's Python has one of its own
        importlib.import_module("sitecustomize")
    runpy.run_path(path, run_name="__main__")


def warm_up():
    """Import what the script imports, and do what its packages do at first use."""
    for node in ast.walk(ast.parse(SCRIPT.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            importlib.import_module(node.module)
    importlib.import_module("_strptime")
    discovery = importlib.import_module("googleapiclient.discovery")
    discovery.key2param = functools.cache(discovery.key2param)  # Drive's keys are few
    discovery.build("drive", "v3", http=object())
    gc.freeze()  # so that runs don't look through what they don't change


# The server of multiprocessing, which is to import this beforehand, has a main program of its own.
if multiprocessing.parent_process() is None and sys.argv[0] == "-c" and "pytest" not in sys.modules:
    warm_up()
