"""What is piped into a command: read once, whoever asks for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from planner.errors import InputError

STDIN = "-"
"""The name that stands for the standard input on a command line."""

NAME = "stdin"
"""What the standard input is called in messages."""

MOST_BYTES = 64 * 1024 * 1024
"""Bytes that are read; more is more than any reader takes."""

_read: list[tuple[TextIO, bytes]] = []


def is_stdin(name: str | Path) -> bool:
    """Whether a name means the standard input."""
    return str(name) == STDIN


def stdin_bytes() -> bytes:
    """Return at most ``MOST_BYTES + 1`` bytes of the standard input, the same ones at every call.

    Raises InputError when it cannot be read.
    """
    if not _read or _read[0][0] is not sys.stdin:
        try:
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        except (OSError, AttributeError):
            raise InputError("the standard input cannot be read", where=NAME) from None
        _read[:] = [(sys.stdin, data)]
    return _read[0][1]


def bytes_of(path: Path, most: int) -> tuple[bytes, int]:
    """What a file holds, or ``-`` brings, and its size; a file beyond ``most`` bytes is not read."""
    if is_stdin(path):
        data = stdin_bytes()
        return data, len(data)
    size = path.stat().st_size
    return path.read_bytes() if size <= most else b"", size
