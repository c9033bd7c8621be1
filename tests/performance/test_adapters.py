"""LoRA adapters: what they add to a step, to memory, to launch files; how they are graded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from planner.cli.main import main
from planner.deployment import Deployment, EngineSettings
from planner.evidence import Evidence
from planner.performance.adapters import AdapterWork, adapter_kernels, adapter_work, with_adapters
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.scenario.schema import Scenario

WORK = AdapterWork(
    loaded=4,
    bytes_each=2e6,
    flops_per_token=4e6,
    launch_s=1e-3,
    bandwidth_bytes_s=1e12,
    peak_flops_s=1e14,
)
SCENARIO = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 8,
    "prompt_tokens": 800,
    "output_tokens": 100,
    "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
    "lora": {"adapters": 20, "rank": 32, "max_loaded": 8},
    "search": {"gpus": ["l40s"], "tensor_parallel": [1], "weights": ["bf16"], "kv_cache": ["bf16"]},
}


def deployment(catalog, adapters=0, rank=16):
    return Deployment(
        model=catalog.model("meta-llama/Llama-3.1-8B-Instruct"),
        gpu=catalog.gpu("l40s"),
        engine=catalog.engine("vllm"),
        tensor_parallel=1,
        weights=catalog.weight_format("bf16"),
        kv_cache=catalog.kv_format("bf16"),
        settings=EngineSettings(lora_adapters=adapters, lora_rank=rank),
    )


def test_a_step_reads_the_adapters_it_names_works_on_its_tokens_and_launches_their_kernels():
    """Two sequences name 1.75 of four adapters; with 100 prompt tokens, 102 tokens are worked on."""
    batch = StepBatch(1.0, 500.0, 100.0, 1.0, 5000.0, 2.0)
    hit = 4 * (1 - (3 / 4) ** 2)
    expected = hit * 2e6 / 1e12 + 101 * 4e6 / 1e14 + 1e-3
    assert WORK.seconds(batch) == pytest.approx(expected)


def test_an_empty_step_costs_nothing_and_many_sequences_read_every_adapter_once():
    found = WORK.seconds(StepBatch(np.array([0.0, 1e6]), np.array([0.0, 1e6])))
    assert found[0] == 0
    assert found[1] == pytest.approx(4 * 2e6 / 1e12 + 1e6 * 4e6 / 1e14 + 1e-3)


def test_one_adapter_of_a_model_has_rank_times_the_sides_of_its_matrices(catalog):
    """Llama-3.1-8B: q, o 4096 x 4096, k, v 4096 x 1024, three of 4096 x 14336, in 32 layers, 16 bits."""
    sides = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    work = adapter_work(deployment(catalog, adapters=8, rank=16))
    assert work.bytes_each == pytest.approx(32 * 16 * sides * 2)
    assert work.flops_per_token == pytest.approx(2 * 32 * 16 * sides)
    assert work.launch_s == pytest.approx(32 * adapter_kernels().layer_us * 1e-6)


def test_a_replica_without_adapters_has_the_step_model_it_always_had(catalog):
    calibration = load_calibration(catalog)
    plain = deployment(catalog)
    assert type(with_adapters(plain, calibration)) is type(step_model(plain, calibration))


def test_step_times_with_adapters_are_longer_by_their_work_and_graded_assumed(catalog):
    calibration, one = load_calibration(catalog), deployment(catalog, adapters=8)
    steps = with_adapters(one, calibration)
    base = step_model(replace(one, settings=EngineSettings()), calibration)
    batch = StepBatch(8.0, 8000.0, sampled_tokens=8.0)
    extra = adapter_work(one).seconds(batch)
    assert steps.step_seconds(batch) == pytest.approx(base.step_seconds(batch) + extra)
    assert steps.step_times(batch).total_s == pytest.approx(base.step_times(batch).total_s + extra)
    assert steps.evidence is Evidence.ASSUMED


def test_adapters_from_the_command_line_to_launch_files(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(json.dumps(SCENARIO))
    plan = tmp_path / "plan.json"
    solving = ["solve", str(tmp_path / "s.yaml"), "--verify", "none", "--format", "json"]
    assert main([*solving, "-o", str(plan)]) == 0
    answer = json.loads(plan.read_text())
    (group,) = answer["services"][0]["replica_groups"]
    assert group["settings"]["lora_adapters"] == 8
    assert group["settings"]["lora_rank"] == 32
    assert group["memory"]["adapters_bytes"] > 0
    assert group["evidence"] == "assumed"
    assert any("20 LoRA adapters of rank 32" in a for a in answer["assumptions"])
    assert any("at most 9 sequences at once" in a for a in answer["assumptions"])
    assert main(["verify", str(plan), "--failed-only"]) == 0
    assert main(["deploy", str(plan), "--target", "vllm", "-o", str(tmp_path / "out")]) == 0
    text = next((tmp_path / "out").glob("*.sh")).read_text()
    for words in ("--enable-lora", "--max-loras 8", "--max-lora-rank 32", "--max-cpu-loras 20"):
        assert words in text


def test_an_engine_whose_options_for_adapters_are_not_recorded_is_rejected(tmp_path, capsys):
    search = {**SCENARIO["search"], "engines": ["tensorrt-llm"]}
    (tmp_path / "s.yaml").write_text(json.dumps({**SCENARIO, "search": search}))
    assert main(["solve", str(tmp_path / "s.yaml"), "--verify", "none"]) == 3
    assert "LoRA adapters is not recorded" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"adapters": 4, "max_loaded": 5}, "max_loaded exceeds the 4 adapters"),
        ({"adapters": 4, "rank": 12}, "8, 16, 32, 64, 128 or 256"),
        ({"adapters": 0}, "greater than or equal to 1"),
        ({"rank": 16}, "'adapters' is required"),
        ({"adapters": 4, "size": 16}, "unknown field 'size'"),
    ],
)
def test_adapters_that_make_no_sense_are_refused(lora, words, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(json.dumps({**SCENARIO, "lora": lora}, indent=1))
    assert main(["validate", str(tmp_path / "s.yaml")]) == 2
    out, err = capsys.readouterr()
    assert words in (out + err).replace("\n", " ")


def test_a_service_without_adapters_reads_as_it_always_did():
    plain = {k: v for k, v in SCENARIO.items() if k != "lora"}
    assert "lora" not in Scenario.model_validate(plain).services[0].model_dump(mode="json")
    service = Scenario.model_validate(SCENARIO).services[0]
    assert service.model_dump(mode="json")["lora"]["max_loaded"] == 8


def test_services_of_one_search_that_differ_in_adapters_are_sized_apart(tmp_path):
    """One session keeps the layouts of a search: those with adapters are others."""
    plain = {k: v for k, v in SCENARIO.items() if k != "lora"}
    both = {**plain, "services": [{"name": "plain"}, {"name": "own", "lora": SCENARIO["lora"]}]}
    path, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    path.write_text(json.dumps(both))
    solving = ["solve", str(path), "--verify", "none", "--format", "json"]
    assert main([*solving, "-o", str(plan)]) == 0
    groups = {s["name"]: s["replica_groups"][0] for s in json.loads(plan.read_text())["services"]}
    assert groups["plain"]["settings"]["lora_adapters"] == 0
    assert groups["own"]["settings"]["lora_adapters"] == 8
