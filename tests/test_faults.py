"""What goes wrong between the script and Google: what is waited out, what ends the run.

All calls pass one transport and one patience. So all faults strike at one call, and two faults at
all calls. Each row has the exact list of calls, which shows whether a fault was waited out, what
was asked before anything was sent again, and that nothing was sent twice.
"""

import re

import pytest
import trustme
from user import CALLS, NAME, NEW, OLD, WORKING_NAME, add_old_folder, at, my_drive, trash

# A clock for the script, by which nothing but waiting takes time, and that at once.
CLOCK = """
import time

now = 1000.0


def sleep(seconds):
    global now
    now += seconds


time.sleep, time.monotonic = sleep, lambda: now
"""
AGAIN = r"Trying again in ([\d.]+) s"
NOT_GOOGLE = "A proxy or Wi-Fi answered instead of Google."
NOT_REPLACED = f'"{NAME}" was not replaced by this run.'
IN_EARNEST = {"FIRST_WAIT": 1.0, "LONGEST_WAIT": 64.0, "PATIENCE": 900.0, "COPY_PATIENCE": 30.0}

# The calls that come after a fault, where it is not only the same one once more.
CREATED = ("files.create.metadata", "files.copy", "files.create.multipart")
AFTER_503 = {"upload.content": ["upload.status", "upload.content"]}
AFTER_LOST_ANSWER = {call: [call, "files.get"] for call in CREATED}
AFTER_LOST_ANSWER |= {"upload.content": ["upload.status"]}


@pytest.fixture
def user(user, google):
    """An old folder, which is shared, is to be replaced by NEW. The access token has expired."""
    add_old_folder(google, shared=True)
    user.sign_in(expires_in=-10)
    user.hook(CLOCK)
    return user


def calls(google):
    """Without those to a session that httplib2 begins again by itself, and then can't send."""
    return [c.operation for c in google.calls() if (c.operation, c.sent) != ("upload.content", 0)]


def until(call):
    """The calls of a run that ends at the first such call."""
    return CALLS[: CALLS.index(call) + 1]


def with_more(place, more):
    """The calls of a run that makes more calls after the one at this place."""
    return CALLS[: place + 1] + more + CALLS[place + 1 :]


def waits(outcome):
    return [float(seconds) for seconds in re.findall(AGAIN, outcome.err)]


def assert_replaced(google):
    assert my_drive(google) == [(NAME, NEW)]
    assert trash(google) == [(NAME, OLD)]


def assert_failed(google, outcome, *says, left=NOT_REPLACED):
    """The run ended, with these words. The last line, which is true, is how it left Drive."""
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    for words in says:
        assert words in outcome.err
    assert outcome.err.splitlines()[-1].startswith(left)
    assert (NAME, OLD) in my_drive(google)


# ---- What is waited out --------------------------------------------------------------------------
SENT_AGAIN = ["files.create.multipart"]
FOUND = [*SENT_AGAIN, "files.get"]  # by its id, since Drive refuses to create the file again
PASSING = {
    "500": (["500"], SENT_AGAIN),
    "503 twice": (["503", "503"], SENT_AGAIN * 2),
    "429": (["429"], SENT_AGAIN),
    "429 with a page": (["html-429"], SENT_AGAIN),
    "408": (["408"], SENT_AGAIN),
    "403 userRateLimitExceeded": (["403-userRateLimitExceeded"], SENT_AGAIN),
    "403 rateLimitExceeded": (["403-rateLimitExceeded"], SENT_AGAIN),
    "502 with Google's page": (["502-html"], SENT_AGAIN),
    "401": (["401"], ["oauth.token.refresh", *SENT_AGAIN]),
    "closed": (["close-read"], SENT_AGAIN),
    "reset": (["reset"], SENT_AGAIN),
    "no answer": (["stall"], SENT_AGAIN),
    "late answer": (["slow"], FOUND),
    "answer lost": (["answer-lost"], FOUND),
    "answer reset": (["answer-reset"], FOUND),
    "answer cut": (["body-cut"], FOUND),
}


@pytest.mark.parametrize(("faults", "more"), PASSING.values(), ids=PASSING)
def test_fault_is_waited_out(user, google, faults, more):
    google.slowness = 0.8
    if {"stall", "slow"} & {*faults}:
        user.set(NETWORK_TIMEOUT=0.5)
    google.fail("files.create.multipart", *faults)
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert calls(google) == with_more(CALLS.index("files.create.multipart"), more)
    assert_replaced(google)


@pytest.mark.parametrize(
    ("fault", "after"), [("503", AFTER_503), ("answer-lost", AFTER_LOST_ANSWER)]
)
@pytest.mark.parametrize("place", range(len(CALLS)), ids=[f"{n}-{c}" for n, c in enumerate(CALLS)])
def test_fault_at_each_call_is_waited_out(user, google, place, fault, after):
    call = CALLS[place]
    google.fail(call, fault, after=CALLS[:place].count(call))
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert calls(google) == with_more(place, after.get(call, [call]))
    assert_replaced(google)


@pytest.mark.parametrize("fault", ["503", "answer-lost"])
def test_fault_at_a_deletion_is_waited_out(user, google, fault):
    user.set(DELETE_PERMANENTLY=True)
    google.fail("files.delete", fault)
    assert user.run().status == 0
    assert calls(google) == [*CALLS[:-1], "files.delete", "files.delete"]
    assert (my_drive(google), trash(google)) == ([(NAME, NEW)], [])


def test_refused_connections_are_waited_out(user, google):
    """Real waits, as it is the fake that has to come back."""
    del user.environment["PYTHONPATH"]
    at(google, "after", "oauth.token.refresh", google.stop_listening)
    run = user.start()
    run.said(f"(?s){AGAIN}.*{AGAIN}")
    google.listen_again()
    assert run.wait().status == 0
    assert calls(google) == CALLS
    assert_replaced(google)


# ---- Patience ------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", ["503", "503-json"])
def test_token_server_that_is_busy_is_waited_out(user, google, fault):
    """For longer than google-auth tries by itself, which calls a page of Google's final."""
    google.fail("oauth.token.refresh", *[fault] * 7)
    assert user.run().status == 0
    assert calls(google) == ["oauth.token.refresh"] * 7 + CALLS
    assert_replaced(google)


@pytest.mark.parametrize("call", ["files.generateIds", "files.create.multipart"])
def test_waits_grow_until_the_patience_ends(user, google, call):
    user.set(**IN_EARNEST)
    google.fail(call, "503", repeat=None)
    outcome = user.run()
    waited = waits(outcome)
    for number, seconds in enumerate(waited):
        longest = min(2.0**number, 64)
        assert longest / 2 <= seconds <= longest
    assert sum(waited) < 901 < sum(waited) + 64 + 2  # each of them was rounded
    left = "Nothing in Drive was changed." if call == "files.generateIds" else NOT_REPLACED
    assert_failed(google, outcome, "503", "Run again", left=left)


def test_patience_begins_with_the_first_fault(user, google):
    """However long the run and its calls have taken until then."""
    user.set(**IN_EARNEST | {"PATIENCE": 70.0})
    for call in ("files.list", "files.generateIds", "files.create.metadata", "upload.content"):
        google.fail(call, *["503"] * 6)  # 31.5 to 63 seconds
    assert user.run().status == 0
    assert_replaced(google)


def test_patience_begins_anew_when_more_has_arrived(user, google):
    """These waits are longer than the patience in all. Of each request, half is kept."""
    content = {"big.bin": bytes(4 * 1024 * 1024)}
    user.files(content)
    user.set(FIRST_WAIT=60.0, LONGEST_WAIT=60.0, PATIENCE=100.0)
    google.fail("upload.content", *["503-keep-part"] * 4)
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert outcome.err.count("Trying again") == 4
    assert my_drive(google) == [(NAME, content)]


def test_patience_does_not_begin_anew_when_google_loses_what_had_arrived(user, google):
    user.files({"big.bin": bytes(4 * 1024 * 1024)})
    user.set(FIRST_WAIT=60.0, LONGEST_WAIT=60.0, PATIENCE=100.0)
    google.fail("upload.content", "503-keep-part")
    google.fail("upload.content", "308-no-range", repeat=None)
    outcome = user.run()
    assert sum(waits(outcome)) < 200
    assert_failed(google, outcome)


@pytest.mark.parametrize("fault", ["429", "403-userRateLimitExceeded"])
def test_limit_that_outlasts_the_patience_is_called_one_of_a_day(user, google, fault):
    user.set(**IN_EARNEST)
    google.fail("files.create.multipart", fault, repeat=None)
    assert_failed(google, user.run(), "750 GB", "tomorrow")


def test_wait_that_google_asks_for_is_kept(user, google):
    user.set(PATIENCE=20.0)
    google.retry_after = 7
    google.fail("files.generateIds", "429-retry-after", "503-retry-after")
    outcome = user.run()
    assert outcome.status == 0
    assert waits(outcome) == [7.0, 7.0]


@pytest.mark.parametrize(("asked", "told"), [(901, "0:15:01"), (86400, "1 day, 0:00:00")])
def test_wait_beyond_the_patience_ends_the_run_at_once(user, google, asked, told):
    user.set(**IN_EARNEST)
    google.retry_after = asked
    google.fail("files.create.metadata", "503-retry-after")
    outcome = user.run()
    assert calls(google) == until("files.create.metadata")
    assert_failed(google, outcome, told)


# ---- What ends the run at once -------------------------------------------------------------------
FINAL = {
    "400-badRequest": "400 badRequest",
    "403-forbidden": "403 forbidden",
    # Google's own words follow: they have the address at which to enable it.
    "403-accessNotConfigured": "The Google Drive API is not enabled in your project. Enable it at "
    "the address that follows, wait some minutes, and run again. (403 SERVICE_DISABLED "
    "accessNotConfigured Google Drive API has not been used in project 112233445566 before or it "
    "is disabled. Enable it by visiting https://console.developers.google.com/apis/api/",
    "403-insufficientPermissions": "This sign-in does not cover SCOPES. Delete token.json",
    "403-insufficientParentPermissions": "This sign-in may not write to PARENT_FOLDER_ID.",
    "404-notFound": "404 notFound",
    "truncated-json": NOT_GOOGLE,
    "html-404": NOT_GOOGLE,
    "html-407": NOT_GOOGLE,
}


@pytest.mark.parametrize(("fault", "says"), FINAL.items(), ids=FINAL)
def test_final_fault_ends_the_run_at_once(user, google, fault, says):
    google.fail("files.create.metadata", fault)
    outcome = user.run()
    assert calls(google) == until("files.create.metadata")
    assert waits(outcome) == []
    assert_failed(google, outcome, says)


@pytest.mark.parametrize("fault", ["html-200", "html-403"])
@pytest.mark.parametrize(
    "call",
    [
        "oauth.token.refresh",
        "files.list",
        "files.generateIds",
        "files.create.multipart",
        "files.create.resumable",
        "upload.content",
        "upload.status",
        "permissions.list",
        "files.update.rename",
        "files.update.trash",
    ],
)
def test_page_in_place_of_an_answer_is_called_what_it_is(user, google, call, fault):
    """Its words, such as notFound and invalid_grant, are none of Google's reasons."""
    google.fail(call, fault)
    if call == "upload.status":
        google.fail("upload.content", "503")
    outcome = user.run()
    assert NOT_GOOGLE in outcome.err
    assert "this is no" not in outcome.err, "the page was printed"
    assert "7 days" not in outcome.err


def test_certificate_that_is_not_of_a_known_authority_ends_the_run_at_once(user, google):
    other = user.path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    user.environment["HTTPLIB2_CA_CERTS"] = str(other)
    outcome = user.run()
    assert calls(google) == waits(outcome) == []
    says = ["This may not be Google.", "CERTIFICATE_VERIFY_FAILED"]
    assert_failed(google, outcome, *says, left="Nothing in Drive was changed.")


# ---- Drive is full -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "files"),
    [
        ("files.create.multipart", ["same.txt", "new.txt"]),
        ("files.create.resumable", ["same.txt", "new.txt", "big.bin"]),
    ],
)
def test_full_drive_is_told_before_anything_is_sent_in_vain(user, google, call, files):
    """With all that helps."""
    user.set(FILES=files)
    room = sum(len(NEW[name]) for name in files) - 1
    google.drive.quota_limit = google.drive.used_by(google.user) + room
    outcome = user.run()
    assert calls(google) == until(call)
    assert_failed(google, outcome, "Drive is full", "trash", "DELETE_PERMANENTLY", WORKING_NAME)


# ---- Copies --------------------------------------------------------------------------------------
COPIES = {
    "the file is gone": (["404-notFound"], [], 2),
    "not allowed": (["403-insufficientFilePermissions"], [], 2),
    "busy once": (["503"], ["files.copy"], 3),
    "limit once": (["403-userRateLimitExceeded"], ["files.copy"], 3),
}


@pytest.fixture
def copies(user, google):
    """Three files that Drive can copy."""
    content = {f"{number}.txt": b"%d" % number for number in range(3)}
    for folder in google.drive.folders():
        google.drive.delete(folder.id)
    add_old_folder(google, content)
    user.files(content)
    return content


@pytest.mark.parametrize(("faults", "more", "copied"), COPIES.values(), ids=COPIES)
def test_file_that_is_not_copied_is_uploaded(user, google, copies, faults, more, copied):
    google.fail("files.copy", *faults, after=1)
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    uploaded = ["files.create.multipart"] * (3 - copied)
    assert calls(google)[5:-4] == ["files.copy", "files.copy", *more, *uploaded, "files.copy"]
    assert my_drive(google) == [(NAME, copies)]


def test_copies_end_for_this_run_where_a_limit_outlasts_their_patience(user, google, copies):
    user.set(**IN_EARNEST)
    google.fail("files.copy", "403-userRateLimitExceeded", repeat=None)
    outcome = user.run()
    assert outcome.status == 0, outcome.err
    assert 16 < sum(waits(outcome)) < 31
    tried = ["files.copy"] * (len(waits(outcome)) + 1)
    assert calls(google)[5:-4] == tried + ["files.create.multipart"] * 3
    assert my_drive(google) == [(NAME, copies)]


def test_copies_go_on_after_a_fault_of_one_that_is_no_limit(user, google, copies):
    user.set(COPY_PATIENCE=0.0)
    google.fail("files.copy", "503")
    assert user.run().status == 0
    assert calls(google)[5:-4] == [
        "files.copy",
        "files.create.multipart",
        "files.copy",
        "files.copy",
    ]


def test_late_answer_is_not_read_as_that_of_the_next_call(user, google):
    """After a timeout, the answer to the copy is still to come on its connection: the upload that
    follows must not take it for its own."""
    user.set(COPY_PATIENCE=0.0, NETWORK_TIMEOUT=0.5)
    google.slowness = 0.8
    google.fail("files.copy", "slow")
    assert user.run().status == 0
    place = CALLS.index("files.copy")
    assert calls(google) == with_more(place, ["files.create.multipart", "files.get"])
    assert_replaced(google)


# ---- One's own id is in use ----------------------------------------------------------------------
def move(drive, file):
    drive.move(file.id, drive.add_folder("elsewhere").id)


def change(drive, file):
    drive.set_content(file.id, file.content.swapcase())  # of the same size


def delete(drive, file):
    drive.delete(file.id)


GONE = "{} was moved or removed in Drive. Run again."
CHANGED = "Drive did not confirm the content of {}. Run again."
COPY, UPLOAD, GET = "files.copy", "files.create.multipart", "files.get"
TOUCHED = {
    "copy, moved": (["same.txt"], COPY, move, [COPY, GET], GONE),
    "copy, changed": (["same.txt"], COPY, change, [COPY, GET], CHANGED),
    "copy, deleted": (["same.txt"], COPY, delete, [COPY, GET, UPLOAD, GET], GONE),
    "upload, moved": (["same.txt", "new.txt"], UPLOAD, move, [UPLOAD, GET], GONE),
    "upload, changed": (["same.txt", "new.txt"], UPLOAD, change, [UPLOAD, GET], CHANGED),
    "upload, deleted": (["same.txt", "new.txt"], UPLOAD, delete, [UPLOAD, GET], GONE),
}


@pytest.mark.parametrize(("files", "call", "action", "more", "says"), TOUCHED.values(), ids=TOUCHED)
def test_file_that_somebody_touches_while_its_answer_is_lost_ends_the_run(
    user, google, files, call, action, more, says
):
    """It is in Drive, but not as it was sent. An id that is deleted is not free again."""
    user.set(FILES=files)

    def touch():
        action(google.drive, google.drive.file(google.calls(call)[-1].file_id))

    google.fail(call, "answer-lost")
    at(google, "after", call, touch)
    outcome = user.run()
    assert calls(google) == until(call) + more
    assert_failed(google, outcome, says.format(files[-1]))
