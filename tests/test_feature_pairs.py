"""Every pair of features through every command: solve, JSON, read, verify, report, deploy, simulate."""

import itertools
import json

import pytest

from planner.cli.main import main

BASE = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 6,
    "prompt_tokens": {"mean": 600, "cv": 0.5, "max": 3000},
    "output_tokens": {"mean": 120, "cv": 0.5, "max": 500},
    "slo": {"ttft_p99": "4s", "tpot_p99": "120ms"},
    "search": {"gpus": ["l40s"], "tensor_parallel": [1], "weights": ["bf16"], "kv_cache": ["bf16"]},
    "prices": {"providers": ["aws", "gcp"], "terms": ["on-demand"]},
}
FEATURES = {
    "sharing": {
        "sharing": {"gpu": [0.5]},
        "services": [{"name": "one", "rate": 1}, {"name": "two", "rate": 1}],
    },
    "hourly load": {"load": {"hourly": [1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6] * 2}},
    "assurance": {"assurance": {"probability": 0.8, "demand_cv": 0.1}},
    "disaggregation": {
        "search": {"gpus": ["h100-sxm-80gb"], "disaggregation": {"ratios": ["1P1D"]}}
    },
    "buckets": {"buckets": {"prompt_tokens": [1000]}, "max_deployments": 2},
    "commitments": {
        "prices": {"terms": ["on-demand", "1-year"]},
        "horizon": {"months": 24, "stages": 2, "growth_per_month": 0.02},
    },
    "failures": {"failures": {"replicas": 1}},
    "classes": {
        "services": [
            {
                "name": "mixed",
                "classes": [
                    {"name": "chat", "rate": 0.6, "priority": 1, "slo": {"ttft_p99": "4s"}},
                    {
                        "name": "digest",
                        "rate": 0.3,
                        "prompt_tokens": 1500,
                        "slo": {"e2e_p95": "5m"},
                    },
                ],
            }
        ]
    },
}
INPUT_REFUSED, INFEASIBLE = 2, 3


def merged(base, more):
    out = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


@pytest.fixture
def run(capsys):
    def call(*words):
        code = main([str(w) for w in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", list(itertools.combinations(FEATURES, 2)), ids=lambda pair: " and ".join(pair)
)
def test_two_features_together(pair, tmp_path, run):
    scenario = BASE
    for feature in pair:
        scenario = merged(scenario, FEATURES[feature])
    question, plan = tmp_path / "pair.yaml", tmp_path / "plan.json"
    question.write_text(json.dumps(scenario))  # JSON is YAML
    code, _, err = run("solve", question, "--verify", "none", "--format", "json", "-o", plan)
    if code == INPUT_REFUSED:
        assert "next:" in err or "allowed:" in err, err  # combinations that are refused say why
        return
    assert code == 0, err
    if "sharing" in pair and "disaggregation" not in pair:
        services = json.loads(plan.read_text())["services"]
        assert any(g["gpu_share"] < 1 for s in services for g in s["replica_groups"])
    code, out, err = run("verify", plan, "--failed-only")
    assert code == 0, out + err
    for style in ("md", "xlsx"):
        code, _, err = run(
            "report", plan, "--quick", "--format", style, "-o", tmp_path / f"r.{style}"
        )
        assert code == 0, err
    code, out, err = run("report", plan, "--quick", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["scenario"]["name"] == "pair"
    code, out, err = run("deploy", plan, "--target", "vllm", "-o", tmp_path / "launch")
    shares = "sharing" in pair
    assert code == 0 or (shares and code == INPUT_REFUSED and "next:" in err), err
    code, out, err = run(
        "simulate", question, "--plan", plan, "--duration", "60s", "--format", "json"
    )
    assert code in (0, INFEASIBLE), err
    json.loads(out)
