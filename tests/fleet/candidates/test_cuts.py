"""Replicas on a part of a GPU, and beside what others hold of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.gpus.slices import slices_of
from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.errors import InputError
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.candidates.cuts import GpuCut, beside_others, cut_gpu, cuts_of, share_of_gpu
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.scenario.schema import Service
from planner.sizing.memory import memory_fraction, memory_layout
from planner.units import GIB

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
H100 = CATALOG.gpu("h100-sxm-80gb")


def deployment(engine: str = "vllm", gpu=H100) -> Deployment:
    return Deployment(
        CATALOG.model("meta-llama/Llama-3.1-8B-Instruct"),
        gpu,
        CATALOG.engine(engine),
        1,
        CATALOG.weight_format("bf16"),
        CATALOG.kv_format("bf16"),
    )


def tried(parts=(), **search: object) -> CandidateSet:
    service = Service.model_validate(
        {
            "model": "Qwen/Qwen3-4B",
            "rate": 2.0,
            "prompt_tokens": 500,
            "output_tokens": 100,
            "slo": {"ttft_p99": "4s", "tpot_p99": "80ms"},
            "search": {
                "gpus": ["h100-sxm-80gb"],
                "tensor_parallel": [1],
                "weights": ["native"],
                "kv_cache": ["bf16"],
                **search,
            },
        }
    )
    offer = Offer("p", "r", "h", "h100-sxm-80gb", 8, Term.ON_DEMAND, 1.0, "2026-01-01", "list")
    return enumerate_candidates(service, CATALOG, (offer,), CALIBRATION, parts)


def test_a_mig_slice_has_the_memory_bandwidth_and_sms_of_its_row() -> None:
    part = cut_gpu(H100, GpuCut(0.5, "3g.40gb"), CATALOG)
    assert part.cuda_visible_gib == 39.38
    assert part.bandwidth_bytes_s == H100.bandwidth_bytes_s / 2
    assert part.peak_flops("bf16") == pytest.approx(H100.peak_flops("bf16") * 0.4545)
    assert part.multiprocessors == 60
    with pytest.raises(InputError, match="no such MIG profile"):
        cut_gpu(H100, GpuCut(0.5, "3g.20gb"), CATALOG)


def test_the_profiles_of_a_gpu_fit_it() -> None:
    for gpu in CATALOG.gpus():
        for row in slices_of(CATALOG.root, gpu.name):
            assert row.per_gpu * row.memory_gib <= gpu.cuda_visible_gib
            assert row.per_gpu * row.bandwidth_share <= 1
            assert row.per_gpu * row.sm_share <= 1


def test_mig_means_every_profile_of_the_gpu() -> None:
    named = [c.profile for c in cuts_of(("mig",), H100.name, CATALOG.root)]
    assert named == ["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb"]
    assert list(cuts_of(("3g.71gb", 0.5), H100.name, CATALOG.root)) == [GpuCut(0.5)]


def test_kernels_of_a_whole_gpu_are_not_those_of_half_of_it() -> None:
    batch = StepBatch(8.0, 8000.0, sampled_tokens=8.0)
    whole = deployment()
    half = replace(whole, gpu=share_of_gpu(H100, 0.5))
    seconds = [float(step_model(d, CALIBRATION).step_seconds(batch)) for d in (whole, half)]
    assert 1.8 < seconds[1] / seconds[0] < 2.2  # 1.5 with the kernels of the whole GPU


def test_slices_are_candidates_under_their_own_names() -> None:
    found = tried(("3g.40gb", 0.5)).candidates
    assert [(c.gpu_share, c.profile) for c in found] == [(1, ""), (0.5, "3g.40gb"), (0.5, "")]
    assert found[1].label.endswith("on 3g.40gb")
    assert found[1].capacity.qps < found[0].capacity.qps


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_memory_that_others_hold_is_no_cache(engine: str) -> None:
    alone = memory_layout(deployment(engine))
    beside = memory_layout(deployment(engine, beside_others(H100, 20 * GIB)))
    assert beside.fits
    lost = alone.kv_pool_bytes - beside.kv_pool_bytes
    assert 10 * GIB < lost < 21 * GIB
    assert sum(beside.parts_bytes().values()) == pytest.approx(beside.total_bytes)
    assert beside.outside_budget_bytes > alone.outside_budget_bytes


def test_vllm_is_started_with_a_fraction_of_what_is_free() -> None:
    assert memory_fraction(deployment()) == 0.9
    assert memory_fraction(deployment(gpu=beside_others(H100, 4 * GIB))) == 0.9
    assert memory_fraction(deployment(gpu=beside_others(H100, 20 * GIB))) == 0.74


def test_a_search_says_what_others_hold() -> None:
    (found,) = tried(reserved_memory="20GiB").candidates
    assert found.notes == ("20 GiB of each GPU are held by others",)
    assert not tried(reserved_memory="75GiB").candidates
    full = tried(reserved_memory="500GiB").rejections[0]
    assert "other processes hold 500.0 GiB" in str(full)
    assert "nothing is free" in str(full)
