"""quickstart.py itself, run as its user would run it, and what Drive holds after each run."""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .claims import SCRIPT, claim, folders_in
from .drive import Drive, NotTried, assume, some_bytes
from .settings import edit_settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BESIDE = ("quickstart.py", "credentials.json", "token.json")  # a service account has no token.json
FOLDER_NAME = "The check's uploads"
BIG = 12 * 1024 * 1024  # bytes
IN_1938 = -(10**9)  # seconds since 1970


@dataclass
class Script:
    """A copy of quickstart.py, in a folder and with settings of its own."""

    drive: Drive
    home: Path
    parent: str = ""  # the ID of the folder that it works in
    current: str = ""  # the ID of the folder that its latest run has made
    content: dict[str, bytes] = field(default_factory=dict)  # of FILES

    def prepare(self) -> None:
        if self.parent:
            return
        for name in BESIDE:
            with suppress(FileNotFoundError):
                shutil.copy2(REPOSITORY / name, self.home)
        self.write("notes.txt", b"some notes\n")
        self.write("Gr\u00f6\u00dfen \u6587.csv", b"a,b\n1,2\n")
        self.write("ends in a carriage return.bin", b"text\r")
        self.write("empty.txt", b"")
        old = self.write("old.txt", b"from the past\n")
        with suppress(OSError):  # not every file system knows dates before 1970
            os.utime(old, (IN_1938, IN_1938))
        self.parent = self.drive.new_folder(name="quickstart.py")

    def write(self, name: str, content: bytes) -> Path:
        self.content[name] = content
        path = self.home / name
        path.write_bytes(content)
        return path

    def run(self, *arguments: str, permanently: bool = False) -> str:
        """Run it, and return what it says, without its progress and errors."""
        self.prepare()
        edit_settings(
            self.home / "quickstart.py",
            FOLDER_NAME=FOLDER_NAME,
            FILES=list(self.content),
            PARENT_FOLDER_ID=self.parent,
            DELETE_PERMANENTLY=permanently,
        )
        process = subprocess.Popen(
            [sys.executable, str(self.home / "quickstart.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            # Ctrl-C is for this check, which then ends the run.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        out, err = self.outcome(process)
        last = " ".join(err.split()[-60:])
        assume(process.returncode == 0, f"Exit status {process.returncode}: {last}")
        return out

    def outcome(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        try:
            while True:
                self.drive.go_on()
                with suppress(subprocess.TimeoutExpired):
                    return process.communicate(timeout=0.2)
        except BaseException:
            # If it ran on, it would make things that nobody removes.
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
            raise

    def holds_all(self) -> str:
        """See that there is one folder, with FILES in it and nothing else. Its ID."""
        folders = self.drive.find(folders_in(self.parent))
        names = [folder["name"] for folder in folders]
        assume(names == [FOLDER_NAME], f"The folders are now: {', '.join(names) or 'none'}.")
        items = self.drive.find(f"'{folders[0]['id']}' in parents and trashed = false")
        shown = sorted((item["name"], item.get("md5Checksum")) for item in items)
        wanted = sorted((name, md5(content)) for name, content in self.content.items())
        different = {name for name, _ in set(shown) ^ set(wanted)}
        assume(shown == wanted, f"These are not as they should be: {', '.join(sorted(different))}.")
        key: str = folders[0]["id"]
        return key

    def latest(self) -> str:
        """The ID of the folder that the latest run has made."""
        if not self.current:
            raise NotTried("no run before it succeeded")
        return self.current

    def run_again(self, permanently: bool = False) -> tuple[str, str]:
        """What a run says that follows another, and the ID of the folder that it replaced."""
        before = self.latest()
        out = self.run(permanently=permanently)
        self.current = self.holds_all()
        assume(self.current != before, "The folder is the same as before.")
        return out, before

    def told(self, out: str, verb: str) -> set[str]:
        """The files that the script says it uploaded, or copied."""
        lines = [line for line in out.splitlines() if line.startswith(verb)]
        return {name for name in self.content if any(name in line for line in lines)}

    def check_told(self, out: str, uploaded: set[str]) -> None:
        for verb, names in (("uploaded", uploaded), ("copied", self.content.keys() - uploaded)):
            told = self.told(out, verb)
            assume(told == names, f"It {verb}: {', '.join(sorted(told)) or 'nothing'}.")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


WHOLE = "This is what the script is for."


@claim(WHOLE, SCRIPT)
def dry_run(script: Script) -> None:
    """quickstart.py --dry-run ends well, and makes nothing."""
    script.run("--dry-run")
    assume(not script.drive.find(f"'{script.parent}' in parents"), "Something was made.")


@claim(WHOLE, SCRIPT)
def first_run(script: Script) -> None:
    """A first run uploads all files, whole and under their names."""
    out = script.run()
    script.current = script.holds_all()
    script.check_told(out, set(script.content))


@claim(WHOLE, SCRIPT)
def second_run(script: Script) -> None:
    """A second run copies what is unchanged, and moves the old folder to the trash."""
    out, before = script.run_again()
    script.check_told(out, set())
    old = script.drive.get(before).expect(200).json
    assume(old.get("trashed") is True, "The old folder is not in the trash.")


@claim(WHOLE, SCRIPT)
def changed_file(script: Script) -> None:
    """A run after a file was changed uploads that file, and copies the others."""
    script.write("notes.txt", b"other notes\n")
    out, _ = script.run_again()
    script.check_told(out, {"notes.txt"})


@claim(WHOLE, SCRIPT)
def big_file(script: Script) -> None:
    """A file of 12 MB is uploaded whole."""
    script.write("big.bin", some_bytes(BIG))
    out, _ = script.run_again()
    script.check_told(out, {"big.bin"})


@claim(WHOLE, SCRIPT)
def two_runs_in_a_row(script: Script) -> None:
    """Two runs, one right after the other, leave one folder; DELETE_PERMANENTLY deletes the old."""
    _, oldest = script.run_again(permanently=True)
    _, older = script.run_again(permanently=True)
    for key in (oldest, older):
        script.drive.get(key).expect(404)


@claim(WHOLE, SCRIPT)
def sharing_is_carried_over(script: Script) -> str:
    """A run gives the new folder the sharing of the old one, without mail."""
    if not script.drive.share_with:
        raise NotTried("no --share-with was given")
    script.drive.share(script.latest(), "reader").prepared()
    script.run_again()
    shared = script.drive.permissions(script.latest()).expect(200).json.get("permissions", [])
    person = script.drive.share_with.lower()
    roles = [one["role"] for one in shared if one.get("emailAddress", "").lower() == person]
    assume(roles == ["reader"], f"The person's roles are now: {', '.join(roles) or 'none'}.")
    return "please see that no mail about it has come"
