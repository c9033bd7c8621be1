"""A replica wider than its nodes is said to span them; separate instances without a network are warned of."""

from __future__ import annotations

import plan_builder as build

from planner.assembly.networks import network_warnings
from planner.catalog.store import load_catalog
from planner.plan.spanning import spanned_nodes
from planner.reporting.plan.decision_text import decision_lines


def planned(gpus_per_node: int):
    wide = build.group(tensor_parallel=1, pipeline_parallel=2, replicas=5, gpus=10)
    return build.plan(groups=(wide,), nodes=(build.node(gpus_per_node=gpus_per_node, count=10),))


def test_a_replica_over_two_instances_is_said_to_span_them():
    plan = planned(1)
    (group,) = plan.services[0].replica_groups
    assert spanned_nodes(group, plan.nodes) == (2, 1)
    assert "; each replica spans 2 nodes of 1 GPU." in next(decision_lines(plan))
    (warning,) = network_warnings(plan.services, plan.nodes, (), load_catalog())
    assert "spans 2 separate 1-GPU instances, and no network between them is stated" in warning


def test_a_replica_within_a_node_spans_none():
    plan = planned(8)
    (group,) = plan.services[0].replica_groups
    assert spanned_nodes(group, plan.nodes)[0] == 1
    assert "spans" not in next(decision_lines(plan))
    assert not list(network_warnings(plan.services, plan.nodes, (), load_catalog()))


def test_nodes_of_several_gpus_say_which_network_is_assumed():
    wide = build.group(tensor_parallel=8, pipeline_parallel=2, replicas=1, gpus=16)
    plan = build.plan(groups=(wide,), nodes=(build.node(gpus_per_node=8, count=2),))
    assert "; each replica spans 2 nodes of 8 GPUs." in next(decision_lines(plan))
    (line,) = network_warnings(plan.services, plan.nodes, (), load_catalog())
    assert "No network is stated for" in line
    assert "is assumed; ask before signing" in line
