"""A ceiling is that of the curves, and no capacity is above it."""

from pathlib import Path

import pytest

from planner.catalog.store import Catalog, load_catalog
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.known import Known
from planner.fleet.cheapest.ceilings import CeilingSet, ceilings_of
from planner.fleet.offers.admitted import offers_of
from planner.performance.factors import load_calibration
from planner.scenario.reader import read_scenario
from planner.scenario.schema import Scenario
from planner.serving.closed_form.rate_states import RateStates

NAMES = ("chat_8b_small_gpus", "chat_8b_assured", "llama70b_speculative", "reranker_8b")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def _ceilings(scenario: Scenario, catalog: Catalog, known: Known) -> CeilingSet:
    offers, factors = offers_of(scenario, catalog, None), load_calibration(catalog)
    return ceilings_of(scenario.services[0], catalog, offers, factors, (), known)


@pytest.mark.parametrize("name", NAMES)
def test_ceilings_bound_capacities_of_every_candidate(name: str, catalog: Catalog) -> None:
    scenario = read_scenario(name, catalog)
    found = _ceilings(scenario, catalog, Known())
    offers, factors = offers_of(scenario, catalog, None), load_calibration(catalog)
    full = enumerate_candidates(scenario.services[0], catalog, offers, factors)
    most = {c.key: c for c in found.at_ceilings.candidates}
    assert [k for k in most if k in {c.key for c in full.candidates}] == [
        c.key for c in full.candidates
    ]
    for candidate in full.candidates:
        ceiling = most[candidate.key]
        assert candidate.capacity.qps < ceiling.capacity.qps
        assert candidate.bucket_qps.keys() <= ceiling.bucket_qps.keys()
        assert candidate.group_sizes == ceiling.group_sizes
        assert candidate.gpu_share == ceiling.gpu_share


def test_what_is_rejected_without_a_capacity_is_rejected_in_the_same_words(
    catalog: Catalog,
) -> None:
    scenario = read_scenario("chat_8b_small_gpus", catalog)
    found = _ceilings(scenario, catalog, Known())
    offers, factors = offers_of(scenario, catalog, None), load_calibration(catalog)
    full = enumerate_candidates(scenario.services[0], catalog, offers, factors)
    assert found.at_ceilings.rejections
    assert set(found.at_ceilings.rejections) <= set(full.rejections)


def test_sizing_some_gives_the_same_candidates(catalog: Catalog) -> None:
    scenario = read_scenario("chat_8b_small_gpus", catalog)
    known = Known()
    found = _ceilings(scenario, catalog, known)
    keys = {c.key for c in found.at_ceilings.candidates[::3]}
    sized = found.sized(keys)
    offers, factors = offers_of(scenario, catalog, None), load_calibration(catalog)
    full = {
        c.key: c
        for c in enumerate_candidates(scenario.services[0], catalog, offers, factors).candidates
    }
    assert {c.key for c in sized.candidates} == keys & full.keys()
    for candidate in sized.candidates:
        assert candidate.capacity.qps == full[candidate.key].capacity.qps
    assert _ceilings(scenario, catalog, known) is found


def test_a_ceiling_is_the_one_of_the_curves(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = read_scenario("chat_8b_small_gpus", catalog)
    alone = scenario.services[0].model_copy(update={"assurance": None})
    scenario = scenario.model_copy(update={"services": (alone,)})
    ceilings: set[float] = set()
    plain = RateStates.__init__

    def noted(states: RateStates, *given: object, **named: object) -> None:
        plain(states, *given, **named)
        ceilings.add(states.ceiling)

    monkeypatch.setattr(RateStates, "__init__", noted)
    found = _ceilings(scenario, catalog, Known())
    assert not ceilings
    found.sized(set(found.layouts))
    assert {c.capacity.qps for c in found.at_ceilings.candidates} == ceilings


def test_ceilings_are_found_once_for_other_targets(catalog: Catalog) -> None:
    scenario = read_scenario("chat_8b_small_gpus", catalog)
    service = scenario.services[0]
    looser = tuple(t.model_copy(update={"seconds": 1.5 * t.seconds}) for t in service.slo.targets)
    slo = service.slo.model_copy(update={"targets": looser})
    other = scenario.model_copy(update={"services": (service.model_copy(update={"slo": slo}),)})
    known = Known()
    first = _ceilings(scenario, catalog, known).at_ceilings.candidates
    second = {c.key: c for c in _ceilings(other, catalog, known).at_ceilings.candidates}
    assert all(second[c.key] is c for c in first)
    fresh = _ceilings(other, catalog, Known()).at_ceilings.candidates
    assert {c.key: c.bucket_qps for c in fresh} == {k: c.bucket_qps for k, c in second.items()}


def test_a_later_run_begins_with_the_same_ceilings(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first run sized is at its ceiling again, so that kept programs are found."""
    monkeypatch.setenv("PLANNER_CACHE", str(tmp_path))
    scenario = read_scenario("chat_8b_small_gpus", catalog)

    def begun_with(known: Known) -> CeilingSet:
        found = _ceilings(scenario, catalog, known)
        found.sized({c.key for c in found.at_ceilings.candidates[:4]})
        known.save()
        return found

    first = begun_with(Known(namespace="run"))
    later = begun_with(Known(namespace="run"))
    assert [(c.key, c.bucket_qps) for c in first.at_ceilings.candidates] == [
        (c.key, c.bucket_qps) for c in later.at_ceilings.candidates
    ]
