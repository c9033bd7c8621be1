"""``planner memory --launch``: a command that does what was sized, or the reason there is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from planner.cli.main import cli, main

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def stated(*args: str) -> dict[str, Any]:
    words = ["memory", *args, "--launch", "--format", "json"]
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    assert result.exception is None, result.exception
    return json.loads(result.output)


def head(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """The exit code, and what is printed as Markdown on one line."""
    code = main(["memory", *args, "--format", "md"])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "checkpoint"),
    [
        (["--gpu", "l40s", "--weights", "int4"], "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"),
        (["--gpu", "b200", "--weights", "nvfp4"], "nvidia/Llama-3.1-8B-Instruct-NVFP4"),
        (["--gpu", "h100", "--weights", "fp8", "--engine", "tensorrt-llm"],
         "nvidia/Llama-3.1-8B-Instruct-FP8"),
    ],
)  # fmt: skip
def test_the_public_checkpoint_in_the_sized_format_is_loaded(words, checkpoint):
    answer = stated("--model", LLAMA, *words)
    first = answer["launch"][0].rstrip(" \\").split()
    assert first[-1] == checkpoint
    assert not any("--quantization" in line for line in answer["launch"])
    assert "launch_notes" not in answer


def test_what_an_engine_makes_at_load_keeps_the_models_own_checkpoint():
    answer = stated("--model", "qwen3-8b", "--gpu", "h100", "--weights", "fp8")
    assert answer["launch"][0] == "vllm serve Qwen/Qwen3-8B \\"
    assert "  --quantization fp8 \\" in answer["launch"]


def test_a_format_without_a_public_checkpoint_says_what_to_quantise():
    answer = stated("--model", "google/gemma-2-9b", "--gpu", "l40s", "--weights", "int4")
    (note,) = answer["launch_notes"]
    assert "quantise google/gemma-2-9b to int4" in note
    assert answer["launch"][0] == "vllm serve /path/to/gemma-2-9b-int4 \\"
    assert not any("--quantization" in line for line in answer["launch"])


def test_what_the_engine_refuses_heads_the_answer_and_gets_no_command(capsys):
    words = ["--model", "google/gemma-3-27b-it", "--gpu", "mi300x", "--weights", "nvfp4"]
    code, text = head(capsys, *words, "--launch")
    assert code == 3
    assert "1x mi300x: vllm 0.19.0 would not start: vLLM accepts NVFP4 on AMD from 0.21 on" in text
    assert "holds 1 x" not in text
    assert "vllm serve" not in text
    assert stated(*words)["memory"]["serves"] is False


def test_a_context_beyond_the_models_is_said_and_gets_no_command(capsys):
    words = ["--model", "Qwen/Qwen3-8B", "--gpu", "h100", "--context", "131072"]
    code, text = head(capsys, *words, "--launch")
    assert code == 3
    assert "1x h100-sxm-80gb: the model takes 40,960 tokens, not 131,072" in text
    assert "engines refuse a longer context unless overridden" in text
    assert "--max-model-len" not in text
    code, text = head(capsys, "--model", "Qwen/Qwen3-8B", "--context", "131072")
    assert (code, "but the model takes 40,960 tokens" in text) == (0, True)
    assert head(capsys, *words[:-1], "40960")[0] == 0


def test_no_gpu_fits_a_context_beyond_the_models():
    words = [
        "memory",
        "fits",
        "--model",
        "Qwen/Qwen3-8B",
        "--context",
        "131072",
        "--format",
        "json",
    ]
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    assert "fits" not in {row["verdict"] for row in json.loads(result.output)["fits"]}


def test_a_pool_that_holds_not_one_sequence_gets_no_command():
    words = ["--model", LLAMA, "--gpu", "l4", "--context", "131072"]
    (note,) = stated(*words)["launch_notes"]
    assert note == "no command: the pool of 1x l4 holds not one of 131,072 tokens"


@pytest.mark.parametrize(
    ("engine", "count", "rank"),
    [("vllm", "--nnodes", "--node-rank"), ("sglang", "--nnodes", "--node-rank")],
)
def test_a_replica_wider_than_a_host_gets_a_command_for_each_kind_of_node(engine, count, rank):
    words = ["--model", "meta-llama/Meta-Llama-3.1-405B", "--weights", "fp8", "--gpu", "h100"]
    answer = stated(*words, "--tp", "16", "--engine", engine)
    assert answer["launch_notes"][0].startswith("a replica spans 2 nodes of 8 GPUs")
    options = [line.rstrip(" \\").split() for line in answer["launch"]]
    assert [o[1] for o in options if o[0] == count] == ["2", "2"]
    assert [o[1] for o in options if o[0] == rank] == ["0", '"$NODE_RANK"']
    assert "launch_notes" not in stated(*words, "--tp", "8", "--engine", engine)


def test_tensorrt_llm_is_started_over_nodes_by_slurm():
    words = ["--model", "meta-llama/Meta-Llama-3.1-405B", "--gpu", "h100", "--tp", "16"]
    lines = stated(*words, "--engine", "tensorrt-llm")["launch"]
    assert lines[0].startswith("srun --mpi=pmix --nodes=2 --ntasks=16 --ntasks-per-node=8")


def test_gpus_that_do_not_fill_their_nodes_get_no_command():
    words = ["--model", "meta-llama/Llama-3.1-70B-Instruct", "--gpu", "h100", "--tp", "4"]
    answer = stated(*words, "--pp", "5")
    assert answer["launch_notes"] == ["no command: 20 GPUs do not fill nodes of 8 h100-sxm-80gb"]
    assert "launch" not in answer
