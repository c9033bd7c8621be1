"""Plans that serve by priority and leave a service without replicas."""

from __future__ import annotations

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.errors import InputError, ScenarioWarning
from planner.performance.factors import load_calibration
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario
from planner.verification.simulate import SimulationSettings, simulate_plan

SERVICE = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "prompt_tokens": 500,
    "output_tokens": 50,
    "slo": {"ttft_p99": "1s", "tpot_p99": "60ms"},
    "search": {"gpus": ("l40s",), "tensor_parallel": (1,), "weights": ("bf16",)},
}


def short_of(gpus: int, catalog: Catalog) -> Plan:
    first = {**SERVICE, "name": "first", "rate": 100, "priority": 2}
    last = {**SERVICE, "name": "last", "rate": 1, "priority": 1}
    requested = {
        "services": (first, last),
        "serve": "by-priority",
        "limits": {"stock": {"l40s": gpus}},
    }
    scenario = Scenario.model_validate(requested)
    return solve(scenario, verify="none", rivals=0, catalogs=catalog)


def test_a_service_without_replicas_is_not_simulated_and_named(catalog: Catalog) -> None:
    plan = short_of(1, catalog)
    with pytest.warns(ScenarioWarning, match="last gets no replicas in this plan"):
        found = simulate_plan(
            plan, SimulationSettings(duration_s=30.0), catalog, load_calibration(catalog)
        )
    assert list(found) == ["first"]


def test_where_nobody_can_be_served_there_is_no_fleet(catalog: Catalog) -> None:
    """It was an optimal plan of no GPUs, which a workbook divided by and verification refused."""
    plan = short_of(0, catalog)
    assert plan.status == "infeasible"
    assert plan.infeasibility is not None
    assert "limits.stock" in plan.infeasibility.summary
    with pytest.raises(InputError, match="no fleet"):
        simulate_plan(plan, SimulationSettings(), catalog, load_calibration(catalog))
