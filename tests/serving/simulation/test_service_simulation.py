from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import replica_capacity
from planner.serving.placed import Placed
from planner.serving.simulation.replica_groups import DecodePool, numbers_of, with_scaling
from planner.serving.simulation.requests import from_trace
from planner.serving.simulation.service_simulation import (
    check_service,
    groups_of,
    held_share,
    replay_service,
)
from planner.serving.simulation.window import excess_rate, window_for
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for
from planner.workload.lengths import lengths_of
from planner.workload.trace import read_trace


def service(**changes) -> Service:
    return Service.model_validate(
        {
            "model": "meta-llama/Meta-Llama-3-8B-Instruct",
            "rate": 20.0,
            "prompt_tokens": {"mean": 800, "cv": 0.7, "max": 5000},
            "output_tokens": {"mean": 150, "cv": 0.7, "max": 1000},
            "slo": {"ttft_p99": "1s", "tpot_p99": "40ms"},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    catalog = load_catalog()
    model = catalog.model("meta-llama/Meta-Llama-3-8B-Instruct")
    return Deployment(
        model,
        catalog.gpu("h100-sxm-80gb"),
        catalog.engine("vllm"),
        1,
        weights_for(model, "bf16", catalog.weight_format),
        catalog.kv_format("bf16"),
    )


def placed(deployment: Deployment, replicas: int, rate: float) -> Placed:
    steps = step_model(deployment, load_calibration(load_catalog()))
    return Placed(deployment, memory_layout(deployment), steps, replicas, rate)


def capacity(deployment: Deployment, own: Service) -> float:
    p = placed(deployment, 1, 1.0)
    return replica_capacity(p.steps, p.memory, deployment, lengths_of(own), own.slo).qps


def test_well_under_capacity_every_target_holds(deployment):
    own = service()
    rate = 0.6 * capacity(deployment, own)
    check = check_service(own, [placed(deployment, 2, 2 * rate)])
    assert check.holds
    assert check.enough
    assert check.study.shed_share == 0
    assert {"ttft_p99", "tpot_p99", "e2e_p99"} <= set(check.percentiles)
    assert check.percentiles["ttft_p99"].value_s < 1


def test_gaps_between_tokens_have_a_percentile_of_their_own(deployment):
    own = service(slo={"itl_p99": "200ms"})
    gaps = check_service(own, [placed(deployment, 2, 10.0)]).percentiles["itl_p99"]
    assert gaps.low_s <= gaps.value_s <= gaps.high_s < 0.2
    assert gaps.requests > 100 * 300, "every token gap counts, not one a request"
    tighter = service(slo={"itl_p99": f"{1e3 * gaps.value_s / 2:.1f}ms"})
    assert not check_service(tighter, [placed(deployment, 2, 10.0)]).holds


def test_over_capacity_the_share_that_holds_is_found_and_does_hold(deployment):
    own = service()
    fleet = [placed(deployment, 2, 2 * 1.3 * capacity(deployment, own))]
    first = check_service(own, fleet)
    assert not first.holds
    share = held_share(own, fleet, first)
    assert 0.4 < share < 1
    assert check_service(own, fleet, window=first.window, rate_scale=share).holds


def test_a_hopeless_rate_is_said_instead_of_simulated(deployment):
    own = service()
    rate = 10 * capacity(deployment, own)
    assert "grow without end" in (excess_rate(own, [placed(deployment, 1, rate)], rate) or "")
    assert excess_rate(own, [placed(deployment, 1, 1.0)], 1.0) is None


def test_a_target_on_tpot_alone_does_not_hide_a_queue_that_grows(deployment):
    own = service(slo={"tpot_p99": "400ms"})
    most = placed(deployment, 1, 1.0).ceiling_qps(lengths_of(own), 0.0)
    assert excess_rate(own, [placed(deployment, 1, most)], 1.02 * most)
    assert excess_rate(own, [placed(deployment, 1, most)], 0.98 * most) is None
    seen = service()
    assert excess_rate(seen, [placed(deployment, 1, most)], 1.02 * most) is None


def test_time_per_token_of_one_token_is_nobodys(deployment):
    own = service(output_tokens=1, rate=4.0, slo={"ttft_p99": "1s", "tpot_p99": "1ms"})
    check = check_service(own, [placed(deployment, 1, 4.0)])
    assert {o.key: o.met for o in check.outcomes}["tpot_p99"] == 1
    assert check.holds
    late = service(output_tokens=2, rate=4.0, slo={"tpot_p99": "1ms"})
    assert not check_service(late, [placed(deployment, 1, 4.0)]).holds


def test_a_large_fleet_is_simulated_as_a_slice(deployment):
    own = service()
    rate = 0.7 * capacity(deployment, own)
    check = check_service(own, [placed(deployment, 200, 200 * rate)])
    assert check.window.slice_share < 1
    assert check.study.runs[0].replicas < 200
    assert check.rate_qps == pytest.approx(200 * rate)


def test_scaling_starts_late_and_stops_at_once(deployment):
    p = placed(deployment, 1, 1.0)
    (group,) = groups_of([p])
    scaled = with_scaling(group, [(100, 3), (500, 2)], start_up_s=60)
    assert scaled.ready_s == (0, 160, 160)
    assert scaled.retire_s == (math.inf, math.inf, 500)


def test_a_trace_is_simulated_at_its_own_times(deployment):
    requests = from_trace(read_trace("azure_conversation_2023"), rate_scale=2.0, seconds=60)
    assert requests.arrival_s[-1] <= 60
    check = replay_service(service(), [placed(deployment, 1, 10.0)], requests)
    assert len(check.study.runs[0].arrival_s) == len(requests)
    assert not check.study.overloaded


def test_replications_narrow_the_interval(deployment):
    own = service()
    fleet = [placed(deployment, 1, 0.8 * capacity(deployment, own))]
    one = check_service(own, fleet).percentiles["ttft_p99"]
    four = check_service(own, fleet, replications=4).percentiles["ttft_p99"]
    assert four.requests > 3 * one.requests
    assert four.high_s - four.low_s < 1.2 * (one.high_s - one.low_s)


def test_each_kind_has_percentiles_of_its_own_requests(deployment):
    """A slower kind answers later, and all requests lie between the kinds."""
    slow = replace(deployment, gpu=load_catalog().gpu("l40s"))
    both = [placed(deployment, 2, 12.0), placed(slow, 2, 6.0)]
    check = check_service(service(rate=18.0), both)
    fast, late = check.by_kind
    for key in ("ttft_p50", "tpot_p50", "e2e_p99"):
        assert fast[key] < late[key]
        assert fast[key] <= check.percentiles[key].value_s <= late[key] * 1.0001
    run = check.study.runs[0]
    numbers = numbers_of(groups_of(both, check.window.slice_share))
    counts = [int(np.isin(run.replica, list(n)).sum()) for n in numbers]
    assert sum(counts) == len(run.replica)
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.05)


def test_units_are_known_by_the_replicas_that_answer(deployment):
    (plain,) = groups_of([placed(deployment, 3, 1.0)])
    answers = replace(plain, replicas=4)
    unit = replace(plain, replicas=2, decode=DecodePool(answers, 10.0, units=2))
    found = numbers_of([plain, unit, plain, unit])
    assert found == (range(3), range(10, 14), range(5, 8), range(14, 18))


def test_a_window_of_conversations_is_bounded_where_their_caches_are_lost(deployment):
    """The ceiling of a cache that forgets nothing is far above the rate at which this replica tips over."""
    talks = service(
        rate=36.0,
        conversations={
            "turns": {"mean": 20},
            "think_time": {"mean": "60s"},
            "growth": 900,
            "max_context": "8k",
        },
        prompt_tokens={"mean": 2000},
    )
    lengths = lengths_of(talks)
    busy = placed(deployment, 4, 36.0)
    alone = replace(busy, replicas=1, rate_qps=9.0)
    assert not alone.keeps_up(lengths, 9.0, 1.0, 0.0)
    assert 0.9 * busy.ceiling_qps(lengths, 0.0) > 9.0
    window = window_for(talks, [busy], lengths)
    assert window.tail_s < 60
    assert 36.0 * window.total_s < 80_001
