"""The rows of a batch on disk: appended whole, one batch per folder at a time, resumable."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from planner.batches.answers import Row
from planner.errors import InputError, OutputError

NAME = "rows.jsonl"


class Ledger:
    """``rows.jsonl`` in the output folder, locked for this process.

    A row is one line written by one call, so an interrupt leaves only whole rows; a torn last line
    (power loss) is dropped on resume. Raises OutputError when the folder is in use or not writable,
    InputError when it already holds rows and ``resume`` is not asked for.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.path = folder / NAME
        if folder.exists() and not folder.is_dir():
            raise OutputError("this is a file", where=str(folder), action="name a folder with -o")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror}", where=str(self.path)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise OutputError(
                "another batch is writing into this folder",
                where=str(folder),
                action="wait for it, or give another folder with -o",
            ) from None
        self.rows = self._read()
        if self.rows and not resume:
            os.close(self._file)
            raise InputError(
                f"the folder already holds {len(self.rows)} rows",
                where=str(self.path),
                action="go on with --resume, or give another folder with -o",
            )

    def keep(self, keys: Iterable[str]) -> dict[str, Row]:
        """Keep the rows whose key is wanted and drop the rest (changed or removed scenarios)."""
        wanted = set(keys)
        kept = {r["key"]: r for r in self.rows if r["key"] in wanted and r["status"] != "crashed"}
        if len(kept) != len(self.rows):
            text = "".join(_line(r) for r in kept.values())
            self._write(text, truncate=True)
        self.rows = list(kept.values())
        return kept

    def append(self, row: Row) -> None:
        """Add one whole row."""
        self._write(_line(row))
        self.rows.append(row)

    def _write(self, text: str, *, truncate: bool = False) -> None:
        try:
            if truncate:
                os.ftruncate(self._file, 0)
            data = text.encode("utf-8")
            size = os.fstat(self._file).st_size
            if os.write(self._file, data) != len(data):
                os.ftruncate(self._file, size)
                raise OSError(28, "no space left on device")
        except OSError as error:
            raise OutputError(
                f"cannot write: {error.strerror}",
                where=str(self.path),
                action=f"{len(self.rows)} finished rows are kept; make room and use --resume",
            ) from None

    def _read(self) -> list[Row]:
        rows: list[Row] = []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines(keepends=True):
            try:
                row = json.loads(line) if line.endswith("\n") else None
            except json.JSONDecodeError:
                row = None
            if isinstance(row, dict) and {"id", "key", "status"} <= row.keys():
                rows.append(row)
        if text and len(rows) != text.count("\n"):
            self.rows = rows
            self._write("".join(_line(r) for r in rows), truncate=True)
        return rows

    def close(self) -> None:
        """Release the folder."""
        os.close(self._file)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
