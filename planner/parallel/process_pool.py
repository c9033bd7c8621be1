"""Processes that answer questions ahead of the one that asks (``planner.solving.lookahead``)."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.parallel.interrupts import interrupts_ignored
from planner.session import Session
from planner.solving.lookahead import SolveAhead
from planner.solving.options import SolveOptions

if TYPE_CHECKING:
    from planner.plan.schema import Plan
    from planner.scenario.schema import Scenario
    from planner.solving.lookahead import Solve

WORTH_S = (
    5.0  # of questions ahead: a process takes about two to begin, and sizes its own candidates
)
_solve: Solve | None = None  # in a worker: what it answers with


def cores() -> int:
    """Processors this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def solving_ahead(
    session: Session, jobs: int, options: SolveOptions | None = None
) -> Iterator[Solve]:
    """``session.solver_of_variants(options)`` that solves expected scenarios in ``jobs`` processes.

    This process is one of them, and the only one while little is left. When the block is left early, by an
    error or Ctrl-C, or nothing more is to be asked, the others are ended at once. Of the plans only the fleet
    and its cost may be read.
    """
    solve = session.solver_of_variants(options, for_cost=True)
    if jobs <= 1:
        yield solve
        return
    before = set(multiprocessing.active_children())
    workers = _Workers(
        jobs - 1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(
            session.catalog.root,
            session.calibration_file,
            options or session.options,
        ),
    )
    finished = False
    try:
        ahead = SolveAhead(solve, workers, _answer, jobs - 1, WORTH_S)
        yield ahead
        finished = not ahead.stopped
    finally:
        workers.shutdown(wait=finished)
        if not finished:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


class _Workers(ProcessPoolExecutor):
    """Processes that Ctrl-C does not reach."""

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        # the signature is that of the class in concurrent.futures, which takes any call
        with interrupts_ignored():
            return super().submit(*given, **named)


def _start(catalogs: Path, calibration: Path | None, options: SolveOptions) -> None:
    global _solve
    _solve = Session.open(catalogs, calibration, options).solver_of_variants(for_cost=True)


def _answer(scenario: Scenario) -> Plan:
    assert _solve is not None
    return _solve(scenario)
