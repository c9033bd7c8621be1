"""Every shipped scenario has a golden plan: what is rented, what it costs, what is predicted."""

import json
from pathlib import Path

import pytest

from planner.api import solve
from planner.plan.schema import read_plan
from planner.scenario.reader import shipped_scenarios

GOLDEN = Path(__file__).parent / "golden" / "plans"
DIGITS = 5
TOLERANCE = 0.02  # predictions may move by this much before a golden file is rewritten
DECISION = ("status", "objective_usd_per_hour", "bound_usd_per_hour", "nodes", "totals")
CHOSEN = (
    *("gpu", "engine", "engine_version", "tensor_parallel", "pipeline_parallel", "data_parallel"),
    *("expert_parallel", "weights", "kv_cache", "replicas", "gpus", "usd_per_hour", "gpu_share"),
    *("limited_by", "evidence"),
)
NOT_COMPARED = ("step", "notes", "settings")


def rounded(value):
    """Floats to five significant digits, so that another processor's last bits do not matter."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value


def decision_of(plan):
    """What is rented and run: it must not move by a digit unnoticed."""
    data = plan.model_dump(mode="json")
    out = {k: data[k] for k in DECISION}
    out["services"] = [
        {
            "name": s["name"],
            "served_qps": s["served_qps"],
            "groups": [{k: g[k] for k in CHOSEN} for g in s["replica_groups"]],
        }
        for s in data["services"]
    ]
    out["alternatives"] = [(a["label"], a["usd_per_hour"]) for a in data["alternatives"]]
    out["rejections"] = [(r["reason"], r["count"]) for r in data["rejections"]]
    out["infeasibility"] = data["infeasibility"]
    return rounded(out)


def predictions_of(plan):
    """What is expected of each replica group: a refit moves these by little."""
    data = plan.model_dump(mode="json")
    return rounded(
        {
            s["name"]: [
                {k: v for k, v in g.items() if k not in (*CHOSEN, *NOT_COMPARED)}
                for g in s["replica_groups"]
            ]
            for s in data["services"]
        }
    )


def apart(old, new, where=""):
    """Every place where two documents differ by more than the tolerance."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [d for k in old for d in apart(old[k], new[k], f"{where}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for d in apart(a, b, f"{where}[{i}]")
        ]
    numbers = (int, float)
    if isinstance(old, numbers) and isinstance(new, numbers):
        return [] if new == pytest.approx(old, rel=TOLERANCE, abs=1e-12) else [(where, old, new)]
    return [] if old == new else [(where, old, new)]


def test_the_tolerance_finds_what_moved():
    old = {"a": [1.0, {"b": "x"}]}
    assert not apart(old, {"a": [1.019, {"b": "x"}]})
    assert apart(old, {"a": [1.021, {"b": "x"}]}) == [(".a[0]", 1.0, 1.021)]
    assert apart(old, {"a": [1.0, {"b": "y"}]}) == [(".a[1].b", "x", "y")]
    assert apart(old, {"a": [1.0]})


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_golden_plan(name, shipped_plan, golden, request):
    plan = shipped_plan(name)
    text = json.dumps(decision_of(plan), indent=1, ensure_ascii=False) + "\n"
    golden(GOLDEN / f"{name}.json", text)
    predictions, file = predictions_of(plan), GOLDEN / f"{name}.predictions.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    moved = apart(known, predictions)
    if moved and request.config.getoption("--regenerate-golden"):
        file.write_text(json.dumps(predictions, indent=1) + "\n", encoding="utf-8")
        return
    assert not moved


def test_no_golden_plan_without_a_scenario():
    known = {f"{n}{end}" for n in shipped_scenarios() for end in (".json", ".predictions.json")}
    assert {p.name for p in GOLDEN.iterdir()} == known


@pytest.mark.slow
def test_the_main_plan_holds_in_the_simulator(simulated_main_plan):
    plan = read_plan(simulated_main_plan)
    assert any(r.holds for r in plan.verification.rounds)
    (service,) = plan.services
    for group in service.replica_groups:
        assert group.predicted.method == "simulated"
        assert group.predicted.ttft_p99_s <= service.targets["ttft_p99"]
        assert group.predicted.tpot_p99_s <= service.targets["tpot_p99"]
        assert set(group.predicted.simulation_intervals) >= {"ttft_p99_s", "tpot_p99_s"}


@pytest.mark.slow
def test_a_router_that_looks_needs_fewer_replicas_than_a_random_split(catalog, shipped_plan):
    """Capacities are raised to what the simulated fleet held, and the plan verifies by simulating again."""
    from planner.fleet.offers.admitted import admitted_offers
    from planner.performance.factors import load_calibration
    from planner.verification.verify import failures, verify

    closed = shipped_plan("rag_long_prompts")
    simulated = solve("rag_long_prompts", catalogs=catalog, verify="simulate")
    assert simulated.totals.usd_per_hour <= closed.totals.usd_per_hour
    assert any(r.holds for r in simulated.verification.rounds)
    assert "every target holds" in simulated.verification.note
    offers = admitted_offers(simulated.scenario.prices, catalog)
    assert not failures(verify(simulated, catalog, load_calibration(catalog), offers))
