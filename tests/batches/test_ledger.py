"""Nothing finished is lost and nothing appears twice, whatever happens to the disk or the process."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from planner.batches.ledger import NAME, Ledger
from planner.errors import OutputError

SCENARIO = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: {rate}
prompt_tokens: 500
output_tokens: 100
slo: {{ttft_p99: 2s, tpot_p99: 100ms}}
search: {{gpus: [l4], weights: [bf16], kv_cache: [bf16]}}
"""


def row(name, key="k", status="optimal", **more):
    return {"id": name, "key": f"{key}-{name}", "status": status, **more}


def keys(*names, key="k"):
    return {n: f"{key}-{n}" for n in names}


def filled(folder, rows):
    with Ledger(folder, resume=True) as ledger:
        for r in rows:
            ledger.append(r)
    return folder / NAME


def test_a_torn_last_line_never_joins_the_next_row(tmp_path):
    path = filled(tmp_path, [row("a"), row("b")])
    path.write_bytes(path.read_bytes()[:-9])
    with Ledger(tmp_path, resume=True) as ledger:
        assert [r["id"] for r in ledger.rows] == ["a"]
        ledger.append(row("c"))
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["a", "c"]


def test_a_disk_that_fills_while_rows_are_rewritten_keeps_them_all(tmp_path, monkeypatch):
    path = filled(tmp_path, [row(f"s{i}") for i in range(90)])
    before = path.read_bytes()
    real = os.write

    def full(file, data):
        real(file, bytes(data)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Ledger(tmp_path, resume=True) as ledger:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="90 finished rows are kept"):
            ledger.keep(keys("s0", key="changed"))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", NAME]


def test_a_narrower_pattern_keeps_the_rows_of_the_others(tmp_path):
    files = [tmp_path / f"s{i}.yaml" for i in range(200)]
    for file in files:
        file.touch()
    out = tmp_path / "out"
    filled(out, [row(f.name, file=str(f)) for f in files])
    with Ledger(out, resume=True) as ledger:
        done = ledger.keep(keys("s7.yaml"))
        assert [r["id"] for r in done.values()] == ["s7.yaml"]
        assert len(ledger.rows) == 200


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_a_name_with_other_line_separators_is_read_back(tmp_path, separator):
    name = f"one{separator}two"
    filled(tmp_path, [row(name), row("b")])
    with Ledger(tmp_path, resume=True) as ledger:
        assert [r["id"] for r in ledger.rows] == [name, "b"]


def test_the_last_row_of_a_scenario_counts(tmp_path):
    filled(tmp_path, [row("a", status="crashed"), row("a")])
    with Ledger(tmp_path, resume=True) as ledger:
        assert [r["status"] for r in ledger.rows] == ["optimal"]
        assert ledger.keep(keys("a"))


def _alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def _children(pid):
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in found.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_kill_9_leaves_whole_rows_and_no_worker(tmp_path):
    """The batch is killed at random moments until it is done; every scenario ends with one row."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(40):
        (source / f"{i:02}.yaml").write_text(SCENARIO.format(rate=i + 1))
    chance = random.Random(0)
    for attempt in range(30):
        kills = attempt < 4
        command = [sys.executable, "-m", "planner", "batch", str(source), "-o", str(out)]
        batch = subprocess.Popen(
            [*command, "--jobs", "2", "--resume"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not kills:
            assert batch.wait(timeout=300) == 0
            break
        time.sleep(1.5 + 3 * chance.random())
        workers = _children(batch.pid)
        batch.send_signal(signal.SIGKILL)
        batch.wait(timeout=60)
        until = time.monotonic() + 30
        while any(map(_alive, workers)) and time.monotonic() < until:
            time.sleep(0.2)
        assert not any(map(_alive, workers))
    ids = [json.loads(line)["id"] for line in (out / NAME).read_bytes().splitlines()]
    assert sorted(ids) == [f"{i:02}.yaml" for i in range(40)]
