"""What each policy wants, by hand."""

import pytest

from planner.autoscaling.policies import FleetView, Queue, Saturation, Schedule
from planner.errors import CatalogError


def view(time_s=0.0, ready=4, replicas=None, waiting=0.0, kv=0.0):
    return FleetView(time_s, ready, ready if replicas is None else replicas, waiting, kv)


def queue(catalog, **given):
    return Queue(
        catalog.root, **{"threshold": 10, "least": 2, "most": 20, "window_s": 300, **given}
    )


@pytest.mark.parametrize(
    ("waiting", "wanted"),
    [(100, 8), (75, 8), (70, 7), (42, 4), (38, 4), (0, 4), (10_000, 8)],
)  # 100 / 10 = 10, but no more than twice as many at once; within 10 % of 4 x 10 nothing changes
def test_the_queue_is_shared_out_by_the_threshold(waiting, wanted, catalog):
    policy = queue(catalog)
    policy.wants(view(-300, ready=4, waiting=40))  # four were wanted within the window
    assert policy.wants(view(-10, ready=4, waiting=waiting)) == wanted


def test_scaling_down_waits_for_its_window(catalog):
    policy = queue(catalog)
    assert policy.wants(view(0, ready=4, waiting=80)) == 8
    assert policy.wants(view(300, ready=8)) == 8
    assert policy.wants(view(301, ready=8)) == 2


def test_bounds_and_the_hours_hold(catalog):
    floor = Schedule([1] * 8 + [6] * 16, ahead_s=600)
    policy = queue(catalog, floor=floor, most=7)
    assert policy.wants(view(0, ready=4)) == 2
    assert policy.wants(view(8 * 3600 - 601, ready=4)) == 2
    assert policy.wants(view(8 * 3600 - 600, ready=4)) == 6
    assert policy.wants(view(9 * 3600, ready=6, waiting=500)) == 7


def test_saturation_adds_one_at_a_time_and_waits_for_it(catalog):
    policy = Saturation(catalog.root, least=2, most=6)
    assert policy.wants(view(kv=0.71)) == 5  # spare 0.09 of 0.8 is below 0.1
    assert policy.wants(view(waiting=4 * 2.5)) == 5  # 2.5 spare of 5 is below 3
    assert policy.wants(view(ready=4, replicas=5, kv=0.9)) == 5
    assert policy.wants(view(ready=6, kv=0.9)) == 6
    assert policy.wants(view(kv=0.5)) == 3  # three would hold 0.67 and keep 0.13 spare
    assert policy.wants(view(kv=0.6)) == 4  # three would hold all of 0.8
    assert policy.wants(view(ready=2, kv=0.0)) == 2


def test_a_parameter_that_is_not_recorded_is_a_catalog_error(catalog):
    from planner.autoscaling.parameters import parameter

    with pytest.raises(CatalogError, match="no such parameter"):
        parameter(catalog.root, "hpa", "nonsense")
