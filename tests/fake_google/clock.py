"""Google's time, and its time-stamps: RFC 3339 in UTC, to the millisecond, with a Z."""

import threading
import time
from datetime import UTC, datetime, timedelta


def parse(text: str) -> datetime:
    """The moment that an RFC 3339 text names; UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock:
    """The fake's time: the machine's, and what a test lets pass at once on top of it.

    Of stamps it gives out no value twice, so that what is made later is never as old.
    """

    def __init__(self) -> None:
        self.passed = timedelta()
        self.last = datetime.min.replace(tzinfo=UTC)
        self.lock = threading.Lock()

    def elapsed(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic() + self.passed.total_seconds()

    def stamp(self) -> str:
        with self.lock:
            now = datetime.now(UTC) + self.passed
            now -= timedelta(microseconds=now.microsecond % 1000)
            self.last = max(now, self.last + timedelta(milliseconds=1))
            return stamp(self.last)
