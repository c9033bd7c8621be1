"""Any single value of a plan that is changed is caught, or is one that plans mark as not verified."""

import json
import os
import time
from pathlib import Path

import plan_builder as build
import pytest
from click.testing import CliRunner
from tampering import sampled

from planner.api import solve
from planner.catalog.store import load_catalog
from planner.cli.verify import command
from planner.errors import InputError
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.plan.schema import NOT_VERIFIED, Plan, read_plan
from planner.verification.check import Verdict
from planner.verification.verify import checks, failures, verify

PLANS_V1 = Path(__file__).parent.parent / "plans_v1"
QUICK = {
    "fleet_short_stock": 12,
    "fleet_growth": 12,
    "llama70b_disaggregated": 10,
    "chat_8b_assured": 12,
    "lora_fleet": 12,
    "reranker_8b": 12,
    "nightly_batch": 8,
    "llama70b_speculative": 8,
    "llama70b_two_gpu_types": 8,
}
LONG = {
    ("fleet_short_stock", "none"): 90,
    ("fleet_growth", "none"): 90,
    ("llama70b_disaggregated", "none"): 80,
    ("deepseek_v3_wide_ep", "none"): 70,
    ("fleet_day_and_night", "none"): 15,
    ("code_completion_azure", "none"): 25,
    ("chat_8b_small_gpus", "simulate"): 20,
    ("deepseek_v3_16xh100_bf16", "none"): 10,
}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def calibration(catalog):
    return load_calibration(catalog)


@pytest.fixture(scope="module")
def stock(shipped_plan):
    return shipped_plan("fleet_short_stock")


def changed(plan, change):
    document = json.loads(plan.to_json())
    change(document)
    return Plan.model_validate_json(json.dumps(document))


def caught(plan, catalog, calibration):
    """The first check that fails, cheap ones first; the refusal of a plan that cannot be checked."""
    try:
        offers = admitted_offers(plan.scenario.prices, catalog)
        made = checks(plan, catalog, calibration, offers)
        return next((c for c in made if c.verdict is Verdict.FAILS), None)
    except InputError as refusal:
        return refusal


def missed(plan, count, catalog, calibration):
    offers = admitted_offers(plan.scenario.prices, catalog)
    assert failures(verify(plan, catalog, calibration, offers)) == ()
    chosen = sampled(plan, count, seed=17)
    assert len(chosen) == count
    changed = [(t.name, t.of(plan)) for t in chosen]
    return [
        name
        for name, other in changed
        if other is not None and other != plan and caught(other, catalog, calibration) is None
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_changed_value_is_caught(name, shipped_plan, catalog, calibration):
    assert missed(shipped_plan(name), QUICK[name], catalog, calibration) == []


def test_the_long_test_makes_400_tamperings():
    assert sum(LONG.values()) == 400


@pytest.mark.long
@pytest.mark.parametrize(("name", "effort"), LONG)
def test_400_changed_values_are_caught(name, effort, catalog, calibration):
    plan = solve(name, verify=effort, catalogs=catalog)
    assert missed(plan, LONG[name, effort], catalog, calibration) == []


def test_neither_counts_nor_cost_nor_status_go_unverified():
    words = ("count", "usd", "gpus", "status", "bound", "predicted", "replicas", "nodes")
    assert not [path for path in NOT_VERIFIED if any(w in path for w in words)]


def test_a_list_of_ones_own_of_what_is_not_verified_fails(stock, catalog, calibration):
    own = stock.model_copy(update={"not_verified": (*NOT_VERIFIED, "totals")})
    assert "not verified" in caught(own, catalog, calibration).statement


def _double(document):
    """A fleet of twice the size, with everything that says so, and a bound of twice the cost."""
    for node in document["nodes"]:
        node["count"] *= 2
        node["usd_per_hour"] *= 2
    for service in document["services"]:
        service["usd_per_hour"] *= 2
        spare = sum(g["capacity_qps"] * g["replicas"] for g in service["replica_groups"])
        service["headroom_qps"] += spare
        for group in service["replica_groups"]:
            for field in ("replicas", "gpus", "usd_per_hour"):
                group[field] *= 2
    for period in document["periods"]:
        for counts in (period["replicas"], period["nodes"]):
            for key in counts:
                counts[key] *= 2
    for key, value in document["totals"].items():
        document["totals"][key] = 2 * value
    document["objective_usd_per_hour"] *= 2
    document["bound_usd_per_hour"] *= 2


@pytest.mark.parametrize("name", ["chat_8b_assured", "deepseek_v3_wide_ep"])
def test_a_fleet_doubled_with_its_bound_is_not_optimal(name, shipped_plan, catalog, calibration):
    plan = shipped_plan(name)
    offers = admitted_offers(plan.scenario.prices, catalog)
    found = failures(verify(changed(plan, _double), catalog, calibration, offers))
    assert any("the least cost, solved again" in c.statement for c in found)
    assert any("no fleet is cheaper" in c.statement for c in found)
    assert not [c for c in found if c.family in ("money", "sums")]  # its sums agree


def test_a_plan_within_a_gap_and_one_out_of_time_hold(catalog, calibration):
    for options in ({"gap": 0.05}, {"time_limit_s": 0.3}):
        plan = solve("fleet_short_stock", verify="none", catalogs=catalog, **options)
        offers = admitted_offers(plan.scenario.prices, catalog)
        assert failures(verify(plan, catalog, calibration, offers)) == ()


def test_an_alternative_that_was_not_proved_costs_at_least_the_least(
    stock, shipped_plan, catalog, calibration
):
    def unproved(document):
        document["alternatives"][0]["status"] = "feasible"
        document["alternatives"][0]["usd_per_hour"] *= 2

    def cheaper(document):
        unproved(document)
        document["alternatives"][0]["usd_per_hour"] /= 4

    plan = stock if stock.alternatives else shipped_plan("rag_long_prompts")
    assert caught(changed(plan, unproved), catalog, calibration) is None
    assert "least cost" in caught(changed(plan, cheaper), catalog, calibration).statement


def test_a_fleet_of_all_offers_that_was_not_proved_costs_at_least_the_least(
    shipped_plan, catalog, calibration
):
    """On a busy machine the time for it may not suffice, for the plan or for its check."""
    plan = shipped_plan("rag_long_prompts")
    assert plan.cheapest is not None

    def unproved(document):
        document["cheapest"]["status"] = "feasible"
        document["cheapest"]["usd_per_hour"] *= 2

    def cheaper(document):
        unproved(document)
        document["cheapest"]["usd_per_hour"] /= 4

    def renamed(document):
        document["cheapest"]["status"] = "feasible"

    assert caught(changed(plan, unproved), catalog, calibration) is None
    assert "least cost" in caught(changed(plan, cheaper), catalog, calibration).statement
    assert caught(changed(plan, renamed), catalog, calibration).statement == "cheapest.status"


def test_the_round_that_confirmed_the_plan_is_recomputed(catalog, calibration):
    plan = solve("chat_8b_small_gpus", verify="simulate", catalogs=catalog, rivals=0)
    assert caught(plan, catalog, calibration) is None
    last = max(i for i, r in enumerate(plan.verification.rounds) if r.holds)
    for field, value in (("simulated_qps", 99.0), ("deployment", "9x (b200)"), ("holds", False)):

        def claim(document, field=field, value=value):
            document["verification"]["rounds"][last][field] = value

        found = caught(changed(plan, claim), catalog, calibration)
        assert "verification.rounds" in found.statement


def test_a_written_note_of_the_simulator_fails(stock, catalog, calibration):
    def claim(document):
        document["verification"]["note"] = "every target holds in the simulator at the planned load"

    assert caught(changed(stock, claim), catalog, calibration) is not None


@pytest.mark.parametrize("field", ["weights", "kv_cache", "engine", "gpu"])
def test_an_unknown_name_fails(stock, catalog, calibration, field):
    def rename(document):
        document["services"][0]["replica_groups"][0][field] = "dreamt-of"

    offers = admitted_offers(stock.scenario.prices, catalog)
    made = verify(changed(stock, rename), catalog, calibration, offers)
    assert any("can be rebuilt" in c.statement for c in failures(made))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes", 0, "gpus_per_node"), 0),
        (("nodes", 0, "count"), 300_000_000),
        (("nodes", 0, "count"), 10**29),
        (("services", 0, "replica_groups", 0, "replicas"), 300_000_000),
        (("services", 0, "replica_groups", 0, "replicas"), 10**29),
        (("services", 0, "replica_groups", 0, "tensor_parallel"), 10**29),
        (("totals", "nodes"), -1),
    ],
)
def test_a_count_out_of_range_is_named_at_once(stock, catalog, calibration, path, value):
    def put(document):
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    plan = changed(stock, put)
    started = time.monotonic()
    found = caught(plan, catalog, calibration)
    assert found.family == "counts"
    assert time.monotonic() - started < 1


def test_a_device_is_no_plan():
    with pytest.raises(InputError, match="not a file"):
        read_plan("/dev/zero")


def test_a_pipe_is_no_plan(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="not a file"):
        read_plan(pipe)


@pytest.mark.parametrize("path", sorted(PLANS_V1.glob("*.json")), ids=lambda p: p.stem)
def test_plans_of_version_1_can_still_be_checked(path, catalog, calibration):
    """The catalogs of today are others than those they were made from, so that values differ."""
    plan = read_plan(path)
    made = verify(plan, catalog, calibration, admitted_offers(plan.scenario.prices, catalog))
    assert not [c for c in failures(made) if c.family in ("money", "sums", "packing", "counts")]


def test_the_command_lists_what_is_not_verified(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(build.plan().to_json())
    result = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    for name in NOT_VERIFIED:
        assert name in result.output
