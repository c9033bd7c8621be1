import csv
import sys
import zipfile

import plan_builder as build
import pytest

from planner.cli.main import main


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(build.plan().to_json())
    return str(path)


def run(capsys, *args):
    code = main(["report", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_html_from_a_plan(capsys, plan_file, tmp_path):
    page = tmp_path / "report.html"
    code, out, err = run(capsys, plan_file, "--quick", "-o", str(page))
    assert (code, out, err) == (0, "", f"wrote {page}\n")
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    for section in ("decision", "order", "cost", "latency", "memory", "alternatives", "sources"):
        assert f'<section id="{section}"' in text
    assert "other catalog data" in text  # the hand-made plan has a digest of its own


def test_markdown_and_csv_on_stdout(capsys, plan_file):
    assert run(capsys, plan_file, "--quick", "--format", "md")[1].startswith(
        "# Capacity plan: chat"
    )
    out = run(capsys, plan_file, "--quick", "--format", "csv")[1]
    (row,) = csv.DictReader(out.splitlines())
    assert (row["instance_type"], row["count"], row["usd_per_hour"]) == ("h100x8", "3", "60.0")
    out = run(capsys, plan_file, "--quick", "--format", "csv", "--table", "alternatives")[1]
    assert [float(r["usd_per_hour"]) for r in csv.DictReader(out.splitlines())] == [66.0, 129.6]


def test_a_spreadsheet(capsys, plan_file, tmp_path):
    book = tmp_path / "report.xlsx"
    assert run(capsys, plan_file, "--quick", "--format", "xlsx", "-o", str(book))[0] == 0
    assert zipfile.is_zipfile(book)


def test_sensitivity_solves_each_change_once(capsys, plan_file, monkeypatch):
    requested = []

    def solve(session, scenario, **settings):
        requested.append((scenario, session.options.verify))
        return build.plan(scenario)

    monkeypatch.setattr("planner.session.Session.solve", solve)
    out = run(capsys, plan_file, "--format", "csv", "--table", "sensitivity")[1]
    rows = list(csv.DictReader(out.splitlines()))
    assert {r["input"] for r in rows} >= {"Request rate", "TTFT target", "TPOT target"}
    assert {verify for _, verify in requested} == {"none"}
    assert {s.services[0].rate for s, _ in requested} >= {25, 40, 50, 60, 75, 100}


def test_an_infeasible_plan_is_reported_and_exits_3(capsys, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(build.infeasible_plan().to_json())
    code, out, _ = run(capsys, str(path), "--format", "md")
    assert code == 3
    assert "no deployment holds" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--table", "orders", "--format", "csv"), "did you mean 'order'?"),
        (("-o", "/none/report.html"), "folder does not exist"),
        (("-o", "/tmp"), "is a directory"),
        (("--format", "pdf"), "pdf"),
    ],
)
def test_bad_input_exits_2(capsys, plan_file, args, message):
    code, _, err = run(capsys, plan_file, "--quick", *args)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("module", "style"), [("matplotlib", "html"), ("jinja2", "html"), ("xlsxwriter", "xlsx")]
)
def test_missing_extras_say_what_to_install(capsys, plan_file, monkeypatch, module, style):
    from planner.reporting.formats import html

    html._template.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = run(capsys, plan_file, "--quick", "--format", style)
    assert (code, out) == (2, "")
    assert "pip install 'llm-fleet-planner[report]'" in err


@pytest.mark.slow
def test_a_whole_report_of_a_shipped_scenario(capsys, tmp_path):
    page = tmp_path / "report.html"
    few = ("--set", "search.gpus=[h100-sxm-80gb, l40s]")
    assert run(capsys, "llama70b_qps50", *few, "--verify", "none", "-o", str(page))[0] == 0
    text = page.read_text()
    for section in ("break_even", "sensitivity", "derivation"):
        assert f'<section id="{section}"' in text
    assert text.count("<svg") >= 5


def test_what_cannot_be_written_is_said_before_any_work(capsys, monkeypatch):
    def solve(*_, **__):
        raise AssertionError("solved before looking at the output")

    monkeypatch.setattr("planner.session.Session.solve", solve)
    assert run(capsys, "llama70b_qps50", "-o", "/none/report.html")[0] == 2
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    code, _, err = run(capsys, "llama70b_qps50", "--format", "xlsx")
    assert code == 2
    assert "pip install" in err
