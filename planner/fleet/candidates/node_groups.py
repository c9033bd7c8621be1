"""Which GPUs of a replica must share a node, and how many nodes it fills."""

from __future__ import annotations

from planner.deployment import Deployment
from planner.performance.collectives import crosses_network
from planner.performance.loads import link_of


def group_gpus(deployment: Deployment) -> int:
    """GPUs that must share one node or link domain: a pipeline stage with all its ranks."""
    return deployment.tensor_parallel * deployment.data_parallel


def node_groups(deployment: Deployment, node_gpus: int, spanning_nodes: int) -> tuple[int, ...]:
    """GPUs of a replica that must each share a node of ``node_gpus``; empty where it cannot stand.

    Stages that are predicted in one node, what they hand over included in what was fitted, stay in one where
    any offered holds them all. Where none does they stand apart, and the plan says what that leaves out.
    Attention-DP ranks may fill whole nodes together, up to ``spanning_nodes`` of them, where each
    holds whole experts: cut ones would send every token to every rank over the network.
    """
    stage, stages = group_gpus(deployment), deployment.pipeline_parallel
    if stage <= node_gpus:
        whole = stage * stages
        in_one = whole <= node_gpus and not crosses_network(deployment.gpu, whole)
        return (whole,) if in_one else (stage,) * stages
    fills = stage % node_gpus == 0 and node_gpus % deployment.tensor_parallel == 0
    whole_experts = deployment.expert_parallel == stage
    nodes = stage // node_gpus
    if not (fills and whole_experts and nodes <= spanning_nodes):
        return ()
    if link_of(deployment).kind == "network":
        return (node_gpus,) * (nodes * stages)
    return ()
