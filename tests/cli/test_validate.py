"""``planner validate`` lists what is wrong with a scenario; ``--set`` and stdin reach every command."""

import json

import pytest
from cli_files import SCENARIO, write

from planner.cli.main import main
from planner.plan.schema import read_plan

pytestmark = pytest.mark.usefixtures("own_folder")


def run(capsys, *args):
    code = main(args)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_valid_file(capsys):
    assert run(capsys, "validate", write("mine.yaml", SCENARIO)) == (0, "mine.yaml: valid\n", "")


def test_every_problem_without_solving(capsys):
    text = SCENARIO.replace("rate: 5", "rate: -5\nbudget: 3").replace("l40s", "l44")
    code, out, err = run(capsys, "validate", write("mine.yaml", text))
    assert (code, err) == (2, "")
    places = [line.split(": ")[0] for line in out.splitlines() if line.startswith("mine.yaml:")]
    assert places == [
        "mine.yaml:2, rate",
        "mine.yaml:3, budget",
        "mine.yaml:7, search.gpus",
        "mine.yaml",
    ]
    assert out.endswith("mine.yaml: 3 problems\n")


def test_solve_says_them_all_too(refused):
    text = SCENARIO.replace("rate: 5", "rate: -5\nbudget: 3")
    message = refused("solve", write("mine.yaml", text))
    assert message.count("error: ") == 2


def test_warnings_of_a_file_are_listed(capsys):
    text = SCENARIO.replace("rate: 5", "rate: 1e7") + "feeding: {max_queue: 3}\n"
    code, out, err = run(capsys, "validate", write("mine.yaml", text))
    assert (code, out) == (0, "mine.yaml: valid\n")
    assert err.count("warning: ") == 2
    assert run(capsys, "validate", "mine.yaml", "-q") == (0, out, "")


def test_a_table_of_points_runs_accuracy_with_a_warning(capsys):
    write("points.csv", "model,gpu\n")
    code, out, err = run(capsys, "validate", "points.csv")
    assert (code, out) == (2, "")
    assert err.startswith("warning: planner validate POINTS.csv is now called planner accuracy")
    assert "points.csv" in err.splitlines()[1]


def test_a_scenario_on_stdin(capsys, on_stdin):
    on_stdin(SCENARIO)
    assert run(capsys, "validate", "-") == (0, "stdin: valid\n", "")
    on_stdin(SCENARIO.replace("rate", "qps"))
    code, out, _ = run(capsys, "validate", "-")
    assert code == 2
    assert out.startswith("stdin:2, qps: unknown field 'qps'")
    on_stdin(b"model: \xff\n")
    assert run(capsys, "solve", "-")[2].startswith("error: stdin:1: the scenario is not UTF-8 text")
    on_stdin("x" * 1_000_001)
    assert "too large" in run(capsys, "solve", "-")[2]


def test_set_changes_the_scenario_that_is_solved(capsys, on_stdin):
    on_stdin(SCENARIO)
    args = (
        "solve",
        "-",
        "--set",
        "rate=7",
        "--set",
        "name=seven",
        "--verify",
        "none",
        "-o",
        "p.json",
    )
    assert run(capsys, *args) == (0, "", "wrote p.json\n")
    scenario = read_plan("p.json").scenario
    assert (scenario.name, scenario.services[0].rate) == ("seven", 7)


def test_set_does_not_change_a_plan(capsys, refused):
    write("mine.yaml", SCENARIO)
    assert main(("solve", "mine.yaml", "--verify", "none", "-q", "-o", "p.json")) == 0
    assert capsys.readouterr() == ("", "")
    assert "a plan is not changed" in refused("report", "p.json", "--set", "rate=80")


def test_a_scenario_against_itself_changed(capsys):
    write("mine.yaml", SCENARIO)
    args = (
        "diff",
        "mine.yaml",
        "mine.yaml",
        "--set",
        "rate=9",
        "--verify",
        "none",
        "--format",
        "json",
    )
    code, out, _ = run(capsys, *args)
    assert code == 0
    assert {c["kind"] for c in json.loads(out)["causes"]} == {"rate"}


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "mine.yaml"),
        ("simulate", "mine.yaml"),
        ("compare", "mine.yaml", "--vary", "gpu=l4"),
        ("sweep", "mine.yaml", "--rate", "1..2"),
        ("frontier", "mine.yaml"),
        ("report", "mine.yaml"),
        ("diff", "mine.yaml", "mine.yaml"),
        ("validate", "mine.yaml"),
    ],
)
def test_every_command_with_a_scenario_takes_set(capsys, command):
    write("mine.yaml", SCENARIO)
    code, out, err = run(capsys, *command, "--set", "rate=-80")
    assert code == 2
    assert "--set rate=-80, rate: must be greater than 0" in out + err


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(capsys, flag):
    code, out, _ = run(capsys, flag)
    assert code == 0
    assert out.startswith("planner ")


def test_quiet_before_or_after_the_command(capsys):
    write("mine.yaml", SCENARIO + "feeding: {max_queue: 3}\n")
    assert run(capsys, "validate", "mine.yaml")[2] != ""
    assert run(capsys, "-q", "validate", "mine.yaml")[2] == ""
    assert run(capsys, "validate", "mine.yaml", "--quiet")[2] == ""
    assert run(capsys, "validate", "mine.yaml")[2] != ""


@pytest.mark.parametrize(
    "args",
    [
        ("solve", "mine.yaml", "-o", "no/p.json"),
        ("report", "mine.yaml", "-o", "no/p.html"),
        ("explain", "mine.yaml", "-o", "no/p.md"),
        ("frontier", "mine.yaml", "-o", "no/p.md"),
        ("sweep", "mine.yaml", "--rate", "1..2", "--chart", "no/p.svg"),
        ("simulate", "mine.yaml", "--requests", "no/r.csv"),
        ("trace", "describe", "azure_code_2023", "-o", "no/t.json"),
        ("catalog", "gpus", "-o", "no/t.csv"),
        ("memory", "--model", "Qwen/Qwen3-8B", "-o", "no/t.json"),
    ],
    ids=lambda args: " ".join(args),
)
def test_a_missing_folder_is_refused_before_the_work(refused, monkeypatch, args):
    def never(*_given, **_named):
        raise AssertionError("the catalogs were read before the output folder was looked at")

    monkeypatch.setattr("planner.catalog.store.load_catalog", never)
    monkeypatch.setattr("planner.session.load_catalog", never)
    write("mine.yaml", SCENARIO)
    assert "the output folder does not exist" in refused(*args)
