"""Workers that begin as copies of this process, with all that it has loaded: nothing is imported again.

A copy is safe where this process has a single thread and no solver has run in it. Otherwise, and where the
system copies no processes, workers are started by loky and load everything themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice

from planner.batches.answers import ResultRow
from planner.batches.tasks import Task
from planner.fleet.program.solver import has_run
from planner.parallel.interrupts import interrupts_ignored

PARENT_CHECK_S = 1.0
AHEAD = 4  # tasks handed out for each worker: it never waits for the next

Work = Callable[[Task], ResultRow]


def can_fork() -> bool:
    """Whether a copy of this process can work by itself."""
    return sys.platform == "linux" and threading.active_count() == 1 and not has_run()


@contextmanager
def forked(jobs: int) -> Iterator[Callable[[Sequence[Task], Work], Iterator[ResultRow]]]:
    """Rows of tasks, in the order they finish, by ``jobs`` copies of this process.

    Raises BrokenProcessPool once every row that came is given, when a copy dies. No copy outlives the block.
    """
    before = set(multiprocessing.active_children())
    try:
        yield lambda tasks, work: _rows(tasks, work, jobs)
    finally:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
            child.join()


def _rows(tasks: Sequence[Task], work: Work, jobs: int) -> Iterator[ResultRow]:
    copies = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_begin,
        initargs=(os.getpid(),),
    )
    left = iter(tasks)
    waiting: set[Future[ResultRow]] = set()
    try:
        with interrupts_ignored(), _terminations_held(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python counts the idle threads of numpy's library
            waiting |= {copies.submit(work, task) for task in islice(left, AHEAD * jobs)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            broken = [f.exception() for f in done if isinstance(f.exception(), BrokenProcessPool)]
            yield from (f.result() for f in done if f.exception() is None)
            for future in done:
                if not isinstance(future.exception(), BrokenProcessPool):
                    future.result()  # raises what the work itself raised
            if broken:
                copies.shutdown()  # which ends the other copies; ending them here too loses count
                raise BrokenProcessPool(str(broken[0]))
            waiting |= {copies.submit(work, task) for task in islice(left, len(done))}
    finally:
        copies.shutdown(wait=not waiting, cancel_futures=True)


@contextmanager
def _terminations_held() -> Iterator[None]:
    """SIGTERM is held back; copies that start meanwhile get it once they have a handler of their own."""
    assert sys.platform == "linux"  # as can_fork says
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    """In a copy: SIGTERM ends it at once, whatever handler its parent has."""
    assert sys.platform == "linux"  # as can_fork says
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    watch_parent(parent)


def watch_parent(parent: int) -> None:
    """Start the thread that ends this worker once its parent is another process, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
