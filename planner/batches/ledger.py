"""The rows of a batch on disk: appended whole and synced, one batch per folder at a time, resumable.

``rows.jsonl`` only ever grows by whole lines. Where lines must go (a row torn by a power cut, a scenario
that changed), the remaining ones are written to a new file that then takes the old one's name: at
every moment one of the two is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from planner.batches.answers import ResultRow
from planner.batches.folder_lock import FolderLock
from planner.errors import InputError, OutputError

NAME = "rows.jsonl"
REPLACEMENT = "rows.jsonl.new"
NEEDED = frozenset({"id", "key", "status"})
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write each line's end as two bytes


class Ledger:
    """``rows.jsonl`` in the output folder, locked for this process.

    A row is one line, written by one call and synced to the disk. Raises OutputError when the folder
    is in use or not writable, InputError when it already holds rows and ``resume`` is not requested.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.path = folder / NAME
        if folder.exists() and not folder.is_dir():
            raise OutputError("this is a file", where=str(folder), action="name a folder with -o")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror}", where=str(folder)) from None
        self._lock = FolderLock(folder)
        try:
            self.rows, whole = _read(self.path)
            if self.rows and not resume:
                raise InputError(
                    f"the folder already holds {len(self.rows)} rows",
                    where=str(self.path),
                    action="go on with --resume, or give another folder with -o",
                )
            if not whole:
                self._replace(self.rows)
        except BaseException:  # Ctrl-C too: the folder is unlocked, then it continues
            self._lock.release()
            raise

    def keep(self, keys: Mapping[str, str]) -> dict[str, ResultRow]:
        """The finished rows of the scenarios to solve, by key; ``keys``: their keys by row id.

        Rows of a scenario that changed, and of workers that crashed, are dropped: they are solved
        again. Rows of scenarios that this run does not ask for stay, unless their file is gone.
        """

        def stays(row: ResultRow) -> bool:
            if row["id"] in keys:
                return bool(row["key"] == keys[row["id"]] and row["status"] != "crashed")
            return Path(str(row.get("file", ""))).exists()

        kept = [r for r in self.rows if stays(r)]
        if len(kept) != len(self.rows):
            self._replace(kept)
            self.rows = kept
        return {r["key"]: r for r in kept if r["id"] in keys}

    def append(self, row: ResultRow) -> None:
        """Add one whole row; where it does not fit on the disk, the file is left as it was."""
        data = _line(row)
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o644)
            try:
                size = os.fstat(file).st_size
                try:
                    _write_all(file, data)
                except OSError:
                    os.ftruncate(file, size)
                    raise
            finally:
                os.close(file)
        except OSError as error:
            raise self._unwritable(error) from None
        self.rows.append(row)

    def _replace(self, rows: Iterable[ResultRow]) -> None:
        """Put a new file with ``rows`` in place of the old one, which stays whole until then."""
        new = self.path.with_name(REPLACEMENT)
        try:
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o644)
            try:
                _write_all(file, b"".join(_line(r) for r in rows))
            finally:
                os.close(file)
            os.replace(new, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot write: {error.strerror}",
            where=str(self.path),
            action=f"{len(self.rows)} finished rows are kept; make room and use --resume",
        )

    def close(self) -> None:
        """Release the folder."""
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def _read(path: Path) -> tuple[list[ResultRow], bool]:
    """The rows of a file, the last of each id, and whether the file holds nothing else.

    Lines end with a newline alone: a name may hold other characters that Python's ``splitlines`` takes
    for line ends.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], True
    except OSError as error:
        raise OutputError(f"cannot read: {error.strerror}", where=str(path)) from None
    *lines, rest = data.split(b"\n")
    rows: dict[str, ResultRow] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and row.keys() >= NEEDED:
                rows[str(row["id"])] = row
    return list(rows.values()), not rest and len(rows) == len(lines)


def _write_all(file: int, data: bytes) -> None:
    """Write and sync ``data`` whole; OSError when the disk takes less."""
    left = memoryview(data)
    while left:
        written = os.write(file, left)
        if not written:
            raise OSError(28, "No space left on device")
        left = left[written:]
    os.fsync(file)


def _line(row: ResultRow) -> bytes:
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
