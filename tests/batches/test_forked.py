"""Workers that are copies of a fresh process: quick to start, and no less safe."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from planner.batches import forked
from planner.batches.folder_lock import FolderLock
from planner.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no copies of processes elsewhere")

GOOD = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: {rate}
prompt_tokens: 500
output_tokens: 100
slo: {{ttft_p99: 2s, tpot_p99: 100ms}}
search: {{gpus: [l4, l40s], weights: [bf16], kv_cache: [bf16]}}
"""
DYING = """
import json, os, sys
from pathlib import Path
from planner.batches import forked, workers
from planner.batches.tasks import Task

def die_on(task):
    mark = Path(task.file) / task.id
    if task.id == "always" or (task.id == "once" and not mark.exists()):
        mark.touch()
        os._exit(9)
    return {"id": task.id, "key": task.key, "status": "optimal", "by": os.getpid()}

assert forked.can_fork()
names = [*(f"task {i}" for i in range(40)), "once", "always", "last"]
tasks = [Task(n, sys.argv[1], "", n) for n in names]
rows = list(workers.run(tasks, die_on, engine="local", jobs=2, address=None))
assert sorted(r["id"] for r in rows) == sorted(names)
assert {r["id"] for r in rows if r["status"] == "crashed"} == {"always"}
assert os.getpid() not in {r.get("by") for r in rows}
import multiprocessing
assert not multiprocessing.active_children()
"""


def _scenarios(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:03}.yaml").write_text(GOOD.format(rate=i + 1))
    return folder


def _rows(out: Path) -> dict[str, dict[str, object]]:
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    return {r["id"]: {k: v for k, v in r.items() if k != "duration_s"} for r in rows}


def _batch(source: Path, out: Path, jobs: int) -> list[str]:
    command = [sys.executable, "-m", "planner", "batch", str(source), "-o", str(out)]
    return [*command, "--jobs", str(jobs), "--no-cache"]


def test_a_dead_copy_is_retried_then_reported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_rows_are_those_of_one_process(tmp_path: Path) -> None:
    source = _scenarios(tmp_path / "in", 6)
    for jobs in (1, 2):
        subprocess.run(_batch(source, tmp_path / str(jobs), jobs), check=True, capture_output=True)
    assert len(_rows(tmp_path / "1")) == 6
    assert _rows(tmp_path / "1") == _rows(tmp_path / "2")


def test_a_killed_batch_leaves_whole_rows_and_neither_copies_nor_a_lock(tmp_path: Path) -> None:
    source, out = _scenarios(tmp_path / "in", 60), tmp_path / "out"
    batch = subprocess.Popen(_batch(source, out, 2), stdout=subprocess.DEVNULL)
    rows = out / "rows.jsonl"
    while not (rows.exists() and rows.read_text().count("\n") >= 3):
        assert batch.poll() is None
        time.sleep(0.02)
    copies = _children(batch.pid)
    assert len(copies) == 2
    batch.send_signal(signal.SIGKILL)
    batch.wait()
    with FolderLock(out):  # at once: copies do not hold it
        pass
    assert rows.read_text().endswith("\n")
    end = time.monotonic() + 20 * forked.PARENT_CHECK_S
    while any(_runs(pid) for pid in copies):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_lock_is_still_held_while_a_copy_of_its_process_ends(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        with pytest.raises(OutputError):
            FolderLock(tmp_path)


def test_a_process_with_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "has_run", lambda: False)
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert not forked.can_fork()
    monkeypatch.setattr("threading.active_count", lambda: 1)
    assert forked.can_fork()
    monkeypatch.setattr(forked, "has_run", lambda: True)
    assert not forked.can_fork()


def _children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


TOLD_TO_END = """
import signal
from planner.batches import workers
from planner.batches.tasks import Task

signal.signal(signal.SIGTERM, lambda *_: exit("the parent's"))

def own(task):
    return {"id": task.id, "by default": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL}

tasks = [Task(str(n), "x", "", str(n)) for n in range(8)]
rows = list(workers.run(tasks, own, engine="local", jobs=2, address=None))
assert len(rows) == 8 and all(r["by default"] for r in rows), rows
"""


def test_copies_end_when_told_to_without_the_parents_words(tmp_path):
    """The command answers a request to stop like Ctrl-C; its copies printed that as a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
