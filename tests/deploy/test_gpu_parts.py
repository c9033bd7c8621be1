"""Replicas on MIG slices and time slices: resources, memory fractions, devices, and what is refused."""

from __future__ import annotations

import launch_plans
import plan_builder as build
import pytest
import yaml

from planner.catalog.store import Catalog
from planner.deploy.choices import Choices
from planner.deploy.launch_target import TARGETS
from planner.deploy.sharing_resources import shared_resource
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError
from planner.plan.schema import Plan

LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"
CLUSTER = [t for t in TARGETS if t not in ("vllm", "sglang", "trtllm", "docker-compose")]


def part(share=0.5, profile="", replicas=4, engine="vllm", gpu="h100-sxm-80gb", **changes):
    return launch_plans.group(
        replicas=replicas,
        tensor_parallel=1,
        engine=engine,
        gpu=gpu,
        gpu_share=share,
        profile=profile,
        weights="bf16",
        settings={"memory_fraction": 0.9},
        **changes,
    )


def plan(*groups, nodes=None) -> Plan:
    services = [launch_plans.service(f"s{i}", (g,), LLAMA_8B) for i, g in enumerate(groups)]
    nodes = nodes or (build.node(gpu=groups[0].gpu, gpus_per_node=8, count=1),)
    return launch_plans.fleet(*services, nodes=nodes, sharing={"gpu": [0.5]})


def files(catalog: Catalog, target: str, *groups, nodes=None):
    return launch_files(plan(*groups, nodes=nodes), catalog, target, Choices()).files


@pytest.mark.parametrize("target", CLUSTER)
@pytest.mark.parametrize(
    ("share", "profile", "resource"),
    [(0.5, "3g.40gb", "nvidia.com/mig-3g.40gb"), (0.5, "", "nvidia.com/gpu.shared")],
)
def test_a_cluster_is_asked_for_the_part(catalog, target, share, profile, resource) -> None:
    written = files(catalog, target, part(share, profile))
    text = "\n".join(t for n, t in written.items() if not n.startswith(("gpu-", "README")))
    assert resource in text
    assert "gpu-mig.yaml" in written if profile else "gpu-time-slices.yaml" in written
    assert "nvidia.com/gpu.product" in text


def test_a_profiles_plus_is_a_dot_in_the_resource() -> None:
    assert shared_resource("1g.10gb+me") == "nvidia.com/mig-1g.10gb.me"


def test_the_device_plugin_hands_out_a_gpu_as_often_as_the_plan(catalog) -> None:
    written = files(catalog, "kubernetes", part(0.25))
    config = yaml.safe_load(written["gpu-time-slices.yaml"])
    assert config["metadata"] == {"name": "planner-time-slices", "namespace": "gpu-operator"}
    rules = yaml.safe_load(config["data"]["h100-sxm-80gb"])["sharing"]["timeSlicing"]
    assert rules == {
        "renameByDefault": True,
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
    }
    assert "nvidia.com/device-plugin.config=h100-sxm-80gb" in written["README.md"]


def test_mig_is_cut_as_the_plan_fills_it(catalog) -> None:
    written = files(catalog, "llm-d", part(0.5, "3g.40gb"))
    config = yaml.safe_load(yaml.safe_load(written["gpu-mig.yaml"])["data"]["config.yaml"])
    (cut,) = config["mig-configs"]["h100-sxm-80gb"]
    assert cut == {"devices": "all", "mig-enabled": True, "mig-devices": {"3g.40gb": 2}}
    assert "nvidia.com/mig.config=h100-sxm-80gb" in written["README.md"]


def test_unlike_profiles_of_one_type_are_left_to_the_reader(catalog) -> None:
    written = files(catalog, "kubernetes", part(0.5, "3g.40gb"), part(1 / 7, "1g.10gb"))
    assert "gpu-mig.yaml" not in written
    assert "replicas of several kinds" in written["README.md"]


def test_memory_of_a_time_slice_is_a_fraction_of_the_whole_gpu(catalog) -> None:
    assert "--gpu-memory-utilization 0.45" in files(catalog, "vllm", part(0.5))["serve-s0.sh"]
    third = files(catalog, "vllm", part(1 / 3))["serve-s0.sh"]
    assert "--gpu-memory-utilization 0.3 " in third.replace("\n", " ").replace("\\", " ")
    cut = files(catalog, "vllm", part(0.5, "3g.40gb"))["serve-s0.sh"]
    assert "--gpu-memory-utilization 0.9" in cut
    assert "CUDA_VISIBLE_DEVICES=MIG-<UUID>" in cut


def devices_of(written) -> list[list[str]]:
    found = []
    for name, text in written.items():
        if name.endswith(".compose.yaml"):
            for service in yaml.safe_load(text)["services"].values():
                (one,) = service["deploy"]["resources"]["reservations"]["devices"]
                found.append(one["device_ids"])
    return found


def test_compose_binds_replicas_to_slices_and_to_shared_gpus(catalog) -> None:
    nodes = (build.node(gpus_per_node=2, count=1),)
    shared = files(catalog, "docker-compose", part(0.5), nodes=nodes)
    assert devices_of(shared) == [["0"], ["0"], ["1"], ["1"]]
    cut = files(catalog, "docker-compose", part(0.5, "3g.40gb"), nodes=nodes)
    assert devices_of(cut) == [["0:0"], ["0:1"], ["1:0"], ["1:1"]]


def test_parts_stand_beside_whole_gpus_on_a_machine(catalog) -> None:
    whole = launch_plans.group(replicas=1, tensor_parallel=1, weights="bf16")
    nodes = (build.node(gpus_per_node=2, count=1),)
    written = files(catalog, "docker-compose", whole, part(0.5, replicas=2), nodes=nodes)
    assert devices_of(written) == [["0"], ["1"], ["1"]]


def test_more_parts_than_the_nodes_hold_are_refused(catalog) -> None:
    nodes = (build.node(gpus_per_node=1, count=1),)
    with pytest.raises(InputError, match="contradicts itself") as stated:
        files(catalog, "docker-compose", part(0.5, replicas=3), nodes=nodes)
    assert "1.5 GPUs used of 1 x" in str(stated.value)
    with pytest.raises(InputError, match="do not hold its replicas"):
        files(catalog, "docker-compose", part(0.6, replicas=1), part(0.4, replicas=1), nodes=nodes)


def test_a_share_given_out_too_often_is_found_in_the_files(catalog, monkeypatch) -> None:
    monkeypatch.setattr("planner.deploy.placement.parts_per_gpu", lambda share: 3)
    nodes = (build.node(gpus_per_node=2, count=1),)
    with pytest.raises(OutputError, match="given out too often"):
        files(catalog, "docker-compose", part(0.5, replicas=3), nodes=nodes)


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm"])
def test_engines_that_size_by_free_memory_get_slices_of_mig_alone(catalog, engine) -> None:
    with pytest.raises(InputError, match="by what is free when it starts"):
        files(catalog, "kubernetes", part(0.5, engine=engine))
    written = files(catalog, "kubernetes", part(0.5, "3g.40gb", engine=engine))
    assert "nvidia.com/mig-3g.40gb" in written["s0.group.yaml"]


def test_unequal_time_slices_are_for_machines_not_for_clusters(catalog) -> None:
    unequal = (part(0.5, replicas=2), part(0.25, replicas=4))
    with pytest.raises(InputError, match="equal time slices"):
        files(catalog, "kubernetes", *unequal)
    whole = launch_plans.group(replicas=1, tensor_parallel=1, weights="bf16")
    with pytest.raises(InputError, match="equal time slices"):
        files(catalog, "kubernetes", part(0.5), whole)
    assert devices_of(files(catalog, "docker-compose", *unequal))


def test_parts_of_other_vendors_are_refused(catalog) -> None:
    nodes = (build.node(gpu="mi300x", gpus_per_node=8, count=1),)
    with pytest.raises(InputError, match="NVIDIA devices alone"):
        files(catalog, "kubernetes", part(0.5, gpu="mi300x"), nodes=nodes)


def test_whole_gpus_write_no_word_of_parts(catalog) -> None:
    whole = launch_plans.group(replicas=1, tensor_parallel=1, weights="bf16")
    written = files(catalog, "kubernetes", whole)
    assert not {n for n in written if n.startswith("gpu-")}
    assert "Parts of a GPU" not in written["README.md"]
