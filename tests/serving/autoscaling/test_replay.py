"""Autoscaling against hand calculations: when replicas come and go, what is missed, what is paid."""

from __future__ import annotations

import numpy as np
import pytest

from planner.errors import InputError
from planner.serving.autoscaling.parameters import SaturationRule, ScalingRule, autoscalers
from planner.serving.autoscaling.policies import (
    Clock,
    Highest,
    Observation,
    Pacing,
    QueueLength,
    Saturation,
    Static,
)
from planner.serving.autoscaling.replay import RateTrace, Scaled, least_replica_hours, replay
from planner.serving.autoscaling.signals import ReplicaSignals

AT_ONCE = ScalingRule(window_s=0, pods=1000, percent=100, period_s=1)
HPA_UP = ScalingRule(window_s=0, pods=4, percent=100, period_s=15)
HPA_DOWN = ScalingRule(window_s=300, pods=0, percent=100, period_s=15)
SATURATION = SaturationRule(
    kv_threshold=0.8, queue_threshold=5, kv_spare=0.1, queue_spare=3, peak_s=60
)
# ten requests/s a replica, no queue below that, the KV pool filled in proportion
TEN = ReplicaSignals(10.0, 10.0, np.array([0.0, 10.0]), np.zeros(2), np.array([0.0, 1.0]))


def trace(*windows):
    """(seconds, rate) of each window, from midnight."""
    lengths, rates = zip(*windows, strict=True)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return RateTrace(starts, np.array(rates, dtype=float), float(sum(lengths)))


def fixed(policy, least=1, most=100, **more):
    return Scaled(policy, Pacing(AT_ONCE, AT_ONCE, least, most), **more)


def seen(time_s=0.0, ready=1, pending=0, waiting=0.0, kv_share=0.0):
    return Observation(time_s, ready, pending, waiting, kv_share)


def test_a_fleet_that_is_large_enough_misses_nothing_and_pays_all_the_time():
    found = replay(trace((7200, 29.0)), TEN, fixed(Static(3)), 3, 60)
    assert found.missed == 0
    assert found.replica_hours == pytest.approx(6)
    assert found.requests == pytest.approx(7200 * 29)


def test_a_fleet_that_is_too_small_misses_all_and_its_backlog_grows_by_what_it_lacks():
    found = replay(trace((3600, 25.0)), TEN, fixed(Static(2)), 2, 60)
    assert found.missed_share == 1
    assert found.most_backlog == pytest.approx(3600 * (25 - 20))
    assert found.longest_overload_s == 3600


def test_beyond_the_capacity_but_below_the_ceiling_targets_are_missed_without_a_backlog():
    slack = ReplicaSignals(8.0, 10.0, TEN.rate_qps, TEN.waiting, TEN.kv_share)
    found = replay(trace((600, 7.9), (300, 9.0), (600, 7.9)), slack, fixed(Static(1)), 1, 60)
    assert found.missed == pytest.approx(300 * 9)
    assert found.most_backlog == 0


def test_a_queue_trigger_reacts_when_the_queue_is_long_and_serves_a_start_up_later():
    """5 then 15 requests/s on one replica of 10: the queue grows by 75 in each step of 15 s.

    It is over the threshold of 100 at 630 s (150 waiting); the second replica serves at 690 s, when 450
    wait, and the two work off 5 a second: done at 780 s. All that arrives from 600 s to 780 s is missed.
    """
    policy = QueueLength(threshold=100, tolerance=0.1)
    scaled = Scaled(policy, Pacing(AT_ONCE, HPA_DOWN, 1, 2))
    found = replay(trace((600, 5.0), (390, 15.0)), TEN, scaled, 1, 60)
    assert found.most_backlog == pytest.approx(450)
    assert found.overload_s == found.longest_overload_s == 180
    assert found.missed == pytest.approx(15 * 180)
    paid_from = found.times_s[np.argmax(found.paid == 2)]
    served_from = found.times_s[np.argmax(found.serving == 2)]
    assert (paid_from, served_from) == (630, 690)


def test_the_clock_starts_replicas_ahead_and_pays_for_that_alone():
    by_hour = tuple(3 if 8 <= hour < 20 else 1 for hour in range(24))
    day = trace((8 * 3600, 9.0), (12 * 3600, 29.0), (4 * 3600, 9.0))
    found = replay(day, TEN, fixed(Clock(by_hour, ahead_s=600)), 1, 600)
    assert found.missed == 0
    assert found.replica_hours == pytest.approx(sum(by_hour) + 2 * 600 / 3600)
    assert (found.scale_ups, found.scale_downs) == (1, 1)


def test_a_clock_without_a_head_start_misses_the_start_up():
    by_hour = tuple(3 if 8 <= hour < 20 else 1 for hour in range(24))
    day = trace((8 * 3600, 9.0), (16 * 3600, 29.0))
    found = replay(day, TEN, fixed(Clock(by_hour, ahead_s=0)), 1, 600)
    assert found.overload_s >= 600


def test_the_least_is_what_each_step_needs_when_it_comes():
    assert least_replica_hours(trace((3600, 5.0), (3600, 20.0), (3600, 20.1)), TEN, 1) == 6


def test_replicas_outlast_the_need_by_the_window_and_no_more():
    pacing = Pacing(HPA_UP, HPA_DOWN, 1, 10)
    requested, now = [], 5
    for step in range(60):
        now = pacing.requested(15.0 * step, now, 5 if step < 10 else 2)
        requested.append(now)
    last_wish = 9 * 15.0
    first_low = 15.0 * requested.index(2)
    assert first_low == last_wish + 300
    assert set(requested) == {5, 2}


def test_new_replicas_come_four_at_a_time_or_double():
    pacing, now, counts = Pacing(HPA_UP, HPA_DOWN, 1, 100), 1, []
    for step in range(5):
        now = pacing.requested(15.0 * step, now, 60)
        counts.append(now)
    assert counts == [5, 10, 20, 40, 60]


def test_the_lowest_wish_of_a_window_holds_new_replicas_back():
    rule = autoscalers_up()
    pacing, now = Pacing(rule, rule, 1, 10), 2
    times = [60.0 * n for n in range(8)]
    requested = [pacing.requested(time, now, 2 if time < 60 else 3) for time in times]
    assert requested.index(3) == 4  # the wish of the first minute has left the window of 240 s


def autoscalers_up():
    return ScalingRule(window_s=240, pods=10, percent=0, period_s=150)


def test_within_the_tolerance_nothing_changes():
    policy = QueueLength(threshold=10, tolerance=0.1)
    assert policy.wish(seen(ready=2, waiting=21.9)) is None
    assert policy.wish(seen(ready=2, waiting=22.1)) == 3
    assert policy.wish(seen(ready=1, pending=1, waiting=22.1)) == 3  # those that start count


def test_the_highest_of_several_triggers_counts():
    both = Highest((QueueLength(10, 0.1), Clock((4,) * 24, 0)))
    assert both.wish(seen(ready=4, waiting=0)) == 4
    assert both.wish(seen(ready=4, waiting=70)) == 7
    assert both.wish(seen(ready=4, waiting=41)) == 4


@pytest.mark.parametrize(
    ("observed", "wished"),
    [
        ({"ready": 3, "kv_share": 0.71}, 4),  # 0.09 spare, 0.1 required
        ({"ready": 3, "kv_share": 0.69, "waiting": 0}, None),  # two would be at 1.03
        ({"ready": 3, "kv_share": 0.30, "waiting": 0}, 2),  # two would be at 0.45
        ({"ready": 3, "waiting": 6.3}, 4),  # 2.1 wait at each, 2.9 spare
        ({"ready": 3, "waiting": 12.0, "pending": 1}, None),  # one starts already
        ({"ready": 1, "kv_share": 0.1}, None),  # the last one stays
    ],
)
def test_the_saturation_rule_adds_and_takes_one_at_a_time(observed, wished):
    assert Saturation(SATURATION).wish(seen(**observed)) == wished


def test_the_recorded_autoscalers_are_read(catalog):
    rows = autoscalers(catalog.root)
    assert set(rows) == {"hpa", "keda", "llm-d"}
    assert rows["hpa"].scale_down.window_s == 300
    assert rows["llm-d"].saturation == SATURATION
    readme = (catalog.root / "README.md").read_text(encoding="utf-8")
    section = readme.split("## autoscalers.yaml\n", 1)[1].split("\n## ", 1)[0]
    for row in rows.values():
        assert all(f"`{key}`" in section for key in type(row).model_fields)


def test_a_trace_must_have_windows_in_order():
    with pytest.raises(InputError):
        RateTrace(np.array([0.0, 0.0]), np.array([1.0, 1.0]), 10.0)
    with pytest.raises(InputError, match="too short or too long"):
        RateTrace(np.array([0.0]), np.array([1.0]), 1.0).steps()
