"""Builds the compiled core beside its sources: ``python planner/serving/simulation/compiled/build.py``.

Needs a C99 compiler (``CC``, or cc, gcc or clang on the path) and nothing else, so that a package build can
run this file by itself. Without a compiler, or when it fails, nothing is built and the simulator's
Python loop gives the same numbers.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LIBRARY = FOLDER / "_core.so"
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-fPIC", "-shared")
COMPILERS = ("cc", "gcc", "clang")


def source_digest() -> str:
    """Of the sources beside this file; a library built from others is not used."""
    digest = hashlib.sha256()
    for path in sorted((*FOLDER.glob("*.c"), *FOLDER.glob("*.h"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compiler() -> list[str] | None:
    """The command of the compiler, None where there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    if named and shutil.which(named[0]):
        return named
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    return [found] if found else None


def build() -> Path | str:
    """The library, or why there is none. Replaces an older one in one step."""
    command = compiler()
    if command is None or sys.platform == "win32":
        return "no C compiler found"
    sources = [str(path) for path in sorted(FOLDER.glob("*.c"))]
    define = f'-DSOURCE_DIGEST="{source_digest()}"'
    try:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            made = Path(folder) / LIBRARY.name
            subprocess.run(
                [*command, *FLAGS, define, "-o", str(made), *sources, "-lm"],
                check=True,
                capture_output=True,
                text=True,
            )
            made.replace(LIBRARY)
    except subprocess.CalledProcessError as failed:
        return f"{command[0]} failed: {failed.stderr.strip()[-2000:]}"
    except OSError as failed:
        return str(failed)
    return LIBRARY


if __name__ == "__main__":
    outcome = build()
    sys.stdout.write(f"{outcome}\n")
    sys.exit(0 if isinstance(outcome, Path) else 1)
