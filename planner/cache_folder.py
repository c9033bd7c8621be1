"""What is kept between runs: JSON documents in the user's cache folder, each under a hash of its inputs.

The folder is ``$PLANNER_CACHE`` where that is set, else ``llm-fleet-planner`` below the platform's cache
folder (``$XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches``, ``%LOCALAPPDATA%``). ``PLANNER_CACHE=off``
keeps nothing. A document is written to a file of its own and renamed, so that readers in other processes see
all of it or none; one that is damaged, or that another version wrote, counts as absent. A folder that
others may write to is not read. Nothing here raises: a cache that cannot be used is a slower run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from planner.version import package_version

VARIABLE = "PLANNER_CACHE"
OFF = "off"
NAME = "llm-fleet-planner"
MOST_BYTES = 64_000_000
KEPT_SHARE = 0.75  # of MOST_BYTES, once that is exceeded: the documents read last
LOOKS = 16  # while MOST_BYTES are written: how often the size of the folder is looked at
MOST_DOCUMENT_BYTES = 32_000_000
SUFFIX = ".json.z"


def turn_off() -> None:
    """Keep nothing from here on, in this process and those it starts."""
    os.environ[VARIABLE] = OFF


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Put the environment variable back after the block as it was before."""
    before = os.environ.get(VARIABLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def cache_folder() -> Path | None:
    """The folder in use; None where the cache is off or the platform names no home."""
    stated = os.environ.get(VARIABLE)
    if stated:
        return None if stated.lower() == OFF else Path(stated).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / NAME
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / NAME
    local = os.environ.get("LOCALAPPDATA")
    if sys.platform == "win32" and local:
        return Path(local) / NAME
    return home / ".cache" / NAME


def key_of(parts: Iterable[str | bytes]) -> str:
    """One hash of several texts, different where any of them, or their division, is."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


@lru_cache(maxsize=1)
def program() -> str:
    """What computes: the package's version, Python's and numpy's, and the state of the package's own files.

    A source tree changes without its version; sizes and times of its files tell.
    """
    import numpy as np

    root = Path(__file__).parent
    files: list[str] = []
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".c", ".h")):
                    found = entry.stat()
                    files.append(f"{entry.path} {found.st_size} {found.st_mtime_ns}")
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    python = sys.version.partition(" ")[0]
    return key_of((package_version(), python, np.__version__, *sorted(files)))


def load(kind: str, key: str) -> object | None:
    """The document kept under ``key``; None where there is none that can be trusted."""
    folder = _usable(create=False)
    if folder is None:
        return None
    path = folder / f"{kind}-{key}{SUFFIX}"
    try:
        if path.stat().st_size > MOST_DOCUMENT_BYTES:
            return None
        text = _unpacked(path.read_bytes())
        document: object = json.loads(text)
    except (OSError, ValueError, zlib.error, RecursionError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # read last, kept longest
    return document


def save(kind: str, key: str, document: object) -> None:
    """Keep ``document``, plain JSON values, under ``key``; nothing happens where that cannot be."""
    folder = _usable(create=True)
    if folder is None:
        return
    data = _packed(json.dumps(document, separators=(",", ":")).encode())
    if len(data) > MOST_DOCUMENT_BYTES:
        return
    try:
        handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, folder / f"{kind}-{key}{SUFFIX}")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            return
        _keep_within(folder, len(data))
    except OSError:
        return


def _packed(text: bytes) -> bytes:
    return hashlib.sha256(text).digest() + zlib.compress(text, 1)


def _unpacked(data: bytes) -> bytes:
    """The text of a document; raises ValueError or zlib.error when the file is not whole."""
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data[32:], 8 * MOST_DOCUMENT_BYTES)
    if not unpacker.eof or hashlib.sha256(text).digest() != data[:32]:
        raise ValueError("damaged")
    return text


def _usable(*, create: bool) -> Path | None:
    """The folder, when it is this user's alone to write."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    if os.name != "posix":
        return folder
    mine = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if mine else None


_unseen: dict[Path, int] = {}  # what may still be written to a folder before it is looked at again


def _keep_within(folder: Path, written: int) -> None:
    """Look at the folder's size at the first document, then once enough was written to matter [bytes]."""
    left = _unseen.get(folder, 0) - written
    _unseen[folder] = left if left > 0 else _trim(folder)


def _trim(folder: Path) -> int:
    """Delete what was read longest ago, once the folder exceeds ``MOST_BYTES``.

    Returns what may be written before that is worth another look; other processes write too.
    """
    files: list[tuple[float, int, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) or entry.name.startswith(".new-"):
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    files.append((found.st_mtime, found.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    if total <= MOST_BYTES:
        return min(MOST_BYTES - total, MOST_BYTES // LOOKS)
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
        if total <= KEPT_SHARE * MOST_BYTES:
            break
    return MOST_BYTES // LOOKS
