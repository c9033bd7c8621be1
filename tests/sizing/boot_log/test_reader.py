"""Start-up logs of several engines and versions are read as data, and set beside the plan."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.sizing.boot_log import reader as boot_log
from planner.sizing.boot_log.check import BootCheck, Overrides, check_boot_log
from planner.sizing.boot_log.lines import ENGINE_LINES
from planner.sizing.boot_log.parts import PartCheck
from planner.sizing.boot_log.reader import BootLog, parse_boot_log, read_boot_log

LOGS = Path(__file__).parents[1] / "logs"


def log_of(name: str) -> BootLog:
    return read_boot_log(LOGS / f"{name}.log")


def part_of(check: BootCheck, name: str) -> PartCheck:
    return next(part for part in check.parts if part.part == name)


def test_vllm_v1() -> None:
    log = log_of("vllm_0.10.2_qwen3_30b")
    assert (log.engine, log.version) == ("vllm", "0.10.2")
    assert log.model == "Qwen/Qwen3-30B-A3B-Instruct-2507"
    assert log.device == "NVIDIA_H100_80GB_HBM3"
    assert (log.memory_fraction, log.visible_gib) == (0.9, 79.18)
    assert (log.max_model_len, log.max_num_batched_tokens) == (6144, 8192)
    assert (log.weights_gib, log.activations_gib, log.non_torch_gib) == (56.9342, 5.58, 0.07)
    assert (log.kv_pool_gib, log.kv_tokens) == (8.68, 94_784)
    assert (log.concurrency, log.concurrency_tokens) == (15.43, 6144)
    assert log.graphs_gib == 0.69
    assert log.fused_sampler is False
    assert log.quantization is None


def test_a_log_wrapped_at_the_terminals_width() -> None:
    log = log_of("vllm_0.10.1_qwen2_7b_wrapped")
    assert log.model == "Qwen2-7B-Instruct"
    assert (log.tensor_parallel, log.memory_fraction) == (1, 0.5)
    assert log.fused_sampler is True


def test_words_wrapped_apart_are_joined(catalog: Catalog) -> None:
    log = log_of("vllm_0.10.1_qwen2_7b_ray_wrapped")
    assert (log.model, log.tensor_parallel) == ("Qwen2-7B-Instruct", 2)
    assert (log.weights_gib, log.kv_pool_gib, log.graphs_gib) == (7.1217, 11.03, 1.0)
    assert log.fused_sampler is False
    check = check_boot_log(catalog, log, Overrides(gpu=catalog.gpu("a100-pcie-40gb")))
    pool = part_of(check, "KV cache pool").difference
    assert pool == pytest.approx(0, abs=0.05)


def test_vllm_v0_prints_blocks() -> None:
    log = log_of("vllm_0.6.3_qwen2.5_32b_tp4")
    assert (log.version, log.tensor_parallel, log.max_num_seqs) == ("0.6.3.post1", 4, 256)
    assert log.weights_gib == 15.3916
    assert log.capacity_tokens == 2987 * 16
    assert (log.concurrency, log.concurrency_tokens) == (1.46, 32_768)


def test_vllm_v0_profiling_table() -> None:
    log = log_of("vllm_0.6.5_llama3_8b")
    assert (log.visible_gib, log.memory_fraction) == (79.22, 0.9)
    assert (log.weights_gib, log.non_torch_gib, log.activations_gib) == (14.96, 1.79, 1.26)
    assert log.kv_pool_gib == 53.29


def test_vllm_v0_profiling_sentence() -> None:
    log = parse_boot_log(
        [
            "INFO llm_engine.py:237] Initializing an LLM engine (v0.7.0) with config: model='a/b'\n",
            "INFO worker.py:238] the current vLLM instance can use total_gpu_memory (23.58GiB) x "
            "gpu_memory_utilization (0.99) = 23.35GiB\n",
            "INFO worker.py:238] model weights take 21.21GiB; non_torch_memory takes 0.20GiB; PyTorch "
            "activation peak memory takes 0.37GiB; the rest of the memory reserved for KV Cache is "
            "1.57GiB.\n",
            "INFO executor_base.py:95] # CUDA blocks: 6001, # CPU blocks: 1638\n",
        ]
    )
    assert log is not None
    assert (log.visible_gib, log.memory_fraction) == (23.58, 0.99)
    assert (log.weights_gib, log.non_torch_gib, log.activations_gib) == (21.21, 0.20, 0.37)
    assert (log.kv_pool_gib, log.gpu_blocks) == (1.57, 6001)


def test_newest_vllm_sums_weights_and_context() -> None:
    """vLLM 0.31 on an A100: Llama-3.1-8B, default fraction."""
    log = parse_boot_log(
        [
            "(APIServer pid=1) INFO api_server.py] vLLM API server version 0.31.0\n",
            "(EngineCore pid=326) INFO core.py] Initializing a V1 LLM engine (v0.31.0) with config: "
            "model='meta-llama/Llama-3.1-8B-Instruct', max_seq_len=131072, tensor_parallel_size=1\n",
            "(EngineCore pid=326) INFO [model_runner.py:407] Model loading took 15.0 GiB memory and "
            "5.420225 seconds\n",
            "(EngineCore pid=326) INFO [kv_cache_utils.py:2464] GPU KV cache size: 460,496 tokens, "
            "Maximum concurrency for 131,072 tokens per request: 3.51x\n",
            "(EngineCore pid=326) INFO [gpu_worker.py:955] Free memory on device (78.84/79.25 GiB) on "
            "startup. Desired GPU memory utilization is (0.92, 72.91 GiB). Actual usage is 15.26 GiB "
            "for consumed memory (weights + non-torch), 1.44 GiB for peak activation, and 0.23 GiB "
            "for CUDAGraph memory. Current kv cache memory in use is 56.21 GiB.\n",
        ]
    )
    assert log is not None
    assert (log.visible_gib, log.memory_fraction, log.kv_pool_gib) == (79.25, 0.92, 56.21)
    assert (log.weights_gib, log.activations_gib) == (15.0, 1.44)
    assert log.context_gib == pytest.approx(0.26)
    assert (log.kv_tokens, log.concurrency, log.concurrency_tokens) == (460_496, 3.51, 131_072)


def test_newest_vllm_is_planned_within_five_percent(catalog: Catalog) -> None:
    log = BootLog(
        engine="vllm", version="0.31.0", model="meta-llama/Llama-3.1-8B-Instruct",
        memory_fraction=0.92, visible_gib=79.25, kv_pool_gib=56.21, kv_tokens=460_496,
    )  # fmt: skip
    pool = part_of(check_boot_log(catalog, log), "KV cache pool")
    assert pool.difference == pytest.approx(0, abs=0.05)


def test_sglang() -> None:
    log = log_of("sglang_llama3.1_8b")
    assert (log.engine, log.model) == ("sglang", "meta-llama/Llama-3.1-8B-Instruct")
    assert (log.memory_fraction, log.free_before_gib) == (0.88, 78.59)
    assert log.weights_gib == 15.11
    assert log.kv_pool_gib == pytest.approx(54.04)
    assert (log.kv_tokens, log.graphs_gib) == (442_750, 0.77)


def test_sglang_draft_model_and_window_pools_are_apart() -> None:
    log = parse_boot_log(
        [
            "[2026-08-01 23:37:40] server_args=ServerArgs(model_path='a/b', tp_size=1)\n",
            "[2026-08-01 23:37:50] Load weight begin. avail mem=115.36 GB\n",
            "[2026-08-01 23:39:39] Load weight end. elapsed=109.33 s, type=LagunaForCausalLM, "
            "avail mem=47.80 GB, mem usage=67.56 GB.\n",
            "[2026-08-01 23:39:43] Load weight begin. avail mem=47.83 GB\n",
            "[2026-08-01 23:39:55] Load weight end. elapsed=12.25 s, type=DFlashLagunaForCausalLM, "
            "avail mem=46.25 GB, mem usage=1.58 GB.\n",
            "[2026-08-01 23:40:01] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 148717, "
            "K size: 10.21 GB, V size: 10.21 GB\n",
            "[2026-08-01 23:40:01] SWAKVPool mem usage: 28.93 GB, swa size: 148717\n",
            "[2026-08-01 23:40:01] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 185897, "
            "K size: 2.13 GB, V size: 2.13 GB\n",
        ]
    )
    assert log is not None
    assert (log.weights_gib, log.draft_gib) == (67.56, 1.58)
    assert (log.free_before_gib, log.kv_pool_gib) == (115.36, 28.93)


def test_older_sglang_weights_follow_from_what_is_left() -> None:
    log = parse_boot_log(
        [
            "[2025-02-04 05:21:40 TP0] Load weight begin. avail mem=22.76 GB\n",
            "[2025-02-04 05:29:17 TP0] Load weight end. type=Qwen2ForCausalLM, avail mem=8.37 GB\n",
            "[2025-02-04 05:29:17 TP0] KV Cache is allocated. K size: 2.82 GB, V size: 2.82 GB.\n",
            "[2025-02-04 05:29:20 TP0] max_total_num_tokens=105531, max_running_requests=2049\n",
        ]
    )
    assert log is not None
    assert log.weights_gib == pytest.approx(14.39)
    assert (log.kv_pool_gib, log.kv_tokens) == (5.64, 105_531)


def test_tensorrt_llm_pool() -> None:
    log = parse_boot_log(
        [
            "[TensorRT-LLM] TensorRT-LLM version: 0.20.0\n",
            "[07/24/2025-08:13:02] [TRT-LLM] [I] Rank 0 uses 8.46 GB for model weights.\n",
            "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 78.30 GiB for max tokens in paged KV "
            "cache (3731744).\n",
        ]
    )
    assert log is not None
    assert (log.engine, log.version) == ("tensorrt-llm", "0.20.0")
    assert (log.weights_gib, log.kv_pool_gib, log.kv_tokens) == (8.46, 78.30, 3_731_744)


def test_of_several_ranks_the_smallest_pool_counts_and_a_restart_begins_anew() -> None:
    first = "(Worker) INFO with config: model='a/b', tensor_parallel_size=2\n"
    lines = [
        first,
        "(Worker_TP0) INFO Model loading took 9.0 GiB and 1 seconds\n",
        "(Worker_TP1) INFO Model loading took 9.5 GiB and 1 seconds\n",
        "(Worker_TP0) INFO Available KV cache memory: 5.71 GiB\n",
        "(Worker_TP1) INFO Available KV cache memory: 3.58 GiB\n",
        "(EngineCore) INFO GPU KV cache size: 1,000 tokens\n",
    ]
    log = parse_boot_log(lines)
    assert log is not None
    assert (log.weights_gib, log.kv_pool_gib) == (9.5, 3.58)
    again = parse_boot_log([*lines, first, "(Worker) INFO Model loading took 4.0 GiB\n"])
    assert again is not None
    assert (again.weights_gib, again.kv_pool_gib) == (4.0, None)


def test_terminal_colours_are_ignored() -> None:
    log = parse_boot_log(["\x1b[36m(Worker)\x1b[0m INFO Model loading took \x1b[1m9.0 GiB\n"])
    assert log is not None
    assert log.weights_gib == 9.0


@pytest.mark.parametrize(
    "line",
    [
        "INFO " + "Load weight end. " * 2000 + "type=" + "a" * 20_000,
        "INFO args: Namespace(" + "model='" * 8000,
        "KV Cache is allocated K size: " + "1," * 20_000,
        "gpu_memory_utilization " + " " * 40_000,
        "Model loading took " + "9" * 40_000 + " GiB",
        "INFO with config: " + "'" * 40_000,
        "\x1b[" + ";" * 40_000,
        "█" * 40_000 + "version 1.2",
    ],
)
def test_hostile_lines_do_no_harm(line: str) -> None:
    log = parse_boot_log([line + "\n"] * 20)
    assert log is None or log.kv_pool_gib is None


FRAGMENTS = st.sampled_from(
    [entry.word for lines in ENGINE_LINES.values() for entry in lines]
    + ["Load weight end. ", "type=A", "mem usage=", "avail mem=", "K size: ", ", V size: ",
       "KV Cache is allocated", " GiB", " GB", "1,024.5", "-3", "0.9", "99999999999999999999",
       "model='a'", "tensor_parallel_size=", "server_args=", " took ", ": ", "(", ")", "\n",
       "tokens per request: ", "x", "with config: ", "1e9", "nan", "'", "None"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=8), max_size=40))
def test_no_text_breaks_the_reader(catalog: Catalog, fragments: list[str]) -> None:
    log = parse_boot_log("".join(fragments).splitlines(keepends=True))
    if log is None:
        return
    with contextlib.suppress(InputError):
        check_boot_log(catalog, log, Overrides(model=catalog.model("Qwen/Qwen3-8B")))


def test_a_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_log, "MAX_LOG_BYTES", 100)
    path = tmp_path / "vllm.log"
    path.write_text("INFO Model loading took 9.0 GiB\n" * 10, encoding="utf-8")
    with pytest.raises(InputError, match="too large"):
        read_boot_log(path)


@pytest.mark.parametrize(
    ("name", "parts", "tolerance"),
    [
        ("vllm_0.10.2_qwen3_30b", ("weights", "KV cache pool", "activations"), 0.02),
        ("vllm_0.6.5_llama3_8b", ("weights", "KV cache pool"), 0.04),
        ("sglang_llama3.1_8b", ("weights", "KV cache pool", "KV cache tokens"), 0.01),
        ("vllm_0.6.3_qwen2.5_32b_tp4", ("weights",), 0.01),
    ],
)
def test_planned_against_printed(
    catalog: Catalog, name: str, parts: tuple[str, ...], tolerance: float
) -> None:
    check = check_boot_log(catalog, log_of(name))
    for part in parts:
        difference = part_of(check, part).difference
        assert difference is not None
        assert abs(difference) < tolerance, part


def test_a_gpu_the_log_does_not_name_is_taken_by_its_pool_and_said_so(catalog: Catalog) -> None:
    log = log_of("vllm_0.10.1_qwen2_7b_wrapped")
    check = check_boot_log(catalog, log)
    assert check.deployment.gpu.name == "a100-pcie-80gb"  # same memory as the SXM GPU it was
    assert "which checks nothing" in part_of(check, "KV cache pool").explanation
    named = check_boot_log(catalog, log, Overrides(gpu=catalog.gpu("a100-sxm-80gb")))
    pool = part_of(named, "KV cache pool")
    assert pool.explanation == ""
    assert pool.difference is not None
    assert abs(pool.difference) < 0.01  # the fused sampler is read from the log


def test_without_a_likely_gpu_the_pool_stays_unplanned(catalog: Catalog) -> None:
    log = BootLog(engine="vllm", model="Qwen/Qwen3-8B", weights_gib=15.3, kv_pool_gib=0.001)
    pool = part_of(check_boot_log(catalog, log), "KV cache pool")
    assert pool.planned is None
    assert "--gpu" in pool.explanation


def test_a_pool_follows_from_printed_blocks(catalog: Catalog) -> None:
    log = log_of("vllm_0.6.3_qwen2.5_32b_tp4")
    check = check_boot_log(catalog, log, Overrides(gpu=catalog.gpu("rtx-3090")))
    assert part_of(check, "KV cache pool").printed == 2987 * 16 * 65_536
    assert part_of(check, "sequences of 32,768 tokens").difference == pytest.approx(0, abs=0.01)


def test_hybrid_token_lines_are_not_called_capacity(catalog: Catalog) -> None:
    log = log_of("vllm_0.25.1_qwen3.6_35b_nvfp4")
    check = check_boot_log(catalog, log, Overrides(gpu=catalog.gpu("gb10")))
    tokens = part_of(check, "KV cache tokens")
    assert tokens.difference is None
    assert "hybrid" in tokens.explanation
    held = part_of(check, "sequences of 262,144 tokens")
    assert held.printed == 12.84
    assert held.difference == pytest.approx(0, abs=0.01)
    assert "draft" in part_of(check, "weights").explanation


def test_windows_hold_a_step_beside_them(catalog: Catalog) -> None:
    """Gemma 4 on a GB10: vLLM 0.25.1 printed 14.92 sequences of 262,144 tokens in 84.68 GiB."""
    log = BootLog(
        engine="vllm", version="0.25.1", model="RedHatAI/gemma-4-26B-A4B-it-NVFP4",
        quantization="compressed-tensors", max_num_batched_tokens=2496, kv_pool_gib=84.68,
        concurrency=14.92, concurrency_tokens=262_144, weights_gib=15.88,
    )  # fmt: skip
    check = check_boot_log(catalog, log, Overrides(gpu=catalog.gpu("gb10")))
    held = part_of(check, "sequences of 262,144 tokens")
    assert held.difference == pytest.approx(0, abs=0.01)


def test_the_model_may_be_a_path_or_carry_suffixes(catalog: Catalog) -> None:
    for name, found in (
        ("/data/models/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("acme/Llama-3.3-70B-Instruct-W8A8", "meta-llama/Llama-3.3-70B-Instruct"),
        ("models--Qwen--Qwen3-8B", "Qwen/Qwen3-8B"),
    ):
        check = check_boot_log(catalog, BootLog(engine="vllm", model=name, weights_gib=1.0))
        assert check.deployment.model.name == found
    with pytest.raises(InputError, match="not in the catalog"):
        check_boot_log(catalog, BootLog(engine="vllm", model="acme/unheard-of", weights_gib=1.0))
    with pytest.raises(InputError, match="does not name its model"):
        check_boot_log(catalog, BootLog(engine="vllm", weights_gib=1.0))


@pytest.mark.parametrize(
    ("model", "quantization", "found"),
    [
        ("Qwen/Qwen3-8B", "fp8", "fp8"),
        ("Qwen/Qwen3-8B-AWQ", "awq_marlin", "int4"),
        ("Qwen/Qwen3-8B-Int4-W4A16", "compressed-tensors", "int4"),
        ("Qwen/Qwen3-8B", "bitsandbytes", "nf4"),
        ("Qwen/Qwen3-8B", None, "bf16"),
    ],
)
def test_the_weight_format_is_reported_by_flag_and_name(
    catalog: Catalog, model: str, quantization: str | None, found: str
) -> None:
    log = BootLog(engine="vllm", model=model, quantization=quantization, weights_gib=1.0)
    assert check_boot_log(catalog, log).deployment.weights.name == found


def test_eager_mode_has_no_graphs(catalog: Catalog) -> None:
    log = BootLog(
        engine="vllm", model="Qwen/Qwen3-8B", eager=True, weights_gib=15.3, graphs_gib=0.1
    )
    graphs = part_of(check_boot_log(catalog, log), "CUDA graphs")
    assert graphs.planned == 0
    assert graphs.explanation == "eager mode captures none"


def test_a_log_without_its_configuration_names_the_model_as_it_starts_to_load() -> None:
    lines = (
        "INFO 11-30 09:00:01 [gpu_model_runner.py:1953] Starting to load model "
        "meta-llama/Llama-3.1-8B-Instruct...",
        "INFO 11-30 09:00:09 [gpu_model_runner.py:2007] Model loading took 14.99 GiB and 6.1 seconds",
        "INFO 11-30 09:00:20 [kv_cache_utils.py:864] GPU KV cache size: 439,344 tokens",
    )
    log = parse_boot_log(lines)
    assert log is not None
    assert (log.engine, log.model) == ("vllm", "meta-llama/Llama-3.1-8B-Instruct")
    drafted = parse_boot_log((*lines, "INFO Starting to load model yuhuili/EAGLE3-LLaMA3.1..."))
    assert drafted is not None
    assert drafted.model == "meta-llama/Llama-3.1-8B-Instruct"
