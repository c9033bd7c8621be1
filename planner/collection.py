"""Python's search for circular garbage, which seldom finds any here, put off while a question is answered."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

COLLECT_AFTER = 1_000_000  # new objects, not 700: a solve makes fewer, and few of them in circles
_lock = threading.Lock()
_before: list[tuple[int, int, int]] = []  # of blocks that run; the first one's is the caller's


@contextlib.contextmanager
def collecting_seldom() -> Iterator[None]:
    """Collect only after a million new objects while the block runs, in whichever threads; then as before.

    A caller that collects as seldom, or not at all, is left alone.
    """
    with _lock:
        _before.append(gc.get_threshold())
        if 0 < _before[0][0] < COLLECT_AFTER:
            gc.set_threshold(COLLECT_AFTER, *_before[0][1:])
    try:
        yield
    finally:
        with _lock:
            earlier = _before[0]
            _before.pop()
            if not _before:
                gc.set_threshold(*earlier)
