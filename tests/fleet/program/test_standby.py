"""Kinds that a fleet holds for a loss alone get requests."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from planner import api
from planner.catalog.store import Catalog
from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind, Solution
from planner.fleet.program.program import build
from planner.fleet.program.read_solution import read_solution
from planner.fleet.program.standby import with_none_idle

LARGE = ReplicaKind("large", "h100", 1, {"short": 20.0, "long": 8.0})
SMALL = ReplicaKind("small", "l4", 1, {"short": 5.0})


def problem(whole: bool = False) -> Problem:
    short = Demand("short", "chat", (10.0, 4.0), whole=whole)
    long = Demand("long", "chat", (2.0, 1.0))
    return Problem((short, long), (LARGE, SMALL), (), period_hours=(12.0, 12.0))


FLEET = Solution(
    status="optimal",
    objective_usd_per_hour=10.0,
    bound_usd_per_hour=10.0,
    gap=0.0,
    replicas={("large", 0): 2, ("large", 1): 2, ("small", 0): 2},
    routed_qps={
        ("short", "large", 0): 10.0,
        ("long", "large", 0): 2.0,
        ("short", "large", 1): 4.0,
        ("long", "large", 1): 1.0,
    },
)


def test_a_kind_without_requests_takes_its_part_by_capacity() -> None:
    routed = with_none_idle(problem(), FLEET).routed_qps
    assert routed["short", "small", 0] == pytest.approx(10 * 10 / 50)
    assert routed["short", "large", 0] == pytest.approx(10 * 40 / 50)
    assert routed["long", "large", 0] == 2.0
    assert ("short", "small", 1) not in routed  # where it does not run
    assert routed["short", "large", 1] == 4.0


def test_what_goes_to_one_kind_whole_stays_there() -> None:
    assert with_none_idle(problem(whole=True), FLEET).routed_qps == FLEET.routed_qps


def test_a_fleet_without_idle_kinds_is_left_alone() -> None:
    busy = with_none_idle(problem(), FLEET)
    assert with_none_idle(problem(), busy).routed_qps == busy.routed_qps


def test_replicas_of_a_kind_that_was_not_picked_are_no_part_of_the_fleet() -> None:
    """A search stopped early left one on a node that was paid anyway; requests were split over both."""
    chat = Demand("short", "chat", (10.0,), max_kinds=1)
    nodes = (NodeOffer("x", "h100", 1, 2.0), NodeOffer("y", "l4", 1, 1.0))
    columns = build(Problem((chat,), (LARGE, SMALL), nodes))
    values = [2.0 if column.integer else 0.0 for column in columns.model.columns]
    values[columns.choices["chat", "large"]] = 1.0
    values[columns.choices["chat", "small"]] = 0.0
    found = read_solution(columns, values, FLEET)
    assert {kind for kind, _ in found.replicas} == {"large"}
    assert found.routed_qps == {("short", "large", 0): 10.0}


def test_length_buckets_on_spot_pools_that_may_be_lost_have_a_plan(
    tmp_path: Path, catalog: Catalog
) -> None:
    """A second GPU type was rented for the loss of a pool, sent nothing, and ended in an internal error."""
    requested = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "rate": 20,
        "prompt_tokens": {"mean": 1500, "cv": 1.5},
        "output_tokens": 300,
        "slo": {"ttft_p99": "1s", "tpot_p99": "50ms"},
        "search": {"gpus": ["h100-sxm-80gb", "a100-sxm-80gb"], "tensor_parallel": [1]},
        "buckets": {"prompt_tokens": [2000]},
        "max_deployments": 2,
        "prices": {"terms": ["spot"]},
    }
    path = tmp_path / "spot.yaml"
    path.write_text(yaml.safe_dump(requested))
    plan = api.solve(path, catalogs=catalog, verify="none", rivals=0)
    groups = plan.services[0].replica_groups
    assert len(groups) == 2
    assert all(g.routed_qps > 0 for g in groups)
    assert sum(g.routed_qps for g in groups) == pytest.approx(20)
