"""Large files: each is one stream, which goes on from what Google has kept when the line breaks."""

import os
import random
import re

import pytest
from user import NAME, OLD, add_old_folder, at, my_drive

MiB = 1024 * 1024
START, SEND, ASK = "files.create.resumable", "upload.content", "upload.status"
REFRESH = "oauth.token.refresh"
SIZE = 4 * MiB
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture
def user(user, google):
    """One large file is to be uploaded, into a folder that replaces an old one."""
    add_old_folder(google)
    user.files({"big.bin": CONTENT})
    return user


def stream(google):
    """The calls for the file, with the bytes of each request to a session that arrived.

    Without those that httplib2 begins again by itself where a connection breaks, or google-auth
    where a token ends: they must not send anything of the content.
    """
    found = google.calls(START, SEND, ASK, REFRESH, "files.create.multipart")
    steps = [(c.operation, c.sent) if c.operation == SEND else c.operation for c in found]
    return [step for step in steps if step != (SEND, 0)]


def assert_replaced(google, content):
    assert my_drive(google) == [(NAME, content)]


def assert_failed(google, outcome, *says):
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    for words in says:
        assert words in outcome.err
    assert (NAME, OLD) in my_drive(google)


def peak_memory(user):
    """The most bytes of memory that the run has had so far."""
    with open(f"/proc/{user.running.process.pid}/status") as status:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


# ---- Which way a file goes -----------------------------------------------------------------------
WAYS = {
    "empty": (b"", "files.create.multipart"),
    "at the limit": (b"x" * 1000, "files.create.multipart"),
    "above the limit": (b"x" * 1001, START),
    "ends in a carriage return": (b"x\r", START),
    "ends in a line break of Windows": (b"x\r\n", "files.create.multipart"),
}


@pytest.mark.parametrize(("content", "call"), WAYS.values(), ids=WAYS)
def test_small_file_goes_in_one_request_and_a_large_one_in_a_session(user, google, content, call):
    """A request with metadata would swallow a carriage return at the end of the content."""
    user.files({"file": content})
    user.set(MULTIPART_LIMIT=1000)
    assert user.run().status == 0
    assert stream(google) == ([START, (SEND, len(content))] if call == START else [call])
    assert_replaced(google, {"file": content})


# ---- What is waited out --------------------------------------------------------------------------
ALL, HALF = (SEND, SIZE), (SEND, SIZE // 2)
FAULTS = {  # what strikes the requests that send, and those that ask; what the run then does
    "the line breaks": ("cut", "", [HALF, ASK, HALF]),
    "the line breaks, and nothing was kept": ("reset", "", [HALF, ASK, ALL]),
    "it breaks before anything arrives": ("close-unread", "", [ASK, ALL]),
    "it breaks once more when asked": ("cut", "reset", [HALF, ASK, ASK, HALF]),
    "no answer": ("stall", "", [ALL, ASK, ALL]),
    "the answer is lost": ("answer-lost", "", [ALL, ASK]),
    "the answer breaks off": ("body-cut", "", [ALL, ASK]),
    "busy": ("503", "", [ALL, ASK, ALL]),
    "busy, and half was kept": ("503-keep-part", "", [ALL, ASK, HALF]),
    "busy when asked": ("cut", "503 429", [HALF, ASK, ASK, ASK, HALF]),
    "half was kept": ("keep-part", "", [ALL, ASK, HALF]),
    "nothing was kept": ("308-no-range", "", [ALL, ASK, ALL]),
    "all was kept, and Google is not done": ("308-all-kept", "", [ALL, ASK]),
    "it is still not done": ("308-all-kept", "308-all-kept 308-all-kept", [ALL, ASK, ASK, ASK]),
    "the token ends": ("401", "", [ALL, REFRESH, ASK, ALL]),
    "the token ends when asked": ("cut", "401", [HALF, ASK, REFRESH, ASK, HALF]),
    "the session ends, 404": ("session-404", "", [ALL, START, ALL]),
    "the session ends, 410": ("session-410", "", [ALL, START, ALL]),
    "the session ends, 400": ("session-400", "", [ALL, START, ALL]),
    "two sessions end": ("session-404 session-410", "", [ALL, START, ALL, START, ALL]),
    "the session is gone when asked": ("cut", "session-404", [HALF, ASK, START, ALL]),
    "the file is there, the session gone": ("answer-lost", "session-410", [ALL, ASK, START]),
}


@pytest.mark.parametrize(("sending", "asking", "then"), FAULTS.values(), ids=FAULTS)
def test_fault_of_a_stream_is_waited_out(user, google, sending, asking, then):
    """Google is asked what it has before anything is sent again."""
    if sending == "stall":
        user.set(NETWORK_TIMEOUT=0.5)
    google.fail(SEND, *sending.split())
    if asking:
        google.fail(ASK, *asking.split())
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert stream(google) == [START, *then]
    ids = {call.file_id for call in google.calls(START) if call.status == 200}
    assert len(ids) == 1, "it was sent under two ids"
    assert_replaced(google, {"big.bin": CONTENT})


@pytest.mark.line(bandwidth=16_000_000)
@pytest.mark.parametrize(
    ("faults", "then"),
    [(["503"], [ALL, ASK, ALL]), (["503", "cut"], [ALL, ASK, HALF, ASK, HALF])],
    ids=["after a fault", "until it breaks as well"],
)
def test_stream_may_take_longer_than_the_patience(user, google, faults, then):
    """Half of it takes longer here. How much of that has arrived is known when Google is asked."""
    user.set(PATIENCE=0.1)
    google.fail(SEND, *faults)
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert stream(google) == [START, *then]


@pytest.mark.line(bandwidth=16_000_000)
def test_stream_may_take_longer_than_the_timeout(user, google):
    """Which is for each piece that is sent."""
    user.files({"big.bin": bytes(16 * MiB)})
    user.set(NETWORK_TIMEOUT=0.7)
    assert user.run().status == 0
    assert stream(google) == [START, (SEND, 16 * MiB)]


# ---- What ends the run ---------------------------------------------------------------------------
@pytest.mark.parametrize("fault", ["session-404", "session-410", "session-400"])
def test_session_that_google_always_ends_ends_the_run(user, google, fault):
    google.fail(SEND, fault, repeat=None)
    outcome = user.run()
    assert stream(google) == [START, ALL] * 5
    assert_failed(google, outcome, fault[-3:])


def test_sign_in_that_ends_in_mid_stream_ends_the_run(user, google):
    google.fail(SEND, "401")
    google.fail(ASK, "401", repeat=None)
    assert_failed(google, user.run(), "Google does not accept the sign-in any more.")
    assert stream(google) == [START, ALL, REFRESH, ASK, REFRESH, ASK, REFRESH, ASK]


NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google."
FINAL = {
    "403-storageQuotaExceeded": "Drive is full",
    "html-404": NOT_GOOGLE,
    "truncated-json": NOT_GOOGLE,
}


@pytest.mark.parametrize(("fault", "says"), FINAL.items(), ids=FINAL)
def test_final_fault_of_a_session_ends_the_run(user, google, fault, says):
    google.fail(SEND, fault)
    assert_failed(google, user.run(), says)
    assert stream(google) == [START, ALL]


def shrink(path):
    os.truncate(path, MiB)


def grow(path):
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.line(bandwidth=200_000_000)  # so that little is under way
@pytest.mark.parametrize("action", [shrink, grow])
def test_file_that_changes_while_it_is_sent_ends_the_run(user, google, action):
    path = user.write("big.bin", bytes(32 * MiB))
    at(google, "before", SEND, lambda: action(path))
    assert_failed(google, user.run(), f"{path} changed during the run. Run again")


# Reads of files in the folder HOOK_BROKEN fail once there is a file of that name with .now.
FAILING_READS = """
import builtins, errno, io, os

plain_open, broken = io.open, os.environ["HOOK_BROKEN"]


class Failing(io.BufferedReader):
    def read(self, size=-1):
        if os.path.exists(broken + ".now"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def failing_open(file, mode="r", *more, **named):
    if mode == "rb" and os.path.dirname(os.fspath(file)) == broken:
        return Failing(io.FileIO(file))
    return plain_open(file, mode, *more, **named)


io.open = builtins.open = failing_open
"""


@pytest.mark.line(bandwidth=200_000_000)
def test_file_that_cannot_be_read_in_mid_stream_is_named(user, google):
    user.files({"disk/big.bin": bytes(32 * MiB)})
    user.hook(FAILING_READS, BROKEN=user.path / "disk")
    at(google, "before", SEND, lambda: user.write("disk.now", b""))
    outcome = user.run()
    assert_failed(google, outcome, f"{user.path / 'disk' / 'big.bin'} can't be read.")
    assert "Trying again" not in outcome.err


# ---- Memory --------------------------------------------------------------------------------------
@pytest.mark.needs("Linux")
def test_memory_does_not_depend_on_the_size(user, google):
    peaks = []
    for size in (10, 100 * MiB):
        os.truncate(user.write("big.bin", b""), size)
        at(google, "before", "files.update.rename", lambda: peaks.append(peak_memory(user)))
        assert user.run().status == 0
    assert peaks[1] - peaks[0] < 12 * MiB
