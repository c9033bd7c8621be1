"""Batches: one bad file never stops the rest, nothing finished is lost, no row twice."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from planner.batches.answers import COLUMNS, BatchOptions, answer
from planner.batches.ledger import Ledger
from planner.batches.run import run_batch
from planner.batches.tasks import Task, collect, points_of
from planner.batches.workers import run
from planner.cli.main import main
from planner.errors import InputError, OutputError
from planner.scenario.changes import changed
from planner.solving.options import SolveOptions

GOOD = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: {rate}
prompt_tokens: 500
output_tokens: 100
slo: {{ttft_p99: 2s, tpot_p99: 100ms}}
search: {{gpus: [l4, l40s], weights: [bf16], kv_cache: [bf16]}}
"""


MANY = 60  # scenarios of a batch that is stopped before its end


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(3):
        (source / f"good{i}.yaml").write_text(GOOD.format(rate=i + 1))
    (source / "bad.yaml").write_text("rate: -1\n")
    (source / "torn.yaml").write_text("rate: [")
    (source / "dear.yaml").write_text(
        GOOD.format(rate=50) + "limits: {max_cost_usd_per_hour: 0.01}\n"
    )
    return source


def without_time(rows):
    return [{k: v for k, v in r.items() if k != "duration_s"} for r in rows]


def test_every_file_gets_its_row(folder, tmp_path):
    result = run_batch(folder, tmp_path / "out", jobs=1)
    assert result.counts == {"optimal": 3, "invalid": 2, "infeasible": 1}
    assert result.exit_code == 2
    by_id = {r["id"]: r for r in result.rows}
    assert "model" in by_id["bad.yaml"]["error"]
    assert by_id["bad.yaml"]["usd_per_hour"] is None
    assert by_id["good0.yaml"]["gpus"] >= 1
    lines = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(by_id)
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [r["id"] for r in table] == sorted(by_id)
    assert tuple(table[0]) == COLUMNS
    assert "good0.yaml" in (tmp_path / "out" / "summary.html").read_text()


def test_exit_codes_by_precedence(folder, tmp_path):
    for name in ("bad.yaml", "torn.yaml"):
        (folder / name).unlink()
    assert run_batch(folder, tmp_path / "a", jobs=1).exit_code == 3
    (folder / "dear.yaml").unlink()
    assert run_batch(folder, tmp_path / "b", jobs=1).exit_code == 0


def test_resume_keeps_what_is_done_and_redoes_what_changed(folder, tmp_path):
    out = tmp_path / "out"
    first = run_batch(folder, out, jobs=1)
    (folder / "good1.yaml").write_text(GOOD.format(rate=9))
    (folder / "good2.yaml").unlink()
    second = run_batch(folder, out, jobs=1, resume=True)
    assert second.reused == 4
    assert len(second.rows) == 5
    assert {r["id"] for r in second.rows} == {r["id"] for r in first.rows} - {"good2.yaml"}
    assert next(r for r in second.rows if r["id"] == "good1.yaml")["rate_qps"] == 9


def test_other_options_are_another_question(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(folder, out, jobs=1)
    other = BatchOptions(solve=SolveOptions("none", gap=0.01))
    again = run_batch(folder, out, jobs=1, resume=True, options=other)
    assert again.reused == 0


def test_a_used_folder_is_refused_without_resume(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(folder, out, jobs=1)
    with pytest.raises(InputError, match="already holds 6 rows"):
        run_batch(folder, out, jobs=1)


def test_two_batches_cannot_share_a_folder(tmp_path):
    with (
        Ledger(tmp_path, resume=False),
        pytest.raises(OutputError, match="another batch is writing"),
    ):
        Ledger(tmp_path, resume=True)


def test_a_torn_last_line_is_dropped(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(folder, out, jobs=1)
    path = out / "rows.jsonl"
    path.write_text(path.read_text()[:-40])
    again = run_batch(folder, out, jobs=1, resume=True)
    assert again.reused == 5
    assert len(again.rows) == 6


def test_a_full_disk_keeps_finished_rows(folder, tmp_path, monkeypatch):
    real, calls = os.write, []

    def full(file, data):
        if not bytes(data).startswith(b'{"id"'):
            return real(file, data)
        calls.append(data)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        run_batch(folder, tmp_path / "out", jobs=1)
    monkeypatch.undo()
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 2
    assert run_batch(folder, tmp_path / "out", jobs=1, resume=True).reused == 2


def test_an_empty_folder_is_one_message(tmp_path):
    with pytest.raises(InputError, match="no scenario file matches"):
        run_batch(tmp_path, tmp_path / "out")


def test_a_thousand_broken_files(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(1000):
        (source / f"{i:04}.yaml").write_text("rate: [" if i % 2 else "\0\0")
    result = run_batch(source, tmp_path / "out", jobs=1)
    assert result.counts == {"invalid": 1000}
    assert result.exit_code == 2


def test_same_name_in_two_folders_is_two_rows(tmp_path):
    for sub in ("a", "b"):
        (tmp_path / "in" / sub).mkdir(parents=True)
        (tmp_path / "in" / sub / "same.yaml").write_text(GOOD.format(rate=1))
    result = run_batch(tmp_path / "in", tmp_path / "out", jobs=1)
    assert [r["id"] for r in result.rows] == ["a/same.yaml", "b/same.yaml"]


def test_a_grid_over_one_file(folder, tmp_path):
    result = run_batch(
        folder / "good0.yaml",
        tmp_path / "out",
        grid=["rate=1,5", "slo.ttft_p99=1s,2s"],
        jobs=1,
    )
    assert [r["changes"] for r in result.rows] == [
        {"rate": 1, "slo.ttft_p99": "1s"},
        {"rate": 1, "slo.ttft_p99": "2s"},
        {"rate": 5, "slo.ttft_p99": "1s"},
        {"rate": 5, "slo.ttft_p99": "2s"},
    ]
    assert result.counts == {"optimal": 4}


@pytest.mark.parametrize("text", ["rate", "rate=", "=1", "rate=[", "rate=1,2}"])
def test_what_is_no_grid_is_refused(text):
    with pytest.raises(InputError, match="grid"):
        list(points_of([text]))


def test_a_grid_reaches_into_lists():
    data = {"services": [{"rate": 1}]}
    assert changed(data, {"services.0.rate": 3}) == {"services": [{"rate": 3}]}
    assert data == {"services": [{"rate": 1}]}
    with pytest.raises(InputError, match="no such list entry"):
        changed(data, {"services.7.rate": 3})


def test_ids_and_keys_differ(folder):
    tasks = collect(folder, "*.yaml", (), "x")
    assert len({t.id for t in tasks}) == len({t.key for t in tasks}) == len(tasks)


def _die_on(task):
    """Die once or always, as the id asks; ``file`` is a folder to remember in."""
    mark = Path(task.file) / task.id
    if task.id == "always" or (task.id == "once" and not mark.exists()):
        mark.touch()
        os._exit(9)
    return {"id": task.id, "key": task.key, "status": "optimal"}


@pytest.mark.slow
def test_a_dead_worker_is_retried_then_reported(tmp_path, repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository))  # where new workers find this very file
    names = ["a", "b", "once", "c", "always", "d"]
    tasks = [Task(n, str(tmp_path), "", n) for n in names]
    rows = list(run(tasks, _die_on, engine="local", jobs=2, address=None))
    assert sorted(r["id"] for r in rows) == sorted(names)
    statuses = {r["id"]: r["status"] for r in rows}
    assert statuses.pop("always") == "crashed"
    assert set(statuses.values()) == {"optimal"}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "dask", "ray"])
def test_engines_agree(engine, folder, tmp_path):
    if engine != "local":
        pytest.importorskip({"dask": "distributed", "ray": "ray"}[engine])
    code = (
        "import sys, json; from planner.batches.run import run_batch\n"
        f"r = run_batch({str(folder)!r}, {str(tmp_path / engine)!r}, engine={engine!r}, jobs=2)\n"
        "print(json.dumps(r.counts))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(f"if __name__ == '__main__':\n    {code.replace(chr(10), chr(10) + '    ')}")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with Ledger(tmp_path / engine, resume=True) as ledger:
        rows = sorted(ledger.rows, key=lambda r: r["id"])
    alone = run_batch(folder, tmp_path / "alone", jobs=1)
    assert without_time(rows) == without_time(alone.rows)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "address"), [("dask", "tcp://127.0.0.1:9")])
def test_a_dead_address_is_one_message(engine, address, folder, tmp_path):
    pytest.importorskip("distributed")
    hasty = (
        "import sys, planner.batches.workers as workers; workers.CONNECT_S = 1;"
        "from planner.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", hasty, "batch", str(folder), "-o", str(tmp_path / "out")),
            *("--engine", engine, "--address", address),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "no Dask scheduler answers" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_whole_rows(tmp_path):
    import signal
    import time

    source = tmp_path / "in"
    source.mkdir()
    for i in range(MANY):
        (source / f"{i:03}.yaml").write_text(GOOD.format(rate=i + 1))
    out = tmp_path / "out"
    batch = subprocess.Popen(
        [sys.executable, "-m", "planner", "batch", str(source), "-o", str(out), "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = out / "rows.jsonl"
    while not (rows.exists() and rows.read_text().count("\n") >= 3):
        assert batch.poll() is None, batch.stderr.read()
        time.sleep(0.05)
    batch.send_signal(signal.SIGINT)
    _, stated = batch.communicate(timeout=60)
    assert batch.returncode == 130, stated
    assert "go on with --resume" in stated
    text = rows.read_text()
    assert text.endswith("\n")
    done = [json.loads(line)["id"] for line in text.splitlines()]
    assert 3 <= len(done) < MANY
    result = run_batch(source, out, jobs=1, resume=True)
    assert result.reused >= len(done) - 2
    assert sorted(r["id"] for r in result.rows) == [f"{i:03}.yaml" for i in range(MANY)]


def test_a_bug_becomes_a_row(monkeypatch, folder):
    import planner.batches.answers as answers

    monkeypatch.setattr(answers, "_solve", lambda *_: 1 / 0)
    row = answer(collect(folder, "good0.yaml", (), "x")[0], BatchOptions())
    assert row["status"] == "failed"
    assert "ZeroDivisionError" in row["error"]


def test_parquet_holds_the_rows(folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run_batch(folder, tmp_path / "out", jobs=1, parquet=True)
    table = parquet.read_table(tmp_path / "out" / "rows.parquet")
    assert table.num_rows == len(result.rows)
    assert tuple(table.column_names) == COLUMNS


def test_both_endings_are_taken_and_what_is_left_out_is_named(tmp_path, capsys):
    source = tmp_path / "in"
    (source / "old.yaml").mkdir(parents=True)
    (source / "a.yaml").write_text(GOOD.format(rate=1))
    (source / "b.yml").write_text(GOOD.format(rate=2))
    (source / "c.yaml").symlink_to(source / "gone.yaml")
    (source / "notes.txt").write_text("not a scenario")
    out = tmp_path / "out"
    assert main(["batch", str(source), "-o", str(out), "--jobs", "1", "--no-cache"]) == 0
    said = capsys.readouterr()
    assert "2 scenarios: 2 optimal" in said.out
    assert "c.yaml (a link to nothing)" in said.err
    assert "old.yaml (a folder)" in said.err
    assert "notes.txt (not a .yaml or .yml file)" in said.err
    reported = []
    tasks = collect(source, "*.yml", (), "x", lambda *left: reported.append(left))
    assert [t.id for t in tasks] == ["b.yml"]
    assert reported == []
