"""Bad plans, options and surroundings: one clear message, the right exit code, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_files import SCENARIO, write

from planner.cli.main import main

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def plan_text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "mine.yaml").write_text(SCENARIO)
    requested = ("--verify", "none", "--format", "json", "-o", str(folder / "plan.json"))
    assert main(("solve", str(folder / "mine.yaml"), *requested)) == 0
    return (folder / "plan.json").read_text()


@pytest.mark.parametrize("command", ["verify", "report", "diff", "deploy"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:500], "not a JSON file"),
        (lambda text: "", "not a JSON file"),
        (lambda text: "[]", "no schema_version"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 99'), "99"),
        (lambda text: text.replace('"status": "optimal"', '"status": "great"', 1), "great"),
        (lambda text: text.replace('"usd_per_month": ', '"usd_per_month": NaN, "x": '), "nan"),
    ],
    ids=["cut", "empty", "list", "newer", "status", "nan"],
)
def test_a_plan_that_is_none(refused, plan_text, command, change, words):
    assert change(plan_text) != plan_text
    plan = write("plan.json", change(plan_text))
    more = {"diff": (plan,), "deploy": ("--target", "vllm", "-o", "launch")}
    assert words in refused(command, plan, *more.get(command, ()))
    assert not Path("launch").exists()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("totals", "usd_per_hour"), 0.1, "the total is the sum over nodes"),
        (("nodes", 0, "usd_per_hour_each"), 0.01, "price of"),
        (("nodes", 0, "count"), 0, "GPUs rented"),
        (("bound_usd_per_hour",), 99.0, "the bound does not exceed"),
        (("services", 0, "replica_groups", 0, "capacity_qps"), 1e6, "arithmetic"),
        (("services", 0, "replica_groups", 0, "predicted", "ttft_p99_s"), 1e-4, "floor"),
        (("scenario", "services", 0, "rate"), 5000.0, "rate requested"),
        (("provenance", "catalog_digest"), "0" * 64, "the catalog is the one"),
    ],
)
def test_a_plan_that_was_tampered_with_fails_its_check(capsys, plan_text, path, value, words):
    plan = json.loads(plan_text)
    at = plan
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert main(("verify", write("plan.json", json.dumps(plan)), "--failed-only")) == 2
    out, err = capsys.readouterr()
    assert words in out
    assert err == ""


OPTIONS = [
    (("--seed", "-1"), "--seed"),
    (("--time-limit", "nan"), "not a finite number"),
    (("--time-limit", "inf"), "not a finite number"),
    (("--time-limit", "0"), "--time-limit"),
    (("--gap", "nan"), "not a finite number"),
    (("--gap", "1"), "--gap"),
    (("--solver", "abacus"), "'highs', 'cbc'"),
    (("--format", "pdf"), "'table', 'json'"),
    (("--catalogs", "nowhere"), "does not exist"),
    (("--calibration", "mine.yaml"), "mine.yaml"),
    (("--calibration", "nowhere"), "does not exist"),
    (("--format", "json", "-o", "no/where/plan.json"), "does not exist"),
    (("--format", "json", "-o", "."), "is a directory"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=[" ".join(o[0]) for o in OPTIONS])
def test_options_that_cannot_be(refused, options, words):
    scenario = write("mine.yaml", SCENARIO)
    message = refused("solve", scenario, "--verify", "none", *options)
    assert words in message


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("memory",), "say what to size"),
        (("trace", "requests.csv"), "planner trace describe FILE"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--gpu", "h1000"), "did you mean 'h100'"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--weights", "fp7"), "did you mean 'fp8'"),
        (("memory", "--model", "Qwen/Qwen3-8B", "--gpu", "h100", "--tp", "3"), "do not divide"),
        (("memory", "--check", "mine.yaml"), "no start-up log"),
        (("memory", "--check", "nowhere.log"), "no such log file"),
        (("memory", "rule-of-thumb", "--params", "nan", "--layers", "1"), "finite"),
        (("catalog", "show", "h999"), "no GPU, model or engine"),
        (("catalog", "gpus", "zzz"), "nothing matches"),
        (("batch", "nowhere", "-o", "out"), "no such scenario"),
        (("batch", "empty", "-o", "out"), "no scenario file matches"),
        (("batch", "mine.yaml", "-o", "out", "--grid", "rate"), "not a grid axis"),
        (("batch", "mine.yaml", "-o", "mine.yaml"), "this is a file"),
        (("explain", "nowhere"), "no such scenario"),
        (("explain", "mine.yaml", "--gap", "2"), "--gap"),
        (("completion", "tcsh"), "'bash', 'zsh', 'fish'"),
    ],
)
def test_other_commands_that_cannot_be(refused, args, words):
    write("mine.yaml", SCENARIO)
    Path("empty").mkdir()
    assert words in refused(*args)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("{max_gpus: 1, max_cost_usd_per_hour: 0.0001}", "max_cost_usd_per_hour"),
        ("{stock: {l4: 0, l40s: 0}}", "limits.stock.l40s: 0 GPUs"),
    ],
)
def test_limits_that_contradict_the_demand_exit_3_and_say_so(capsys, limit, words):
    scenario = write("mine.yaml", f"{SCENARIO}limits: {limit}\n")
    assert main(("solve", scenario, "--verify", "none")) == 3
    out, _ = capsys.readouterr()
    assert "no fleet can meet this scenario" in out
    assert words in out
    assert "Cheapest relaxations" in out


def planner(command):
    """The real entry point in a real shell."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m planner {command}"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["catalog offers", "memory fits --model Qwen/Qwen3-8B"])
def test_a_reader_that_is_away_is_no_error(command):
    done = planner(f"{command} | head -1")
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", ["catalog offers", "catalog gpus --format json", "schema"])
def test_a_full_disk_is_reported(command):
    done = planner(f"{command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: cannot write the result: No space left on device\n"


def test_ctrl_c_says_interrupted(capsys, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("planner.session.Session.solve", interrupt)
    assert main(("solve", write("mine.yaml", SCENARIO))) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip() == "interrupted"


SCENARIO_TEXTS = {
    "flat": "# chat\nmodel: Qwen/Qwen3-8B\nrate: 1\nprompt_tokens: 9\noutput_tokens: 9\n",
    "services": "name: two\nservices:\n  - {model: gpt2}\n",
    "JSON": '{"model": "gpt2", "rate": 1}',
}


@pytest.mark.parametrize("text", SCENARIO_TEXTS.values(), ids=SCENARIO_TEXTS)
@pytest.mark.parametrize("words", [["verify"], ["deploy", "--target", "vllm", "-o", "out"]])
def test_a_scenario_in_place_of_a_plan_says_how_the_plan_is_made(words, text, tmp_path, capsys):
    path = tmp_path / "chat.yaml"
    path.write_text(text)
    assert main([words[0], str(path), *words[1:]]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "this looks like a scenario, not a plan" in said
    assert f"planner solve {path} --format json -o plan.json" in said
    assert "Expecting value" not in said
