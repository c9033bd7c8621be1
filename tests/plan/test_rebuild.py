"""A plan's replica groups are rebuilt one way, and known under one key."""

from dataclasses import replace

import plan_builder as build
import pytest

from planner.api import solve
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.findings.latency_curves import latency_curves
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.performance.factors import load_calibration
from planner.plan.rebuild import deployment_of, placed
from planner.scenario.schema import Scenario
from planner.verification.verify import failures, verify

SHARED = {
    "services": [
        {
            "name": name,
            "model": "meta-llama/Llama-3.2-1B",
            "rate": rate,
            "prompt_tokens": 300,
            "output_tokens": 100,
            "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
            "load": {"hourly": hourly, "peak_ratio": 1.2},
        }
        for name, rate, hourly in (
            ("day", 3.0, (1,) * 8 + (9,) * 10 + (3,) * 6),
            ("night", 1.0, (9,) * 8 + (1,) * 10 + (3,) * 6),
        )
    ],
    "search": {"gpus": ("l40s",), "weights": ("bf16",), "kv_cache": ("bf16",)},
    "sharing": {"gpu": (0.5, 0.25)},
    "assurance": "none",
}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def calibration(catalog):
    return load_calibration(catalog)


@pytest.fixture(scope="module")
def shared(catalog):
    plan = solve(Scenario.model_validate(SHARED), verify="none", catalogs=catalog)
    assert any(g.gpu_share < 1 for s in plan.services for g in s.replica_groups)
    return plan


def test_shared_gpus_with_hourly_demand_verify(shared, catalog, calibration):
    assert failures(verify(shared, catalog, calibration, catalog.offers())) == ()


def test_a_schedule_knows_replicas_by_the_key_of_their_group(shared):
    keys = {g.key(s.name) for s in shared.services for g in s.replica_groups}
    assert all(set(p.replicas) <= keys for p in shared.periods)
    assert any("of a GPU" in key for key in keys)


def test_candidates_and_rebuilt_groups_are_the_same(shared, catalog, calibration):
    for service, planned in zip(shared.scenario.services, shared.services, strict=True):
        offers = [o for o in catalog.offers() if o.gpu == "l40s"]
        sized = enumerate_candidates(service, catalog, offers, calibration, (0.5, 0.25))
        known = {c.key: c for c in sized.candidates}
        for group in planned.replica_groups:
            candidate = known[group.key(service.name)]
            one = placed(service, group, catalog, calibration)
            assert one.deployment == candidate.deployment
            assert one.memory.parts_bytes() == candidate.memory.parts_bytes()
            assert group.name == candidate.label


def test_the_curve_of_half_a_gpu_is_not_that_of_the_whole_one(shared, catalog, calibration):
    (service, *_), (planned, *_) = shared.scenario.services, shared.services
    (group,) = planned.replica_groups
    curve = next(c for c in latency_curves(shared, catalog, calibration) if c.service == "day")
    at_capacity = curve.points[-1].ttft_p99_s
    whole = placed(service, group.model_copy(update={"gpu_share": 1.0}), catalog, calibration)
    one = placed(service, group, catalog, calibration)
    assert replace(one.deployment, gpu=whole.deployment.gpu) == whole.deployment
    assert at_capacity == pytest.approx(2.0, rel=0.05)  # a share of a GPU is loaded to its target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor_parallel": 0}, "at least one GPU"),
        ({"gpu_share": 0.0}, "a share of its GPU"),
        ({"settings": {"no_such": 1}}, "no such engine setting"),
        ({"settings": {"max_num_seqs": 1.5}}, "integer"),
        ({"gpu": "no-such-gpu"}, "no-such-gpu"),
        ({"weights": "no-such-format"}, "no-such-format"),
        ({"kv_cache": "no-such-format"}, "no-such-format"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused(catalog, change, message):
    (service,) = build.scenario().services
    with pytest.raises(InputError) as refused:
        deployment_of(service, build.group(**change), catalog)
    assert message in str(refused.value)
