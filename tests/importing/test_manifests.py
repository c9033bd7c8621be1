"""Engines in manifests and Helm values: what they serve, on which GPUs, how often."""

import json

import pytest
from disaggregated_plans import units
from launch_plans import DEEPSEEK, fleet, group, service
from running_fleets import LLAMA, container, dcgm, dump, listed, pod_spec, workload

from planner.deploy.choices import Choices
from planner.deploy.targets import launch_files
from planner.importing.sources import read_fleet
from planner.scenario.reader import validate
from planner.scenario.text.yaml_source import parse_source

SERVE = ["vllm", "serve", LLAMA, "--tensor-parallel-size", "4"]
COMMANDS = {
    "a list": SERVE,
    "equals and underscores": ["vllm", "serve", LLAMA, "--tensor_parallel_size=4"],
    "a short option": ["/usr/local/bin/vllm", "serve", LLAMA, "-tp", "4"],
    "a script": ["bash", "-c", f"export X=1 && exec vllm serve {LLAMA} \\\n  -tp 4 && sleep 1"],
    "the old module": [
        "python3", "-m", "vllm.entrypoints.openai.api_server", "--model", LLAMA, "-tp=4",
    ],
    "the image's own entry": ["--model", LLAMA, "--tensor-parallel-size", "4"],
    "an unknown option": ["vllm", "serve", "--no-such-option", "9", LLAMA, "-tp", "4"],
    "a variable": ["vllm", "serve", "$(MODEL_ID)", "-tp", "4"],
}  # fmt: skip


def read(tmp_path, catalog, text, **options):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    return read_fleet([str(path)], catalog, **options)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_understood_however_it_is_written(words, tmp_path, catalog):
    env = [{"name": "MODEL_ID", "value": LLAMA}]
    one = container(COMMANDS[words], env=env)
    (found,) = read(tmp_path, catalog, listed(workload(one))).running
    assert found.command.model == LLAMA
    assert found.degrees == (4, 1, 1, 1)
    assert (found.replicas, found.gpus_per_node, found.gpu) == (3, 4, "h100-sxm-80gb")
    assert (found.command.engine, found.command.version) == ("vllm", "0.19.0")


@pytest.mark.parametrize(
    ("words", "image", "degrees"),
    [
        (["python3", "-m", "sglang.launch_server", "--model-path", DEEPSEEK, "--tp", "8",
          "--dp-size", "8", "--enable-dp-attention", "--ep-size", "8"],
         "lmsysorg/sglang:v0.5.9", (1, 1, 8, 8)),
        (["trtllm-serve", "serve", DEEPSEEK, "--tp_size", "8"],
         "nvcr.io/nvidia/tensorrt-llm/release:1.2.0", (8, 1, 1, 1)),
        (["trtllm-serve", DEEPSEEK, "--tp_size", "8"],
         "nvcr.io/nvidia/tensorrt-llm/release:1.2.0", (8, 1, 1, 1)),
    ],
)  # fmt: skip
def test_other_engines_count_their_ranks_otherwise(words, image, degrees, tmp_path, catalog):
    one = container(words, image, gpus=8)
    (found,) = read(tmp_path, catalog, listed(workload(one, kind="StatefulSet"))).running
    assert found.command.model == DEEPSEEK
    assert found.degrees == degrees


def test_pods_count_once_for_their_owner(tmp_path, catalog):
    def pod(name, owner):
        kind = {"kind": "ReplicaSet", "name": owner}
        about = {"name": name, "ownerReferences": [kind]}
        return {"kind": "Pod", "metadata": about, "spec": pod_spec(container(SERVE))}

    pods = [pod(f"chat-7d9f-{n}", "chat-7d9f") for n in range(4)]
    (alone,) = read(tmp_path, catalog, listed(*pods)).running
    assert (alone.name, alone.replicas) == ("chat-7d9f", 4)
    (both,) = read(tmp_path, catalog, listed(workload(container(SERVE)), *pods)).running
    assert (both.name, both.replicas) == ("chat", 3)


def test_a_json_list_is_read_too(tmp_path, catalog):
    text = json.dumps({"kind": "List", "items": [workload(container(SERVE))]})
    assert read(tmp_path, catalog, text).running[0].replicas == 3


def test_nodes_say_what_runs(tmp_path, catalog):
    def node(n, gpus):
        labels = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
        capacity = {"nvidia.com/gpu": str(gpus), "cpu": "192"}
        about = {"name": f"n{n}", "labels": labels}
        return {"kind": "Node", "metadata": about, "status": {"capacity": capacity}}

    nodes = [node(1, 8), node(2, 8), node(3, 4)]
    found = read(tmp_path, catalog, listed(workload(container(SERVE)), *nodes)).nodes
    assert [(n.nodes, n.gpus_per_node, n.assumed) for n in found] == [(1, 4, False), (2, 8, False)]


def test_a_gpu_that_no_manifest_names_can_be_said(run):
    bare = workload(container(SERVE))
    bare["spec"]["template"]["spec"].pop("nodeSelector")
    code, out, _ = run({"f.yaml": listed(bare)})
    assert code == 0
    assert "the GPU of 1 workloads is not stated: give it with --gpu NAME" in out
    out = run({"f.yaml": listed(bare)}, "--gpu", "h200-sxm-141gb")[1]
    scenario = validate(parse_source(out, "x"))
    (existing,) = scenario.existing
    assert (existing.gpu, existing.nodes, existing.gpus_per_node) == ("h200-sxm-141gb", 2, 8)
    assert run({"f.yaml": listed(bare)}, "--gpu", "h9000")[0] == 2


def test_metrics_meet_the_workload_by_its_served_name(run):
    named = workload(container([*SERVE, "--served-model-name", "prod-chat"]))
    code, out, _ = run({"f.yaml": listed(named), "m.prom": dump(model="prod-chat")}, "--over", "1d")
    assert code == 0
    (found,) = validate(parse_source(out, "x")).services
    assert (found.name, found.model, found.rate) == ("chat", LLAMA, 1.0)
    assert found.search.engines == ("vllm",)
    assert "# runs: 3 x 4x h100-sxm-80gb, vllm 0.19.0, TP 4" in out


PLANS = {
    "TP": fleet(service("chat", (group(weights="bf16"),))),
    "stages over nodes": fleet(
        service("chat", (group(tensor_parallel=8, pipeline_parallel=2, weights="bf16"),))
    ),
    "ranks over nodes": fleet(
        service(
            "v3",
            (group(tensor_parallel=1, data_parallel=16, expert_parallel=16, weights="fp8_block"),),
            DEEPSEEK,
        )
    ),
    "pools": fleet(service("chat", (units(),))),
}


@pytest.mark.parametrize("target", ["kubernetes", "llm-d", "kserve", "dynamo", "production-stack"])
@pytest.mark.parametrize("layout", PLANS)
def test_what_deploy_writes_is_read_back(layout, target, tmp_path, catalog):
    plan = PLANS[layout]
    refused = {"pools": ("kubernetes", "production-stack")}.get(
        layout, () if layout == "TP" else ("production-stack",)
    )
    if target in refused:
        return
    files = launch_files(plan, catalog, target, Choices(autoscaler="none")).files
    paths = []
    for name, text in files.items():
        if name.endswith(".yaml"):
            (tmp_path / name).write_text(text)
            paths.append(str(tmp_path / name))
    found = read_fleet(paths, catalog).running
    expected = (
        {(6, (2, 1, 1, 1)), (4, (4, 1, 1, 1))}
        if layout == "pools"
        else {(2, plan.services[0].replica_groups[0].degrees)}
    )
    assert {(one.replicas, one.degrees) for one in found} == expected
    gpus = sum(n.count * n.gpus_per_node - n.idle_gpus for n in plan.nodes)
    assert sum(one.gpus for one in found) == gpus


def test_values_of_the_llm_d_chart_are_read(tmp_path, catalog):
    text = f"""
modelArtifacts: {{uri: "hf://{LLAMA}", name: {LLAMA}, size: 200Gi}}
decode:
  create: true
  replicas: 2
  parallelism: {{tensor: 4}}
  containers:
  - name: vllm
    image: "vllm/vllm-openai:v0.19.0"
    modelCommand: vllmServe
    args: [--max-model-len, "8192"]
prefill: {{create: false, replicas: 0}}
"""
    (found,) = read(tmp_path, catalog, text).running
    assert found.command.model == LLAMA
    assert (found.replicas, found.degrees[0], found.gpus) == (2, 4, 8)


def test_workloads_that_the_nodes_do_not_hold_are_named(run):
    text = listed(workload(container(SERVE), replicas=5))
    code, out, err = run({"w.yaml": text, "d.prom": dcgm(hosts=2)})
    assert code == 0, err
    said = "workloads take 20 h100-sxm-80gb, the nodes in the files hold 16: add the missing nodes"
    assert f"# CHECK: {said}" in out
    assert f"warning: {said}" in err
