"""A process that answers requests one after another, and can be stopped in the middle of one."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from planner.errors import PlannerError
from planner.fleet.sized_before import SizedBefore
from planner.parallel.interrupts import interrupts_ignored
from planner.session import Session
from planner.web.limits import ServerLimits
from planner.web.problems import Json, problems_of
from planner.web.requests import Request

Progress = Callable[[str], None]
STOP = "stop"


class Stopped(Exception):
    """Nobody waits for the answer any more."""


@dataclass
class WorkerState:
    """What a worker keeps between requests: catalogs, and candidates sized before."""

    session: Session
    limits: ServerLimits
    _sized: SizedBefore | None = field(default=None, init=False)
    _solves: int = field(default=0, init=False)

    def sized(self) -> SizedBefore:
        """Candidates sized before; forgotten after ``limits.questions`` solves."""
        if self._sized is None or self._solves >= self.limits.questions:
            self._sized = SizedBefore(
                self.session.catalog, self.session.factors, self.session.known
            )
            self._solves = 0
        self._solves += 1
        return self._sized


Handler = Callable[[WorkerState, Request, Progress], Json]


@dataclass(frozen=True, slots=True)
class Message:
    """What a worker says: progress in words, then one of the others; "died" when its process ended."""

    kind: Literal["progress", "answer", "problem", "bug", "stopped", "died"]
    body: Json
    problems: tuple[Json, ...] = ()


class Worker:
    """A child process with catalogs loaded once; one request at a time."""

    def __init__(self, handler: Handler, limits: ServerLimits, catalogs: Path | None) -> None:
        self._given = (handler, limits, catalogs)
        self.start()

    def start(self) -> None:
        """Start the process; it loads its catalogs while the first request waits."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._given), daemon=True)
        with interrupts_ignored():
            self._process.start()
        theirs.close()

    def ask(self, request: Request) -> None:
        """Send one request; the answer comes through ``receive``."""
        self._pipe.send(request)

    def receive(self) -> Message:
        """Wait for what the worker says next; its process may have died."""
        try:
            message: Message = self._pipe.recv()
        except (EOFError, OSError):
            return Message("died", {"what": "the process ended before it answered"})
        return message

    def stop(self) -> None:
        """Ask the process to give the request up at its next step."""
        self._pipe.send(STOP)

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """Close the pipe of a process that has ended."""
        self._pipe.close()


def _serve(pipe: Connection, handler: Handler, limits: ServerLimits, catalogs: Path | None) -> None:
    """The process: answer what comes through the pipe until it closes."""
    state = WorkerState(Session.open(catalogs), limits)

    def progress(text: str) -> None:
        if pipe.poll() and pipe.recv() == STOP:
            raise Stopped
        pipe.send(Message("progress", {"text": text}))

    while True:
        try:
            request = pipe.recv()
            if request != STOP:  # which came after the answer it was meant to stop
                pipe.send(_answer(state, handler, request, progress))
        except (EOFError, KeyboardInterrupt, BrokenPipeError):
            return


def _answer(state: WorkerState, handler: Handler, request: Request, progress: Progress) -> Message:
    try:
        return Message("answer", handler(state, request, progress))
    except PlannerError as error:
        return Message("problem", {}, tuple(problems_of(error)))
    except Stopped:
        return Message("stopped", {})
    except Exception:  # answered as a bug and logged, so that the worker lives on
        return Message("bug", {"what": traceback.format_exc(limit=-4)})
