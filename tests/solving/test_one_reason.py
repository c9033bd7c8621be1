"""Why nothing serves a scenario: what every deployment shares is said once, and the nearest is nearest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.cli.main import main
from planner.package_data import shipped_folder


def summary(tmp_path: Path, text: str) -> str:
    scenario, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    scenario.write_text(text)
    words = ["solve", str(scenario), "--no-cache", "--format", "json", "-o", str(plan)]
    assert main(words) == 3
    return str(json.loads(plan.read_text())["infeasibility"]["summary"])


def test_a_prompt_beyond_the_context_is_one_sentence(tmp_path: Path) -> None:
    said = summary(
        tmp_path,
        "model: meta-llama/Llama-3.1-8B-Instruct\nrate: 1\nprompt_tokens: 200k\noutput_tokens: 10\n"
        "slo: {ttft_p99: 60s}\nsearch: {gpus: [a10, h100]}\n",
    )
    assert said == (
        "No limit or target that could be relaxed is the cause: requests exceed the context "
        "(prompt and output: 200,010 tokens, the model takes 131,072). State shorter prompt_tokens or "
        "output_tokens (max bounds a distribution), plan a model with a longer context, or, where its "
        "model card describes YaRN, a config.json with that rope_scaling."
    )


@pytest.mark.parametrize(
    ("search", "way_out"),
    [
        ("settings: {max_model_len_tokens: 500}", "Raise search.settings.max_model_len_tokens"),
        ("speculative: [mtp]", "Add none to search.speculative"),
        ("engines: [atom]", "search.engines, search.weights and search.kv_cache say"),
    ],
)
def test_what_rules_everything_out_says_what_to_change(
    tmp_path: Path, search: str, way_out: str
) -> None:
    said = summary(
        tmp_path,
        "model: Qwen/Qwen3-8B\nrate: 1\nprompt_tokens: 1000\noutput_tokens: 10\n"
        f"slo: {{ttft_p99: 60s}}\nsearch: {{gpus: [h100], {search}}}\n",
    )
    assert way_out in said


def test_a_context_stretched_by_yarn_is_the_models(tmp_path: Path) -> None:
    """Qwen3's card: rope_scaling of factor 4 over 32,768; max_position_embeddings stays 40,960."""
    config = json.loads((shipped_folder("catalogs") / "models" / "Qwen--Qwen3-8B.json").read_text())
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_scaling": scaling}))
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "model: config.json\nrate: 1\nprompt_tokens: 100k\noutput_tokens: 200\n"
        "slo: {ttft_p99: 60s}\nsearch: {gpus: [h100]}\n"
    )
    assert main(["solve", str(scenario), "--verify", "none", "--no-cache", "-o", "/dev/null"]) == 0


@pytest.mark.parametrize("gpus", ["a100-pcie-40gb, b200", "b200, a100-pcie-40gb"])
def test_the_nearest_miss_is_by_the_target_missed_most(tmp_path: Path, gpus: str) -> None:
    said = summary(
        tmp_path,
        "model: meta-llama/Llama-3.1-8B-Instruct\nrate: 1\nprompt_tokens: 1000\noutput_tokens: 200\n"
        "slo: {ttft_p99: 20ms, tpot_p99: 1ms}\n"
        f"search: {{gpus: [{gpus}], tensor_parallel: [2], kv_cache: [bf16], weights: [bf16]}}\n",
    )
    assert "Nearest miss: 2x b200-sxm-180gb vllm TP2" in said


def test_the_nearest_miss_is_predicted_not_the_lowest_floor(tmp_path: Path) -> None:
    """TP1 and TP2 miss by their floors, TP2 by least (2.356 s); TP8 is the fastest (a target of 5.7 s)."""
    said = summary(
        tmp_path,
        "model: meta-llama/Llama-3.1-8B-Instruct\nrate: 0.5\nprompt_tokens: 120000\noutput_tokens: 500\n"
        "slo: {ttft_p99: 2s, tpot_p99: 50ms}\nsearch: {gpus: [h100-pcie-80gb]}\n",
    )
    assert "Nearest miss: 8x h100-pcie-80gb vllm TP8" in said
    assert "s that a replica without any other request is predicted to need" in said
    assert "the target is 2 s" in said
    infeasibility = json.loads((tmp_path / "plan.json").read_text())
    (slow,) = (r for r in infeasibility["rejections"] if r["reason"].startswith("misses a latency"))
    assert [label.split()[3] for label in slow["examples"]] == ["TP8", "TP4", "TP2"]
    ways = infeasibility["infeasibility"]["relaxations"]
    assert "5.71 s" in [r["relaxed"] for r in ways if r["requirement"] == "ttft_p99"]


def test_a_gpu_offered_on_other_terms_alone_names_them(tmp_path: Path) -> None:
    text = (
        "model: Qwen/Qwen3-8B\nrate: 1\nprompt_tokens: 1000\noutput_tokens: 200\n"
        "slo: {ttft_p99: 2s, tpot_p99: 50ms}\nsearch: {gpus: [mi355x]}\n"
    )
    said = summary(tmp_path, text)
    assert "No offer that prices admits has mi355x, whose offers are spot" in said
    found = json.loads((tmp_path / "plan.json").read_text())["infeasibility"]["relaxations"]
    ways = {r["requirement"]: r["relaxed"] for r in found}
    assert ways["prices.terms"] == "on-demand, spot with spot.pools_lost: 0"
    assert "search.gpus" in ways
