"""Zones and spot pools that may fail: none is left out that a cheapest fleet could need."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.fleet.offers.node_offers import node_offers
from planner.fleet.offers.places import fewer_places, useful_places
from planner.fleet.periods import calendar_of
from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
)
from planner.fleet.program.program import solve
from planner.scenario.schema import Scenario

CATALOG = load_catalog()
GPU = "h200-sxm-141gb"
LOSSES: list[dict[str, dict[str, int]]] = [
    {"failures": {"replicas": 0, "zones": 1}},
    {"failures": {"replicas": 1, "zones": 1}},
    {"failures": {"replicas": 0, "zones": 2}},
    {"failures": {"replicas": 0, "nodes": 1}, "spot": {"pools_lost": 1}},
    {"failures": {"replicas": 0}, "spot": {"pools_lost": 1}},
]


def offer(region: str, count: int, usd_per_gpu: float, term: Term = Term.ON_DEMAND) -> Offer:
    usd = usd_per_gpu * count
    return Offer("p", region, f"{count}x", GPU, count, term, usd, "2026-01-01", "list")


def cost(offers: Sequence[Offer], losses: dict[str, dict[str, int]], qps: float) -> float:
    """The cheapest fleet [USD/h] for ``qps`` at 10 requests/s a GPU, after the losses stated."""
    requested = Scenario.model_validate(
        {
            "model": "m",
            "rate": qps,
            "prompt_tokens": 10,
            "output_tokens": 10,
            "slo": {"ttft_p99": 1},
            **losses,
        }
    )
    found = node_offers(
        requested, offers, CATALOG, calendar_of(requested.services, requested.horizon)
    )
    problem = Problem(
        (Demand("s", "s", (qps,), max_kinds=1),),
        (ReplicaKind("k", GPU, 1, {"s": 10.0}),),
        found,
        resilience=Resilience(
            requested.failures.replicas,
            requested.failures.nodes,
            requested.failures.zones,
            requested.spot.pools_lost if any(o.spot for o in found) else 0,
        ),
    )
    objective = solve(problem).objective_usd_per_hour
    return float("inf") if objective is None else objective


def test_small_nodes_of_a_dearer_place_beat_large_ones_of_cheaper_places() -> None:
    small = [offer(f"small{i}", 1, 1.5) for i in range(2)]
    large = [offer(f"large{i}", 8, 1.0) for i in range(3)]
    losses = {"failures": {"replicas": 0, "zones": 1}}
    assert cost(small, losses, 8.0) == pytest.approx(3.0)
    assert cost([*small, *large], losses, 8.0) == pytest.approx(3.0)


def test_more_zones_at_one_price_need_less_to_spare() -> None:
    zones = [offer(f"z{i}", 1, 1.0) for i in range(6)]
    losses = {"failures": {"replicas": 0, "zones": 1}}
    assert cost(zones[:3], losses, 50.0) == pytest.approx(8.0)
    assert cost(zones, losses, 50.0) == pytest.approx(6.0)


@pytest.mark.parametrize("losses", LOSSES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_an_offer_more_never_costs_more_where_places_fail(
    losses: dict[str, dict[str, int]], seed: int
) -> None:
    rng = random.Random(seed)
    term = Term.SPOT if "spot" in losses else Term.ON_DEMAND
    offers: list[Offer] = []
    known = float("inf")
    for _ in range(9):
        at = offer(f"r{rng.randint(0, 7)}", rng.choice([1, 2, 4, 8]), rng.randint(4, 16) / 4, term)
        offers.append(at)
        now = cost(offers, losses, 35.0)
        assert now <= known + 1e-6
        known = now


def places(prices: Sequence[float], max_gpus: int | None = None) -> list[str]:
    """The zones kept of one-GPU nodes at ``prices``, for two replicas and a lost zone."""
    problem = Problem(
        (Demand("s", "s", (20.0,), max_kinds=1),),
        (ReplicaKind("k", "a", 1, {"s": 10.0}),),
        tuple(NodeOffer(f"z{i}", "a", 1, usd, zone=f"z{i}") for i, usd in enumerate(prices)),
        FleetLimits(max_gpus=max_gpus),
        resilience=Resilience(zones=1),
    )
    return [o.zone for o in useful_places(problem)]


def test_as_many_places_stay_as_replicas_and_losses() -> None:
    assert places([1.0, 1.1, 1.2, 1.3, 1.4, 1.5]) == ["z0", "z1", "z2"]


def test_a_place_dearer_than_a_copy_at_each_of_two_others_is() -> None:
    assert places([1.0, 1.1, 2.2]) == ["z0", "z1"]
    assert places([1.0, 1.1, 2.0]) == ["z0", "z1", "z2"]
    assert places([1.0, 1.1, 2.2], max_gpus=4) == ["z0", "z1", "z2"]


def test_a_program_too_large_for_all_places_keeps_each_node_size_and_says_so() -> None:
    periods = 72
    problem = Problem(
        (Demand("s", "s", tuple(100.0 + t for t in range(periods)), max_kinds=1),),
        (ReplicaKind("k", "a", 1, {"s": 10.0}),),
        tuple(
            NodeOffer(f"z{i}-{size}", "a", size, size * (1 + i / 10) * premium, zone=f"z{i}")
            for i in range(12)
            for size, premium in ((1, 1.5), (8, 1.0))
        ),
        period_hours=(1.0,) * periods,
        resilience=Resilience(zones=1),
    )
    found = solve(problem, gap=0.2, time_limit_s=5)
    assert any("6 of 22 offers" in said for said in found.restrictions)
    assert {o.gpus_per_node for o in fewer_places(problem).offers} == {1, 8}
