"""Every deployment is tried once: sized with its capacity, or rejected with its numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog, load_catalog
from planner.errors import InputError, PhysicsBreach
from planner.fleet.candidates import replica
from planner.fleet.candidates.candidate import Candidate, CandidateSet, Rejection
from planner.fleet.candidates.cuts import share_of_gpu
from planner.fleet.candidates.deployments import deployments
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import Calibration, load_calibration
from planner.performance.guard import floors
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import Capacity, capacity_from

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)
OFFERS = tuple(
    Offer("p", "r", f"{n}x{gpu}", gpu, n, Term.ON_DEMAND, 1.0, "2026-01-01", "list")
    for gpu, n in (("h100-sxm-80gb", 8), ("l4", 1), ("v100-sxm-32gb", 8))
)
LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def service(model: str = LLAMA_70B, **more: object) -> Service:
    given = {
        "name": "chat",
        "model": model,
        "rate": 5.0,
        "prompt_tokens": 1000,
        "output_tokens": 300,
        "slo": {"ttft_p99": "2s", "tpot_p99": "100ms"},
        "search": {"weights": ["bf16"], "kv_cache": ["bf16"]},
        "allow_lower_precision": True,
        **more,
    }
    return Service.model_validate(given)


def tried(requested: Service, gpu_shares: tuple[float, ...] = ()) -> CandidateSet:
    return enumerate_candidates(requested, CATALOG, OFFERS, CALIBRATION, gpu_shares)


def why(found: CandidateSet, text: str) -> Rejection:
    return next(r for r in found.rejections if text in r.label)


def candidate(found: CandidateSet, text: str) -> Candidate:
    return next(c for c in found.candidates if text in c.key)


def test_each_deployment_is_tried_once_and_ends_as_one_or_the_other() -> None:
    search = {"weights": ["bf16", "fp8", "int4"], "kv_cache": ["bf16", "fp8"]}
    requested = service(search={**search, "pipeline_parallel": [1]})
    found = tried(requested)
    labels = [d.label for d in deployments(requested, CATALOG, tuple(o.gpu for o in OFFERS))]
    assert len(labels) == len(set(labels)) == 3 * 4 * 3 * 2
    ended = [c.deployment.label for c in found.candidates] + [r.label for r in found.rejections]
    assert Counter(ended) == Counter(labels)


def test_no_capacity_beats_the_arithmetic_of_the_gpu() -> None:
    for c in tried(service()).candidates:
        ceiling = floors(c.deployment).requests_per_s(1000, 300)
        assert 0 < c.capacity.qps <= ceiling
        assert c.bucket_qps == {"chat": c.capacity.qps}


def test_too_large_a_model_says_by_how_much() -> None:
    rejection = why(tried(service()), "1x l4")
    assert rejection.reason == RejectionReason.NO_MEMORY
    assert rejection.miss is not None
    assert rejection.miss > 4
    assert "GiB" in rejection.detail


def test_groups_need_an_offer_that_holds_them() -> None:
    rejection = why(tried(service()), "4x l4")
    assert (rejection.reason, rejection.miss) == (RejectionReason.NOT_OFFERED, 4.0)


def test_a_gpu_that_is_searched_but_not_offered_is_reported() -> None:
    found = tried(service(search={"gpus": ["B200-SXM-180GB"], "weights": ["bf16"]}))
    assert found.candidates == ()
    assert {r.reason for r in found.rejections} == {RejectionReason.NO_PRICE}


def test_lower_precision_needs_permission_for_weights_and_for_kv() -> None:
    search = {"gpus": ["h100-sxm-80gb"], "weights": ["bf16", "fp8"], "kv_cache": ["bf16", "fp8"]}
    found = tried(service(LLAMA_8B, search=search, allow_lower_precision=False))
    assert {c.deployment.weights.name for c in found.candidates} == {"bf16"}
    assert {c.deployment.kv_cache.name for c in found.candidates} == {"bf16"}
    assert sum(r.reason == RejectionReason.NOT_PERMITTED for r in found.rejections) == 3 * 4


def test_what_would_not_launch_or_cut_is_reported() -> None:
    search = {"gpus": ["v100-sxm-32gb"], "weights": ["fp8"], "tensor_parallel": [1, 3]}
    reasons = {r.reason for r in tried(service(LLAMA_8B, search=search)).rejections}
    assert reasons == {RejectionReason.UNSUPPORTED, RejectionReason.ILLEGAL}


def test_targets_below_the_floor_are_reported_with_the_floor() -> None:
    found = tried(service(slo={"ttft_p99": "2s", "tpot_p99": "1ms"}))
    rejection = why(found, "8x h100")
    assert rejection.reason == RejectionReason.TOO_SLOW
    assert rejection.miss is not None
    assert rejection.miss > 1
    assert "tpot_p99" in rejection.detail


def test_requests_beyond_the_context_fit_nowhere() -> None:
    found = tried(service(LLAMA_8B, prompt_tokens=200_000))
    assert {r.reason for r in found.rejections} == {RejectionReason.TOO_LONG}


def test_one_request_of_maximum_length_must_fit() -> None:
    found = tried(service(LLAMA_8B, prompt_tokens={"mean": 1000, "cv": 3}))
    rejection = why(found, "1x l4")
    assert rejection.reason == RejectionReason.NO_LONGEST
    assert rejection.miss is not None
    assert rejection.miss > 1


def test_short_requests_may_be_served_by_gpus_that_long_ones_do_not_fit() -> None:
    requested = service(
        LLAMA_8B,
        prompt_tokens={"mean": 1000, "cv": 3},
        buckets={"prompt_tokens": [1000]},
        slo={"ttft_p99": "60s", "tpot_p99": "200ms"},
    )
    found = tried(requested)
    small, large = candidate(found, "1x l4"), candidate(found, "8x h100")
    assert list(small.bucket_qps) == ["chat (prompt <= 1000)"]
    assert list(large.bucket_qps) == ["chat (prompt <= 1000)", "chat (prompt > 1000)"]


def test_a_share_of_a_gpu_is_a_smaller_gpu() -> None:
    gpu = CATALOG.gpu("h100-sxm-80gb")
    half = share_of_gpu(gpu, 0.5)
    assert half.visible_bytes == gpu.visible_bytes / 2
    assert half.peak_flops("bf16") == gpu.peak_flops("bf16") / 2
    found = tried(service(LLAMA_8B, search={"gpus": [gpu.name], "weights": ["bf16"]}), (0.5,))
    whole, part = candidate(found, "1x h100"), candidate(found, "on 0.5 of a GPU")
    assert (whole.gpu_share, part.gpu_share) == (1.0, 0.5)
    assert 0 < part.capacity.qps < whole.capacity.qps
    assert not any("on 0.5" in c.key for c in found.candidates if c.deployment.gpus > 1)


def test_a_prediction_that_beats_physics_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def boasting(*given: Any, **named: Any) -> Capacity:
        return replace(capacity_from(*given, **named), qps=1e6)

    monkeypatch.setattr(replica, "capacity_from", boasting)
    with pytest.raises(PhysicsBreach, match="capacity"):
        tried(service(LLAMA_8B))


def test_unknown_names_are_refused(catalog: Catalog) -> None:
    calibration: Calibration = CALIBRATION
    with pytest.raises(InputError, match="unknown GPU"):
        enumerate_candidates(service(search={"gpus": ["h1000"]}), catalog, OFFERS, calibration)


def test_requests_beyond_a_pinned_context_are_rejected():
    search = {"weights": ["bf16"], "settings": {"max_model_len_tokens": 500}}
    found = tried(service(LLAMA_8B, search=search))
    assert not found.candidates
    assert {r.reason for r in found.rejections} == {RejectionReason.TOO_LONG}
    assert found.rejections[0].miss == pytest.approx(1300 / 500)


def test_a_pipeline_is_not_spread_over_the_hosts_of_a_marketplace() -> None:
    """Its stages would be at the sites of different owners, with no network between them."""
    search = {"gpus": ["l4"], "weights": ["bf16"], "tensor_parallel": [1], "pipeline_parallel": [8]}
    requested = service(search=search)
    (single,) = (o for o in OFFERS if o.gpu == "l4")
    eight = replace(single, instance_type="8x l4", gpu_count=8)
    for offers, refused in (
        ((replace(single, tier="marketplace"),), True),
        ((replace(single, tier="cloud"),), False),
        ((replace(eight, tier="marketplace"),), False),
        ((replace(single, tier="cloud"), replace(eight, tier="marketplace")), False),
        ((replace(eight, tier="cloud"), replace(single, tier="marketplace")), True),
    ):
        found = enumerate_candidates(requested, CATALOG, offers, CALIBRATION)
        reasons = {r.reason for r in found.rejections}
        assert (RejectionReason.NO_NETWORK in reasons) == refused
        if refused:
            assert not found.candidates
            assert "prices.tiers" in why(found, "PP8").detail


def test_pools_of_a_unit_need_a_network_between_their_hosts() -> None:
    pools = {"colocated": False, "ratios": ["1:1"], "within": ["zone"]}
    search = {"gpus": ["h100"], "weights": ["fp8"], "kv_cache": ["fp8"], "tensor_parallel": [2]}
    requested = service(LLAMA_8B, search={**search, "disaggregation": pools})
    (node,) = (o for o in OFFERS if o.gpu == "h100-sxm-80gb")
    for tier in ("cloud", "marketplace"):
        offers = (replace(node, gpu_count=2, tier=tier),)
        found = enumerate_candidates(requested, CATALOG, offers, CALIBRATION)
        reasons = {r.reason for r in found.rejections}
        assert (RejectionReason.NO_NETWORK in reasons) == (tier == "marketplace")
