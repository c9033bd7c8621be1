"""Processes that answer questions ahead of the one that asks (``planner.comparison.ahead``)."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.asking import Asking
from planner.comparison.ahead import SolveAhead
from planner.interrupts import interrupts_ignored

if TYPE_CHECKING:
    from planner.comparison.ahead import Solve
    from planner.plan import Plan
    from planner.scenario import Scenario

_solve: Solve | None = None  # in a worker: what it answers with


def cores() -> int:
    """Processors this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def solving_ahead(asking: Asking, jobs: int, **settings: Any) -> Iterator[Solve]:
    """``asking.solve_again(**settings)`` that answers expected questions with ``jobs`` processes.

    This process is one of them. When the block is left early, by an error or Ctrl-C, the others are
    ended at once.
    """
    solve = asking.solve_again(**settings)
    if jobs <= 1:
        yield solve
        return
    before = set(multiprocessing.active_children())
    workers = _Workers(
        jobs - 1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(asking.catalog.root, {**asking.settings}, settings),
    )
    finished = False
    try:
        yield SolveAhead(solve, workers, _answer, jobs - 1)
        finished = True
    finally:
        workers.shutdown(wait=finished)
        if not finished:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


class _Workers(ProcessPoolExecutor):
    """Processes that Ctrl-C does not reach."""

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        with interrupts_ignored():
            return super().submit(*given, **named)


def _start(catalogs: Path, asking: dict[str, Any], settings: dict[str, Any]) -> None:
    global _solve
    _solve = Asking.with_options(catalogs, **asking).solve_again(**settings)


def _answer(scenario: Scenario) -> Plan:
    assert _solve is not None
    return _solve(scenario)
