"""What a plan can be written for: the targets, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaunchTarget:
    """``engine``: the one that its shell scripts start, "" where the plan's own run in containers.

    ``in_cluster``: whether Kubernetes runs what is written; ``scales``: whether replicas are added to it.
    """

    name: str
    engine: str = ""
    in_cluster: bool = False
    scales: bool = False


TARGETS: Mapping[str, LaunchTarget] = {
    target.name: target
    for target in (
        LaunchTarget("vllm", engine="vllm"),
        LaunchTarget("sglang", engine="sglang"),
        LaunchTarget("trtllm", engine="tensorrt-llm"),
        LaunchTarget("docker-compose"),
        LaunchTarget("kubernetes", in_cluster=True, scales=True),
        LaunchTarget("llm-d", in_cluster=True, scales=True),
        LaunchTarget("kserve", in_cluster=True, scales=True),
        LaunchTarget("dynamo", in_cluster=True),
        LaunchTarget("production-stack", in_cluster=True, scales=True),
    )
}
