import json

import pytest

from planner.api import solve
from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.performance.factors import load_calibration
from planner.plan.labels import leaves
from planner.plan.schema import Plan, read_plan
from planner.reporting.plan.decision_text import decision_lines
from planner.reporting.plan.plan_document import headline
from planner.scenario.schema import Scenario
from planner.verification.check import Verdict
from planner.verification.verify import failures, verify

SERVICE = {
    "name": "chat",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 60,
    "prompt_tokens": 700,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s", "tpot_p99": "80ms"},
    "search": {
        "gpus": ("l40s", "h100-sxm-80gb"),
        "tensor_parallel": (1,),
        "weights": ("bf16",),
        "kv_cache": ("bf16",),
    },
}
DAY = (1,) * 12 + (4,) * 12


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def daily(catalog):
    scenario = Scenario.model_validate({**SERVICE, "load": {"hourly": DAY, "peak_ratio": 1.2}})
    return solve(scenario, verify="none", catalogs=catalog)


def failed(plan, catalog):
    checks = verify(plan, catalog, load_calibration(catalog), catalog.offers())
    return {c.family for c in failures(checks)}, checks


def changed(plan, change):
    document = json.loads(plan.to_json())
    change(document)
    return Plan.model_validate_json(json.dumps(document))


@pytest.mark.parametrize(
    "varies",
    [
        {"horizon": {"months": 12, "growth_per_month": 0.03}},
        {"load": {"hourly": (1,) * 24, "peak_ratio": 1.5}},
    ],
    ids=["growth", "peaks"],
)
def test_one_period_that_is_sized_above_its_mean_holds(catalog, varies):
    """Growth in a single stage: sized for the last month, which the plan now says."""
    plan = solve(Scenario.model_validate({**SERVICE, **varies}), verify="none", catalogs=catalog)
    service = plan.services[0]
    assert service.busiest_qps == pytest.approx(60 * (1.03**11 if "horizon" in varies else 1.5))
    assert service.busiest_qps > service.served_qps
    assert failed(plan, catalog)[0] == set()


def test_a_request_a_month_still_needs_a_replica(catalog):
    """A load of a billionth of a replica was rounded to none: a plan of 0 GPUs, proven cheapest."""
    seldom = {**SERVICE, "name": "seldom", "rate": 4e-8, "load": {"hourly": DAY}}
    plan = solve(
        Scenario.model_validate({"services": [seldom, SERVICE]}), verify="none", catalogs=catalog
    )
    assert all(service.replica_groups for service in plan.services)
    assert failed(plan, catalog)[0] == set()


def test_a_daily_plan_holds_in_every_period(daily, catalog):
    families, checks = failed(daily, catalog)
    assert families == set()
    text = [c for c in checks if c.family == "timetable"]
    assert len([c for c in text if "is carried" in c.statement]) == len(daily.periods)
    assert all(c.verdict is Verdict.HOLDS for c in text)


def _busiest(document):
    return max(document["periods"], key=lambda e: e["busiest_qps"]["chat"])


def _fewer_replicas(document):
    running = _busiest(document)["replicas"]
    kind = next(iter(running))
    running[kind] -= 1


def _fewer_nodes(document):
    nodes = _busiest(document)["nodes"]
    nodes[next(iter(nodes))] -= 1


def _unknown_kind(document):
    _busiest(document)["replicas"]["chat: 1x dreamt-of"] = 3


def _unpaid_hours(document):
    for node in document["nodes"]:
        node["hours_share"] *= 0.5
        node["usd_per_hour"] *= 0.5
    half = document["objective_usd_per_hour"] * 0.5
    document["objective_usd_per_hour"] = document["bound_usd_per_hour"] = half
    document["totals"]["usd_per_hour"] = half


@pytest.mark.parametrize("change", [_fewer_replicas, _fewer_nodes, _unknown_kind, _unpaid_hours])
def test_a_tampered_timetable_fails(daily, catalog, change):
    families, _ = failed(changed(daily, change), catalog)
    assert "timetable" in families


@pytest.mark.parametrize(
    ("lost", "word"),
    [({"replicas": 1}, "replicas"), ({"nodes": 1}, "nodes"), ({"zones": 1}, "zones")],
)
def test_a_plan_must_survive_what_the_scenario_names(catalog, lost, word):
    scenario = Scenario.model_validate({**SERVICE, "failures": lost})
    plan = solve(scenario, verify="none", catalogs=catalog)
    families, checks = failed(plan, catalog)
    assert families == set()
    assert any(word in c.statement for c in checks if c.family == "failures")
    without = solve(Scenario.model_validate(SERVICE), verify="none", catalogs=catalog)

    def claim(document):
        document["scenario"]["failures"] = {"replicas": 0, "nodes": 0, "zones": 0, **lost}

    families, _ = failed(changed(without, claim), catalog)
    assert "failures" in families


@pytest.mark.parametrize(
    "schedule", ["monday", [1], [{"period": "00:00"}], [{"period": "00:00", "hours": 0}], {"a": 1}]
)
def test_a_schedule_that_is_none_is_refused(daily, tmp_path, schedule):
    document = {**json.loads(daily.to_json()), "periods": schedule}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="periods"):
        read_plan(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("replicas", 0), ("capacity_qps", 0.0), ("memory", {}), ("tensor_parallel", 0), ("gpus", 0)],
)
def test_nothing_in_a_group_makes_verification_stumble(daily, catalog, field, value):
    def change(document):
        document["services"][0]["replica_groups"][0][field] = value

    families, _ = failed(changed(daily, change), catalog)
    assert families


def test_nodes_that_only_overlap_are_paid_and_stand_in_no_count(catalog):
    """All of today's nodes are given up: verification counted them as rented at once with the rest."""
    today = {"gpu": "l40s", "nodes": 2, "gpus_per_node": 4, "usd_per_hour": 20.0}
    scenario = Scenario.model_validate(
        {**SERVICE, "existing": (today,), "migration": {"overlap_hours": 48}}
    )
    plan = solve(scenario, verify="none", rivals=0, catalogs=catalog)
    (leaving,) = (n for n in plan.nodes if n.term == "owned")
    assert leaves(leaving, plan)
    assert leaving.count == 2
    assert leaving.usd_per_hour * 36 * 730 == pytest.approx(2 * 20 * 48)
    assert plan.totals.nodes == sum(n.count for n in plan.nodes) - 2
    assert not headline(plan).startswith("Keep")
    (line,) = (text for text in decision_lines(plan) if "Rent:" in text)
    assert "Leave: 2 x 4x l40s (own, 48 h beside what replaces it)." in line
    checks = verify(plan, catalog, load_calibration(catalog), catalog.offers())
    assert not failures(checks)


def test_kinds_that_are_busiest_in_different_hours_are_not_added_up(catalog):
    """Owned L40S carry the night alone and help at the peak; the fewest rented H100 do the rest."""
    scenario = Scenario.model_validate(
        {
            **SERVICE,
            "load": {"hourly": (3, 2, 2, 2, 2, 3, 5, 8, 10, 12, 13, 13) * 2},
            "prices": {"providers": ("aws",), "regions": ("us-east-1",)},
            "existing": (
                {
                    "gpu": "l40s",
                    "nodes": 2,
                    "gpus_per_node": 4,
                    "usd_per_hour": 6.0,
                    "region": "us-east-1",
                },
            ),
            "max_deployments": 2,
        }
    )
    plan = solve(scenario, verify="none", catalogs=catalog)
    (service,) = plan.services
    assert len(service.replica_groups) == 2
    busiest = max(period.busiest_qps["chat"] for period in plan.periods)
    assert service.busiest_qps == pytest.approx(busiest)
    assert sum(g.routed_qps for g in service.replica_groups) > 1.05 * busiest
    assert service.headroom_qps < max(g.capacity_qps for g in service.replica_groups)
    assert failed(plan, catalog)[0] == set()
    assert any("up to " in line for line in decision_lines(plan))
