import csv
import io
import json

import plan_builder as build
import pytest

from planner.cli.main import main


@pytest.fixture(autouse=True)
def solved(monkeypatch):
    """Solving is not under test here: TP2 needs four nodes, TP4 three, TP8 is infeasible."""

    def solve(_session, scenario, **_):
        (degree,) = scenario.services[0].search.tensor_parallel[:1]
        if degree == 8:
            return build.infeasible_plan(scenario)
        return build.plan(
            scenario,
            groups=(build.group(tensor_parallel=degree),),
            nodes=(build.node(count={1: 9, 2: 4, 4: 3}[degree]),),
        )

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("planner.session.Session.solve", solve)


def run(capsys, *args):
    code = main(["compare", "llama70b_qps50", "--jobs", "1", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_options_stand_side_by_side(capsys):
    code, out, err = run(capsys, "--vary", "tensor_parallel=2,4,8")
    assert code == 0
    assert err == ""
    flat = " ".join(out.split())
    assert "tensor_parallel 4 wins at $60.00/h: $20.00/h (25 %) less than tensor_parallel 2" in flat
    for word in (
        "Cost per month",
        "$43,800",
        "$58,400",
        "Lost to collectives",
        "TTFT p99 interval",
        "1.1 s to 1.9 s",
    ):
        assert word in flat
    assert "no deployment holds" in flat


def test_json_has_exact_figures_and_the_winner(capsys):
    code, out, _ = run(capsys, "--vary", "tensor_parallel=2,4", "--format", "json")
    text = json.loads(out)
    assert code == 0
    assert text["winner"] == {"tensor_parallel": "4"}
    first = text["options"][0]
    assert first["tensor_parallel"] == "2"
    assert first["usd_per_month"] == 80 * 730
    assert first["collectives_share"] == pytest.approx(0.0045 / 0.0193)
    assert first["ttft_p99_s_low"] == 1.1


def test_csv_has_a_row_per_option(capsys):
    _, out, _ = run(capsys, "--vary", "tensor_parallel=2,8", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [r["status"] for r in rows] == ["optimal", "infeasible"]
    assert rows[1]["usd_per_hour"] == ""
    assert rows[1]["why_not"].startswith("no deployment holds")


def test_a_grid_in_markdown_and_html(capsys, tmp_path):
    axes = ("--vary", "tensor_parallel=1,2,4", "--vary", "weights=bf16,fp8")
    code, out, _ = run(capsys, *axes, "--format", "md")
    assert code == 0
    assert out.count("| optimal |") == 6
    page = tmp_path / "grid.html"
    assert run(capsys, *axes, "--format", "html", "-o", str(page))[0] == 0
    assert "<svg" in page.read_text()


def test_exit_3_when_nothing_is_feasible(capsys):
    code, out, _ = run(capsys, "--vary", "tensor_parallel=8")
    assert code == 3
    assert "No option is feasible" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--vary", "tp=2"), "unknown axis to vary"),
        (("--vary", "tensor_parallel=2,2"), "same value twice"),
        ((), "Missing option '--vary'"),
        (("--vary", "gpu=a", "-o", "/none/x.txt"), "folder does not exist"),
        (("--vary", "gpu=h100-sxm-80gb,h100-sxn-80gb"), "did you mean 'h100-sxm-80gb'?"),
        (("--vary", "provider=aws,awz"), "did you mean 'aws'?"),
        (("--vary", "engine=vlm,vllm"), "did you mean 'vllm'?"),
    ],
)
def test_bad_input_exits_2_with_one_message(capsys, args, message):
    code, _, err = run(capsys, *args)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
