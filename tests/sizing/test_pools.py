"""Pools that engines printed on consumer and unified devices, and sizes that files leave to a class."""

from __future__ import annotations

import pytest

from planner.catalog.model_config import parse_config
from planner.catalog.store import load_catalog
from planner.deployment import EngineSettings
from planner.sizing.cache.kv_cache import state_bytes_per_sequence
from planner.sizing.model_memory import ModelMemory, SizingLayout, model_memory
from planner.units import MIB

CATALOG = load_catalog()
NANO_9B = {
    "architectures": ["NemotronHForCausalLM"],
    "hidden_size": 4480,
    "intermediate_size": 15680,
    "num_hidden_layers": 56,
    "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "mamba_num_heads": 128,
    "mamba_head_dim": 80,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "vocab_size": 131072,
    "max_position_embeddings": 131072,
}


def planned(model: str, gpu: str, version: str, settings: EngineSettings) -> ModelMemory:
    layout = SizingLayout(gpu=CATALOG.gpu(gpu), engine_version=version, settings=settings)
    return model_memory(CATALOG, CATALOG.model(model), layout=layout)


def test_a_geforce_gpu_sorts_all_logits_at_start() -> None:
    """Llama-3.1-8B at 0.9 of an RTX 4090 with vLLM 0.19: 41,408 tokens, 5.05 GiB."""
    small = EngineSettings(max_num_seqs=256, max_num_batched_tokens=2048)
    result = planned("meta-llama/Llama-3.1-8B", "rtx-4090", "0.19.0", small)
    assert result.layout is not None
    assert result.layout.kv_pool_tokens == pytest.approx(41_408, rel=0.005)


def test_an_engine_does_not_start_where_the_system_holds_what_it_asks_for() -> None:
    """A DGX Spark has about 101 of its 119.7 GiB free at start: 0.92 fails and 0.85 starts."""
    default = planned("openai/gpt-oss-20b", "gb10", "0.25.0", EngineSettings())
    assert default.layout is not None
    assert not default.layout.fits
    assert "shares with the system" in default.layout.reasons[0]
    lower = planned("openai/gpt-oss-20b", "gb10", "0.25.0", EngineSettings(memory_fraction=0.85))
    assert lower.layout is not None
    assert lower.layout.fits


def test_gpt_oss_120b_fits_one_h100() -> None:
    """vLLM 0.11 loaded 64.4 GiB and kept a pool of 3.3 GiB."""
    result = planned("openai/gpt-oss-120b", "h100", "0.11.0", EngineSettings())
    assert result.layout is not None
    assert result.layout.fits
    assert not any("would not launch" in warning for warning in result.warnings)


def test_states_are_16_bit_where_the_file_names_no_type() -> None:
    """Nemotron Nano 9B v2: about 70 MiB a sequence."""
    model = parse_config(NANO_9B, "nano", "config.json")
    assert state_bytes_per_sequence(model) / MIB == pytest.approx(70, rel=0.03)


def test_a_model_that_samples_nothing_has_no_sampler_to_warm_up() -> None:
    config = {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
    }
    layout = SizingLayout(gpu=CATALOG.gpu("l40s"))
    sizes = []
    for name in ("LlamaForCausalLM", "LlamaModel"):
        model = parse_config({**config, "architectures": [name]}, name, "config.json")
        result = model_memory(CATALOG, model, layout=layout)
        assert result.layout is not None
        sizes.append(result.layout.activations_bytes)
    assert sizes[1] < sizes[0]
