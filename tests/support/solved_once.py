"""Plans that several test files read, solved once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

MAIN = "llama70b_qps50"


def shared_folder(basetemp: Path) -> Path:
    """The folder that every worker of this run sees, from a worker's own ``basetemp``."""
    return basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp


def plan_file(folder: Path, name: str, *options: str) -> Path:
    """What ``planner solve`` writes of the main scenario; the first worker that wants it solves it."""
    path = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            new = folder / f"{name}.new.json"
            call = [sys.executable, "-m", "planner", "solve", MAIN, *options]
            subprocess.run([*call, "--format", "json", "-o", str(new)], check=True)
            new.rename(path)
    return path
