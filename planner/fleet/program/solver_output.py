"""Standard output kept for the answer: what a solver's library prints there is caught.

HiGHS writes a banner straight to file descriptor 1, past ``sys.stdout``, whatever its log settings
are. A program that parses the JSON on standard output must not meet it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator

_STDOUT = 1
_lock = threading.RLock()


@contextlib.contextmanager
def native_stdout_silenced() -> Iterator[None]:
    """Send what native code writes to file descriptor 1 to the null device while the block runs.

    C's own buffer is flushed before and after, so that nothing written inside surfaces later. One
    thread at a time: others wait. Without an open standard output there is nothing to silence.
    """
    with _lock:
        _flush()
        try:
            kept = os.dup(_STDOUT)
        except OSError:
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDOUT)
            try:
                yield
            finally:
                _flush_native()
                os.dup2(kept, _STDOUT)
        finally:
            os.close(kept)


def _flush() -> None:
    """Write out what Python and C hold for standard output already."""
    if sys.stdout is not None:
        with contextlib.suppress(ValueError, OSError):  # closed, or a broken pipe: its own story
            sys.stdout.flush()
    _flush_native()


def _flush_native() -> None:
    """C's ``fflush(NULL)``: of this process where it has one table of symbols, else of Windows' C."""
    try:
        library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    except OSError:
        return
    library.fflush(None)
