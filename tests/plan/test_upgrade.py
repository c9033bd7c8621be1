"""Plans of schema version 1 are read, verified and reported like those of today."""

import json
from pathlib import Path

import pytest

from planner.errors import InputError
from planner.plan.schema import SCHEMA_VERSION, Plan, read_plan

OLD = sorted((Path(__file__).parent / "plans_v1").glob("*.json"))


@pytest.mark.parametrize("path", OLD, ids=lambda p: p.stem)
def test_a_plan_of_version_1_is_read_as_one_of_today(path):
    written = json.loads(path.read_text())
    plan = read_plan(path)
    assert written["schema_version"] == 1
    assert plan.schema_version == SCHEMA_VERSION == 2
    schedule = written["details"].get("schedule", [])
    assert [p.period for p in plan.periods] == [p["period"] for p in schedule]
    assert plan.totals.usd_per_hour == written["totals"]["usd_per_hour"]


@pytest.mark.parametrize("path", OLD, ids=lambda p: p.stem)
def test_an_upgraded_plan_survives_json(path, tmp_path):
    plan = read_plan(path)
    copy = tmp_path / "plan.json"
    copy.write_text(plan.to_json())
    assert read_plan(copy) == plan
    assert json.loads(copy.read_text())["schema_version"] == 2


@pytest.mark.parametrize("details", ["monday", {"schedule": 3}, [1], {"schedule": [{}]}])
def test_details_that_are_no_schedule_are_refused(tmp_path, details):
    document = {**json.loads(OLD[0].read_text()), "details": details}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError):
        read_plan(path)


def test_old_and_new_keys_are_the_same():
    plan = read_plan(next(p for p in OLD if p.stem == "fleet_day_and_night"))
    keys = {g.key(s.name) for s in plan.services for g in s.replica_groups}
    assert {k for p in plan.periods for k in p.replicas} <= keys
    assert isinstance(plan, Plan)
