"""A folder of files that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from planner.errors import OutputError

EXECUTABLE = 0o755


def write_folder(folder: Path, files: Mapping[str, str], *, overwrite: bool = False) -> None:
    """Write every file, or none: all are staged on the same disk first.

    Scripts (``.sh``) become executable. Raises OutputError when the folder cannot be written or a file
    exists and ``overwrite`` is not given.
    """
    _refuse_existing(folder, files, overwrite)
    staging: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder if folder.exists() else folder.parent
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=beside))
        staging.chmod(EXECUTABLE)
        for name, text in files.items():
            path = staging / name
            path.write_text(text, encoding="utf-8")
            if path.suffix == ".sh":
                path.chmod(EXECUTABLE)
        if not folder.exists():
            staging.rename(folder)
        else:
            for name in files:
                (staging / name).replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror or error}",
            where=str(folder),
            action="name another folder",
        ) from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def read_folder(folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    """The text of those files as they now are on disk."""
    try:
        return {name: (folder / name).read_text(encoding="utf-8") for name in names}
    except OSError as error:
        raise OutputError(f"cannot read back: {error.strerror}", where=str(folder)) from None


def _refuse_existing(folder: Path, files: Mapping[str, str], overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError("the output path is a file", where=str(folder), action="name a folder")
    taken = [name for name in files if (folder / name).exists()]
    if taken and not overwrite:
        raise OutputError(
            "the folder already holds such files",
            where=str(folder),
            found=", ".join(sorted(taken)[:3]) + (", ..." if len(taken) > 3 else ""),
            action="add --force to replace them, or name another folder",
        )
