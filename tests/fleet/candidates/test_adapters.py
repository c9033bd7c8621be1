"""A replica's batches name no more LoRA adapters than it has loaded."""

from __future__ import annotations

import numpy as np
import pytest

from planner.catalog.store import Catalog
from planner.fleet.candidates.deployments import deployments
from planner.scenario.lora import Lora
from planner.scenario.schema import Service
from planner.sizing.batch_limits import batch_limits

GPU = "h100-sxm-80gb"


def chat(engine: str, **lora: int) -> Service:
    return Service.model_validate(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "rate": 20,
            "prompt_tokens": 500,
            "output_tokens": 200,
            "slo": {"ttft_p99": "1s", "tpot_p99": "40ms"},
            "search": {"gpus": [GPU], "engines": [engine], "tensor_parallel": [1]},
            "lora": {"rank": 64, **lora},
        }
    )


@pytest.mark.parametrize("loaded", [1, 16, 50, 200])
def test_so_many_sequences_name_the_loaded_adapters_in_the_mean(loaded: int) -> None:
    """Drawn at random: the batch names no more than are loaded, and one more sequence would."""
    most = Lora(adapters=500, max_loaded=loaded).most_sequences
    assert most is not None
    draw = np.random.default_rng(0)
    named = [len(set(draw.integers(500, size=most).tolist())) for _ in range(4000)]
    more = [len(set(draw.integers(500, size=most + 1).tolist())) for _ in range(4000)]
    assert np.mean(named) <= loaded + 0.3
    assert np.mean(more) > loaded - 0.3


def test_where_every_adapter_is_loaded_batches_are_the_engines_own() -> None:
    assert Lora(adapters=20).most_sequences is None


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_fewer_slots_never_allow_larger_batches(catalog: Catalog, engine: str) -> None:
    limits = []
    for loaded in (1, 8, 16, 60):
        found = list(deployments(chat(engine, adapters=60, max_loaded=loaded), catalog, (GPU,)))
        limits.append({batch_limits(d).rank_sequences for d in found})
    largest = [max(each) for each in limits]
    assert largest == sorted(largest)
    assert largest[0] == 1
    assert largest[-1] > 100
