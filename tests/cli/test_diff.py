import csv
import io
import json

import plan_builder as build
import pytest

from planner.cli.main import main


@pytest.fixture
def files(tmp_path):
    plans = {
        "old": build.plan(),
        "new": build.plan(build.scenario(rate=60), nodes=(build.node(count=4),)),
        "busier": build.plan(build.scenario(rate=60)),
        "lost": build.infeasible_plan(),
    }
    paths = {}
    for name, plan in plans.items():
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(plan.to_json())
    return {name: str(path) for name, path in paths.items()}


def run(capsys, *args):
    code = main(["diff", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_changes_and_causes(capsys, files):
    code, out, err = run(capsys, files["old"], files["new"])
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert "Cost $60.00/h -> $80.00/h (+33 %) (because of: rate)." in flat
    assert "chat: rate 50 -> 60" in flat
    assert "3 -> 4 (+33 %)" in flat


def test_markdown_json_and_csv(capsys, files):
    out = run(capsys, files["old"], files["new"], "--format", "md")[1]
    assert "| ~ | total | cost per hour | $60.00 -> $80.00 (+33 %) |" in out
    stated = json.loads(run(capsys, files["old"], files["new"], "--format", "json")[1])
    assert stated["increase"] == pytest.approx(1 / 3)
    assert stated["causes"] == [{"kind": "rate", "detail": "chat: rate 50 -> 60"}]
    text = run(capsys, files["old"], files["new"], "--format", "csv")[1]
    cause, row, *_ = csv.DictReader(io.StringIO(text, newline=""))
    assert (cause["kind"], cause["subject"], cause["name"]) == (
        "cause",
        "rate",
        "chat: rate 50 -> 60",
    )
    assert (row["kind"], float(row["old"]), float(row["new"])) == ("changed", 60, 80)


@pytest.mark.parametrize(
    ("new", "limit", "code"),
    [("new", "5%", 1), ("new", "40", 0), ("old", "0%", 0), ("lost", "500%", 1)],
)
def test_an_increase_can_fail_a_build(capsys, files, new, limit, code):
    assert run(capsys, files["old"], files[new], "--fail-on-increase", limit)[0] == code


def test_a_cost_that_stays_has_no_cause(capsys, files):
    out = run(capsys, files["old"], files["busier"])[1]
    assert "Cost stays $60.00/h; what differs in the inputs: rate." in " ".join(out.split())


def test_the_same_plan_says_so(capsys, files):
    assert "The plans say the same." in run(capsys, files["old"], files["old"])[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not a plan"),
        ("{}", "not a plan"),
        ("{", "not a JSON file"),
        ('{"schema_version": 99}', "another version"),
        ('{"schema_version": 1}', "Field required"),
    ],
)
def test_foreign_and_newer_files_are_refused(capsys, files, tmp_path, content, message):
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    code, _, err = run(capsys, files["old"], str(bad))
    assert code == 2
    assert message in err


def test_bad_limits_are_refused(capsys, files):
    code, _, err = run(capsys, files["old"], files["new"], "--fail-on-increase", "lots")
    assert code == 2
    assert "not a percentage" in err
