"""CSV of any command carries any of its tables, or all of them from one run."""

import csv
import io

import pytest

from planner.cli.main import main


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    assert main(["solve", "rent_or_buy_70b", "--verify", "none", "-o", str(path)]) == 0
    return str(path)


def test_a_report_writes_every_table_beside_its_name(plan, tmp_path):
    out = tmp_path / "report.csv"
    assert main(["report", plan, "--quick", "--table", "all", "-o", str(out)]) == 0
    names = {p.name for p in tmp_path.iterdir()}
    assert {"report.order.csv", "report.totals.csv", "report.cash_by_month.csv"} <= names
    with (tmp_path / "report.totals.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["usd_per_month"]) == pytest.approx(730 * float(row["usd_per_hour"]))


def test_a_solve_writes_every_table_of_its_plan(tmp_path):
    out = tmp_path / "plan.csv"
    command = ["solve", "fleet_growth", "--verify", "none", "--table", "all", "-o", str(out)]
    assert main(command) == 0
    names = {p.name for p in tmp_path.iterdir()}
    assert {"plan.order.csv", "plan.cash_by_month.csv", "plan.schedule.csv"} <= names
    with (tmp_path / "plan.cash_by_month.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    paid = [float(row["usd"]) for row in rows]
    assert float(rows[-1]["so_far_usd"]) == pytest.approx(sum(paid))


def test_a_table_that_needs_no_solve_solves_nothing(plan, monkeypatch, capsys):
    def refuse(*_args, **_named):
        raise AssertionError("solved again")

    monkeypatch.setattr("planner.parallel.process_pool.solving_ahead", refuse)
    assert main(["report", plan, "--format", "csv", "--table", "totals"]) == 0
    assert capsys.readouterr().out.startswith("usd_per_hour,")


def test_several_tables_need_a_file(plan, capsys):
    assert main(["report", plan, "--quick", "--format", "csv", "--table", "all"]) == 2
    assert "NAME.TABLE.csv" in capsys.readouterr().err


@pytest.mark.parametrize("table", ["differences", "causes", "values"])
def test_a_difference_has_each_of_its_tables(plan, table, capsys):
    code = main(["diff", plan, plan, "--format", "csv", "--table", table])
    stated = capsys.readouterr()
    if table == "causes":  # nothing differs: no causes to list
        assert code == 2
        assert "the report has no such table" in stated.err
    else:
        assert code == 0
        assert "kind," in stated.out


def test_a_memo_is_no_spreadsheet(plan, tmp_path, capsys):
    code = main(["report", plan, "--memo", "--format", "xlsx", "-o", str(tmp_path / "a.xlsx")])
    assert code == 2
    assert "html, md, table" in capsys.readouterr().err


def test_a_memo_is_written(plan, tmp_path):
    out = tmp_path / "memo.md"
    assert main(["report", plan, "--quick", "--memo", "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# For approval: rent_or_buy_70b")
    assert "Finance" in text


MEMORY_TABLES = {
    "memory --model Qwen/Qwen3-8B": ("part", "parameters", "gib"),
    "memory --model Qwen/Qwen3-8B --gpu h100 --table partition": ("part", "gib", "share"),
    "memory --model Qwen/Qwen3-8B --gpu h100 --table holds": ("what", "value"),
    "memory fits --model Qwen/Qwen3-8B --gpu h100": (
        "model", "gpu", "gpus", "precision", "weights", "verdict", "tokens_left", "sequences_left",
        "layout", "reason",
    ),
    "memory training --model Qwen/Qwen3-8B": ("part", "gib"),
    "memory nanochat --depth 20": ("part", "gb"),
    "memory rule-of-thumb --model Qwen/Qwen3-8B": ("part", "rule", "exact"),
    "memory measured-vs-theory --model Qwen/Qwen3-8B --stated-gib 14": ("what", "gib", "against"),
}  # fmt: skip


@pytest.mark.parametrize("command", MEMORY_TABLES)
def test_what_a_model_takes_is_exact_in_a_table(command, capsys):
    assert main([*command.split(), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == MEMORY_TABLES[command]
    for size in (row["gib"] for row in rows if row.get("gib")):
        assert float(size) >= 0


def test_a_start_up_log_is_compared_part_by_part_in_a_table(repository, capsys):
    log = min((repository / "tests" / "sizing" / "logs").glob("vllm*.log"))
    assert main(["memory", "--check", str(log), "--format", "csv"]) == 0
    (weights, *_) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (weights["part"], weights["unit"]) == ("weights", "bytes")
    ratio = float(weights["planned"]) / float(weights["printed"])
    assert float(weights["difference"]) == pytest.approx(ratio - 1)


def test_a_derivation_is_a_row_a_step(plan, tmp_path):
    out = tmp_path / "derived.csv"
    assert main(["explain", plan, "--table", "all", "-o", str(out)]) == 0
    with (tmp_path / "derived.steps.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["service", "topic", "way", "formula", "numbers", "result", "note"]
    assert {row["way"] for row in rows} == {"textbook", "targets"}
    assert rows[0]["topic"] == "Weights"


def test_a_derivation_reads_the_same_in_every_format(plan, capsys):
    texts = []
    for style in ("md", "html", "json", "csv"):
        assert main(["explain", plan, "--format", style]) == 0
        texts.append(capsys.readouterr().out)
    assert all("sum over tensors of values x stored bytes" in text for text in texts)
