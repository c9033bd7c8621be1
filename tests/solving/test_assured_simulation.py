from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.scenario.reader import read_scenario
from planner.serving.placed import Placed
from planner.solving.assured_simulation import simulate_assured

SCENARIO = """
model: meta-llama/Llama-3.1-8B-Instruct
rate: 80
prompt_tokens: {mean: 700, cv: 1.0}
output_tokens: {mean: 220, cv: 0.7}
slo: {ttft_p99: 2s, tpot_p99: 60ms}
assurance: {probability: 0.9, demand_cv: 0.15}
search: {gpus: [h100-sxm-80gb], tensor_parallel: [1], weights: [bf16], kv_cache: [bf16]}
"""


@pytest.fixture(scope="module")
def assured(tmp_path_factory):
    """The service, and the one candidate its search leaves."""
    path = tmp_path_factory.mktemp("assured") / "assured.yaml"
    path.write_text(SCENARIO)
    scenario = read_scenario(path)
    catalog = load_catalog()
    offers = admitted_offers(scenario.prices, catalog, None)
    (service,) = scenario.services
    found = enumerate_candidates(service, catalog, offers, load_calibration(catalog), ())
    (candidate,) = found.candidates
    return service, candidate


def placed(candidate, replicas, rate_qps):
    return [Placed(candidate.deployment, candidate.memory, candidate.steps, replicas, rate_qps)]


def fewest(service, candidate):
    return next(
        n
        for n in range(2, 12)
        if simulate_assured(service, placed(candidate, n, service.rate)).holds
    )


def test_being_sure_takes_more_replicas_than_holding_as_predicted(assured):
    service, candidate = assured
    plain = service.model_copy(update={"assurance": None})
    n = fewest(plain, candidate)
    assert simulate_assured(plain, placed(candidate, n, service.rate)).holds
    assert not simulate_assured(service, placed(candidate, n, service.rate)).holds
    assert fewest(service, candidate) > n


def test_without_an_assurance_the_rate_scale_is_the_load(assured):
    service, candidate = assured
    plain = service.model_copy(update={"assurance": None})
    group = placed(candidate, 4, 40.0)
    twice = simulate_assured(plain, group, rate_scale=2.0)
    direct = simulate_assured(plain, [replace(group[0], rate_qps=80.0)])
    assert twice.rate_qps == direct.rate_qps == 80.0
