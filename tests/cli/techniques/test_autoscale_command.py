"""``planner autoscale``: policies side by side, rate files, the files of the autoscalers, refusals."""

from __future__ import annotations

import itertools
import json

import pytest
import yaml

from planner.cli.main import main

SCENARIO = {
    "name": "day",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 40,
    "prompt_tokens": 1000,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
    "load": {"hourly": [1, 1, 1, 1, 1, 1, 2, 4, 6, 8, 8, 8, 8, 8, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1]},
    "search": {
        "gpus": ["h100-sxm-80gb"],
        "tensor_parallel": [1],
        "weights": ["bf16"],
        "kv_cache": ["bf16"],
    },
    "prices": {"providers": ["aws", "gcp"]},
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoscale")
    (folder / "s.yaml").write_text(json.dumps(SCENARIO))
    path = folder / "plan.json"
    solving = ["solve", str(folder / "s.yaml"), "--verify", "none", "--format", "json"]
    assert main([*solving, "-o", str(path)]) == 0
    return path


def policies(capsys, *words):
    capsys.readouterr()
    assert main(["autoscale", *map(str, words), "--format", "json"]) == 0
    return {row["policy"]: row for row in json.loads(capsys.readouterr().out)["policies"]}


def test_the_schedule_and_the_static_fleet_miss_nothing_and_cost_what_the_plan_says(plan, capsys):
    found = policies(capsys, plan)
    answer = json.loads(plan.read_text())
    by_hour = [sum(p["replicas"].values()) for p in answer["periods"]]
    own, static = found["the plan's schedule"], found["static, for the busiest hour"]
    assert own["missed"] == static["missed"] == 0
    assert static["gpu_hours"] == pytest.approx(24 * max(by_hour))
    rises = sum(max(b - a, 0) for a, b in itertools.pairwise(by_hour))
    assert own["gpu_hours"] == pytest.approx(sum(by_hour) + rises * 180 / 3600)
    assert own["usd"] == pytest.approx(24 * answer["totals"]["usd_per_hour"], rel=0.03)
    assert set(found) == {
        "the plan's schedule",
        "static, for the busiest hour",
        "KEDA, queue and clock",
        "HPA, queue",
        "llm-d, saturation",
    }


def test_finer_rates_than_the_plan_knows_are_replayed(plan, tmp_path, capsys):
    """A burst of ten minutes in the quietest hour, to ten times the rate: the clock alone misses it."""
    rates = [("window_start_s", "rate_rps")]
    hourly = SCENARIO["load"]["hourly"]
    for window in range(24 * 6):
        burst = 10 if window == 13 else 1
        rates.append((600 * window, hourly[window // 6] * 8.0 * burst))
    path = tmp_path / "rates.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rates))
    found = policies(capsys, plan, "--rates", path)
    own, keda = found["the plan's schedule"], found["KEDA, queue and clock"]
    assert own["missed"] > 0
    assert keda["missed"] > 0
    assert keda["longest_s"] <= own["longest_s"]
    assert keda["most_replicas"] >= own["most_replicas"] or keda["scalings"] > own["scalings"]
    quick = policies(capsys, plan, "--rates", path, "--start-up", "15s", "--policy", "keda")
    assert quick["KEDA, queue and clock"]["missed"] < keda["missed"]


def test_rates_as_they_are_differ_from_rates_scaled_to_the_plan(plan, tmp_path, capsys):
    path = tmp_path / "rates.csv"
    path.write_text("window_start_s,rate_rps\n0,1\n3600,1\n")
    words = (plan, "--rates", path, "--policy", "static")
    scaled = policies(capsys, *words)
    plain = policies(capsys, *words, "--as-is")
    assert scaled == plain  # two hours of either rate lie within the static fleet
    main(["autoscale", *map(str, words), "--as-is"])
    assert "up to 1 req/s" in " ".join(capsys.readouterr().out.split())


def test_the_files_are_those_that_deploy_writes(plan, tmp_path, capsys):
    folder, deployed = tmp_path / "scaling", tmp_path / "kubernetes"
    assert main(["autoscale", str(plan), "--policy-files", str(folder)]) == 0
    assert {p.name for p in folder.iterdir()} == {"day.keda.yaml", "day.hpa.yaml", "day.llm-d.yaml"}
    assert main(["deploy", str(plan), "--target", "kubernetes", "-o", str(deployed)]) == 0
    objects = list(yaml.safe_load_all((deployed / "day.group.yaml").read_text()))
    (own,) = [o for o in objects if o["kind"] == "ScaledObject"]
    assert yaml.safe_load((folder / "day.keda.yaml").read_text()) == own
    text = (folder / "day.llm-d.yaml").read_text()
    assert text.startswith("# Not validated")
    kinds = [o["kind"] for o in yaml.safe_load_all(text)]
    assert kinds == ["VariantAutoscaling", "ConfigMap", "HorizontalPodAutoscaler"]
    again = ["autoscale", str(plan), "--policy-files", str(folder)]
    assert main(again) != 0
    assert "--force" in capsys.readouterr().err
    assert main([*again, "--force"]) == 0


def test_a_threshold_is_replayed_and_written(plan, tmp_path):
    folder = tmp_path / "scaling"
    words = ["--policy", "keda", "--queue-threshold", "7", "--policy-files", str(folder)]
    assert main(["autoscale", str(plan), *words]) == 0
    (trigger,) = [
        t
        for t in yaml.safe_load((folder / "day.keda.yaml").read_text())["spec"]["triggers"]
        if t["type"] == "prometheus"
    ]
    assert trigger["metadata"]["threshold"] == "7"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "magic"], "'magic' is not one of"),
        (["--rates", "nowhere.csv"], "nowhere.csv"),
        (["--start-up", "-3s"], "start-up"),
    ],
)
def test_what_cannot_be_replayed_is_refused(plan, words, said, capsys):
    assert main(["autoscale", str(plan), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_plan_of_batch_jobs_alone_has_nothing_to_scale(tmp_path, capsys):
    job = {k: v for k, v in SCENARIO.items() if k not in ("rate", "slo", "load")}
    job["job"] = {"requests": "50k", "within": "6h"}
    (tmp_path / "s.yaml").write_text(json.dumps(job))
    path = str(tmp_path / "plan.json")
    solving = ["solve", str(tmp_path / "s.yaml"), "--verify", "none", "--format", "json"]
    assert main([*solving, "-o", path]) == 0
    assert main(["autoscale", path]) == 2
    assert "nothing to replay" in capsys.readouterr().err


def test_a_night_without_requests_is_replayed_as_one(plan, tmp_path, capsys):
    path = tmp_path / "rates.csv"
    rows = "".join(f"{3600 * h},{30 if h >= 12 else 0}\n" for h in range(24))
    path.write_text("window_start_s,rate_rps\n" + rows)
    words = [
        "autoscale",
        plan,
        "--rates",
        path,
        "--as-is",
        "--policy",
        "static",
        "--format",
        "json",
    ]
    assert main([str(word) for word in words]) == 0
    series = json.loads(capsys.readouterr().out)["series"]
    assert series[0]["rate_qps"] == 0
    assert [s["rate_qps"] for s in series if s["time_s"] >= 12 * 3600] == [30.0]
    path.write_text("window_start_s,rate_rps\n0,0\n3600,0\n")
    assert main([str(word) for word in words]) == 2
    assert "no window has a rate above 0" in capsys.readouterr().err
