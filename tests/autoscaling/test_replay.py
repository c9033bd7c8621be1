"""Replicas under a rate: GPU-hours and misses by hand, and the command."""

import json

import plan_builder as build
import pytest
import yaml
from disaggregated_plans import units
from hypothesis import given, settings
from hypothesis import strategies as st
from launch_plans import fleet, group, service

from planner.autoscaling.policies import Queue, Schedule, Static
from planner.autoscaling.replay import ScaledReplica, replay
from planner.catalog.store import load_catalog
from planner.cli.main import main

CATALOG = load_catalog()
ONE = ScaledReplica(capacity_qps=10.0, may_wait=20.0, kv_at_capacity=0.5, gpus=4, start_up_s=120.0)


def run(rates, policy, window_s=600.0, interval_s=15.0, replica=ONE):
    starts = [n * window_s for n in range(len(rates))]
    return replay(starts, rates, window_s, replica, policy, interval_s)


def test_a_static_fleet_within_its_capacity_misses_nothing():
    found = run([30.0] * 12, Static(3))
    assert (found.gpu_hours, found.late, found.starts) == (24.0, 0.0, 0)  # 3 x 4 GPUs, 2 hours
    assert found.requests == pytest.approx(30 * 7200)


def test_what_arrives_behind_a_long_queue_is_late():
    # 1 request/s too many: 60 may wait at 3 replicas, so all are late from the fifth step of 15 s
    found = run([31.0], Static(3))
    assert found.late == pytest.approx(31 * (600 - 60))


def test_a_replica_serves_after_its_start_and_is_paid_from_its_order():
    policy = Queue(CATALOG.root, threshold=20, least=1, most=4, window_s=300)
    found = run([5.0, 35.0, 5.0], policy)
    assert found.most_replicas > 1
    assert found.starts >= 1
    assert 0 < found.miss_share < 1
    never = run([5.0, 35.0, 5.0], Static(1))
    always = run([5.0, 35.0, 5.0], Static(4))
    assert never.late > found.late > always.late == 0
    assert never.gpu_hours < found.gpu_hours


def test_a_schedule_has_its_replicas_ready_at_the_hour():
    by_hour = [1, 3] + [1] * 22
    found = run([5.0] * 6 + [29.0] * 6 + [5.0] * 6, Schedule(by_hour, ahead_s=120))
    assert found.late == 0
    # one replica for 3 h and two more for 1 h and their start-up of 120 s
    assert found.gpu_hours == pytest.approx(4 * (3 + 2 * (3600 + 120) / 3600), rel=0.01)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 80), min_size=1, max_size=8), st.integers(1, 8))
def test_more_replicas_never_miss_more(rates, replicas):
    fewer, more = run(rates, Static(replicas)), run(rates, Static(replicas + 1))
    assert more.late <= fewer.late
    assert 0 <= fewer.miss_share <= 1


@pytest.fixture
def plan_file(tmp_path):
    layout = group(replicas=6, weights="bf16", capacity_qps=10.0)
    hours = [2, 2, 2, 2, 2, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2]
    plan = fleet(service("chat", (layout,)))
    key = layout.key("chat")
    periods = tuple(build.period(f"{h:02d}:00", {key: n}, hours=1.0) for h, n in enumerate(hours))
    path = tmp_path / "plan.json"
    path.write_text(plan.model_copy(update={"periods": periods}).to_json())
    return path


@pytest.fixture
def series(tmp_path):
    rates = [2, 2, 2, 2, 2, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2]
    lines = [f"{h * 3600},{9.0 * rate}" for h, rate in enumerate(rates)]
    path = tmp_path / "rates.csv"
    path.write_text("window_start_s,rate_rps\n" + "\n".join(lines) + "\n")
    return path


def test_policies_are_compared(plan_file, series, capsys):
    assert main(["replay", str(plan_file), "--series", str(series), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["policies"]
    assert list(found) == ["static", "schedule", "keda", "hpa", "llm-d"]
    assert found["static"]["gpu_hours"] == 6 * 4 * 24
    assert found["hpa"]["gpu_hours"] >= found["static"]["gpu_hours"]  # it never goes below the plan
    assert found["schedule"]["gpu_hours"] < found["static"]["gpu_hours"]
    # the series has the plan's rate of 50/s, and 6 replicas of 10/s cannot hold its peak of 79/s
    assert found["static"]["miss_share"] > 0.5


def test_a_plan_without_hours_has_no_schedule(tmp_path, series, capsys):
    path = tmp_path / "flat.json"
    path.write_text(fleet(service("chat", (group(weights="bf16"),))).to_json())
    assert main(["replay", str(path), "--series", str(series)]) == 0
    out = capsys.readouterr().out
    assert "schedule" not in out
    assert "static" in out


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("schedule", "ScaledObject"),
        ("keda", "ScaledObject"),
        ("hpa", "HorizontalPodAutoscaler"),
    ],
)
def test_the_policys_file_is_written(policy, kind, plan_file, series, tmp_path, capsys):
    target = tmp_path / "scaling.yaml"
    words = ["replay", str(plan_file), "--series", str(series), "--policy", policy]
    assert main([*words, "--policy-file", str(target)]) == 0
    capsys.readouterr()
    (found,) = yaml.safe_load_all(target.read_text())
    assert found["kind"] == kind
    if policy == "schedule":
        assert {t["type"] for t in found["spec"]["triggers"]} == {"cron"}
        assert found["spec"]["maxReplicaCount"] == 6


def test_what_cannot_be_replayed_is_refused(plan_file, series, tmp_path, capsys):
    pools = tmp_path / "pools.json"
    pools.write_text(fleet(service("chat", (units(),))).to_json())
    two = tmp_path / "two.json"
    two.write_text(
        fleet(
            service("a", (group(weights="bf16"),)), service("b", (group(weights="bf16"),))
        ).to_json()
    )
    one = tmp_path / "one.csv"
    one.write_text("window_start_s,rate_rps\n0,5\n")
    for words, message in (
        ([pools, "--series", series], "disaggregated prefill and decode are not replayed"),
        ([two, "--series", series], "several services"),
        ([two, "--series", series, "--service", "c"], "no such service"),
        ([plan_file, "--series", one], "at least two windows"),
        ([plan_file, "--series", series, "--policy", "keda"], "go together"),
        ([plan_file, "--series", tmp_path / "missing.csv"], "missing.csv"),
    ):
        assert main(["replay", *map(str, words)]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert "Traceback" not in err
