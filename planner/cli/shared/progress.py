"""What is being done, on stderr while it is; nothing where stderr is no terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from planner.cli.shared.notes import shows_progress

SECONDS_SHOWN, FINE_SECONDS = 100, 15


@contextlib.contextmanager
def progress(first: str = "reading catalogs") -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done; ``first`` until it is called."""
    if not shows_progress():
        yield lambda _message: None
        return
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield status.update


def counting(report: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """Progress over many solves, and how long the rest will take: ``3/20 rate 30, about 40 s left``."""
    started = time.monotonic()

    def step(done: int, total: int, label: str) -> None:
        spent = time.monotonic() - started
        left = f", about {rest_text(spent / done * (total - done))} left" if done else ""
        report(f"{done + 1}/{total} {label}{left}")

    return step


def rest_text(seconds: float) -> str:
    """A stretch of time [s] in one rounded figure: ``7 s``, ``40 s``, ``3 min``."""
    if seconds >= SECONDS_SHOWN:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds < FINE_SECONDS else f"{round(seconds, -1):.0f} s"
