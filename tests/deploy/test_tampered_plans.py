"""A plan that was edited by hand is deployed as it says, or refused in words; never a crash."""

import copy
import json

import plan_builder as build
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launch_plans import fleet, group, service

from planner.catalog.store import load_catalog
from planner.deploy.choices import Choices
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError, PlannerError
from planner.plan.schema import read_plan

CATALOG = load_catalog()
PLAN = json.loads(
    fleet(
        service("chat", (group(weights="fp8", settings={"max_num_seqs": 64}),)),
        service("code", (group(tensor_parallel=8, pipeline_parallel=2), group(gpu="mi300x"))),
    )
    .model_copy(update={"periods": (build.period("00:00", {"chat: x": 2}, hours=24.0),)})
    .to_json()
)
VALUES = [0, -1, 1, 7, 10**9, 1e308, None, "", "x", True, [], {}, "a\nb", "../x", 0.5]


def _leaves(value, path=()):
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from _leaves(inner, (*path, key))
    if not isinstance(value, (dict, list)):
        yield path


LEAVES = [p for p in _leaves(PLAN) if p[0] in ("services", "nodes", "scenario", "periods")]


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(LEAVES), st.sampled_from(VALUES)), min_size=1, max_size=2
    ),
    target=st.sampled_from(["vllm", "docker-compose", "kubernetes", "llm-d"]),
)
def test_any_edit_is_deployed_or_refused(tmp_path_factory, edits, target):
    edited = copy.deepcopy(PLAN)
    for path, value in edits:
        place = edited
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    path = tmp_path_factory.getbasetemp() / "edited.json"
    path.write_text(json.dumps(edited))
    try:
        launch_files(read_plan(path), CATALOG, target, Choices())
    except OutputError:
        raise
    except PlannerError:
        return


@pytest.mark.parametrize(
    ("path", "value", "stated"),
    [
        (("services", 0, "name"), "other", "the scenario has no such service"),
        (("services", 0, "replica_groups", 0, "gpus"), 3, "2 replicas of 4 on 3 GPUs"),
        (("services", 0, "replica_groups", 0, "tensor_parallel"), 0, "a count below 1"),
        (("services", 0, "replica_groups", 0, "settings", "max_num_seqs"), "x", "max_num_seqs"),
        (("services", 0, "replica_groups", 0, "settings"), {"magic": 1}, "an unknown setting"),
        (("nodes", 0, "gpus_per_node"), 0, "a count below 1"),
        (("periods", 0, "replicas"), {"chat: x": "two"}, "periods.0.replicas"),
        (("periods", 0, "replicas"), {"chat: x": -1}, "a count below 0"),
    ],
)
def test_a_contradiction_is_named(tmp_path, path, value, stated):
    edited = copy.deepcopy(PLAN)
    place = edited
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(edited))
    with pytest.raises(InputError) as refusal:
        launch_files(read_plan(file), CATALOG, "vllm", Choices())
    assert stated in str(refusal.value)
