"""Runs that end from within: at Ctrl-C, whatever hangs, and at a mistake of the script's own."""

import os
import re
import subprocess
import time
from contextlib import suppress

import pytest
from user import CALLS, NAME, NEW, OLD, add_old_folder, my_drive

NOTHING = "Nothing in Drive was changed."
KEPT = f'"{NAME}" was not replaced by this run.'
COPIES = f"{KEPT} The next run copies what has reached Drive."
EITHER = f'"{NAME}" is still the old folder, or the complete new one: LINK'
IN_PLACE = "The new folder is in place: LINK"
# The steps of a run, how many of CALLS belong to each, and how it leaves Drive there.
STEPS = [
    ("Signing in", 1, NOTHING),
    ("Comparing with Drive", 3, NOTHING),
    ("Creating the folder", 1, KEPT),
    ("Uploading", 4, COPIES),
    ("Looking for other runs", 1, COPIES),
    ("Sharing", 2, COPIES),
    ("Renaming", 1, EITHER),
    ("Removing the old folder", 2, IN_PLACE),
]
ENDS = [(step, left) for step, count, left in STEPS for _ in range(count)]


@pytest.fixture
def user(user, google):
    """An old folder, which is shared, is to be replaced by NEW. The access token has expired."""
    add_old_folder(google, shared=True)
    user.sign_in(expires_in=-10)
    return user


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("place", range(len(CALLS)), ids=[f"{n}-{c}" for n, c in enumerate(CALLS)])
def test_ctrl_c_ends_a_run_whose_call_hangs(user, google, place, moment):
    """The call has no answer until the run has ended. What the last line says of Drive is true."""

    def interrupt(when, call):
        if (when, google.log.index(call)) == (moment, place):
            user.running.interrupt()
            user.running.process.wait(10)

    google.watch(interrupt)
    outcome = user.run()
    step, left = ENDS[place]
    assert [call.operation for call in google.calls()] == CALLS[: place + 1]
    made = google.calls("files.create.metadata")
    link = f"https://drive.google.com/drive/folders/{made[0].file_id}" if "LINK" in left else ""
    said = f"{step}: Interrupted.\n{left.replace('LINK', link)}\n"
    assert (outcome.status, outcome.err) == (130, said)
    assert (NAME, NEW if left == IN_PLACE else OLD) in my_drive(google)


def test_ctrl_c_ends_a_run_that_waits(user, google):
    user.set(FIRST_WAIT=60.0, LONGEST_WAIT=60.0, PATIENCE=300.0)
    google.fail("files.list", "503")
    run = user.start()
    run.said("Trying again in")
    run.interrupt()
    outcome = run.wait(10)
    assert outcome.status == 130
    assert outcome.err.endswith(f"Comparing with Drive: Interrupted.\n{NOTHING}\n")


# Looks up names as a system does whose DNS server is silent: in C, where no signal is heard.
SILENT_DNS = """
import ctypes, signal, socket, sys


def getaddrinfo(*_, **__):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    print("looking up", file=sys.stderr, flush=True)
    ctypes.CDLL(None).sleep(30)


socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.needs("Linux")
def test_ctrl_c_ends_a_run_that_waits_for_dns(user):
    user.hook(SILENT_DNS)
    for name in ("https_proxy", "HTTPS_PROXY"):
        del user.environment[name]
    run = user.start()
    run.said("looking up")
    run.interrupt()
    assert run.wait(10).err == f"looking up\nSigning in: Interrupted.\n{NOTHING}\n"


@pytest.mark.needs("Unix")
@pytest.mark.parametrize("names", [["stderr"], ["stdout", "stderr"]], ids=["stderr", "both"])
def test_second_ctrl_c_ends_a_run_whose_output_nobody_reads(user, google, names):
    user.set(NETWORK_TIMEOUT=60.0)
    google.fail("files.list", "stall")
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while os.write(theirs, b"x" * 4096):
            pass
    os.set_blocking(theirs, True)
    run = user.start(**dict.fromkeys(names, theirs))
    while not google.calls("files.list"):
        time.sleep(0.01)
    for _ in range(100):  # times 0.1 s
        run.interrupt()
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(0.1)
            break
    assert run.process.poll() == 130
    os.close(ours)
    os.close(theirs)


# Sends Ctrl-C at the moment when the script asks for a module.
INTERRUPTED_IMPORT = """
import os, signal, sys


class Interrupting:
    def find_spec(self, name, *_):
        if name == os.environ["HOOK_MODULE"]:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupting())
"""


@pytest.mark.needs("Unix")
@pytest.mark.parametrize("module", ["argparse", "googleapiclient.http"])
def test_ctrl_c_while_the_script_starts_is_silent(user, google, module):
    user.hook(INTERRUPTED_IMPORT, MODULE=module)
    assert user.run(stdin=subprocess.DEVNULL) == (130, "", "")  # with an option: it is not forked
    assert google.calls() == []


MISTAKES = {
    "at the start": ("check", "Starting", NOTHING),
    "in the run": ("make_plan", "Comparing with Drive", NOTHING),
    "in one of the uploads": ("deliver", "Uploading", COPIES),
}


@pytest.mark.parametrize(("function", "step", "left"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_of_the_script_is_called_that(user, google, function, step, left):
    text = user.script.read_text(encoding="utf-8")
    text, count = re.subn(rf"(?s)\ndef {function}\(.*?\) -> .*?:\n", r"\g<0>    1 / 0\n", text)
    assert count == 1
    user.script.write_text(text, encoding="utf-8")
    outcome = user.run()
    assert outcome.status == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert outcome.err.endswith(
        "ZeroDivisionError: division by zero\n"
        f"{step}: This is a mistake in quickstart.py. Please report the lines above.\n{left}\n"
    )
    assert (NAME, OLD) in my_drive(google)
