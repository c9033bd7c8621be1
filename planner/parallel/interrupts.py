"""Ctrl-C reaches every process of a terminal: those that only work for another are kept from it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, since they inherit that it is ignored.

    Whoever starts them must end them. Does nothing outside the main thread, which alone may say what
    a signal does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
