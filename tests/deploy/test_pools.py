"""Launch files of disaggregated prefill and decode: both pools, their router, and what is refused."""

from __future__ import annotations

import pytest
import yaml
from disaggregated_plans import units
from launch_plans import DEEPSEEK, LLAMA, fleet, service

from planner import __version__
from planner.deploy.choices import Choices
from planner.deploy.targets import launch_files
from planner.errors import InputError


def written(target, plan, catalog):
    return launch_files(plan, catalog, target, Choices()).files


GOLDEN = [("vllm", "vllm"), ("sglang", "sglang"), ("vllm", "llm-d"), ("sglang", "llm-d")]


@pytest.mark.parametrize(("engine", "target"), GOLDEN)
def test_the_files_of_two_pools(engine, target, catalog, repository, golden):
    files = written(target, fleet(service("chat", (units(engine),), LLAMA)), catalog)
    text = "".join(f"==> {name} <==\n{files[name]}\n" for name in sorted(files))
    golden(
        repository / "tests" / "golden" / "deploy" / f"pools-{engine}-{target}.txt",
        text.replace(f"planner {__version__}", "planner VERSION"),
    )


def test_no_golden_file_without_its_pools(repository):
    folder = repository / "tests" / "golden" / "deploy"
    names = {p.name for p in folder.glob("pools-*.txt")}
    assert names == {f"pools-{engine}-{target}.txt" for engine, target in GOLDEN}


def test_each_pool_runs_its_own_layout_as_often_as_the_units_say(catalog):
    files = written("vllm", fleet(service("chat", (units(),), LLAMA)), catalog)
    entries = {e["name"]: e for e in yaml.safe_load(files["fleet.yaml"])["replicas"]}
    assert {n: (e["replicas"], e["gpus_per_replica"]) for n, e in entries.items()} == {
        "chat-prefill": (6, 2),
        "chat-decode": (4, 4),
    }
    for pool in ("prefill", "decode"):
        assert '"kv_connector":"NixlConnector"' in files[f"serve-chat-{pool}.sh"]
    assert "toy_proxy_server.py" in files["route-chat.sh"]


def test_sglang_is_reported_its_pool_and_llm_d_its_role(catalog):
    plan = fleet(service("chat", (units("sglang"),), LLAMA))
    files = written("sglang", plan, catalog)
    for pool in ("prefill", "decode"):
        assert f"--disaggregation-mode {pool}" in files[f"serve-chat-{pool}.sh"]
    assert "--pd-disaggregation" in files["route-chat.sh"]
    files = written("llm-d", plan, catalog)
    for pool in ("prefill", "decode"):
        pods = next(
            o
            for o in yaml.safe_load_all(files[f"chat-{pool}.group.yaml"])
            if o["kind"] == "Deployment"
        )["spec"]["template"]
        assert pods["metadata"]["labels"]["llm-d.ai/role"] == pool
        sidecars = [c["args"] for c in pods["spec"].get("initContainers", ())]
        wanted = [["--port=8000", "--kv-connector=sglang", "--secure-serving=false"]]
        assert sidecars == (wanted if pool == "decode" else [])


@pytest.mark.parametrize("target", ["kubernetes", "docker-compose"])
def test_a_target_without_a_router_refuses(target, catalog):
    with pytest.raises(InputError, match="no router"):
        written(target, fleet(service("chat", (units(),), LLAMA)), catalog)


def test_tensorrt_llm_refuses_pools(catalog):
    plan = fleet(service("chat", (units("tensorrt-llm"),), LLAMA))
    with pytest.raises(InputError, match="pools of their own"):
        written("trtllm", plan, catalog)


def wide(engine):
    return units(
        engine,
        replicas=1,
        prefill=(2, 8),
        decode=(1, 1),
        gpu="h200-sxm-141gb",
        data_parallel=16,
        expert_parallel=16,
        weights="fp8_block",
        kv_cache="fp8",
    )


@pytest.mark.parametrize(
    ("engine", "flag"),
    [("vllm", "--all2all-backend deepep_low_latency"), ("sglang", "--moe-a2a-backend deepep")],
)
def test_experts_over_nodes_are_exchanged_all_to_all(engine, flag, catalog):
    files = written(engine, fleet(service("deep", (wide(engine),), DEEPSEEK)), catalog)
    for role in ("leader", "worker"):
        assert flag in files[f"serve-deep-decode.{role}.sh"]
    assert flag.split()[0] not in files["serve-deep-prefill.sh"]


def test_pools_over_nodes_are_not_written_for_llm_d(catalog):
    with pytest.raises(InputError, match="span nodes"):
        written("llm-d", fleet(service("deep", (wide("vllm"),), DEEPSEEK)), catalog)
