"""What to change between the running fleet and a plan, through the command line."""

import json

import pytest
from launch_plans import fleet, group, service
from running_fleets import LLAMA, container, dcgm, listed, workload

SERVE = ["vllm", "serve", LLAMA, "--tensor-parallel-size", "4"]


def changes(run, tmp_path, plan, words=SERVE, replicas=5, image="vllm/vllm-openai:v0.19.0"):
    (tmp_path / "plan.json").write_text(plan.to_json())
    one = workload(container(words, image), replicas=replicas)
    code, out, err = run(
        {"f.yaml": listed(one), "d.prom": dcgm(hosts=3)}, "--plan", "plan.json", "--format", "json"
    )
    assert code == 0, err
    return [(c["mark"], c["what"], c["running"], c["planned"]) for c in json.loads(out)["changes"]]


def test_the_same_layout_changes_its_number(run, tmp_path):
    plan = fleet(service("chat", (group(replicas=3, weights="bf16"),)))
    assert changes(run, tmp_path, plan) == [
        ("~", "replicas of 4x h100-sxm-80gb, vllm 0.19.0, TP 4", "5", "3"),
        ("-", "GPUs on nodes of h100-sxm-80gb", "24", "16"),
    ]


def test_another_layout_is_started_and_the_old_one_stopped(run, tmp_path):
    layout = group(replicas=2, gpu="h200-sxm-141gb", tensor_parallel=2, weights="bf16")
    assert changes(run, tmp_path, fleet(service("chat", (layout,)))) == [
        ("+", "replicas of 2x h200-sxm-141gb, vllm 0.19.0, TP 2", "0", "2"),
        ("-", "replicas of 4x h100-sxm-80gb, vllm 0.19.0, TP 4", "5", "0"),
        ("-", "GPUs on nodes of h100-sxm-80gb", "24", "0"),
        ("+", "GPUs on nodes of h200-sxm-141gb", "0", "8"),
    ]


def test_versions_formats_and_pinned_sizes_differ(run, tmp_path):
    pinned = group(
        replicas=5, weights="bf16", settings={"max_num_seqs": 512, "memory_fraction": 0.92}
    )
    words = [*SERVE, "--max-num-seqs", "256", "--kv-cache-dtype", "fp8",
             "--gpu-memory-utilization", "0.92"]  # fmt: skip
    found = changes(
        run, tmp_path, fleet(service("chat", (pinned,))), words, image="vllm/vllm-openai:v0.11.0"
    )
    assert found[0][0] == "="
    assert found[1:4] == [
        ("~", "vllm version", "0.11.0", "0.19.0"),
        ("~", "KV cache type", "fp8", "bfloat16"),
        ("~", "max_num_seqs", "256", "512"),
    ]


@pytest.mark.parametrize("style", ["table", "md", "csv"])
def test_every_format_shows_them(style, run, tmp_path):
    plan = fleet(service("chat", (group(replicas=3, weights="bf16"),)))
    (tmp_path / "plan.json").write_text(plan.to_json())
    code, out, _ = run(
        {"f.yaml": listed(workload(container(SERVE)))}, "--plan", "plan.json", "--format", style
    )
    assert code == 0
    assert "vllm 0.19.0" in out


def test_the_scenario_can_be_written_beside(run, tmp_path):
    plan = fleet(service("chat", (group(replicas=3, weights="bf16"),)))
    (tmp_path / "plan.json").write_text(plan.to_json())
    target = tmp_path / "today.yaml"
    code, out, _ = run(
        {"f.yaml": listed(workload(container(SERVE)))}, "--plan", "plan.json", "-o", str(target)
    )
    assert code == 0
    assert "What to change" in out
    assert f'model: "{LLAMA}"' in target.read_text()
    assert run({"f.yaml": listed(workload(container(SERVE)))}, "-o", str(target))[0] == 2


@pytest.mark.parametrize(
    ("words", "planned", "expected"),
    [
        ([], {"weights": "bf16", "kv_cache": "fp8"}, [("~", "KV cache type", "auto", "fp8")]),
        ([], {"weights": "fp8"}, [("~", "weights", "bf16", "fp8")]),
        (["--quantization", "fp8"], {"weights": "fp8"}, []),
        (["--quantization", "fp8"], {"weights": "bf16"}, [("~", "weights", "fp8", "bf16")]),
        ([], {"weights": "bf16"}, []),
    ],
)
def test_what_runs_by_default_differs_too(words, planned, expected, run, tmp_path):
    plan = fleet(service("chat", (group(replicas=5, **planned),)))
    found = changes(run, tmp_path, plan, [*SERVE, *words])
    assert [c for c in found if c[1] in ("weights", "KV cache type")] == expected
