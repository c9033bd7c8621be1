"""A plan whose demand varies over the day keeps its hours in the cluster."""

from pathlib import Path

import jsonschema
import plan_builder as build
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from launch_plans import fleet, group, service

from planner.catalog.store import load_catalog
from planner.deploy.check import check_files
from planner.deploy.choices import Choices
from planner.deploy.cluster.timetable import Shift, shifts
from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError

CATALOG = load_catalog()
SCHEMA = jsonschema.Draft202012Validator(
    yaml.safe_load((Path(__file__).parents[1] / "schemas" / "kubernetes.yaml").read_text())
)


def timed(by_hour, labels=None):
    plan = fleet(service("chat", (group(replicas=max(by_hour)),)))
    label = plan.services[0].replica_groups[0].name
    names = labels or [f"{h:02d}:00" for h in range(24)]
    periods = tuple(
        build.period(name, {f"chat: {label}": n}) for name, n in zip(names, by_hour, strict=True)
    )
    return plan.model_copy(update={"periods": periods})


def scaled_object(files):
    (found,) = (
        o for o in read_yaml_stream(files["chat.group.yaml"]) if o["kind"] == "ScaledObject"
    )
    return found["spec"]


def test_nights_are_quiet():
    plan = timed([1] * 8 + [4] * 10 + [2] * 6)
    spec = scaled_object(launch_files(plan, CATALOG, "kubernetes", Choices()).files)
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 6)
    crons = [t["metadata"] for t in spec["triggers"] if t["type"] == "cron"]
    assert [(c["start"], c["end"], c["desiredReplicas"]) for c in crons] == [
        ("57 7 * * *", "0 18 * * *", "4"),  # up three minutes early: vLLM starts in 180 s
        ("57 17 * * *", "0 0 * * *", "2"),
    ]


def test_a_day_is_reported_in_the_users_timezone():
    plan = timed([1] * 12 + [2] * 12)
    files = launch_files(plan, CATALOG, "llm-d", Choices(timezone="Europe/Paris")).files
    (cron,) = (t for t in scaled_object(files)["triggers"] if t["type"] == "cron")
    assert cron["metadata"]["timezone"] == "Europe/Paris"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=24, max_size=24).filter(any))
def test_every_hour_has_what_the_plan_wants(by_hour):
    plan = timed(by_hour)
    files = launch_files(plan, CATALOG, "kubernetes", Choices()).files  # checked hour by hour
    for document in read_yaml_stream(files["chat.group.yaml"]):
        SCHEMA.validate(document)


def test_the_check_notices_a_missing_hour():
    plan = timed([1] * 12 + [2] * 12)
    files = dict(launch_files(plan, CATALOG, "kubernetes", Choices()).files)
    files["chat.group.yaml"] = files["chat.group.yaml"].replace("57 11 * * *", "57 13 * * *")
    with pytest.raises(OutputError, match="replicas by hour"):
        check_files(plan, CATALOG, "kubernetes", files, Choices())


def test_representative_days_give_each_hour_its_most():
    labels = [f"day {d} {h:02d}:00" for d in (1, 2) for h in range(24)]
    plan = timed([1] * 24 + [1] * 9 + [3] + [1] * 14, labels)
    (cron,) = (
        t
        for t in scaled_object(launch_files(plan, CATALOG, "kubernetes", Choices()).files)[
            "triggers"
        ]
        if t["type"] == "cron"
    )
    assert (cron["metadata"]["start"], cron["metadata"]["desiredReplicas"]) == ("57 8 * * *", "3")


@pytest.mark.parametrize("autoscaler", ["hpa", "none"])
def test_without_a_clock_the_busiest_hour_runs_all_day(autoscaler):
    stated = launch_files(
        timed([1] * 12 + [2] * 12), CATALOG, "kubernetes", Choices(autoscaler=autoscaler)
    )
    assert any("1 to 2 replicas by the hour" in w for w in stated.warnings)


def test_stages_of_growth_have_no_hour():
    plan = timed([2, 4], ["month 1", "month 7"])
    spec = scaled_object(launch_files(plan, CATALOG, "kubernetes", Choices()).files)
    assert spec["minReplicaCount"] == 4


def test_shifts_cover_what_is_above_the_least():
    assert list(shifts((2,) * 24)) == []
    assert list(shifts((1,) * 22 + (3, 3))) == [Shift(22, 24, 3)]
    assert Shift(0, 6, 2).cron(start_up_s=150) == ("57 23 * * *", "0 6 * * *")


def test_a_long_start_up_begins_the_evening_before():
    plan = timed([3] * 6 + [1] * 18)
    (requested,) = plan.scenario.services
    slow = requested.model_copy(
        update={"routing": requested.routing.model_copy(update={"start_up": 2700.0})}
    )
    plan = plan.model_copy(
        update={"scenario": plan.scenario.model_copy(update={"services": (slow,)})}
    )
    files = launch_files(plan, CATALOG, "kubernetes", Choices()).files
    (cron,) = (t for t in scaled_object(files)["triggers"] if t["type"] == "cron")
    assert cron["metadata"]["start"] == "15 23 * * *"


def test_services_busy_at_different_hours_may_share_their_nodes():
    day, night = [3] * 12 + [1] * 12, [1] * 12 + [3] * 12
    both = fleet(
        service("day", (group(replicas=3),)),
        service("night", (group(replicas=3),)),
        nodes=(build.node(count=2),),
    )
    labels = {
        s.name: planned.replica_groups[0].name
        for s, planned in zip(both.scenario.services, both.services, strict=True)
    }
    periods = tuple(
        build.period(
            f"{h:02d}:00",
            {f"day: {labels['day']}": day[h], f"night: {labels['night']}": night[h]},
        )
        for h in range(24)
    )
    plan = both.model_copy(update={"periods": periods})
    files = launch_files(plan, CATALOG, "kubernetes", Choices()).files
    for name in ("day", "night"):
        deployment = next(iter(read_yaml_stream(files[f"{name}.group.yaml"])))
        assert deployment["spec"]["replicas"] == 1  # the clock adds the rest
    with pytest.raises(InputError, match="do not hold its replicas") as stated:
        launch_files(plan, CATALOG, "docker-compose", Choices())
    assert "follow the hours" in str(stated.value)
