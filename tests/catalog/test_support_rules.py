"""What launches and what does not, by engine version, device, format and width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.catalog.model import (
    DenseMlp,
    LatentAttention,
    Layer,
    ModelSpec,
    MoeMlp,
    SoftmaxAttention,
    SparseIndexer,
)
from planner.catalog.store import Catalog, load_catalog
from planner.catalog.support import check_support, compute_precision
from planner.errors import CatalogError

GQA = SoftmaxAttention(heads=64, kv_heads=8, head_dim=128, v_head_dim=128)
MLA = LatentAttention(128, 1536, 512, 128, 64, 128)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def model(*layers: Layer) -> ModelSpec:
    return ModelSpec("m", "LlamaForCausalLM", 8192, 128_256, False, layers, ())


DENSE = model(Layer(GQA, DenseMlp(28_672)))
MOE_1536 = model(Layer(GQA, MoeMlp(experts=128, top_k=8, width=1536)))
LATENT = model(Layer(MLA, DenseMlp(18_432)), Layer(MLA, MoeMlp(256, 8, 2048, 2048)))
SINKS = replace(MOE_1536, architecture="GptOssForCausalLM")
SPARSE = model(
    Layer(LatentAttention(128, 1536, 512, 128, 64, 128, SparseIndexer(64, 128, 2048)), None)
)


def reasons(catalog: Catalog, **given: Any) -> tuple[str, ...]:
    chosen: dict[str, Any] = {
        "engine": "vllm",
        "version": None,
        "model": DENSE,
        "weights": "bf16",
        "kv_cache": "bf16",
        "gpu": "h100-sxm-80gb",
        "tensor_parallel": 1,
    } | given
    return check_support(
        catalog.support_rules(),
        engine=catalog.engine(chosen.pop("engine"), chosen.pop("version")),
        model=chosen.pop("model"),
        weights=catalog.weight_format(chosen.pop("weights")),
        kv_cache=catalog.kv_format(chosen.pop("kv_cache")),
        gpu=catalog.gpu(chosen.pop("gpu")),
        **chosen,
    )


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize("gpu", ["a100-sxm-80gb", "l4", "h100-sxm-80gb", "b200-sxm-180gb"])
def test_bf16_launches_everywhere_on_current_nvidia(
    catalog: Catalog, engine: str, gpu: str
) -> None:
    assert reasons(catalog, engine=engine, gpu=gpu) == ()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"gpu": "p100-sxm"}, "7.0"),
        ({"gpu": "t4"}, "as float16"),
        ({"gpu": "v100-sxm-32gb", "version": "0.21"}, "Volta"),
        ({"engine": "sglang", "gpu": "gaudi-3"}, "Gaudi"),
        ({"engine": "tensorrt-llm", "gpu": "mi300x"}, "NVIDIA"),
        ({"engine": "tensorrt-llm", "gpu": "a100-sxm-80gb", "weights": "fp8"}, "FP8 units"),
        ({"engine": "tensorrt-llm", "weights": "nvfp4"}, "Blackwell"),
        ({"engine": "tensorrt-llm", "gpu": "b200-sxm-180gb", "weights": "int4"}, "Blackwell"),
        ({"engine": "sglang", "weights": "nvfp4"}, "Blackwell"),
        ({"weights": "int4", "gpu": "mi300x", "version": "0.17.0"}, "AWQ"),
        ({"weights": "mxfp4", "version": "0.9.2"}, "0.10.1"),
        ({"kv_cache": "nvfp4", "gpu": "b200-sxm-180gb"}, "came with 0.20"),
        (
            {"model": LATENT, "kv_cache": "fp8", "gpu": "a100-sxm-80gb", "version": "0.16.0"},
            "Hopper",
        ),
        ({"model": SINKS, "kv_cache": "nvfp4", "version": "0.33.0"}, "sinks"),
        ({"model": SPARSE, "gpu": "a100-sxm-80gb"}, "Hopper"),
        ({"model": SPARSE, "version": "0.9.2"}, "0.11"),
        ({"model": MOE_1536, "weights": "fp8_block", "tensor_parallel": 8}, "multiple of 128"),
        ({"model": LATENT, "weights": "fp8_block", "tensor_parallel": 32}, "multiple of 128"),
    ],
)
def test_what_does_not_launch_says_why(
    catalog: Catalog, given: dict[str, Any], reason: str
) -> None:
    assert any(reason in found for found in reasons(catalog, **given))


@pytest.mark.parametrize(
    "given",
    [
        {"weights": "fp8", "gpu": "a100-sxm-80gb"},
        {"weights": "fp8", "gpu": "mi300x"},
        {"weights": "nvfp4"},
        {"weights": "nvfp4", "gpu": "b200-sxm-180gb", "engine": "sglang"},
        {"model": MOE_1536, "weights": "fp8_block", "tensor_parallel": 4},
        {"model": MOE_1536, "weights": "fp8_block", "tensor_parallel": 8, "expert_parallel": 8},
        {"model": MOE_1536, "weights": "fp8", "tensor_parallel": 8},
        {"model": LATENT, "weights": "fp8_block", "tensor_parallel": 16},
        {"model": LATENT, "kv_cache": "fp8"},
        {"kv_cache": "nvfp4", "version": "0.33.0"},
        {"gpu": "gaudi-3"},
        {"gpu": "t4", "weights": "int4", "kv_cache": "fp16"},
    ],
)
def test_what_launches(catalog: Catalog, given: dict[str, Any]) -> None:
    assert reasons(catalog, **given) == ()


@pytest.mark.parametrize(
    ("gpu", "weights", "precision", "note"),
    [
        ("h100", "bf16", "bf16", ""),
        ("h100", "fp8", "fp8", ""),
        ("h100", "int4", "bf16", "weight-only"),
        ("h100", "nvfp4", "bf16", "weight-only"),
        ("b200", "nvfp4", "fp4", ""),
        ("a100-sxm-80gb", "fp8", "bf16", "weight-only"),
        ("a100-sxm-80gb", "int8", "int8", ""),
        ("t4", "bf16", "fp16", "no bf16 units"),
        ("t4", "fp16", "fp16", ""),
        ("v100-sxm-32gb", "int8", "fp16", "weight-only"),
        ("mi300x", "fp8", "fp8", ""),
    ],
)
def test_compute_precision(
    catalog: Catalog, gpu: str, weights: str, precision: str, note: str
) -> None:
    found, why = compute_precision(catalog.gpu(gpu), catalog.weight_format(weights))
    assert found == precision
    assert note in why
    assert bool(note) == bool(why)


def test_every_rule_names_what_exists(catalog: Catalog) -> None:
    engines = {spec.name for spec in catalog.engines()}
    vendors = {gpu.vendor for gpu in catalog.gpus()}
    architectures = {gpu.architecture for gpu in catalog.gpus()}
    for rule in catalog.support_rules():
        assert set(rule.when.engines) <= engines
        assert set(rule.when.vendors) <= vendors
        assert set(rule.when.gpu_architectures) <= architectures
        for name in rule.when.weights:
            assert catalog.weight_format(name).name == name
        for name in rule.when.kv_cache:
            assert catalog.kv_format(name).name == name
        assert rule.reason
        assert rule.source


def test_an_unknown_condition_is_refused(tmp_path, catalog: Catalog) -> None:
    (tmp_path / "support.yaml").write_text(
        "- {reason: x, source: y, as_of: '2026-01-01', when: {engine: [vllm]}}\n"
    )
    with pytest.raises(CatalogError, match="unknown field"):
        Catalog(tmp_path).support_rules()
