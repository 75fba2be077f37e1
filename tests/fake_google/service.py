"""The door between sockets and operations: routing, faults, log, watchers. All calls pass here."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import faults, routes
from .errors import Refusal
from .faults import Ending, FaultBook
from .messages import Call, Reply, Request
from .uploads import Cut
from .world import World

Watcher = Callable[[str, Call], None]


@dataclass(frozen=True)
class Outcome:
    reply: Reply | None
    ending: Ending = Ending.ANSWER


class Service:
    def __init__(self, world: World, round_trip: float = 0.0) -> None:
        self.world = world
        self.round_trip = round_trip  # seconds
        self.faults = FaultBook()
        self.log: list[Call] = []
        self.unknown: list[Call] = []  # calls for what this fake does not have
        self.strangers: list[str] = []  # hosts asked for that are not Google's
        self.watchers: list[Watcher] = []
        self.crashes: list[Exception] = []  # what went wrong in the fake itself, or in a watcher
        self.lock = threading.Lock()
        world.perform = self.perform_part

    def note(self, call: Call) -> None:
        with self.lock:
            self.log.append(call)

    def outcome(self, request: Request, is_gone: Callable[[], bool]) -> Outcome:
        """What becomes of a request, with its effects done."""
        route = routes.find(request)
        if route is None:
            return self._unknown(request)
        if not route.streams:
            request.body = request.stream.read()
        request.call.names = route.operation(request)
        fault = self.faults.take(request)
        if fault == "page-token-again":  # the same page, whatever token comes
            request.params = {k: v for k, v in request.params.items() if k != "pageToken"}
        self._tell("before", request.call)
        # Google does not look; but who kills a client here wants nothing done.
        if self.watchers and is_gone():
            return Outcome(None, Ending.CLOSE)
        if fault in faults.UNREAD:
            return self._unread(request, fault)
        reply = self.faults.reply(fault, request.call.operation) if fault else None
        if reply or fault in faults.UNDONE:
            request.stream.drain()
        else:
            try:
                reply = self._perform(route, request, fault)
            except Cut:
                reply = None
        return self._ended(request, reply, fault)

    def perform_part(self, request: Request) -> Reply:
        """The reply to a call inside a batch."""
        route = routes.find(request)
        if route is None or route.streams or route.operation(request) == ("batch",):
            self.unknown.append(request.call)
            return self._logged(request, routes.unknown(request))
        request.call.names = route.operation(request)
        fault = self.faults.take(request, in_batch=True)
        reply = self.faults.reply(fault, request.call.operation) if fault else None
        if reply is None:
            reply = faults.spoil(fault, self._run(route, request))
        return self._logged(request, reply)

    def _logged(self, request: Request, reply: Reply) -> Reply:
        request.call.status = reply.status
        request.call.ended = time.monotonic()
        return reply

    def _unknown(self, request: Request) -> Outcome:
        request.stream.drain()
        self.unknown.append(request.call)
        return Outcome(routes.unknown(request))

    def _perform(self, route: routes.Route, request: Request, fault: str | None) -> Reply:
        request.fault = fault if fault in faults.PLAYED else None
        reply = self._run(route, request)
        request.stream.drain()
        self._tell("after", request.call)
        return faults.spoil(fault, reply)

    def _run(self, route: routes.Route, request: Request) -> Reply:
        try:
            return route.handler(self.world, request)
        except Refusal as refusal:
            request.call.error = f"{refusal.name}: {refusal.message}"
            return refusal.reply()

    def _unread(self, request: Request, fault: str) -> Outcome:
        """The connection breaks while the body is on its way; about half of it is read."""
        half = (request.stream.length or 0) // 2
        if fault != "close-unread":
            for _ in request.stream.pieces():
                if request.stream.taken >= half:
                    break
        # A body that had to be read for its operation's name: a reset is what its loss looks like.
        ending = Ending.RESET if request.body else faults.ENDINGS[fault]
        return Outcome(self.faults.reply(fault, request.call.operation), ending)

    def _ended(self, request: Request, reply: Reply | None, fault: str | None) -> Outcome:
        if self.round_trip:
            time.sleep(self.round_trip)
        if fault == "slow":
            time.sleep(self.faults.slowness)
        return Outcome(reply, faults.ENDINGS.get(fault or "", Ending.ANSWER))

    def _tell(self, moment: str, call: Call) -> None:
        for watcher in list(self.watchers):
            watcher(moment, call)
