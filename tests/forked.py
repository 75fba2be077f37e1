"""Runs of the script that fork from a Python which has imported its packages: 0.3 s less for each.

The processes are real, and children of the process that asks for them; each reads its script anew.
On other systems than Linux, which alone lets a process adopt grandchildren, and where the
environment is not the usual one, Python starts as it does for a user.
"""

import _imp
import ast
import builtins
import ctypes
import functools
import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

FORKS = sys.platform == "linux"
# What may differ from run to run without a package noticing when it is imported.
FREE = {"HOME", "https_proxy", "HTTPS_PROXY", "BROWSER", "PYTHONPATH"}
SCRIPT = Path(__file__).resolve().parent.parent / "quickstart.py"
SUBREAPER = 36  # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html


# ---- In the process of the tests -----------------------------------------------------------------


@functools.cache
class Parent:
    """The Python from which runs with these variables are forked."""

    def __init__(self, variables: str) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.lock = threading.Lock()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=json.loads(variables),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        with self.lock:
            socket.send_fds(self.socket, [json.dumps(request).encode()], descriptors)
            return int(self.socket.recv(20))


def shared(environment: dict[str, str]) -> dict[str, str]:
    """What has to be the same for runs that are forked from one Python."""
    kept = {name for name in environment if name not in FREE and not name.startswith("HOOK_")}
    return {name: environment[name] for name in kept}


class Forked(subprocess.Popen[str]):
    """A process that is forked where others are started."""

    def _execute_child(self, *args: Any) -> None:
        command, cwd, env = args[0], args[5], args[6]
        stdin, _, _, stdout, _, stderr = ends = args[10:16]
        parent = Parent(json.dumps(shared(env), sort_keys=True))
        request = {"argv": command[1:], "cwd": str(cwd), "env": env}
        try:
            self.pid = parent.fork(request, [stdin, stdout, stderr])
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


# ---- In the process from which runs are forked ---------------------------------------------------


@functools.lru_cache(100)
def compiled(text: bytes) -> types.CodeType:
    """The script's code, with no file's name: many runs differ in nothing but that."""
    return compile(text, "", "exec")


def serve(server: socket.socket) -> None:
    """Fork for each request, until the tests are over."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(server, 1 << 20, 3)
        if not content:
            return
        request = json.loads(content)
        with suppress(OSError, SyntaxError, ValueError):  # of which the run is to tell
            compiled(Path(request["argv"][0]).read_bytes())
        ours, theirs = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if not child:
                os.close(ours)
                os.close(theirs)
                server.close()
                run(request, descriptors)
            os.write(theirs, str(child).encode())
            os._exit(0)  # so that the tests become the child's parent
        os.waitpid(between, 0)
        server.send(os.read(ours, 20))
        for descriptor in (ours, theirs, *descriptors):
            os.close(descriptor)


def run(request: dict[str, Any], descriptors: list[int]) -> None:
    """Do what Python does when it starts a script, and end."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    if hooks := request["env"].get("PYTHONPATH"):
        sys.path.insert(1, hooks)
        importlib.import_module("sitecustomize")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(main).update(__file__=sys.argv[0], __builtins__=builtins)
    code = compiled(Path(sys.argv[0]).read_bytes())
    # As Python does with what it has kept of a module.
    _imp._fix_co_filename(code, sys.argv[0])  # type: ignore[attr-defined]
    exec(code, vars(main))
    raise SystemExit


def warm_up() -> None:
    """Import what the script imports, sooner or later, and what its packages do at first use."""
    names = {"_strptime"}
    for node in ast.walk(ast.parse(SCRIPT.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    for name in names:
        importlib.import_module(name)
    discovery: Any = importlib.import_module("googleapiclient.discovery")
    vars(discovery)["key2param"] = functools.cache(discovery.key2param)  # Drive's keys are few
    discovery.build("drive", "v3", http=object())


if __name__ == "__main__":
    warm_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # so that runs don't look through what they don't change
    serve(socket.socket(fileno=int(sys.argv[1])))
