"""Which model, GPU and formats a start-up log is about, in the catalog's words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.store import Catalog
from planner.errors import InputError, nearest
from planner.sizing.boot_log.reader import BootLog

SAME_CARD_GIB = 0.8
_FORMAT_HINTS = (
    ("deepseek_v4_fp8", "native"),  # the method's name; its experts are MXFP4
    ("nvfp4", "nvfp4"),
    ("mxfp4", "mxfp4"),
    ("awq", "int4"),
    ("gptq", "int4"),
    ("w4a16", "int4"),
    ("int4", "int4"),
    ("w8a8", "int8"),
    ("int8", "int8"),
    ("fp8", "fp8"),
    ("bitsandbytes", "nf4"),
    ("bnb", "nf4"),
    ("gguf", "q4_k_m"),
    ("auto-round", "int4"),
    ("auto_round", "int4"),
    ("autoround", "int4"),
    ("moe_wna16", "int4"),
    ("hqq", "int4_g64"),
    ("modelopt_fp4", "nvfp4"),
)
_KV_HINTS = (
    ("fp8", "fp8"),
    ("nvfp4", "nvfp4"),
    ("fp4", "nvfp4"),
    ("int8_per_token_head", "int8_per_token_head"),
    ("int4_per_token_head", "int4_per_token_head"),
    ("float16", "fp16"),
)
_SUFFIX = re.compile(
    r"[-_.](instruct|chat|it|hf|fp8|dynamic|awq|gptq|int4|int8|w4a16|w8a8|nvfp4|mxfp4|bf16|[0-9]{4})$",
    re.IGNORECASE,
)


def logged_weights(log: BootLog) -> str:
    """The name of the weight format: the log's quantization, else what the model's name says."""
    if log.engine == "tensorrt-llm":  # it loads what the checkpoint is, and prints no format
        return "native"
    text = f"{log.model or ''} {log.quantization or ''}".lower()
    if log.quantization is None and "gguf" not in text:
        return "native" if any(hint in text for hint, _ in _FORMAT_HINTS) else "bf16"
    return next((name for hint, name in _FORMAT_HINTS if hint in text), "native")


def logged_kv_format(log: BootLog) -> str:
    """The name of the KV cache format."""
    kind = (log.kv_cache_dtype or "auto").lower()
    return next((name for hint, name in _KV_HINTS if kind.startswith(hint)), "bf16")


def logged_model(catalog: Catalog, log: BootLog) -> ModelSpec:
    """The catalog's model for the name or path in a log, with and without usual suffixes."""
    if log.model is None:
        raise InputError("the log does not name its model", action="say it: --model NAME")
    known = {}
    for entry in catalog.model_index():
        for name in entry.names:
            known[name.lower()] = entry.name
            known.setdefault(PurePosixPath(name.lower()).name, entry.name)
    for name in _spellings(log.model):
        if name in known:
            return catalog.model(known[name])
    raise InputError(
        "the log's model is not in the catalog",
        found=log.model,
        action=f"{nearest(PurePosixPath(log.model).name, known) or 'see planner catalog models'}; "
        "say it with --model NAME or config.json",
    )


def _spellings(name: str) -> list[str]:
    """The name, its last path part, and that with one quantisation or date suffix less at a time."""
    lowered = name.lower().rstrip("/")
    found = [lowered]
    for part in reversed(PurePosixPath(lowered).parts):
        base = part.removeprefix("models--").rpartition("--")[2]
        found.append(base)
        while (shorter := _SUFFIX.sub("", base)) != base:
            base = shorter
            found += [base, f"{base}-instruct", f"{base}-hf"]
    return found


def logged_gpu(catalog: Catalog, log: BootLog, given: GpuSpec | None) -> tuple[GpuSpec | None, str]:
    """The GPU, with the log's own visible memory, and where it is known from; None when it is not."""
    origin = ""
    gpu = given or _named_gpu(catalog, log.device)
    if gpu is None:
        gpu, origin = _gpu_of_size(catalog, log)
    if gpu is not None and log.visible_gib is not None:
        gpu = replace(gpu, cuda_visible_gib=log.visible_gib)
    return gpu, origin


def _gpu_of_size(catalog: Catalog, log: BootLog) -> tuple[GpuSpec | None, str]:
    """The GPU with the log's visible memory, and of several the one with the log's token budget."""
    size = log.visible_gib or log.free_before_gib
    if size is None:
        return None, ""
    engine = catalog.engine(log.engine, log.version, oldest_instead=True)

    def distance(gpu: GpuSpec) -> tuple[bool, bool, float]:
        away = abs(gpu.cuda_visible_gib - size)
        limits = engine.limits_on(gpu)
        tokens = (limits and limits.max_num_batched_tokens) or engine.max_num_batched_tokens
        budget = tokens == log.max_num_batched_tokens
        return away > SAME_CARD_GIB, not budget, away

    gpu = min(catalog.gpus(), key=distance)
    if distance(gpu)[0]:
        return gpu, f"no GPU of the catalog shows {size:.2f} GiB; {gpu.name} is used instead"
    return gpu, f"GPU: {gpu.name}, by its {size:.2f} GiB"


def _named_gpu(catalog: Catalog, device: str | None) -> GpuSpec | None:
    """The catalog's GPU for a driver's name such as ``NVIDIA_H100_80GB_HBM3``."""
    if device is None:
        return None
    words = set(
        re.split(r"[^a-z0-9]+", device.lower().replace("hbm3", "sxm").replace("sxm4", "sxm"))
    )
    scored = [
        (len(words & set(gpu.name.split("-"))), -len(gpu.name), gpu) for gpu in catalog.gpus()
    ]
    score, _, gpu = max(scored, key=lambda entry: entry[:2])
    return gpu if score else None
