"""What each target writes, read as its user or its machine would."""

import itertools
import json
import re
import subprocess

import pytest
import yaml
from launch_plans import DEEPSEEK, GPT_OSS, LLAMA, fleet, group, service
from launch_reader import objects, options, script, written

from planner.deploy.choices import Choices
from planner.deploy.stacks.checking import router_fields
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError

CHOICES = Choices()


def test_vllm_is_reported_the_whole_plan(catalog):
    plan = fleet(service("chat", (group(weights="fp8", kv_cache="fp8"),)))
    words = options(script(written(plan, catalog, "vllm")))
    assert words[:3] == ["vllm", "serve", LLAMA]
    stated = dict(itertools.pairwise(words))
    assert stated["--tensor-parallel-size"] == "4"
    assert stated["--quantization"] == "fp8"
    assert stated["--kv-cache-dtype"] == "fp8"
    assert stated["--max-model-len"] == "8192"  # the model's own: no more KV is reserved
    assert stated["--max-num-seqs"] == "1024"  # vLLM's own default on an H100
    assert stated["--max-num-batched-tokens"] == "8192"
    assert stated["--gpu-memory-utilization"] == "0.9"
    assert "--trust-remote-code" not in words


def test_pinned_settings_reach_the_command(catalog):
    pinned = {
        "memory_fraction": 0.85,
        "max_num_seqs": 96,
        "max_num_batched_tokens": 4096,
        "max_model_len_tokens": 4000,
        "prefix_caching": False,
    }
    plan = fleet(service("chat", (group(weights="bf16", settings=pinned),)))
    text = script(written(plan, catalog, "vllm"))
    for expected in (
        "--gpu-memory-utilization 0.85",
        "--max-num-seqs 96",
        "--max-num-batched-tokens 4096",
        "--max-model-len 4000",
        "--no-enable-prefix-caching",
        "--dtype bfloat16",
    ):
        assert expected in text
    assert "--quantization" not in text


def test_sglang_counts_every_rank_as_tensor_parallel(catalog):
    layout = group(
        engine="sglang",
        gpu="h200-sxm-141gb",
        tensor_parallel=1,
        data_parallel=8,
        expert_parallel=8,
        weights="fp8_block",
    )
    text = script(written(fleet(service("v3", (layout,), DEEPSEEK)), catalog, "sglang"))
    assert "--tp-size 8" in text
    assert "--dp-size 8" in text
    assert "--enable-dp-attention" in text
    assert "--ep-size 8" in text
    assert "--quantization" not in text  # the checkpoint is block FP8 itself


def test_tensorrt_llm_keeps_cache_settings_in_its_file(catalog):
    layout = group(engine="tensorrt-llm", weights="bf16", kv_cache="fp8", tensor_parallel=8)
    files = written(fleet(service("chat", (layout,))), catalog, "trtllm")
    config = yaml.safe_load(files["chat.config.yaml"])
    assert config["kv_cache_config"] == {
        "dtype": "fp8",
        "free_gpu_memory_fraction": 0.9,
        "enable_block_reuse": True,
    }
    assert '--extra_llm_api_options "$here"/chat.config.yaml' in script(files)
    assert "--tp_size 8" in script(files)


def test_a_mixture_on_vllm_spreads_its_experts(catalog):
    layout = group(gpu="h200-sxm-141gb", tensor_parallel=8, expert_parallel=8, weights="fp8_block")
    text = script(written(fleet(service("v3", (layout,), DEEPSEEK)), catalog, "vllm"))
    assert "--enable-expert-parallel" in text


def test_partial_expert_parallelism_is_not_vllms(catalog):
    layout = group(tensor_parallel=8, expert_parallel=4, weights="mxfp4")
    with pytest.raises(InputError, match="expert parallel 4 over 8 ranks"):
        written(fleet(service("oss", (layout,), GPT_OSS)), catalog, "vllm")


def test_scripts_are_shell(catalog, tmp_path):
    plan = fleet(service('it\'s $(touch x); `y` "z"\n', (group(),)))
    text = script(written(plan, catalog, "vllm"))
    path = tmp_path / "serve.sh"
    path.write_text(text)
    checked = subprocess.run(["sh", "-n", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    path.write_text(text.replace("exec vllm", "printf '%s\\n'"))
    run = subprocess.run(
        ["sh", path], capture_output=True, text=True, check=False, cwd=tmp_path, env={"PORT": "9"}
    )
    assert run.returncode == 0, run.stderr
    assert "--port\n9\n" in run.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["serve.sh"]


def test_a_deployment_holds_the_plan(catalog):
    plan = fleet(service("chat", (group(replicas=5, weights="fp8"),)))
    files = written(plan, catalog, "kubernetes")
    (deployment,) = objects(files, "Deployment")
    assert deployment["spec"]["replicas"] == 5
    pod = deployment["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    (container,) = pod["containers"]
    assert container["image"] == "vllm/vllm-openai:v0.19.0"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "4"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == "/health"
    (budget,) = objects(files, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    (scaled,) = objects(files, "ScaledObject")
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (5, 8)
    (trigger,) = scaled["spec"]["triggers"]
    assert "vllm:num_requests_waiting" in trigger["metadata"]["query"]
    # 10 requests/s a replica, (2 - 0.31) s between the predicted median and the target
    assert trigger["metadata"]["threshold"] == "16"


def test_autoscaling_can_be_an_hpa_or_left_out(catalog):
    plan = fleet(service("chat", (group(replicas=5),)))
    (scaler,) = objects(
        written(plan, catalog, "kubernetes", autoscaler="hpa"), "HorizontalPodAutoscaler"
    )
    assert scaler["spec"]["minReplicas"] == 5
    assert scaler["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    files = written(plan, catalog, "kubernetes", autoscaler="none")
    assert not objects(files, "ScaledObject")


def test_a_replica_across_nodes_is_a_leader_and_workers(catalog):
    layout = group(replicas=2, tensor_parallel=8, pipeline_parallel=2, weights="bf16")
    files = written(fleet(service("big", (layout,))), catalog, "kubernetes")
    (workers,) = objects(files, "LeaderWorkerSet")
    assert workers["spec"]["replicas"] == 2
    both = workers["spec"]["leaderWorkerTemplate"]
    assert both["size"] == 2
    leader, worker = (
        both[k]["spec"]["containers"][0] for k in ("leaderTemplate", "workerTemplate")
    )
    assert leader["args"][leader["args"].index("--node-rank") + 1] == "0"
    assert worker["args"][worker["args"].index("--node-rank") + 1] == "$(LWS_WORKER_INDEX)"
    assert "--headless" in worker["args"]
    assert "startupProbe" in leader
    assert "startupProbe" not in worker
    assert leader["resources"]["limits"] == {"nvidia.com/gpu": "8"}
    (scaled,) = objects(files, "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["kind"] == "LeaderWorkerSet"


def test_attention_data_parallelism_across_nodes_numbers_its_ranks(catalog):
    layout = group(tensor_parallel=1, data_parallel=16, expert_parallel=16, weights="fp8_block")
    files = written(fleet(service("v3", (layout,), DEEPSEEK)), catalog, "kubernetes")
    (workers,) = objects(files, "LeaderWorkerSet")
    worker = workers["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]
    assert worker["command"] == [
        "sh",
        "-c",
        'exec "$@" --data-parallel-start-rank "$((LWS_WORKER_INDEX * 8))"',
        "sh",
    ]
    scripts = written(fleet(service("v3", (layout,), DEEPSEEK)), catalog, "vllm")
    assert '"$((NODE_RANK * 8))"' in scripts["serve-v3.worker.sh"]
    assert "NODE_RANK" not in scripts["serve-v3.leader.sh"]


def test_tensorrt_llm_across_nodes_is_slurms(catalog):
    layout = group(
        engine="tensorrt-llm",
        tensor_parallel=8,
        pipeline_parallel=2,
        weights="bf16",
        kv_cache="fp8",
    )
    plan = fleet(service("big", (layout,)))
    text = script(written(plan, catalog, "trtllm"))
    assert "srun --mpi=pmix --nodes=2 --ntasks=16 --ntasks-per-node=8 trtllm-llmapi-launch" in text
    with pytest.raises(InputError, match="MPI"):
        written(plan, catalog, "kubernetes")


def test_compose_fills_each_machine_once(catalog):
    big, small = group(replicas=2, tensor_parallel=4), group(replicas=3, tensor_parallel=2)
    files = written(fleet(service("a", (big,)), service("b", (small,))), catalog, "docker-compose")
    machines = [yaml.safe_load(t) for n, t in files.items() if n.endswith(".compose.yaml")]
    assert sum(m["x-planner"]["machines"] for m in machines) == 2
    for machine in machines:
        used = [
            device
            for s in machine["services"].values()
            for device in s["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        ]
        assert len(used) == len(set(used)) <= 8
        assert len({s["ports"][0] for s in machine["services"].values()}) == len(
            machine["services"]
        )


def test_compose_on_amd_maps_the_devices(catalog):
    plan = fleet(service("chat", (group(gpu="mi300x", tensor_parallel=2, weights="bf16"),)))
    files = written(plan, catalog, "docker-compose")
    (machine,) = (yaml.safe_load(t) for n, t in files.items() if n.endswith(".compose.yaml"))
    entry = next(iter(machine["services"].values()))
    assert entry["devices"] == ["/dev/kfd", "/dev/dri"]
    assert entry["environment"]["HIP_VISIBLE_DEVICES"] == "0,1"
    assert entry["image"] == "vllm/vllm-openai-rocm:v0.19.0"


def test_llm_d_routes_to_the_servers_it_labels(catalog):
    plan = fleet(service("chat", (group(), group(gpu="h200-sxm-141gb", tensor_parallel=2))))
    files = written(plan, catalog, "llm-d")
    (values,) = (yaml.safe_load(t) for n, t in files.items() if n.endswith(".router.values.yaml"))
    wanted = values["router"]["modelServers"]["matchLabels"]
    for deployment in objects(files, "Deployment"):
        assert wanted.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert values["router"]["modelServers"]["type"] == "vllm"
    assert "--version v0.11.0" in files["README.md"]


def test_speculative_decoding_names_its_draft(catalog):
    layout = group(weights="fp8_block", tensor_parallel=8, settings={"draft_tokens": 2})
    text = script(written(fleet(service("v3", (layout,), DEEPSEEK)), catalog, "vllm"))
    (value,) = re.findall(r"--speculative-config '(.*)'", text)
    assert json.loads(value) == {"method": "mtp", "num_speculative_tokens": 2}
    dense = fleet(service("chat", (group(settings={"draft_tokens": 3}),)))
    with pytest.raises(InputError, match="no layers of its own"):
        written(dense, catalog, "vllm")
    files = written(dense, catalog, "vllm", draft_models={"chat": "meta-llama/Llama-3.2-1B"})
    assert "meta-llama/Llama-3.2-1B" in script(files)


def test_a_checkpoint_speaks_for_its_own_precision(catalog):
    plan = fleet(service("chat", (group(weights="int4"),)))
    missing = launch_files(plan, catalog, "vllm", CHOICES)
    assert "--quantization awq_marlin" in script(missing.files)
    assert any("--checkpoint chat=REPOSITORY" in w for w in missing.warnings)
    given = launch_files(plan, catalog, "vllm", Choices(checkpoints={"chat": "me/llama-awq"}))
    assert "exec vllm serve me/llama-awq" in script(given.files)
    assert f"--served-model-name {LLAMA}" in script(given.files)
    assert "--quantization" not in script(given.files)
    assert not given.warnings


def test_tensorrt_llm_does_not_quantise_in_silence(catalog):
    plan = fleet(service("chat", (group(engine="tensorrt-llm", weights="fp8"),)))
    with pytest.raises(
        InputError, match="does not make fp8 weights of a bf16 checkpoint"
    ) as stated:
        written(plan, catalog, "trtllm")
    assert "--checkpoint chat=" in str(stated.value)
    files = written(plan, catalog, "trtllm", checkpoints={"chat": "nvidia/Llama-FP8"})
    assert "trtllm-serve nvidia/Llama-FP8" in script(files)


def test_values_of_llm_ds_router_are_fields_of_its_chart(catalog):
    root = catalog.root
    good = "router: {modelServers: {type: sglang, matchLabels: {a: b}}}"
    assert router_fields({"x.router.values.yaml": good}, root) == (
        "router.modelServers.matchLabels",
    )
    for wrong in (
        "router: {modelServers: {matchLabels: {a: b}}, epp: {imageTag: v1}}",
        "router: {modelServers: {type: tgi, matchLabels: {a: b}}}",
        "router: {modelServers: {type: vllm}}",
        "router: {modelServers: {matchLabels: {a: b}}, extraServicePorts: [{name: http}]}",
    ):
        with pytest.raises(OutputError):
            router_fields({"x.router.values.yaml": wrong}, root)
