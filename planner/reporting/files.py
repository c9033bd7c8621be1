"""Writing results: a file appears whole or not at all; what cannot be written is said plainly."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from planner.errors import InputError, OutputError

_on_write: ContextVar[Callable[[str], None] | None] = ContextVar("on_write", default=None)


@contextlib.contextmanager
def announcing(say: Callable[[str], None]) -> Iterator[None]:
    """While inside, ``say`` is called with the path of each file that is written."""
    token = _on_write.set(say)
    try:
        yield
    finally:
        _on_write.reset(token)


def write_file(path: str | Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) to ``path`` atomically: a temporary file, then a rename.

    Raises OutputError when the folder is missing, the path is a folder, or writing is refused.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    check_target(path)
    if path.exists() and not path.is_file():  # a pipe or a device has no place to rename to
        _write_through(path, data)
        return
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write: {error.strerror}", where=str(path)) from None
    say = _on_write.get()
    if say is not None:
        say(str(path))


def send(content: str | bytes, output: str | None) -> None:
    """Write to the file, or to stdout; a spreadsheet never goes to a terminal."""
    if output is not None:
        write_file(output, content)
    elif isinstance(content, bytes):
        if sys.stdout.isatty():
            raise OutputError("a spreadsheet cannot be shown here", action="add -o FILE.xlsx")
        sys.stdout.buffer.write(content)
    else:
        sys.stdout.write(content)
        sys.stdout.flush()  # a full disk is met here, not as the process ends


def as_json(content: object) -> str:
    """Indented JSON text with a final newline; ValueError for a number that JSON does not have."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_target(path: str | Path) -> None:
    """Raise OutputError where ``write_file`` would; worth asking before long work."""
    path = Path(path)
    if path.is_dir():
        raise OutputError("the output path is a folder", where=str(path), action="name a file")
    if not path.parent.is_dir():
        raise OutputError(
            "the output folder does not exist",
            where=str(path),
            action=f"create it first: mkdir -p {path.parent}",
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        what = "file" if path.exists() else "folder"
        raise OutputError(f"the output {what} is read-only", where=str(path))


def must_be_new(path: str | Path) -> None:
    """Raise InputError where a file of that name exists; for files that a person goes on to edit."""
    if Path(path).exists():
        raise InputError(
            "the file exists already",
            where=str(path),
            action="name another with -o, or replace it with --force",
        )


def _write_through(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"cannot write: {error.strerror}", where=str(path)) from None


def _mode(path: Path) -> int:
    """The mode a plain ``open`` would leave: the old file's, or what the umask allows."""
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
