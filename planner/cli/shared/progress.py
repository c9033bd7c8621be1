"""What is being done, on stderr while it is: live on a terminal, else in lines of their own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from planner.cli.shared.notes import is_quiet, note, shows_progress

SECONDS_SHOWN, FINE_SECONDS = 100, 15
EVERY_S = 10.0  # between two lines where stderr is no terminal
SAME_S = 60.0  # between two lines that say the same
STOPPED = 130  # exit code after Ctrl-C


@contextlib.contextmanager
def progress(first: str = "reading catalogs") -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done; ``first`` until it is called.

    On a terminal it stands there with the time that has passed, and goes when the block ends. Elsewhere it
    is a line every ten seconds, so that what is quick says nothing, and one a minute while nothing changes.
    """
    if is_quiet():
        yield lambda _message: None
    elif shows_progress():
        with _live(first) as show:
            yield show
    else:
        lines = ProgressLines(first, EVERY_S)
        stop = threading.Event()
        ticking = threading.Thread(target=_tick, args=(lines, stop), daemon=True)
        ticking.start()
        try:
            yield lines.show
        finally:
            stop.set()
            ticking.join()


@contextlib.contextmanager
def _live(first: str) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first, total=None)
        yield lambda message: bar.update(task, description=message)


@dataclass
class ProgressLines:
    """Progress in lines of their own, ``every_s`` apart [s], ``same_s`` [s] where nothing has changed."""

    message: str
    every_s: float = EVERY_S
    same_s: float = SAME_S
    started: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    last: str = ""

    def show(self, message: str) -> None:
        """What is being done from here on."""
        self.message = message

    def say(self) -> None:
        """A line where the last one is long enough ago."""
        now = time.monotonic()
        if now - self.said >= (self.same_s if self.message == self.last else self.every_s):
            self.said, self.last = now, self.message
            note(f"after {elapsed_text(now - self.started)}: {self.message}")


def _tick(lines: ProgressLines, stop: threading.Event) -> None:
    while not stop.wait(lines.every_s):
        lines.say()


def counting(report: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """Progress over many solves, and how long the rest will take: ``3/20 rate 30, about 40 s left``."""
    started = time.monotonic()

    def step(done: int, total: int, label: str) -> None:
        spent = time.monotonic() - started
        left = f", about {rest_text(spent / done * (total - done))} left" if done else ""
        report(f"{done + 1}/{total} {label}{left}")

    return step


def say_stopped(left: str = "") -> int:
    """Say that the result holds what was finished before Ctrl-C; the exit code of that."""
    note("interrupted: this is what was finished" + (f"; left: {left}" if left else ""))
    return STOPPED


def rest_text(seconds: float) -> str:
    """A stretch of time [s] in one rounded figure: ``7 s``, ``40 s``, ``3 min``."""
    if seconds >= SECONDS_SHOWN:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds < FINE_SECONDS else f"{round(seconds, -1):.0f} s"


def elapsed_text(seconds: float) -> str:
    """A time that has passed [s], so that later ones read differently: ``40 s``, ``2 min 10 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < SECONDS_SHOWN else f"{whole // 60} min {whole % 60} s"
