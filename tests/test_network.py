"""What goes wrong between the script and Google, or at the script's own end: how long it is waited
out, what is said of it, and how a run ends while it lasts."""

import ast
import errno
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from subprocess import DEVNULL, TimeoutExpired
from typing import Any

import needs
import pytest
import situations
from fake_google import FakeGoogle
from fake_google.client import wait_for
from situations import (
    CHUNK,
    GROWING,
    NAME,
    OLD,
    WORKING_NAME,
    add_old_folder,
    assert_replaced,
    assert_run_replaces,
    folders,
    once,
    prepare,
    prepare_for,
    prepare_shared,
)
from test_output import Terminal
from test_sign_in import run as run_with_user
from workdir import WINDOWS, Outcome, Run, Workdir

AGAIN = "Trying again in"
UNCHANGED = "Nothing in Drive was changed."
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google."
pipes = needs.needs("pipes that can be filled without blocking", not WINDOWS)
signals = pytest.mark.parametrize(
    ("signal", "status"),
    [(Run.interrupt, 130), pytest.param(Run.terminate, 143, marks=needs.sigterm)],
    ids=["SIGINT", "SIGTERM"],
)


def assert_told(outcome: Outcome, *words: str) -> None:
    """The run failed with these words, in few lines, and not by a mistake of its own."""
    assert outcome.status == 1, outcome.err
    assert len(outcome.err.splitlines()) <= 15, "that is too long to be read"
    assert max(map(len, outcome.err.splitlines())) < 1000
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert "mistake in quickstart.py" not in outcome.err


def assert_standing_is_true(
    google: FakeGoogle, outcome: Outcome, content: dict[str, bytes]
) -> None:
    """What the last line says of Drive is how it is there."""
    *_, line = outcome.err.splitlines()
    found = folders(google)
    names = [name for name, _ in found]
    link = line.rpartition("/")[2]
    if line == UNCHANGED:
        assert found == [(NAME, OLD)]
    elif "is in place" in line:
        assert (NAME, content) in found
        assert google.drive.file(link).name == NAME
    elif "complete new one" in line:
        assert (NAME, OLD) in found or (NAME, content) in found
        assert google.drive.file(link).name in (NAME, WORKING_NAME)
    else:
        assert line.startswith(f'"{NAME}" was not replaced')
        assert (NAME, OLD) in found
        assert names.count(NAME) == 1
        if "continues with" in line:
            assert WORKING_NAME in names
        elif "was deleted" in line:
            assert names == [NAME]
        else:
            assert "If the new folder was created" in line


def uploads(google: FakeGoogle) -> list[str]:
    """The operations of the uploads, in their order."""
    return [call.operation for call in google.calls() if call.operation.startswith("upload")]


# ---- Patience ------------------------------------------------------------------------------------


@pytest.mark.line(bandwidth=2_600_000)
@pytest.mark.parametrize("operation", ["files.create.multipart", "upload.middle", "upload.last"])
def test_what_takes_longer_than_the_patience_gets_its_second_try(
    workdir: Workdir, google: FakeGoogle, operation: str
) -> None:
    """Each of these takes 0.2 seconds to send: the patience begins with the fault."""
    content = prepare(workdir) | {"new.txt": os.urandom(CHUNK), "big.bin": os.urandom(3 * CHUNK)}
    workdir.contents(content)
    workdir.set(PATIENCE=0.1)
    google.fail(operation, "503")
    outcome = assert_run_replaces(workdir, content)
    assert outcome.err.count(AGAIN) == 1


BROKEN = ["close-unread", "close-read", "reset"]
STUBBORN = ["503", "429", "408", "html-429", "html-503", *BROKEN]


@pytest.mark.parametrize("fault", STUBBORN)
def test_chunk_that_keeps_failing_is_sent_less_and_less_often(
    workdir: Workdir, google: FakeGoogle, fault: str
) -> None:
    prepare(workdir)
    workdir.set(**GROWING, PATIENCE=0.3)
    google.fail("upload.middle", fault, repeat=None)
    outcome = workdir.run()
    assert_told(outcome, WORKING_NAME)
    first, *rest = uploads(google)
    sent = rest.count("upload.chunk")
    assert first == "upload.chunk"
    assert 2 <= sent <= 6
    assert rest[:-1] == ["upload.chunk", "upload.status"] * (sent - 1), "it was not asked first"
    assert outcome.err.count(AGAIN) == sent - 1, "a promise was not kept"


@pytest.mark.parametrize("fault", STUBBORN)
def test_request_that_keeps_failing_is_sent_less_and_less_often(
    workdir: Workdir, google: FakeGoogle, fault: str
) -> None:
    prepare(workdir)
    workdir.set(FILES=["new.txt"], **GROWING, PATIENCE=0.3)
    google.fail("files.create.multipart", fault, repeat=None)
    outcome = workdir.run()
    assert_told(outcome, WORKING_NAME)
    attempts = outcome.err.count(AGAIN) + 1
    sent = len(google.calls("files.create.multipart"))
    assert 2 <= attempts <= 6
    # When a connection that was in use breaks, httplib2 sends a small request once more by itself.
    assert attempts <= sent <= (2 * attempts if fault in BROKEN else attempts)


CHUNK_FAULTS = [
    *("500", "503", "429", "408", "502-html", "html-503", "503-keep-part"),
    *("close-unread", "close-read", "reset", "stall", "503-early"),
    *("answer-lost", "answer-reset", "head-cut", "head-cut-no-length", "body-cut"),
    *("429-retry-after", "403-userRateLimitExceeded", "403-rateLimitExceeded"),
]


@pytest.mark.parametrize("operation", ["upload.first", "upload.middle", "upload.last"])
@pytest.mark.parametrize("fault", CHUNK_FAULTS)
def test_status_is_asked_for_before_anything_else_is_sent(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    content = prepare(workdir)
    if operation == "upload.last":  # the last chunk has to be long enough for all the faults
        content |= {"big.bin": random.Random(1).randbytes(4 * CHUNK)}
        workdir.contents(content)
    if fault == "stall":
        workdir.set(NETWORK_TIMEOUT=0.5)
    google.retry_after = 0.02
    google.fail(operation, fault)
    outcome = assert_run_replaces(workdir, content)
    calls = google.calls("upload.chunk", "upload.status")
    (failed,) = (number for number, call in enumerate(calls) if call.fault)
    assert calls[failed + 1].operation == "upload.status"
    assert uploads(google).count("upload.status") == 1
    assert outcome.err.count(AGAIN) == 1


def test_patience_begins_anew_when_something_more_has_arrived(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = prepare(workdir)
    workdir.set(FIRST_WAIT=0.05, LONGEST_WAIT=0.05, PATIENCE=0.6)
    for operation in ("upload.first", "upload.middle", "upload.last"):
        google.fail(operation, *["503"] * 6)
    google.fail("upload.middle", *["503"] * 6, after=1)
    assert_run_replaces(workdir, content)


def test_session_that_loses_what_it_had_is_given_up(workdir: Workdir, google: FakeGoogle) -> None:
    """Google holds less than it said before, again and again: nothing more has arrived."""
    prepare(workdir)
    workdir.set(**GROWING, PATIENCE=0.3)
    google.fail("upload.middle", "308-no-range", repeat=None)
    assert_told(workdir.run(timeout=10), WORKING_NAME)
    assert len(uploads(google)) < 30


@pytest.mark.parametrize("operation", ["upload.first", "upload.middle", "upload.last"])
@pytest.mark.parametrize("fault", ["session-404", "session-410"])
def test_session_that_google_always_ends_is_given_up(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    prepare(workdir)
    google.fail(operation, fault, repeat=None)
    assert_told(workdir.run(), "big.bin", "10 times", WORKING_NAME)
    assert len(google.calls("files.create.resumable")) == 10


@pytest.mark.parametrize("operation", ["upload.first", "upload.last"])
@pytest.mark.parametrize("fault", ["session-404", "session-410"])
def test_session_that_is_gone_when_asked_for_its_status_starts_over(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    content = prepare(workdir)
    google.fail(operation, "503")
    google.fail("upload.status", fault)
    assert_run_replaces(workdir, content)
    assert len(google.calls("files.create.resumable")) == 2


@pytest.mark.parametrize("operation", ["files.create.multipart", "files.create.resumable"])
def test_not_found_without_a_session_is_final(
    workdir: Workdir, google: FakeGoogle, operation: str
) -> None:
    prepare(workdir)
    google.fail(operation, "404-notFound", repeat=None)
    outcome = workdir.run()
    assert_told(outcome, "out of reach", WORKING_NAME)
    # The next of two small files may have begun when the first has failed.
    assert len(google.calls(operation)) <= 2
    assert AGAIN not in outcome.err


# ---- Retry-After ---------------------------------------------------------------------------------


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


TOO_LONG: dict[str, tuple[Callable[[], float | str], str]] = {
    "seconds": (lambda: 5000, r"1:23:20"),
    "a day in seconds": (lambda: 86400, r"1 day, 0:00:00"),
    "a date": (lambda: date_in(3600), r"(0:59:\d\d|1:00:00)"),
}
FINAL_CALLS = [
    ("files.list", "429-retry-after"),
    ("files.create.metadata", "503-retry-after"),
    ("files.create.multipart", "429-retry-after"),
    ("upload.middle", "503-retry-after"),
]


@pytest.mark.parametrize(("operation", "fault"), FINAL_CALLS)
@pytest.mark.parametrize(("wish", "told"), TOO_LONG.values(), ids=TOO_LONG.keys())
def test_longer_wish_than_the_patience_ends_the_run_at_once(
    workdir: Workdir,
    google: FakeGoogle,
    operation: str,
    fault: str,
    wish: Callable[[], float | str],
    told: str,
) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.retry_after = wish()
    google.fail(operation, fault)
    outcome = workdir.run()
    assert_told(outcome)
    assert re.search(rf"Google asks to wait {told}\. Run again then\.", outcome.err), outcome.err
    assert len([call for call in google.calls(operation) if call.fault]) == 1
    assert AGAIN not in outcome.err


KEPT: dict[str, tuple[Callable[[], float | str], float]] = {
    "seconds": (lambda: 0.3, 0.3),
    "a date": (lambda: date_in(2.5), 1.4),  # in whole seconds
    "a date gone by": (lambda: date_in(-100), 0.0),
    "nonsense": (lambda: "soon", 0.0),
    "nothing": (lambda: "", 0.0),
    "a negative number": (lambda: "-5", 0.0),
    "no number": (lambda: "nan", 0.0),
    "without end": (lambda: "inf", 0.0),
}


@pytest.mark.parametrize(("wish", "least"), KEPT.values(), ids=KEPT.keys())
def test_wish_within_the_patience_is_followed(
    workdir: Workdir, google: FakeGoogle, wish: Callable[[], float | str], least: float
) -> None:
    content = prepare(workdir)
    google.retry_after = ""

    def ask() -> None:
        google.retry_after = wish()

    once(google, "before", "files.generateIds", ask)
    google.fail("files.generateIds", "429-retry-after")
    assert_run_replaces(workdir, content)
    first, second = google.calls("files.generateIds")
    assert least <= second.started - (first.ended or 0) < least + 2


# ---- Copies --------------------------------------------------------------------------------------

NO_COPIES = [
    *("503", "429", "400-badRequest", "404-notFound", "403-forbidden", "502-html", "html-503"),
    *("close-unread", "close-read", "reset", "stall"),
    *("answer-lost", "answer-reset", "head-cut", "head-cut-no-length", "body-cut"),
    *("truncated-json", "empty-object", "empty-list", "part-missing"),
]


@pytest.mark.parametrize("fault", NO_COPIES)
def test_what_no_batch_copies_is_uploaded_after_one_patience(
    workdir: Workdir, google: FakeGoogle, fault: str
) -> None:
    """With a patience for each of the batches, this would take 4 seconds."""
    content = {f"{number}.txt": b"%d" % number for number in range(40)}
    workdir.contents(content)
    workdir.set(BATCH_SIZE=2, COPY_PATIENCE=0.2, **GROWING)
    workdir.sign_in()
    folder = google.drive.add_folder(NAME)
    for name, data in content.items():
        google.drive.add_file(name, data, parent=folder.id)
    if fault == "stall":
        workdir.set(NETWORK_TIMEOUT=0.2)
    google.fail("batch", fault, repeat=None)
    assert_run_replaces(workdir, content)
    first, *_, last = google.calls("batch") * 2
    assert last.started - first.started < 1.5
    assert len(google.calls("batch")) < 15


def test_patience_with_copies_begins_anew_when_some_are_made(
    workdir: Workdir, google: FakeGoogle
) -> None:
    """Each second batch fails once, and all waits together are longer than the patience."""
    content = {f"{number}.txt": b"%d" % number for number in range(16)}
    workdir.contents(content)
    workdir.set(BATCH_SIZE=2, COPY_PATIENCE=0.12, FIRST_WAIT=0.1, LONGEST_WAIT=0.1)
    workdir.sign_in()
    folder = google.drive.add_folder(NAME)
    for name, data in content.items():
        google.drive.add_file(name, data, parent=folder.id)
    for _ in range(7):
        google.fail("batch", "429", after=1)
    outcome = workdir.run()
    assert "0 uploaded, 16 unchanged" in outcome.out, outcome.err
    assert_replaced(google, content)


def test_batches_that_are_told_to_wait_long_are_given_up_at_once(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.retry_after = 86400
    google.fail("batch", "429-retry-after")
    outcome = workdir.run()
    assert (outcome.status, outcome.err.count(AGAIN)) == (0, 0), outcome.err
    assert "3 uploaded, 0 unchanged" in outcome.out
    assert_replaced(google, content)


# ---- Answers without end, or of another shape ----------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2], ids=["folders", "children", "folders at the end"])
def test_page_token_that_comes_again_is_an_error(
    workdir: Workdir, google: FakeGoogle, after: int
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.fail("files.list", "page-token-again", after=after, repeat=None)
    outcome = workdir.run(timeout=20)
    assert_told(outcome, "Drive did not list everything. Run again.")
    assert_standing_is_true(google, outcome, content)
    assert len(google.calls("files.list")) < 6


def test_ids_that_never_come_are_an_error(workdir: Workdir, google: FakeGoogle) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.fail("files.generateIds", "no-ids", repeat=None)
    outcome = workdir.run(timeout=20)
    assert_told(outcome, "IDs", UNCHANGED)
    assert_standing_is_true(google, outcome, content)
    assert len(google.calls("files.generateIds")) < 4


SHAPED = [
    *("oauth.token.refresh", "files.list", "files.generateIds", "files.create.metadata"),
    *("files.create.multipart", "upload.first", "upload.last", "upload.status"),
    *("files.update.rename", "files.update.trash", "permissions.list", "permissions.create"),
]


@pytest.mark.parametrize("operation", SHAPED)
@pytest.mark.parametrize("fault", ["empty-object", "empty-list", "empty-body", "truncated-json"])
def test_answer_of_another_shape_ends_in_a_few_calls(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    content = prepare_for(workdir, google, operation)
    workdir.set(**GROWING, PATIENCE=0.2)
    google.fail(operation, fault, repeat=None)
    outcome = workdir.run(timeout=20)
    assert len(google.log) < 40
    if outcome.status:
        assert_told(outcome)
        assert_standing_is_true(google, outcome, content)
    else:
        assert_replaced(google, content)


# ---- What is in between --------------------------------------------------------------------------

PAGE_CALLS = [
    *("oauth.token.refresh", "files.list", "files.generateIds", "files.create.metadata"),
    *("files.create.multipart", "files.create.resumable", "upload.middle"),
    *("files.update.rename", "files.update.trash", "files.delete", "permissions.list"),
]


@pytest.mark.parametrize("operation", PAGE_CALLS)
@pytest.mark.parametrize("status", [200, 403, 404, 407, 503])
def test_long_page_is_called_what_it_is(
    workdir: Workdir, google: FakeGoogle, operation: str, status: int
) -> None:
    """The page's words, such as notFound and invalid_grant, are none of Google's reasons."""
    content = prepare_for(workdir, google, operation)
    workdir.set(**GROWING, PATIENCE=0.1)
    google.fail(operation, f"html-{status}", repeat=None)
    outcome = workdir.run()
    assert_told(outcome)
    assert_standing_is_true(google, outcome, content)
    assert "this is no" not in outcome.err, "the page was printed"
    assert "7 days" not in outcome.err
    assert google.calls("oauth.consent") == []
    is_passing = status == 503  # as Google's own are, which are pages, too
    assert (AGAIN in outcome.err) == is_passing
    if (operation, status) == ("upload.middle", 404):
        assert "10 times" in outcome.err  # what Google itself says of a lost session is no JSON
    elif not is_passing:
        assert NOT_GOOGLE in outcome.err


def test_long_page_in_place_of_the_files_of_a_folder_is_not_taken_for_none(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.fail("files.list", "html-404", after=1)
    outcome = workdir.run()
    assert_told(outcome, NOT_GOOGLE, UNCHANGED)
    assert_standing_is_true(google, outcome, content)


@pytest.mark.parametrize("operation", ["files.create.multipart", "upload.first", "upload.middle"])
@pytest.mark.parametrize("fault", ["403-storageQuotaExceeded-early", "503-early"])
def test_answer_that_comes_while_the_content_is_on_its_way_is_heard(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    content = prepare(workdir) | {"big.bin": os.urandom(16 * CHUNK)}
    content |= {"new.txt": os.urandom(8 * CHUNK)}
    workdir.contents(content)
    workdir.set(CHUNK_SIZE=8 * CHUNK, MULTIPART_LIMIT=8 * CHUNK)
    if operation == "upload.middle":
        workdir.set(CHUNK_SIZE=7 * CHUNK)
    add_old_folder(google)
    google.fail(operation, fault)
    outcome = workdir.run()
    if fault == "503-early":
        assert outcome.status == 0, outcome.err
        assert "503 backendError" in outcome.err
        assert_replaced(google, content)
    else:
        assert_told(outcome, "Google Drive is full.")
        assert AGAIN not in outcome.err
        assert folders(google) == [(NAME, OLD)]


@pytest.mark.parametrize("variable", ["HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("file", ["without certificates", "missing"])
def test_certificates_that_are_none_are_told_at_once(
    workdir: Workdir, google: FakeGoogle, variable: str, file: str
) -> None:
    """Only the exchange of a code for a token heeds the second of the variables."""
    path = workdir.path / "ca.pem"
    if file != "missing":
        path.write_text("no certificate\n", encoding="utf-8")
    workdir.files(a_txt=b"a")
    if variable == "HTTPLIB2_CA_CERTS":
        workdir.sign_in()
    google.consent.answer = "allow"
    workdir.environment[variable] = str(path)
    outcome = run_with_user(workdir)
    assert outcome.status in (1, 2), outcome.err
    assert variable in outcome.err or str(path) in outcome.err
    assert AGAIN not in outcome.err
    assert "Traceback" not in outcome.err
    assert google.drive.everything() == []


PROXIES = [
    "http://me:s3cr[et@proxy.example.com:8080",
    "http://me:s3cr]et@proxy.example.com:8080",
    "http://me:s3cr/et@proxy.example.com:8080",
    "http://me:s3cr?et@proxy.example.com:8080",
    "http://me:s3cr#et@proxy.example.com:8080",
    "http://me:s3cret@proxy.example.com:http",
    "http://me:s3cret@proxy.example.com:99999999",
    "http://me:s3cret@proxy.example.com:-1",
    "me:s3cret@proxy.example.com",
    "socks5://me:s3cret@127.0.0.1:1",
    "http://me:s3cret@127.0.0.1:1",
]


@pytest.mark.parametrize("address", PROXIES)
@pytest.mark.parametrize("token", ["token.json", "consent"])
def test_password_of_a_proxy_is_not_shown(
    workdir: Workdir, google: FakeGoogle, address: str, token: str
) -> None:
    workdir.files(a_txt=b"a")
    workdir.set(**GROWING, PATIENCE=0.1, NETWORK_TIMEOUT=1.0, SIGN_IN_TIMEOUT=0.1)
    if token == "token.json":
        workdir.sign_in()
    workdir.environment |= dict.fromkeys(("https_proxy", "HTTPS_PROXY"), address)
    outcome = workdir.run()
    assert outcome.status in (1, 2), outcome.err
    assert "s3cr" not in outcome.out + outcome.err
    assert "Traceback" not in outcome.err
    assert "mistake in quickstart.py" not in outcome.err


# ---- The script's own end ------------------------------------------------------------------------


def break_function(workdir: Workdir, name: str, statement: str) -> int:
    """Have a function of the script begin with a mistake. Return the number of its line."""
    text = workdir.script.read_text(encoding="utf-8")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    (first,) = (node.body[0] for node in nodes if node.name == name)
    lines = text.split("\n")
    lines.insert(first.lineno - 1, " " * first.col_offset + statement)
    workdir.script.write_text("\n".join(lines), encoding="utf-8")
    return first.lineno


MISTAKES = {
    "read_token": ('{}["refresh_token"]', "KeyError: 'refresh_token'"),
    "find_folders": ("None.name", "AttributeError: 'NoneType' object has no attribute 'name'"),
    "find_sources": ("[][0]", "IndexError: list index out of range"),
    "digest": ("undefined", "NameError: name 'undefined' is not defined"),
    "generate_ids": ("1 + ''", "TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
    "create_folder": ("assert not 'sense'", "AssertionError"),
    "copy_files": ("int('x')", "ValueError: invalid literal for int() with base 10: 'x'"),
    "upload_file": ("1 / 0", "ZeroDivisionError: division by zero"),
    "verify": ("{}[1]", "KeyError: 1"),
    "getbytes": ("'a'.encode('x')", "LookupError: unknown encoding: x"),
    "rename": ("next(iter([]))", "StopIteration"),
}


@pytest.mark.parametrize(
    ("function", "statement", "told"), [(name, *row) for name, row in MISTAKES.items()]
)
def test_mistake_of_its_own_is_called_that(
    workdir: Workdir, google: FakeGoogle, function: str, statement: str, told: str
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    line = break_function(workdir, function, statement)
    outcome = workdir.run()
    assert outcome.status == 1
    *_, what, _ = outcome.err.splitlines()
    assert "This is a mistake in quickstart.py" in what
    assert told in what
    assert f"line {line})" in what
    assert AGAIN not in outcome.err
    assert "Traceback" not in outcome.err
    assert_standing_is_true(google, outcome, content)


# Loaded by Python itself before the script: reads from FILES fail with the number in a file of this
# name, once that is there.
FAILING_READS = """
import builtins, io, os

fault = os.environ["HOOK_FAULT"]
plain_open = io.open


class Failing(io.BufferedReader):
    def fail(self):
        if os.path.exists(fault):
            with plain_open(fault) as file:
                number = int(file.read())
            raise OSError(number, os.strerror(number))

    def read(self, size=-1):
        self.fail()
        return super().read(size)

    def readinto(self, buffer):
        self.fail()
        return super().readinto(buffer)


def failing_open(file, mode="r", *more, **named):
    if mode == "rb" and os.path.dirname(str(file)) == os.environ["HOOK_FAULTS_IN"]:
        return Failing(io.FileIO(os.fspath(file)))
    return plain_open(file, mode, *more, **named)


io.open = builtins.open = failing_open
"""


FILE_ERRORS = ["EIO", "EINVAL", "ETIMEDOUT", "ECONNRESET", "EPIPE", "ENOTCONN"]
READS = {
    "for its digest": ("files.list", "same.txt"),
    "for one request": ("files.create.metadata", "server_error notFound.txt"),
    "for a chunk": ("files.create.resumable", "big.bin"),
}


@pytest.mark.parametrize("error", FILE_ERRORS)
@pytest.mark.parametrize(("operation", "name"), READS.values(), ids=READS.keys())
def test_file_that_fails_in_the_middle_is_named(
    workdir: Workdir, google: FakeGoogle, operation: str, name: str, error: str
) -> None:
    content = prepare(workdir) | {"server_error notFound.txt": b"words in a path are no reasons"}
    content = {f"files/{entry}": content[entry] for entry in ("same.txt", name) if entry in content}
    workdir.contents(content)
    add_old_folder(google)
    fault = workdir.path / "fault"
    workdir.hook(FAILING_READS, FAULT=fault, FAULTS_IN=workdir.path / "files")
    number = getattr(errno, error)
    once(google, "before", operation, lambda: fault.write_text(str(number), encoding="utf-8"))
    outcome = workdir.run()
    path = workdir.path / "files" / name
    assert_told(outcome, f"{path} can't be read. ({os.strerror(number)})")
    assert AGAIN not in outcome.err
    assert_standing_is_true(google, outcome, {"": b""})


@needs.file_modes
def test_file_whose_permission_vanishes_is_named(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    path = workdir.path / "new.txt"

    once(google, "before", "files.create.metadata", lambda: path.chmod(0))
    outcome = workdir.run(as_root=False)
    assert_told(outcome, f"{path} can't be read. (Permission denied)")
    assert AGAIN not in outcome.err


# ---- The last line -------------------------------------------------------------------------------

CALLS = ["upload.chunk" if call.startswith("upload") else call for call in situations.CALLS]


@pytest.mark.parametrize("number", range(len(CALLS)), ids=[f"{n} {c}" for n, c in enumerate(CALLS)])
@pytest.mark.parametrize("moment", ["before", "after", "meanwhile"])
def test_last_line_of_a_run_that_was_interrupted_is_true(
    workdir: Workdir, google: FakeGoogle, number: int, moment: str
) -> None:
    content = prepare_shared(workdir, google)

    def end(when: str, call: Any) -> None:
        if google.log.index(call) == number and when == moment.replace("meanwhile", "after"):
            workdir.running.interrupt()
            if moment != "meanwhile":
                workdir.running.process.wait(10)

    google.watch(end)
    outcome = workdir.run()
    if (moment, CALLS[number], outcome.status) == ("meanwhile", CALLS[-1], 0):
        return  # it was done by then
    assert outcome.status == 130
    assert "Traceback" not in outcome.err
    google.server.stop_listening()
    assert_standing_is_true(google, outcome, content)


REFUSALS = {
    "refused": ["400-badRequest"],
    "Drive is full": ["403-storageQuotaExceeded"],
    "out of order": ["503"],
    "done, but nobody heard of it": ["answer-lost"],
}


@pytest.mark.parametrize("operation", list(dict.fromkeys(CALLS))[1:])
@pytest.mark.parametrize("faults", REFUSALS.values(), ids=REFUSALS.keys())
def test_last_line_of_a_run_that_was_refused_is_true(
    workdir: Workdir, google: FakeGoogle, operation: str, faults: list[str]
) -> None:
    content = prepare_shared(workdir, google)
    workdir.set(**GROWING, PATIENCE=0.1, COPY_PATIENCE=0.1)
    google.fail(operation, *faults, repeat=None)
    outcome = workdir.run()
    assert "Traceback" not in outcome.err
    if outcome.status:
        assert_told(outcome)
        assert_standing_is_true(google, outcome, content)
    else:
        assert_replaced(google, content)


# ---- Signals -------------------------------------------------------------------------------------

HANGING = [call for call in dict.fromkeys(CALLS) if call != "upload.chunk"]
HANGING += ["upload.first", "upload.last", "upload.status"]


@pytest.mark.parametrize("operation", HANGING)
@signals
def test_first_signal_ends_a_run_whose_call_hangs(
    workdir: Workdir,
    google: FakeGoogle,
    operation: str,
    signal: Callable[[Run], None],
    status: int,
) -> None:
    content = prepare_shared(workdir, google)
    workdir.set(NETWORK_TIMEOUT=60.0)
    if operation == "upload.status":
        google.fail("upload.middle", "503")
    google.fail(operation, "stall")
    sent: list[float] = []

    def end() -> None:
        sent.append(time.monotonic())
        signal(workdir.running)

    once(google, "before", operation, end)
    outcome = workdir.run()
    assert time.monotonic() - sent[0] < 2
    assert outcome.status == status
    assert "Traceback" not in outcome.err
    google.server.stop_listening()
    assert_standing_is_true(google, outcome, content)


@signals
def test_first_signal_ends_a_run_that_waits(
    workdir: Workdir, google: FakeGoogle, signal: Callable[[Run], None], status: int
) -> None:
    prepare(workdir)
    workdir.set(FIRST_WAIT=60.0, LONGEST_WAIT=60.0, PATIENCE=300.0)
    google.fail("files.list", "503")
    run = workdir.start()
    assert run.process.stderr
    assert AGAIN in run.process.stderr.readline()
    began = time.monotonic()
    signal(run)
    outcome = run.wait()
    assert time.monotonic() - began < 2
    assert outcome.status == status
    assert outcome.err.splitlines()[-1] == UNCHANGED


# Looks up names as a system does whose DNS server is silent: in C, where no signal is heard.
HANGING_DNS = """
import ctypes, os, signal, socket

def getaddrinfo(*_, **__):
    os.write(int(os.environ["HOOK_HANGS"]), b"now")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    ctypes.CDLL(None).sleep(30)
    raise socket.gaierror(-3, "Temporary failure in name resolution")

socket.getaddrinfo = getaddrinfo
"""


@pipes
@signals
def test_first_signal_ends_a_run_that_waits_for_dns(
    workdir: Workdir, signal: Callable[[Run], None], status: int
) -> None:
    prepare(workdir)
    for name in ("https_proxy", "HTTPS_PROXY"):
        del workdir.environment[name]
    ours, theirs = os.pipe()
    workdir.hook(HANGING_DNS, HANGS=theirs)
    run = workdir.start(pass_fds=[theirs])
    os.close(theirs)
    assert os.read(ours, 3) == b"now"
    os.close(ours)
    began = time.monotonic()
    signal(run)
    outcome = run.wait()
    assert time.monotonic() - began < 2
    assert outcome.status == status
    assert outcome.err.splitlines()[-1] == UNCHANGED


@contextmanager
def full_pipe() -> Iterator[int]:
    """An end to write to, of a pipe that is full and that nobody reads."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    try:
        while os.write(theirs, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(theirs, True)
    yield theirs
    os.close(ours)
    os.close(theirs)


BLOCKED = {
    "a call hangs": (["stderr"], "files.list", "stall"),
    "a call hangs, and nothing is read": (["stdout", "stderr"], "files.list", "stall"),
    "it says that it tries again": (["stdout", "stderr"], "files.list", "503"),
    "it says what it has copied": (["stdout"], "batch", "slow"),
    "it says what it has copied, and nothing is read": (["stdout", "stderr"], "batch", "slow"),
}


@pipes
@pytest.mark.parametrize(("full", "operation", "fault"), BLOCKED.values(), ids=BLOCKED.keys())
@signals
def test_second_signal_ends_a_run_whose_output_nobody_reads(
    workdir: Workdir,
    google: FakeGoogle,
    full: list[str],
    operation: str,
    fault: str,
    signal: Callable[[Run], None],
    status: int,
) -> None:
    prepare(workdir)
    add_old_folder(google)
    workdir.set(NETWORK_TIMEOUT=60.0)
    google.fail(operation, fault)
    came = threading.Event()
    google.watch(lambda moment, call: came.set() if call.operation == operation else None)
    with ExitStack() as stack:
        streams: dict[str, Any] = {name: stack.enter_context(full_pipe()) for name in full}
        run = workdir.start(**streams)
        assert came.wait(30)
        began = time.monotonic()
        while run.process.poll() is None and time.monotonic() < began + 3:
            signal(run)
            with suppress(TimeoutExpired):
                run.process.wait(0.1)
        run.process.kill()
    assert run.process.wait() == status


# Sends Ctrl-C at the moment when the script asks for a module.
INTERRUPTED_IMPORT = """
import os, signal, sys


class Interrupting:
    def find_spec(self, name, *_):
        if name == os.environ["HOOK_INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupting())
"""


@needs.sigterm
@pytest.mark.parametrize(
    "module",
    ["argparse", "http.client", "httplib2", "googleapiclient.discovery", "googleapiclient.http"],
)
def test_ctrl_c_while_the_script_starts_is_silent(
    workdir: Workdir, google: FakeGoogle, module: str
) -> None:
    prepare(workdir)
    workdir.hook(INTERRUPTED_IMPORT, is_early=True, INTERRUPT_AT=module)
    outcome = workdir.run()
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "")
    assert google.log == []


@pytest.mark.parametrize("milliseconds", range(0, 100, 5))
def test_ctrl_c_in_the_first_moments_shows_no_traceback_of_the_script(
    workdir: Workdir, milliseconds: int
) -> None:
    """Until its first statements have run, it is Python that hears of it."""
    prepare(workdir)
    lines = workdir.script.read_text(encoding="utf-8").split("\n")
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("signal.signal"))
    run = workdir.start(stdin=DEVNULL)  # which no forked run has: this one starts from nothing
    with suppress(TimeoutExpired):
        run.process.wait(milliseconds / 1000)
    run.interrupt()
    outcome = run.wait()
    # Python itself may swallow the signal while it starts, and say so.
    assert outcome.status != 0 or "KeyboardInterrupt" in outcome.err
    shown = re.findall(r'quickstart\.py", line (\d+)', outcome.err)
    assert all(int(number) <= first for number in shown), outcome.err


# ---- A sign-in that dies -------------------------------------------------------------------------

SIGNED_IN_CALLS = CALLS[1:]  # of a run whose token is still valid when it begins
FIRST_CHANGE = SIGNED_IN_CALLS.index("files.create.metadata")


def revoke_before(google: FakeGoogle, token: dict[str, Any], number: int) -> None:
    """Have the sign-in end just before this call."""

    def revoke(moment: str, call: Any) -> None:
        if moment == "before" and google.log.index(call) == number:
            google.service.watchers.clear()
            google.revoke(token, access=True)

    google.watch(revoke)


def ids(calls: list[str]) -> list[str]:
    return [f"{number} {call}" for number, call in enumerate(calls)]


@pytest.fixture
def signed_in(workdir: Workdir, google: FakeGoogle) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The content of FILES, and the token of a sign-in. The user would allow a new one."""
    content = prepare_shared(workdir, google)
    google.consent.answer = "allow"
    return content, workdir.sign_in()


Given = tuple[dict[str, bytes], dict[str, Any]]
READING = ids(SIGNED_IN_CALLS[:FIRST_CHANGE])
CHANGING = ids(SIGNED_IN_CALLS)[FIRST_CHANGE:]


@pytest.mark.parametrize("number", range(FIRST_CHANGE), ids=READING)
def test_sign_in_that_dies_before_anything_was_sent_is_asked_for_again(
    workdir: Workdir, google: FakeGoogle, signed_in: Given, number: int
) -> None:
    content, token = signed_in
    revoke_before(google, token, number)
    outcome = run_with_user(workdir)
    assert outcome.status == 0, outcome.err
    assert "Your sign-in has expired or was revoked" in outcome.err
    assert len(google.calls("oauth.consent")) == 1
    assert len(google.calls("files.create.metadata")) == 1
    assert_replaced(google, content)


@pytest.mark.parametrize("number", range(FIRST_CHANGE, len(SIGNED_IN_CALLS)), ids=CHANGING)
def test_sign_in_that_dies_later_ends_the_run(
    workdir: Workdir, google: FakeGoogle, signed_in: Given, number: int
) -> None:
    content, token = signed_in
    workdir.set(PARALLEL_UPLOADS=4)
    revoke_before(google, token, number)
    outcome = run_with_user(workdir)
    assert_told(outcome, "Your sign-in has expired or was revoked")
    assert_standing_is_true(google, outcome, content)
    assert google.calls("oauth.consent") == []
    assert len(google.calls("files.create.metadata")) == 1
    outcome = run_with_user(workdir)
    assert outcome.status == 0, outcome.err
    assert len(google.calls("oauth.consent")) == 1
    assert_replaced(google, content)


@pytest.mark.parametrize(("operation", "consents"), [("files.list", 1), ("upload.middle", 0)])
def test_token_that_drive_always_refuses_ends_the_run(
    workdir: Workdir, google: FakeGoogle, signed_in: Given, operation: str, consents: int
) -> None:
    content, _ = signed_in
    google.fail(operation, "401", repeat=None)
    outcome = run_with_user(workdir)
    assert outcome.status == 1
    assert len(google.calls("oauth.consent")) == consents
    assert len(google.calls("files.create.metadata")) <= 1
    assert_standing_is_true(google, outcome, content)


# ---- Progress ------------------------------------------------------------------------------------

LINE = re.compile(r"(\w+)  (\d+)%  ([\d.]+) (bytes|kB|MB) of ([\d.]+ \w+)  ")


@needs.terminals
@pytest.mark.line(bandwidth=16_000_000)
@pytest.mark.parametrize("faults", [[], ["503"], ["keep-part"], ["answer-lost"], ["session-404"]])
def test_progress_counts_each_byte_once(
    workdir: Workdir, google: FakeGoogle, faults: list[str]
) -> None:
    size = 8 * CHUNK  # more than the system holds on its own on the way
    workdir.contents({"big.bin": os.urandom(3 * size), "small.bin": os.urandom(size)})
    workdir.set(CHUNK_SIZE=size, MULTIPART_LIMIT=size, PARALLEL_UPLOADS=2)
    workdir.sign_in()
    if faults:
        google.fail("upload.middle", *faults)
    terminal = Terminal(100)

    def look(moment: str, call: Any) -> None:
        """Hold each chunk until a further line is shown, however busy the machine is."""
        if (moment, call.operation) == ("before", "upload.chunk"):
            count = terminal.data.count(b"%")
            wait_for(lambda: terminal.data.count(b"%") > count)

    google.watch(look)
    assert terminal.run(workdir) == 0
    shown = LINE.findall(terminal.text)
    percents = [int(percent) for _, percent, *_ in shown]
    assert {(title, total) for title, *_, total in shown} == {("Uploading", "16.8 MB")}
    assert len(set(percents)) > 3
    assert percents[-1] == 100
    assert percents[0] < 50
    falls = [before - after for before, after in itertools.pairwise(percents) if after < before]
    # What is sent a second time is taken back first: a chunk, or with a new session all of a file.
    most = 0 if not faults else 100 if faults == ["session-404"] else 30
    assert sum(falls) <= most
    assert len(falls) <= len(faults)


@needs.terminals
def test_progress_of_files_that_are_only_read_is_no_progress_of_an_upload(
    workdir: Workdir, google: FakeGoogle
) -> None:
    content = {"same.bin": os.urandom(3 * CHUNK)}
    workdir.contents(content)
    workdir.sign_in()
    folder = google.drive.add_folder(NAME)
    google.drive.add_file("same.bin", content["same.bin"], parent=folder.id)
    terminal = Terminal(100)
    assert terminal.run(workdir) == 0
    assert {title for title, *_ in LINE.findall(terminal.text)} == {"Checking"}
