import pytest

from planner.catalog.store import load_catalog
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.infeasibility.problem_requirements import MAX_SEPARATE_SERVICES
from planner.fleet.infeasibility.scenario_requirements import scenario_requirements
from planner.fleet.offers.admitted import admitted_offers
from planner.fleet.sized_before import SizedBefore
from planner.performance.factors import load_calibration
from planner.scenario.schema import Scenario

SERVICE = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 20,
    "prompt_tokens": 500,
    "output_tokens": 100,
    "slo": {"ttft_p99": "1s", "tpot_p99": "50ms"},
    "search": {"gpus": ("l40s",), "tensor_parallel": (1,), "weights": ("bf16",)},
}
LIMITS = {"max_gpus": 4, "max_cost_usd_per_hour": 9.0, "stock": {"l40s": 2}}


def scenario(services=1, **changes):
    if services == 1:
        return Scenario.model_validate({**SERVICE, "limits": LIMITS, **changes})
    named = tuple({"name": f"s{i}", **SERVICE} for i in range(services))
    return Scenario.model_validate({"services": named, "limits": LIMITS, **changes})


def test_a_scenario_lists_everything_it_asks_in_its_own_words():
    text = {r.name: r.write(r.current) for r in scenario_requirements(scenario())}
    assert text == {
        "rate": "20 requests/s",
        "ttft_p99": "1 s",
        "tpot_p99": "50 ms",
        "assurance.probability": "80 %",
        "limits.stock.l40s": "2 GPUs",
        "limits.max_gpus": "4 GPUs",
        "limits.max_cost_usd_per_hour": "$9.00/h",
        "search.gpus": "l40s",
        "search.tensor_parallel": "1",
        "search.weights": "bf16",
        "allow_lower_precision": "false",
        "max_deployments": "1",
    }


def test_what_is_not_requested_is_not_listed():
    free = scenario(
        limits={}, search={}, allow_lower_precision=True, prices={"providers": ("aws",)}
    )
    names = [r.name for r in scenario_requirements(free)]
    assert names == [
        "rate", "ttft_p99", "tpot_p99", "assurance.probability", "max_deployments", "prices.providers",
    ]  # fmt: skip


FLEET = {
    "limits": {
        **LIMITS,
        "max_power_kw": 40.0,
        "quotas": ({"max_gpus": 8, "provider": "aws", "region": "us-east-1"},),
        "carbon": {"max_kg_per_hour": 3.0},
    },
    "failures": {"replicas": 1, "nodes": 2, "zones": 1},
    "spot": {"max_share": 0.4, "reserve_share": 0.1},
    "prices": {"terms": ("on-demand", "spot"), "regions": ("us-east-1",)},
    "max_deployments": 1,
}


def test_limits_failures_and_spot_are_named_by_their_path():
    text = {r.name: r.write(r.current) for r in scenario_requirements(scenario(**FLEET))}
    assert (
        text.items()
        >= {
            "limits.max_power_kw": "40 kW",
            "limits.quotas for provider aws, region us-east-1": "8 GPUs",
            "limits.carbon.max_kg_per_hour": "3 kg/h",
            "failures.replicas": "1",
            "failures.nodes": "2",
            "failures.zones": "1",
            "spot.pools_lost": "1",
            "spot.max_share": "40 %",
            "spot.reserve_share": "10 %",
            "prices.regions": "us-east-1",
        }.items()
    )


def test_every_fleet_requirement_can_be_dropped_by_itself():
    requested = scenario(**FLEET)
    for requirement in scenario_requirements(requested):
        dropped = requirement.edit(requested, requirement.loosest)
        others = {r.name: r.current for r in scenario_requirements(dropped)}
        for other in scenario_requirements(requested):
            if other.name != requirement.name:
                assert others[other.name] == other.current, (requirement.name, other.name)


@pytest.mark.parametrize("services", [1, 3, 9])
def test_every_edit_leaves_a_valid_scenario_and_nothing_else_changed(services):
    requested = scenario(services)
    for requirement in scenario_requirements(requested, unserved=["s4"]):
        assert (
            requirement.edit(requested, requirement.current).model_dump() == requested.model_dump()
        )
        dropped = requirement.edit(requested, requirement.loosest)
        assert dropped != requested
        document = dropped.model_dump(mode="json")
        assert (
            Scenario.model_validate_json(dropped.model_dump_json()).model_dump(mode="json")
            == document
        )


def test_a_large_fleet_lists_the_unserved_and_takes_the_others_together():
    count = MAX_SEPARATE_SERVICES + 3
    names = [r.name for r in scenario_requirements(scenario(count), unserved=["s4"])]
    assert names[:5] == [
        "s4: rate", "s4: ttft_p99", "s4: tpot_p99", "s4: assurance.probability",
        f"rate of the other {count - 1} services",
    ]  # fmt: skip
    (rates,) = [
        r
        for r in scenario_requirements(scenario(count))
        if r.name == f"rate of all {count} services"
    ]
    halved = rates.edit(scenario(count), 0.5)
    assert {s.rate for s in halved.services} == {10.0}
    assert rates.write(0.5) == "50 %"


def test_sized_before_finds_what_is_enumerated_and_sizes_nothing_twice(monkeypatch):
    catalog = load_catalog()
    calibration = load_calibration(catalog)
    wide = scenario(
        search={"gpus": ("l40s", "h100-sxm-80gb"), "tensor_parallel": (1, 2)},
        allow_lower_precision=True,
    )
    offers = admitted_offers(wide.prices, catalog)
    service = wide.services[0]
    before = SizedBefore(catalog, calibration)
    sized = before.candidates(service, offers)
    listed = enumerate_candidates(service, catalog, offers, calibration)
    assert {c.key: c.capacity for c in sized.candidates} == {
        c.key: c.capacity for c in listed.candidates
    }
    assert set(sized.rejections) == set(listed.rejections)

    def never(*_):
        raise AssertionError("sized again")

    monkeypatch.setattr("planner.fleet.sized_before.enumerate_parts", never)
    busier = service.model_copy(update={"rate": 99.0})
    assert before.candidates(busier, offers) == sized
    slo = service.slo.model_copy(update={"targets": service.slo.targets[:1]})
    looser = service.model_copy(update={"slo": slo})
    with pytest.raises(AssertionError, match="sized again"):
        before.candidates(looser, offers)


def test_what_a_service_may_try_is_named_with_the_service():
    two = scenario(services=2)
    names = {r.name: r for r in scenario_requirements(two)}
    assert {"s0: search.gpus", "s1: search.gpus", "s1: allow_lower_precision"} <= names.keys()
    widened = names["s1: search.gpus"].edit(two, 1)
    assert widened.services[0].search.gpus == two.services[0].search.gpus
    assert widened.services[1].search.gpus == "all"


def test_in_a_large_fleet_the_services_that_cannot_be_served_are_named():
    names = [r.name for r in scenario_requirements(scenario(services=9), unserved=("s7",))]
    assert "s7: search.gpus" in names
    assert "the other 8 services: search.gpus" in names
    assert "the other 8 services: allow_lower_precision" in names


@pytest.mark.parametrize(
    ("lora", "current", "loosest"),
    [
        ({"adapters": 2000}, "2000", "64"),
        ({"adapters": 2000, "max_loaded": 40}, "40", "1"),
        ({"adapters": 1}, None, None),
    ],
)
def test_fewer_adapters_may_be_loaded_at_once(lora, current, loosest):
    found = {r.name: r for r in scenario_requirements(scenario(lora=lora))}
    if current is None:
        assert "lora.max_loaded" not in found
        return
    loaded = found["lora.max_loaded"]
    assert (loaded.write(loaded.current), loaded.write(loaded.loosest)) == (current, loosest)
    assert loaded.edit(scenario(lora=lora), 30).services[0].lora.max_loaded == 30
