import plan_builder as build
import pytest

from planner.comparison.causes import KINDS, kind_of
from planner.comparison.differences import diff
from planner.comparison.splitting import OF_NEW, SINCE_OLD, split
from planner.scenario.schema import Scenario, Service


def costing(price):
    """Solve by a formula of the scenario; None is no fleet."""
    requested = []

    def solve(scenario):
        requested.append(scenario)
        cost = price(scenario)
        if cost is None:
            return build.infeasible_plan(scenario)
        return build.plan(scenario, nodes=(build.node(count=1, usd_per_hour_each=cost),))

    return solve, requested


def by_rate_and_tpot(scenario):
    (service,) = scenario.services
    return service.rate * (2.0 if service.slo.target("tpot").seconds < 0.1 else 1.0)


OLD = build.scenario(rate=50)
NEW = build.scenario(rate=60, slo={"ttft_p99": "2s", "tpot_p99": "50ms"})


def test_each_cause_has_its_part_in_the_order_of_causes_and_the_parts_sum():
    solve, requested = costing(by_rate_and_tpot)
    parts = split(solve(OLD), solve(NEW), solve)
    assert [(p.causes, p.added_usd_per_hour, p.usd_per_hour) for p in parts] == [
        (("rate",), 10.0, 60.0),
        (("SLO",), 60.0, 120.0),
    ]
    assert sum(p.added_usd_per_hour for p in parts) == 120 - 50
    assert requested[-1].services == NEW.services


def test_what_other_data_cost_is_first_and_last():
    solve, _ = costing(by_rate_and_tpot)
    old = build.plan(OLD, nodes=(build.node(count=1, usd_per_hour_each=47.0),))
    new = build.plan(NEW, nodes=(build.node(count=1, usd_per_hour_each=121.0),))
    parts = split(old, new, solve)
    assert [p.causes for p in parts] == [(SINCE_OLD,), ("rate",), ("SLO",), (OF_NEW,)]
    assert [p.added_usd_per_hour for p in parts] == [3.0, 10.0, 60.0, 1.0]


def test_causes_between_which_no_fleet_exists_share_a_step():
    def price(scenario):
        cost = by_rate_and_tpot(scenario)
        return None if cost == 60.0 else cost

    solve, _ = costing(price)
    parts = split(solve(OLD), solve(NEW), solve)
    assert [(p.causes, p.added_usd_per_hour) for p in parts] == [(("rate", "SLO"), 70.0)]


def test_services_come_and_go_with_demand():
    shared = {k: v for k, v in build.SCENARIO.items() if k != "name"}
    two = build.scenario(services=[{**shared, "name": "code"}, {**shared, "name": "chat"}])
    solve, requested = costing(lambda s: 10.0 * len(s.services))
    for old, new, added in ((OLD, two, 10.0), (two, OLD, -10.0)):
        (part,) = split(solve(old), solve(new), solve)
        assert (part.causes, part.added_usd_per_hour) == (("demand",), added)
        assert {s.name for s in requested[-1].services} == {s.name for s in new.services}


def test_without_a_fleet_there_is_nothing_to_split():
    solve, requested = costing(by_rate_and_tpot)
    assert split(build.infeasible_plan(), build.plan(), solve) == ()
    assert requested == []


@pytest.mark.parametrize(("model", "of_service"), [(Service, True), (Scenario, False)])
def test_every_input_is_of_a_kind_that_is_walked(model, of_service):
    kinds = {kind_of(f, of_service=of_service) for f in model.model_fields}
    assert kinds - {""} <= set(KINDS)


def test_the_only_service_is_the_same_whatever_its_name():
    renamed = build.scenario(name="other", rate=60)
    found = diff(build.plan(), build.plan(renamed))
    assert [c.kind for c in found.causes] == ["rate"]
    assert not [c for c in found.changes if c.mark in "+-"]


def test_rate_and_length_are_causes_of_their_own():
    def price(scenario):
        (service,) = scenario.services
        return service.rate * service.output_tokens.mean / 100

    solve, _ = costing(price)
    longer = build.scenario(rate=60, output_tokens=600)
    parts = split(solve(OLD), solve(longer), solve)
    assert [(p.causes, p.added_usd_per_hour) for p in parts] == [
        (("rate",), 50.0),
        (("lengths",), 60.0),
    ]
