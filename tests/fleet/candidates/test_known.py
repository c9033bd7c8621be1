"""What is known of deployments is found once: solving again with another target sizes nothing twice."""

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.fleet.candidates import replica
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.known import Kept, Known, digest
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.scenario.reader import read_scenario
from planner.scenario.schema import Scenario
from planner.session import Session
from planner.solving.options import SolveOptions
from planner.workload.lengths import constant


@pytest.fixture(scope="module")
def small() -> Scenario:
    return read_scenario("chat_8b_small_gpus", load_catalog())


def _with_target(scenario: Scenario, seconds: float) -> Scenario:
    service = scenario.services[0]
    first = service.slo.targets[0].model_copy(update={"seconds": seconds})
    slo = service.slo.model_copy(update={"targets": (first, *service.slo.targets[1:])})
    return scenario.model_copy(update={"services": (service.model_copy(update={"slo": slo}),)})


def test_candidates_are_the_same_to_the_digit_with_what_is_known(small: Scenario) -> None:
    catalog = load_catalog()
    factors, offers = load_calibration(catalog), admitted_offers(small.prices, catalog)
    known = Known()
    for seconds in (1.5, 0.4, 3.0):
        service = _with_target(small, seconds).services[0]
        fresh = enumerate_candidates(service, catalog, offers, factors)
        again = enumerate_candidates(service, catalog, offers, factors, known=known)
        assert [c.key for c in again.candidates] == [c.key for c in fresh.candidates]
        assert again.rejections == fresh.rejections
        for mine, theirs in zip(again.candidates, fresh.candidates, strict=True):
            assert mine.bucket_qps == theirs.bucket_qps
            assert mine.capacity.limited_by == theirs.capacity.limited_by
            assert dict(mine.capacity.latency_s) == dict(theirs.capacity.latency_s)


def test_another_target_builds_no_curves_again(
    small: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(options=SolveOptions(verify="none", rivals=0))
    session.solve(small)

    def never(deployment: Deployment) -> None:
        raise AssertionError(f"{deployment.label} was sized twice")

    monkeypatch.setattr(replica, "RateStates", lambda steps, limits, *rest: never)
    monkeypatch.setattr(
        "planner.performance.adapters.step_model", lambda deployment, _: never(deployment)
    )
    cheaper = session.solve(_with_target(small, 3.0))
    dearer = session.solve(_with_target(small, 0.4))
    assert cheaper.totals is not None
    assert dearer.totals is not None
    assert cheaper.totals.usd_per_hour <= dearer.totals.usd_per_hour


def test_loads_are_reported_apart_by_their_pairs() -> None:
    assert digest(constant(100, 10)) == digest(constant(100, 10))
    assert digest(constant(100, 10)) != digest(constant(100, 11))


def test_no_more_is_kept_than_the_limit() -> None:
    kept: Kept[int, int] = Kept(2)
    made: list[int] = []

    def make(value: int) -> int:
        made.append(value)
        return value

    for key in (1, 2, 1, 3, 1, 2):
        assert kept.of(key, lambda key=key: make(key)) == key
    assert made == [1, 2, 3, 2]
    assert len(kept) == 2
