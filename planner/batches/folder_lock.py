"""One process at a time in an output folder, by a lock file that the system releases with the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

from planner.errors import OutputError

NAME = ".lock"
_held: set[int] = (
    set()
)  # file descriptors, which a copy of this process would keep locked after its end


class FolderLock:
    """An exclusive lock on ``folder``; OutputError when another process holds it."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror}", where=str(path)) from None
        try:
            _lock(self._file)
        except OSError:
            os.close(self._file)
            raise OutputError(
                "another batch is writing into this folder",
                where=str(folder),
                action="wait for it, or give another folder with -o",
            ) from None
        _held.add(self._file)

    def release(self) -> None:
        """Let others in; the lock file itself stays, since removing it would race with them."""
        _held.discard(self._file)
        os.close(self._file)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _let_go() -> None:
    """In a copy of this process: the lock is the original's alone."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
