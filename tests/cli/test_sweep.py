import csv
import io
import json

import plan_builder as build
import pytest

from planner.cli.main import main


@pytest.fixture(autouse=True)
def solved(monkeypatch):
    """A cheap GPU below 40 requests/s, a big one from there, nothing above 150."""

    def solve(_session, scenario, **_):
        rate = scenario.services[0].rate
        if rate > 150:
            return build.infeasible_plan(scenario)
        gpu = "l40s" if rate < 40 else "h100"
        return build.plan(
            scenario,
            groups=(build.group(gpu=gpu),),
            nodes=(build.node(gpu=gpu, count=1 + int(rate // 10)),),
        )

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("planner.session.Session.solve", solve)


def run(capsys, *args):
    code = main(["sweep", "llama70b_qps50", "--jobs", "1", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_cost_and_flips_in_the_terminal(capsys):
    code, out, err = run(capsys, "--rate", "10..90", "--steps", "5", "--refine", "0")
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert "the choice changes once" in flat
    assert "Between 30 req/s and 50 req/s the choice changes: A -> B" in flat
    assert "$29,200" in flat


def test_json_and_csv_are_exact(capsys):
    args = ("--rate", "10..90", "--steps", "3", "--refine", "1")
    stated = json.loads(run(capsys, *args, "--format", "json")[1])
    assert [p["rate_qps"] for p in stated["points"]] == [10, 30, 50, 90]
    assert [p["usd_per_hour"] for p in stated["points"]] == [40, 80, 120, 200]
    assert [(f["low"], f["high"]) for f in stated["flips"]] == [(30, 50)]
    rows = list(csv.DictReader(io.StringIO(run(capsys, *args, "--format", "csv")[1], newline="")))
    assert [float(r["usd_per_month"]) for r in rows] == [h * 730 for h in (40, 80, 120, 200)]
    assert "l40s" in rows[0]["choice"]


def test_a_chart_of_its_own(capsys, tmp_path):
    chart = tmp_path / "cost.svg"
    assert run(capsys, "--rate", "10..90", "--steps", "3", "--chart", str(chart))[0] == 0
    text = chart.read_text()
    assert text.startswith("<?xml")
    assert "var(--" not in text
    assert "<title" in text


def test_infeasible_points_are_shown(capsys):
    code, out, _ = run(capsys, "--rate", "100..200", "--steps", "3", "--format", "csv")
    assert code == 0
    assert "infeasible" in out
    assert run(capsys, "--rate", "160..200", "--steps", "2")[0] == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "exactly one range"),
        (("--rate", "1..2", "--ttft", "1s..2s"), "exactly one range"),
        (("--rate", "5"), "not a range"),
        (("--rate", "1..2", "--steps", "1"), "steps"),
        (("--rate", "1..2", "--price-of", "acme"), "--price-of needs --price-factor"),
        (("--rate", "1..2", "--steps", "2", "-o", "/none/x.txt"), "folder does not exist"),
    ],
)
def test_bad_input_exits_2(capsys, args, message):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err
