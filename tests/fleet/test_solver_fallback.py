"""CBC is used where HiGHS is not installed, and the solution says so."""

import importlib.util

from planner.fleet.program.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program.program import solve
from planner.fleet.program.solver import usable

PROBLEM = Problem(
    demands=(Demand("s", "s", (10.0,)),),
    kinds=(ReplicaKind("k", "gpu", 1, {"s": 3.0}),),
    offers=(NodeOffer("o", "gpu", 1, 2.0),),
)


def test_without_highs_cbc_decides_the_same(monkeypatch):
    expected = solve(PROBLEM)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "highspy" else find(name)
    )
    assert usable("highs") == "cbc"
    fallback = solve(PROBLEM)
    assert (expected.solver, fallback.solver) == ("highs", "cbc")
    assert fallback.status == "optimal"
    assert fallback.objective_usd_per_hour == expected.objective_usd_per_hour == 8.0
