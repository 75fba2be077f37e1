"""Whatever goes wrong for a while, at whatever call: the folder ends right, nothing twice."""

import random

import pytest
from fake_google import FakeGoogle
from situations import (
    NAME,
    OLD,
    WORKING_NAME,
    add_old_folder,
    assert_replaced,
    assert_run_replaces,
    folders,
    prepare,
    prepare_for,
    prepare_shared,
)
from workdir import Workdir

PASSING = {
    "500": ["500"],
    "503 twice": ["503", "503"],
    "429": ["429"],
    "429 with Retry-After": ["429-retry-after"],
    "403 userRateLimitExceeded": ["403-userRateLimitExceeded"],
    "403 rateLimitExceeded": ["403-rateLimitExceeded"],
    "408": ["408"],
    "502 with a web page": ["502-html"],
    "closed before reading": ["close-unread"],
    "reset": ["reset"],
    "answer lost": ["answer-lost"],
    "head cut": ["head-cut"],
    "head cut before its length": ["head-cut-no-length"],
    "body cut": ["body-cut"],
    "stall": ["stall"],
}
# Without the chunks of an upload, whose faults are in test_network.py.
OPERATIONS = [
    "oauth.token.refresh",
    "files.list",
    "files.generateIds",
    "files.create.metadata",
    "files.create.multipart",
    "files.create.resumable",
    "upload.status",
    "batch",
    "files.update.rename",
    "files.update.trash",
    "files.delete",
    "permissions.list",
    "permissions.create",
]
# What Drive alone answers.
NOT_OF_THE_TOKEN_SERVER = {name for name in PASSING if name[:3] in ("403", "408", "429", "502")}


def rows() -> list[tuple[str, str]]:
    return [
        (operation, fault)
        for operation in OPERATIONS
        for fault in PASSING
        if not (operation.startswith("oauth") and fault in NOT_OF_THE_TOKEN_SERVER)
    ]


@pytest.mark.parametrize(("operation", "fault"), rows())
def test_fault_is_waited_out(
    workdir: Workdir, google: FakeGoogle, operation: str, fault: str
) -> None:
    content = prepare_for(workdir, google, operation)
    google.retry_after = 0.02
    if fault == "stall":
        workdir.set(NETWORK_TIMEOUT=0.5)
    google.fail(operation, *PASSING[fault])
    outcome = assert_run_replaces(workdir, content)
    assert google.log[-1].started - google.log[0].started < (6 if fault == "stall" else 5)
    if fault.startswith(("4", "5")):
        assert "Trying again in" in outcome.err
    assert "Traceback" not in outcome.err


CHUNK_FAULTS = {
    "part of the chunk is kept": ("upload.middle", ["keep-part"]),
    "part of the first chunk is kept": ("upload.first", ["keep-part"]),
    "nothing is kept": ("upload.middle", ["308-no-range"]),
    "all is kept, the file not made yet": ("upload.last", ["308-all-kept"]),
    "session is dead, 404": ("upload.middle", ["session-404"]),
    "session is dead, 410": ("upload.last", ["session-410"]),
    "session dies three times": ("upload.middle", ["session-404", "session-410", "session-404"]),
    "token expires": ("upload.middle", ["401"]),
}


@pytest.mark.parametrize(("operation", "faults"), CHUNK_FAULTS.values(), ids=CHUNK_FAULTS.keys())
def test_fault_within_an_upload_session(
    workdir: Workdir, google: FakeGoogle, operation: str, faults: list[str]
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.fail(operation, *faults)
    assert_run_replaces(workdir, content)


def test_refused_connections_are_waited_out(workdir: Workdir, google: FakeGoogle) -> None:
    content = prepare(workdir)

    def refuse_for_a_while(moment: str, call: object) -> None:
        google.service.watchers.clear()
        google.stop_listening()

    google.watch(refuse_for_a_while)
    run = workdir.start()
    assert run.process.stderr
    waits = [run.process.stderr.readline() for _ in range(3)]
    google.listen_again()
    assert run.wait().status == 0
    assert all("Trying again in" in line for line in waits)
    assert_replaced(google, content)


def test_write_limit_is_kept_to(workdir: Workdir, google: FakeGoogle) -> None:
    content = {f"{number}.txt": str(number).encode() for number in range(40)}
    workdir.contents(content)
    workdir.set(FIRST_WAIT=0.05, LONGEST_WAIT=0.5, PATIENCE=60.0)
    workdir.sign_in()
    google.drive.write_limit = 5
    assert_run_replaces(workdir, content)


def test_part_of_a_batch_is_tried_again(workdir: Workdir, google: FakeGoogle) -> None:
    content = {f"{number}.txt": b"x" * number for number in range(5)}
    workdir.contents(content)
    workdir.sign_in()
    assert workdir.run().status == 0
    google.fail("files.copy", "403-rateLimitExceeded", after=2)
    outcome = assert_run_replaces(workdir, content)
    assert "0 uploaded, 5 unchanged" in outcome.out


@pytest.mark.parametrize("reason", ["403-insufficientFilePermissions", "404-notFound"])
def test_what_cannot_be_copied_is_uploaded(
    workdir: Workdir, google: FakeGoogle, reason: str
) -> None:
    content = prepare(workdir)
    add_old_folder(google)
    google.fail("files.copy", reason)
    outcome = assert_run_replaces(workdir, content)
    assert "3 uploaded, 0 unchanged" in outcome.out


STORM = [*OPERATIONS, "upload.first", "upload.middle", "upload.last"]
STORM = [operation for operation in STORM if operation not in ("upload.status", "files.delete")]
BAD_WEATHER = [fault for fault in PASSING if fault != "stall"]


@pytest.mark.parametrize("seed", range(200))
def test_storm(workdir: Workdir, google: FakeGoogle, seed: int) -> None:
    content = prepare_shared(workdir, google)
    workdir.set(PARALLEL_UPLOADS=4)
    google.retry_after = 0.001
    dice = random.Random(seed)
    for operation in dice.sample(STORM, 6):
        fault = dice.choice(BAD_WEATHER)
        if not (operation.startswith("oauth") and fault in NOT_OF_THE_TOKEN_SERVER):
            google.fail(operation, *PASSING[fault])
    assert_run_replaces(workdir, content)


FINAL = {
    "accessNotConfigured": "The Google Drive API is not enabled in your project. Enable it at",
    "insufficientPermissions": "This sign-in does not cover SCOPES. Delete token.json",
    "appNotAuthorizedToFile": "drive.file does not reach this",
    "insufficientParentPermissions": "This sign-in may not write to PARENT_FOLDER_ID.",
    "dailyLimitExceeded": "Your project has used up its calls for today. Run again tomorrow.",
    "domainPolicy": "Your Workspace administrator does not allow apps to use Drive. Ask them.",
}


@pytest.mark.parametrize(
    "operation", ["files.list", "files.create.metadata", "files.create.multipart"]
)
@pytest.mark.parametrize(("reason", "advice"), FINAL.items(), ids=FINAL.keys())
def test_final_error_ends_the_run_at_once(
    workdir: Workdir, google: FakeGoogle, operation: str, reason: str, advice: str
) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.fail(operation, f"403-{reason}")
    outcome = workdir.run()
    assert outcome.status == 1
    assert advice in outcome.err
    assert "Trying again" not in outcome.err
    assert (NAME, OLD) in folders(google)
    if reason == "accessNotConfigured":
        assert "https://console." in outcome.err


@pytest.mark.parametrize("operation", ["files.create.multipart", "upload.middle", "upload.status"])
def test_patience_has_an_end(workdir: Workdir, google: FakeGoogle, operation: str) -> None:
    prepare(workdir)
    add_old_folder(google)
    workdir.set(PATIENCE=0.2)
    if operation == "upload.status":
        google.fail("upload.first", "503")
    google.fail(operation, "503", repeat=None)
    outcome = workdir.run()
    assert outcome.status == 1
    *_, what, standing = outcome.err.splitlines()
    assert "503" in what
    assert what.endswith("Run again later.")
    assert standing.startswith(f'"{NAME}" was not replaced by this run. ')
    assert f'The next run continues with "{WORKING_NAME}"' in standing
    assert folders(google)[0] == (NAME, OLD)


FULL = [
    "files.create.metadata",
    "files.create.multipart",
    "files.create.resumable",
    "upload.first",
    "upload.last",
    "batch",
    "files.copy",
    "files.update.rename",
]


@pytest.mark.parametrize("operation", FULL)
def test_full_drive(workdir: Workdir, google: FakeGoogle, operation: str) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.fail(operation, "403-storageQuotaExceeded")
    outcome = workdir.run()
    assert outcome.status == 1
    assert "Google Drive is full. Empty its trash" in outcome.err
    assert folders(google) == [(NAME, OLD)]
    assert google.drive.usage_in_trash == 0, "the unfinished folder still takes up room"


def test_full_drive_gets_no_more_files(workdir: Workdir, google: FakeGoogle) -> None:
    """Those that wait for their turn are not sent while the unfinished folder is deleted."""
    workdir.contents({f"{number}.txt": b"%d" % number for number in range(60)})
    workdir.set(PARALLEL_UPLOADS=1)
    workdir.sign_in()
    google.slowness = 0.1
    google.fail("files.create.multipart", "403-storageQuotaExceeded")
    google.fail("files.delete", "slow")
    assert workdir.run().status == 1
    assert len(google.calls("files.create.multipart")) < 4


def test_full_drive_loses_only_the_folder_of_this_run(workdir: Workdir, google: FakeGoogle) -> None:
    """That of a broken run may be one that another run is just filling, or has just completed."""
    prepare(workdir)
    add_old_folder(google)
    google.fail("files.update.rename", "403-forbidden")
    assert workdir.run().status == 1
    before = folders(google)
    assert [name for name, _ in before] == [NAME, WORKING_NAME]
    google.fail("batch", "403-storageQuotaExceeded")
    outcome = workdir.run()
    assert outcome.status == 1
    assert outcome.err.endswith(f'Another "{WORKING_NAME}" is left: delete it.\n')
    assert folders(google) == before


def test_drive_that_is_really_full(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    google.drive.quota_limit = google.drive.usage + 300_000
    outcome = workdir.run()
    assert outcome.status == 1
    assert "Google Drive is full. Empty its trash" in outcome.err
    assert outcome.err.endswith("The unfinished new folder was deleted.\n")
    assert folders(google) == [(NAME, OLD)]
    assert google.drive.usage_in_trash == 0, "the unfinished folder still takes up room"


BAD_ANSWERS = {
    "JSON cut short": (
        "truncated-json",
        [
            "files.list",
            "files.generateIds",
            "files.create.multipart",
            "upload.last",
            "files.update.rename",
        ],
    ),
    "a web page": ("html-200", ["batch"]),
    "no MD5": ("no-md5", ["upload.last"]),
    "another MD5": ("wrong-md5", ["upload.last"]),
}


@pytest.mark.parametrize(
    ("fault", "operation"),
    [(fault, operation) for fault, operations in BAD_ANSWERS.values() for operation in operations],
)
def test_bad_answer_is_an_error(
    workdir: Workdir, google: FakeGoogle, fault: str, operation: str
) -> None:
    prepare(workdir)
    old = add_old_folder(google)
    google.fail(operation, fault)
    outcome = workdir.run()
    assert outcome.status == 1, outcome.out
    assert "Traceback" not in outcome.err
    assert not google.drive.file(old.id).trashed
    assert not google.calls("files.update.trash", "files.delete")


def test_refused_page_token_is_an_error(workdir: Workdir, google: FakeGoogle) -> None:
    prepare(workdir)
    add_old_folder(google)
    add_old_folder(google)
    google.drive.page_size_cap = 1
    google.fail("files.list", "bad-page-token", after=1)
    outcome = workdir.run()
    assert outcome.status == 1
    assert [name for name, _ in folders(google)] == [NAME, NAME]
    assert WORKING_NAME not in [name for name, _ in folders(google)]
