"""The start-up lines of vLLM (0.2 to 0.27), SGLang and TensorRT-LLM that carry a figure.

Every pattern hangs on a fixed word and takes a bounded number or name, so that matching is linear.
Engines that write "GB" for these figures mean GiB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBER = r"(-?[0-9][0-9,]{0,18}(?:\.[0-9]{1,12})?)"
SIZE = NUMBER + r" ?Gi?B"
GAP = r"\s{1,9}"
FRACTION = r"(0?\.[0-9]{1,12}|1\.0{0,9})"
NAME = r"([A-Za-z0-9_.-]{2,60})"


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line that contains ``word``: the pattern, and the field of ``BootLog`` its first group fills.

    ``keep``: which of several values counts: "first", "last", "max" or "min" (over ranks).
    """

    word: str
    pattern: re.Pattern[str]
    field: str
    keep: str = "last"


def _line(word: str, pattern: str, field: str, keep: str = "last") -> KnownLine:
    return KnownLine(word, re.compile(pattern), field, keep)


VLLM_LINES = (
    _line("vLLM API server version", r"version v?([0-9][0-9A-Za-z.+]{0,60})", "version"),
    _line("LLM engine (v", r"LLM engine \(v([0-9][0-9A-Za-z.+]{0,60})\)", "version"),
    _line("█", r"version ([0-9][0-9A-Za-z.+]{1,60})", "version"),
    _line("Starting to load model", r"load model (\S{2,400}?)\.\.\.", "model", "first"),
    _line("Model loading took", rf"Model loading took {SIZE}", "weights_gib", "max"),
    _line("model weights took", rf"Loading model weights took {SIZE}", "weights_gib", "max"),
    _line("model weights take", rf"model weights take{GAP}{SIZE}", "weights_gib", "max"),
    _line("for weight", rf"Actual usage is {SIZE} for weight", "weights_gib", "max"),
    _line("for consumed memory", rf"{SIZE} for consumed memory", "consumed_gib", "max"),
    _line("kv cache memory in use", rf"memory in use is {SIZE}", "kv_pool_gib", "min"),
    _line("CUDA graph pool memory", rf"memory: {SIZE} \(actual\)", "graphs_gib", "max"),
    _line("CUDA graph pool memory", rf"{SIZE} \(estimated\)", "graphs_estimated_gib"),
    _line("peak activation", rf"{SIZE} for peak activation", "activations_gib", "max"),
    _line("activation peak memory takes", rf"takes{GAP}{SIZE}; the rest", "activations_gib", "max"),
    _line("activation peak memory", rf"peak memory{GAP}{SIZE}", "activations_gib", "max"),
    _line("non-torch memory", rf"{SIZE} for non-torch memory", "non_torch_gib", "max"),
    _line("non_torch_memory", rf"non_torch_memory(?: takes)?{GAP}{SIZE}", "non_torch_gib", "max"),
    _line("KV cache memory:", rf"Available KV cache memory: {SIZE}", "kv_pool_gib", "min"),
    _line("reserved for KV", rf"reserved for KV Cache is {SIZE}", "kv_pool_gib", "min"),
    _line("available_kv_cache", rf"available_kv_cache_memory{GAP}{SIZE}", "kv_pool_gib", "min"),
    _line("GPU KV cache size", rf"GPU KV cache size: {NUMBER} tokens", "kv_tokens", "min"),
    _line("blocks:", rf"# (?:GPU|CUDA|cuda) blocks: {NUMBER}", "gpu_blocks", "min"),
    _line("concurrency for", rf"Maximum concurrency for {NUMBER} tokens", "concurrency_tokens"),
    _line("concurrency for", rf"tokens per request: {NUMBER}x", "concurrency"),
    _line("Graph capturing", rf"in [0-9]{{1,9}} secs?, took {SIZE}", "graphs_gib", "max"),
    _line("CUDA graph memory:", rf"Estimated CUDA graph memory: {SIZE}", "graphs_estimated_gib"),
    _line("total_gpu_memory", rf"total_gpu_memory[ (]{{1,9}}{SIZE}", "visible_gib", "max"),
    _line("Free memory on device", rf"/{SIZE}\)", "visible_gib", "max"),
    _line("gpu_memory_utilization (", rf"gpu_memory_utilization \({FRACTION}\)", "memory_fraction"),
    _line("gpu_memory_utilization  ", rf"utilization{GAP}{FRACTION}", "memory_fraction"),
    _line("utilization is (", rf"utilization is \({FRACTION},", "memory_fraction"),
    _line(
        "gpu-memory-utilization=",
        rf"current --gpu-memory-utilization={FRACTION}",
        "memory_fraction",
    ),
    _line("Using max model len", rf"Using max model len {NUMBER}", "max_model_len"),
    _line("with max_num_batched", r"max_num_batched_tokens=([0-9]{1,9})", "max_num_batched_tokens"),
    _line("block size to", rf"attention block size to {NUMBER} tokens", "block_tokens"),
)
SGLANG_LINES = (
    _line("Load weight begin", rf"avail mem={SIZE}", "free_before_gib", "first"),
    _line("KV Cache is allocated", rf"KV size: {SIZE}", "kv_pool_gib", "max"),
    _line("SWAKVPool mem usage", rf"mem usage: {SIZE}", "kv_pool_gib", "max"),
    _line("max_total_num_tokens=", r"max_total_num_tokens=([0-9]{1,15})", "kv_tokens"),
    _line("max_total_num_tokens=", r"max_running_requests=([0-9]{1,9})", "max_num_seqs"),
    _line("graph end", rf"mem usage={SIZE}", "graphs_gib", "max"),
    _line("ssm_state size", rf"ssm_state size: {SIZE}", "state_gib", "max"),
)
TENSORRT_LINES = (
    _line("TensorRT-LLM version", r"version: ([0-9][0-9A-Za-z.+]{0,60})", "version"),
    _line("for model weights", rf"[Uu]ses? {SIZE} for model weights", "weights_gib", "max"),
    _line("/snapshots/", r"models--([A-Za-z0-9_.-]{2,200})/snapshots/", "model", "first"),
    _line(
        "during inference (", rf"during inference [^:]{{0,60}}: {SIZE}", "activations_gib", "max"
    ),
    _line("used outside torch", rf"outside torch [^:]{{0,60}}: {SIZE}", "non_torch_gib", "last"),
    _line("device total memory", rf"device total memory {SIZE}", "visible_gib", "max"),
    _line("fraction is set", rf"fraction is set {FRACTION}", "memory_fraction"),
    # a small pool is allocated for the profile and freed again
    _line("in paged KV cache", rf"Allocated {SIZE} for max tokens", "kv_pool_gib", "max"),
    _line("in paged KV cache", rf"paged KV cache \({NUMBER}\)", "kv_tokens", "max"),
    _line("max_num_requests=", r"max_num_tokens=([0-9]{1,9})", "max_num_batched_tokens"),
    _line("max_num_requests=", r"max_batch_size=([0-9]{1,9})", "max_num_seqs"),
)
COMMON_LINES = (_line("device_name=", r"device_name=([A-Za-z0-9_-]{2,60})", "device", "first"),)
ENGINE_LINES = {"vllm": VLLM_LINES, "sglang": SGLANG_LINES, "tensorrt-llm": TENSORRT_LINES}

CONFIG_WORDS = ("with config: ", "non-default args: ", "args: Namespace(", "server_args=")
SETTINGS = tuple(
    (re.compile(rf"""(?<![a-z_])['"]?(?:{keys})['"]?\s{{0,3}}[:=]\s{{0,3}}{value}"""), field)
    for keys, value, field in (
        ("model|model_path", r"""['"]([^'"\s]{2,400})['"]""", "model"),
        ("tensor_parallel_size|tp_size", r"([0-9]{1,4})", "tensor_parallel"),
        ("pipeline_parallel_size|pp_size", r"([0-9]{1,4})", "pipeline_parallel"),
        ("data_parallel_size|dp_size", r"([0-9]{1,4})", "data_parallel"),
        ("ep_size", r"([0-9]{1,4})", "expert_parallel"),
        ("quantization", rf"'?{NAME}", "quantization"),
        ("kv_cache_dtype", rf"'?{NAME}", "kv_cache_dtype"),
        ("gpu_memory_utilization|mem_fraction_static", FRACTION, "memory_fraction"),
        ("max_seq_len|max_model_len|context_length", r"([0-9]{1,9})", "max_model_len"),
        ("max_num_seqs", r"([0-9]{1,9})", "max_num_seqs"),
        ("max_num_batched_tokens|chunked_prefill_size", r"([0-9]{1,9})", "max_num_batched_tokens"),
        ("enforce_eager|disable_cuda_graph", r"(True|False)", "eager"),
        ("enable_prefix_caching", r"(True|False)", "prefix_caching"),
        ("block_size", r"([0-9]{1,6})", "block_tokens"),
        ("num_speculative_tokens|num_spec_tokens", r"([0-9]{1,3})", "draft_tokens"),
        ("speculative_config|speculative_algorithm", r"(?!None)'?([A-Za-z{][^,)]{2,80})", "draft"),
    )
)
LOADED_TYPE = re.compile(r"type=([A-Za-z0-9_]{2,80})")
AVAILABLE = re.compile(rf"avail mem={SIZE}")
MEM_USAGE = re.compile(rf"mem usage={SIZE}")
K_AND_V = re.compile(rf"K size: {SIZE}, V size: {SIZE}")
