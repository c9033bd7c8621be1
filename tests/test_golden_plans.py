"""Every shipped scenario has a golden plan: what is rented, what it costs, what is predicted."""

import json
from pathlib import Path

import pytest

from planner.api import solve
from planner.scenario_reader import shipped_scenarios

GOLDEN = Path(__file__).parent / "golden" / "plans"
DIGITS = 5


def rounded(value):
    """Floats to five significant digits, so that another processor's last bits do not matter."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value


def summary(plan):
    """The parts of a plan that a change should not move unnoticed."""
    data = plan.model_dump(mode="json")
    kept = ("status", "objective_usd_per_hour", "bound_usd_per_hour", "nodes", "totals")
    out = {k: data[k] for k in kept}
    out["services"] = [
        {
            "name": s["name"],
            "served_qps": s["served_qps"],
            "groups": [
                {k: v for k, v in g.items() if k not in ("step", "notes", "settings")}
                for g in s["replica_groups"]
            ],
        }
        for s in data["services"]
    ]
    out["alternatives"] = [(a["label"], a["usd_per_hour"]) for a in data["alternatives"]]
    out["rejections"] = [(r["reason"], r["count"]) for r in data["rejections"]]
    out["infeasibility"] = data["infeasibility"]
    return rounded(out)


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_golden_plan(name, catalog, golden):
    plan = solve(name, catalogs=catalog, verify="none")
    golden(GOLDEN / f"{name}.json", json.dumps(summary(plan), indent=1, ensure_ascii=False) + "\n")


@pytest.mark.slow
def test_the_main_plan_holds_in_the_simulator(catalog):
    plan = solve("llama70b_qps50", catalogs=catalog, verify="simulate")
    assert any(r.holds for r in plan.verification.rounds)
    (service,) = plan.services
    for group in service.replica_groups:
        assert group.predicted.method == "simulated"
        assert group.predicted.ttft_p99_s <= service.targets["ttft_p99"]
        assert group.predicted.tpot_p99_s <= service.targets["tpot_p99"]
        assert set(group.predicted.simulation_intervals) >= {"ttft_p99_s", "tpot_p99_s"}


@pytest.mark.slow
def test_a_router_that_looks_needs_fewer_replicas_than_a_random_split(catalog):
    """Capacities are raised to what the played fleet held, and the plan verifies by playing again."""
    from planner.fleet.market import admitted_offers
    from planner.performance.factors import load_calibration
    from planner.verification.verify import failures, verify

    closed = solve("rag_long_prompts", catalogs=catalog, verify="none")
    played = solve("rag_long_prompts", catalogs=catalog, verify="simulate")
    assert played.totals.usd_per_hour <= closed.totals.usd_per_hour
    assert any(r.holds for r in played.verification.rounds)
    assert "every target holds" in played.verification.note
    offers = admitted_offers(played.scenario.prices, catalog)
    assert not failures(verify(played, catalog, load_calibration(catalog), offers))
