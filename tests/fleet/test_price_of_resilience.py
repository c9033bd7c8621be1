from hypothesis import given, settings
from hypothesis import strategies as st

from planner.fleet.frontier import resilience_steps
from planner.fleet.problem import Demand, NodeOffer, Problem, ReplicaKind
from planner.fleet.program import solve


def fleet(rate, zones=("a", "b")):
    return Problem(
        demands=(Demand("chat", "chat", (rate,)),),
        kinds=(ReplicaKind("k", "h100", 2, {"chat": 3.0}),),
        offers=tuple(NodeOffer(f"o-{z}", "h100", 8, 20.0 + i, zone=z) for i, z in enumerate(zones)),
    )


@given(rate=st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_the_price_of_resilience_is_never_negative_and_grows_with_what_may_fail(rate):
    steps = {s.name: s for s in resilience_steps(fleet(float(rate)), solve, max_nodes=2)}
    assert steps["nothing"].price_usd_per_hour == 0
    assert 0 <= steps["one replica"].price_usd_per_hour <= steps["one node"].price_usd_per_hour
    assert steps["one node"].price_usd_per_hour <= steps["2 nodes"].price_usd_per_hour
    assert "one zone" in steps
    assert "one spot pool" not in steps


def test_one_lost_node_costs_one_node_when_nodes_are_full():
    steps = {s.name: s for s in resilience_steps(fleet(24.0, zones=("a",)), solve)}
    assert steps["nothing"].usd_per_hour == 40.0
    assert steps["one node"].price_usd_per_hour == 20.0
    assert "one zone" not in steps
