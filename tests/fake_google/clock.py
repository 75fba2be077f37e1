"""Google's time-stamps: RFC 3339 in UTC, to the millisecond, with a Z."""

import threading
from datetime import UTC, datetime, timedelta


def parse(text: str) -> datetime:
    """The moment that an RFC 3339 text names; UTC where it names no zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock:
    """Gives out the time, no value twice, so that what is made later is never as old."""

    def __init__(self) -> None:
        self.last = datetime.min.replace(tzinfo=UTC)
        self.lock = threading.Lock()

    def stamp(self) -> str:
        with self.lock:
            now = datetime.now(UTC)
            now -= timedelta(microseconds=now.microsecond % 1000)
            self.last = max(now, self.last + timedelta(milliseconds=1))
            return stamp(self.last)
