"""KServe, Dynamo and production-stack files: one GPU, TP, several nodes, pools; and what is refused."""

from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from disaggregated_plans import units
from launch_plans import DEEPSEEK, LLAMA, fleet, group, service

from planner import __version__
from planner.cli.main import main
from planner.deploy.check import check_files
from planner.deploy.choices import Choices
from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError

STACKS = ("kserve", "dynamo", "production-stack")
SMALL = "meta-llama/Meta-Llama-3-8B-Instruct"
LAYOUTS = {
    "one GPU": (group(tensor_parallel=1, weights="bf16"), SMALL),
    "TP": (group(weights="bf16"), LLAMA),
    "stages over nodes": (group(tensor_parallel=8, pipeline_parallel=2, weights="bf16"), LLAMA),
    "ranks over nodes": (
        group(tensor_parallel=1, data_parallel=16, expert_parallel=16, weights="fp8_block"),
        DEEPSEEK,
    ),
    "pools": (units(), LLAMA),
}


def plan(layout, engine="vllm"):
    made, model = LAYOUTS[layout]
    if engine != "vllm":
        made = made.model_copy(update={"engine": engine, "engine_version": "0.5.9"})
    return fleet(service("chat", (made,), model))


@cache
def pod_schema():
    path = Path(__file__).parents[1] / "schemas" / "kubernetes.yaml"
    whole = yaml.safe_load(path.read_text())
    return jsonschema.Draft202012Validator(
        {"$defs": whole["$defs"], "$ref": "#/$defs/PodTemplate/properties/spec"}
    )


def pods(document):
    """Every pod of a document, wherever it is."""
    if isinstance(document, dict):
        if "containers" in document:
            yield document
        for value in document.values():
            yield from pods(value)
    elif isinstance(document, list):
        for value in document:
            yield from pods(value)


def main_document(files, suffix, kind):
    (found,) = (
        o
        for name, text in files.items()
        if name.endswith(suffix)
        for o in read_yaml_stream(text)
        if o["kind"] == kind
    )
    return found


def graph(files):
    return main_document(files, ".dgd.yaml", "DynamoGraphDeployment")["spec"]


def inference(files):
    return main_document(files, ".llmisvc.yaml", "LLMInferenceService")["spec"]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stack", ["kserve", "dynamo"])
def test_every_layout_is_written_and_holds_the_field_list(stack, layout, engine, catalog):
    files = launch_files(plan(layout, engine), catalog, stack, Choices()).files
    found = [p for text in files.values() if "apiVersion" in text for p in _pods(text)]
    workers = [p for p in found if "tolerations" in p]
    assert workers
    for pod in workers:
        pod_schema().validate(pod)
    assert "Unvalidated, because that list says nothing below them" in files["README.md"]


def _pods(text):
    return [p for document in read_yaml_stream(text) for p in pods(document)]


@pytest.mark.parametrize("layout", ["one GPU", "TP"])
def test_the_chart_takes_replicas_of_one_node(layout, catalog):
    written = launch_files(plan(layout), catalog, "production-stack", Choices())
    (model,) = yaml.safe_load(written.files["chat.values.yaml"])["servingEngineSpec"]["modelSpec"]
    assert (
        model["requestGPU"]
        == model["vllmConfig"]["tensorParallelSize"]
        == (1 if layout == "one GPU" else 4)
    )
    assert (model["repository"], model["tag"]) == ("vllm/vllm-openai", "v0.19.0")
    assert model["pvcAccessMode"] == ["ReadWriteMany"]
    assert "--tensor-parallel-size" not in model["vllmConfig"]["extraArgs"]
    (scaled,) = read_yaml_stream(written.files["chat.scaling.yaml"])
    assert scaled["spec"]["scaleTargetRef"]["name"] == "chat-chat-deployment-vllm"
    assert "chat-chat-deployment-vllm-" in scaled["spec"]["triggers"][0]["metadata"]["query"]
    assert "helm install chat vllm/vllm-stack --version 0.1.12" in written.files["README.md"]
    assert any("router takes turns" in w for w in written.warnings)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("pools", "by LMCache"),
        ("stages over nodes", "spans nodes by Ray"),
        ("ranks over nodes", "spans nodes by Ray"),
    ],
)
def test_the_chart_refuses_what_it_starts_otherwise(layout, words, catalog):
    with pytest.raises(InputError, match=words):
        launch_files(plan(layout), catalog, "production-stack", Choices())
    with pytest.raises(InputError, match="vLLM alone"):
        launch_files(plan("TP", "sglang"), catalog, "production-stack", Choices())
    digest = Choices(images={"vllm": "r.example/vllm@sha256:" + "a" * 64})
    with pytest.raises(InputError, match="not by digest"):
        launch_files(plan("TP"), catalog, "production-stack", digest)


def test_kserve_counts_nodes_by_the_degrees(catalog):
    spec = inference(launch_files(plan("ranks over nodes"), catalog, "kserve", Choices()).files)
    assert spec["parallelism"] == {"tensor": 1, "data": 16, "dataLocal": 8, "expert": True}
    assert "worker" in spec
    spec = inference(launch_files(plan("stages over nodes"), catalog, "kserve", Choices()).files)
    assert spec["parallelism"] == {"tensor": 8, "pipeline": 2}
    (worker,) = spec["worker"]["containers"]
    assert worker["args"][worker["args"].index("--node-rank") + 1] == "$(LWS_WORKER_INDEX)"
    uneven = fleet(
        service("chat", (group(tensor_parallel=2, pipeline_parallel=8, weights="bf16"),))
    )
    with pytest.raises(InputError, match="a node for each pipeline stage"):
        launch_files(uneven, catalog, "kserve", Choices())


def test_kserve_scales_or_has_a_fixed_size_but_not_both(catalog):
    for autoscaler in ("keda", "hpa", "none"):
        choices = Choices(autoscaler=autoscaler)
        spec = inference(launch_files(plan("TP"), catalog, "kserve", choices).files)
        assert ("replicas" in spec) is not ("scaling" in spec)
        assert ("scaling" in spec) is (autoscaler == "keda")


def test_kserve_puts_both_pools_into_one_service(catalog):
    spec = inference(launch_files(plan("pools"), catalog, "kserve", Choices()).files)
    assert (spec["scaling"]["minReplicas"], spec["prefill"]["scaling"]["minReplicas"]) == (4, 6)
    (decode,) = spec["template"]["containers"]
    assert decode["ports"][0]["containerPort"] == 8001  # the sidecar of the presets has 8000
    assert decode["args"][decode["args"].index("--port") + 1] == "8001"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert decode[probe]["httpGet"]["scheme"] == "HTTP"
    assert spec["storageInitializer"] == {"enabled": False}


def test_kserve_refuses_what_it_cannot_load(catalog):
    with pytest.raises(InputError, match="no preset"):
        launch_files(
            fleet(service("chat", (group(engine="tensorrt-llm", weights="bf16"),))),
            catalog,
            "kserve",
            Choices(),
        )
    with pytest.raises(InputError, match="folder of its nodes"):
        launch_files(plan("TP"), catalog, "kserve", Choices(checkpoints={"chat": "/mnt/llama"}))
    image = Choices(model_images={"chat": "r.example/llama:1"})
    spec = inference(launch_files(plan("TP"), catalog, "kserve", image).files)
    assert spec["model"]["uri"] == "oci://r.example/llama:1"


def test_dynamo_runs_its_own_program_and_leaves_nodes_to_its_operator(catalog):
    written = launch_files(plan("stages over nodes"), catalog, "dynamo", Choices())
    frontend, worker = graph(written.files)["components"]
    assert frontend["type"] == "frontend"
    assert worker["multinode"] == {"nodeCount": 2}
    (container,) = worker["podTemplate"]["spec"]["containers"]
    assert container["command"] == ["python3", "-m", "dynamo.vllm"]
    assert container["args"][:2] == ["--model", LLAMA]
    for own in ("--port", "--host", "--nnodes", "--node-rank", "--master-addr", "--headless"):
        assert own not in container["args"]
    assert container["image"] == "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.1"
    assert any("unvalidated that it is vllm 0.19.0" in w for w in written.warnings)
    named = Choices(images={"vllm": "r.example/dynamo:1"})
    written = launch_files(plan("TP"), catalog, "dynamo", named)
    assert not any("unvalidated that" in w for w in written.warnings)
    (container,) = graph(written.files)["components"][1]["podTemplate"]["spec"]["containers"]
    assert container["image"] == "r.example/dynamo:1"


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_dynamo_says_which_pool_a_worker_is(engine, catalog):
    spec = graph(launch_files(plan("pools", engine), catalog, "dynamo", Choices()).files)
    assert spec["backendFramework"] == engine
    kinds = {c["type"]: c for c in spec["components"][1:]}
    assert {k: c["replicas"] for k, c in kinds.items()} == {"prefill": 6, "decode": 4}
    for pool, component in kinds.items():
        (container,) = component["podTemplate"]["spec"]["containers"]
        args = container["args"]
        assert args[args.index("--disaggregation-mode") + 1] == pool


def test_dynamo_refuses_an_engine_whose_options_are_not_recorded(catalog):
    trt = fleet(service("chat", (group(engine="tensorrt-llm", weights="bf16", kv_cache="fp8"),)))
    with pytest.raises(InputError, match="options of its own"):
        launch_files(trt, catalog, "dynamo", Choices())
    amd = fleet(service("chat", (group(gpu="mi300x", tensor_parallel=2, weights="bf16"),)))
    with pytest.raises(InputError, match="no image of Dynamo"):
        launch_files(amd, catalog, "dynamo", Choices())


def test_prefix_aware_routing_reaches_the_stacks(catalog):
    routed = fleet(service("chat", (group(weights="bf16"),)), routing={"policy": "prefix-aware"})
    frontend = graph(launch_files(routed, catalog, "dynamo", Choices()).files)["components"][0]
    (container,) = frontend["podTemplate"]["spec"]["containers"]
    assert {"name": "DYN_ROUTER_MODE", "value": "kv"} in container["env"]
    values = launch_files(routed, catalog, "production-stack", Choices()).files["chat.values.yaml"]
    assert yaml.safe_load(values)["routerSpec"]["routingLogic"] == "prefixaware"


@pytest.mark.parametrize(
    ("stack", "file", "before", "after"),
    [
        ("kserve", "chat.llmisvc.yaml", "minReplicas: 2", "minReplicas: 1"),
        ("kserve", "chat.llmisvc.yaml", "storageInitializer:", "storageInit:"),
        ("kserve", "chat.llmisvc.yaml", "serving.kserve.io/v1alpha2", "serving.kserve.io/v1alpha1"),
        ("kserve", "chat.llmisvc.yaml", "nvidia.com/gpu: '4'", "nvidia.com/gpu: '2'"),
        ("dynamo", "chat.dgd.yaml", "replicas: 2", "replicas: 3"),
        ("dynamo", "chat.dgd.yaml", "sharedMemorySize", "shmSize"),
        ("dynamo", "chat.dgd.yaml", "--max-num-seqs", "--max-number-of-sequences"),
        ("production-stack", "chat.values.yaml", "tensorParallelSize: 4", "tensorParallelSize: 2"),
        ("production-stack", "chat.values.yaml", "replicaCount: 2", "replicaCount: 3"),
        ("production-stack", "chat.values.yaml", "routingLogic", "routing"),
        ("production-stack", "chat.scaling.yaml", "minReplicaCount: 2", "minReplicaCount: 1"),
    ],
)
def test_the_check_notices(stack, file, before, after, catalog):
    written = plan("TP")
    files = dict(launch_files(written, catalog, stack, Choices()).files)
    assert before in files[file]
    files[file] = files[file].replace(before, after)
    with pytest.raises((InputError, OutputError)):
        check_files(written, catalog, stack, files, Choices())


@pytest.mark.parametrize("stack", STACKS)
def test_the_files_word_for_word(stack, catalog, repository, golden):
    files = launch_files(plan("TP"), catalog, stack, Choices()).files
    text = "".join(f"==> {name} <==\n{files[name]}\n" for name in sorted(files))
    golden(
        repository / "tests" / "golden" / "deploy" / f"stack-{stack}.txt",
        text.replace(f"planner {__version__}", "planner VERSION"),
    )


@pytest.mark.parametrize("stack", STACKS)
def test_the_command_line_writes_a_stack(stack, tmp_path, capsys):
    path = tmp_path / "plan.json"
    path.write_text(plan("TP").to_json())
    words = ["deploy", str(path), "--target", stack, "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert f"{tmp_path}/out/README.md" in capsys.readouterr().out.splitlines()


def test_what_of_llm_d_cannot_be_checked_is_marked(catalog):
    text = launch_files(plan("TP"), catalog, "llm-d", Choices()).files["README.md"]
    assert "Unvalidated" in text
    assert "`*.router.values.yaml`" in text


def test_dynamo_takes_no_more_components_than_its_graph(catalog):
    groups = tuple(
        group(replicas=1, weights="bf16", settings={"max_num_seqs": n + 1}) for n in range(25)
    )
    with pytest.raises(InputError, match="a few components"):
        launch_files(fleet(service("chat", groups)), catalog, "dynamo", Choices())
