"""``-``: plans, scenarios, logs, traces and measurements piped into a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SMALL = """\
model: meta-llama/Llama-3.1-8B-Instruct
rate: 1/s
prompt_tokens: 500
output_tokens: 100
slo: {ttft_p99: 2s, tpot_p99: 90ms}
search: {gpus: [l40s], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.19.0
          args: [--model, meta-llama/Llama-3.1-8B-Instruct]
          resources: {limits: {nvidia.com/gpu: "1"}}
      nodeSelector: {nvidia.com/gpu.product: NVIDIA-L40S}
"""
LOGS = REPOSITORY / "tests/sizing/logs"
POINTS = (
    "model,gpu,engine,weights,tp,isl,osl,concurrency,ttft_ms,tpot_ms\n"
    "Qwen/Qwen3-8B,h200-sxm-141gb,vllm,bf16,1,1000,100,1,40,8\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("piped")
    (folder / "mine.yaml").write_text(SMALL)
    (folder / "manifest.yaml").write_text(MANIFEST)
    piped(folder, "", "solve", "mine.yaml", "--verify", "none", "-o", "plan.json")
    return folder


def piped(folder, text, *args):
    return subprocess.run(
        [sys.executable, "-m", "planner", *args],
        cwd=folder,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "100",
            "PLANNER_CACHE": str(folder / "kept"),
        },
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("verify - --failed-only", "not verified"),
        ("report - --quick --format md", "# Capacity plan"),
        ("diff - plan.json", "The plans say the same"),
        ("diff - -", "The plans say the same"),
        ("explain - --format md", "what the targets need"),
        ("deploy - --target vllm -o launch --force", "launch/"),
        ("accept --plan -", "vllm bench serve"),
        ("autoscale - --policy static", "Static"),
        ("import manifest.yaml --plan -", "What to change"),
        ("simulate mine.yaml --plan - --duration 30s", "req/s arrive"),
    ],
)
def test_a_plan_is_piped_into_every_command_that_reads_one(folder, command, expected):
    done = piped(folder, (folder / "plan.json").read_text(), *command.split())
    assert "error" not in done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize("command", ["report - --quick --format md --verify none", "validate -"])
def test_a_scenario_is_piped_where_a_plan_may_be(folder, command):
    done = piped(folder, SMALL, *command.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        ("memory --gpu h200 --check -", "vllm_0.24_gemma4_31b_h200.log", "2.39"),
        ("trace describe -", "arrival_s,prompt_tokens,output_tokens\n0,9,9\n1,9,9\n", "2 requests"),
        ("accuracy -", POINTS, "over 1 of 1 rows"),
    ],
)
def test_logs_traces_and_points_are_piped(folder, command, text, expected):
    content = (LOGS / text).read_text() if text.endswith(".log") else text
    done = piped(folder, content, *command.split())
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("memory --model -", "8.19 billion parameters"),
        ("memory --model - --gpu h100", "1x h100-sxm-80gb holds"),
        ("memory fits --model -", "GPUs that hold a model"),
        ("memory rule-of-thumb --model -", "8.19 billion parameters"),
    ],
)
def test_a_config_is_piped_where_a_model_is_named(folder, catalog, command, expected):
    config = (catalog.root / "models/Qwen--Qwen3-8B.json").read_text(encoding="utf-8")
    done = piped(folder, config, *command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    wrong = piped(folder, "no config", *command.split())
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: stdin: not valid JSON")


def test_a_command_line_needs_a_model_that_an_engine_finds(folder, catalog):
    config = (catalog.root / "models/Qwen--Qwen3-8B.json").read_text(encoding="utf-8")
    done = piped(folder, config, *["memory", "--model", "-", "--gpu", "h100", "--launch"])
    assert done.returncode == 2
    assert "finds by its name or folder" in done.stderr


@pytest.mark.parametrize("command", ["solve", "compare --vary gpu=l40s"])
def test_a_plan_given_for_a_scenario_is_one_message(folder, command):
    done = piped(folder, "", *command.split(), "plan.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: plan.json: this is a plan, not a scenario\n")
    assert len(done.stderr.splitlines()) == 3


def test_a_scenario_may_be_a_json_file(folder):
    scenario = json.loads((folder / "plan.json").read_text())["scenario"]["services"][0]
    question = {
        "model": scenario["model"],
        "rate": "2/s",
        "prompt_tokens": 100,
        "output_tokens": 50,
    }
    question |= {"slo": {"ttft_p99": "2s", "tpot_p99": "80ms"}, "search": {"gpus": ["l40s"]}}
    (folder / "question.json").write_text(json.dumps(question))
    for command in ("solve", "explain"):
        done = piped(folder, "", command, "question.json", "--verify", "none")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["verify -", "solve -", "trace describe -", "memory --check -"])
def test_nothing_piped_is_one_message(folder, command):
    done = piped(folder, "", *command.split())
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
