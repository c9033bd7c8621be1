"""What an inference engine printed at start-up, read as data: nothing in a log is ever followed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.sizing.boot_log.lines import (
    AVAILABLE,
    COMMON_LINES,
    CONFIG_WORDS,
    ENGINE_LINES,
    K_AND_V,
    LOADED_TYPE,
    MEM_USAGE,
    SETTINGS,
)

MAX_LOG_BYTES = 50_000_000
MAX_LINE_CHARACTERS = 50_000
MAX_WRAPPED_LINES = 60
WRAP_CHARACTERS = 400

_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_ENTRY = re.compile(r"(?:\(|\[20|INFO|WARNING|ERROR|DEBUG|20[0-9]{2}-|Loading|Capturing)")
_CONFIG_MARKS = (
    ("sglang", "ServerArgs("),
    ("vllm", "LLM engine"),
    ("vllm", "gpu_memory_utilization"),
)
_WHICH: dict[str, Callable[[Any, Any], Any]] = {
    "first": lambda old, new: old,
    "last": lambda old, new: new,
    "max": max,
    "min": min,
}


@dataclass(frozen=True, slots=True)
class BootLog:
    """The figures of one start-up; None where the log does not say.

    Sizes are GiB per GPU: of several ranks the largest weights and the smallest pool.
    ``free_before_gib``: SGLang's memory before loading; ``draft_gib``: a draft model's weights;
    ``consumed_gib``: weights and non-torch memory together; ``state_gib``: recurrent state pool;
    ``concurrency``: sequences of ``concurrency_tokens`` that the engine says it holds;
    ``fused_sampler``: whether FlashInfer samples.
    """

    engine: str
    version: str | None = None
    model: str | None = None
    device: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    draft: str | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    memory_fraction: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    eager: bool | None = None
    prefix_caching: bool | None = None
    draft_tokens: int = 0
    fused_sampler: bool | None = None
    visible_gib: float | None = None
    free_before_gib: float | None = None
    weights_gib: float | None = None
    draft_gib: float | None = None
    kv_pool_gib: float | None = None
    state_gib: float | None = None
    kv_tokens: int | None = None
    gpu_blocks: int | None = None
    block_tokens: int | None = None
    concurrency: float | None = None
    concurrency_tokens: int | None = None
    consumed_gib: float | None = None
    activations_gib: float | None = None
    non_torch_gib: float | None = None
    graphs_gib: float | None = None
    graphs_estimated_gib: float | None = None

    @property
    def context_gib(self) -> float | None:
        """Memory outside the framework [GiB], printed or what is consumed beyond the weights."""
        if self.non_torch_gib is not None:
            return self.non_torch_gib
        if self.consumed_gib is None or self.weights_gib is None:
            return None
        return self.consumed_gib - self.weights_gib

    @property
    def capacity_tokens(self) -> int | None:
        """Tokens of the pool, from the token line or the block count."""
        if self.kv_tokens is not None or self.gpu_blocks is None:
            return self.kv_tokens
        return self.gpu_blocks * (self.block_tokens or 16)


_KIND = {field.name: str(field.type) for field in fields(BootLog)}
_FOUND = ("weights_gib", "kv_pool_gib", "kv_tokens", "gpu_blocks", "concurrency")


def read_boot_log(path: Path) -> BootLog:
    """Read a start-up log of at most 50 MB.

    Raises InputError when the file cannot be read, is too large, or holds no line this knows.
    """
    try:
        if not path.is_file():
            raise InputError("no such log file", where=str(path))
        size = path.stat().st_size
        if size > MAX_LOG_BYTES:
            raise InputError(
                "the log is too large",
                where=str(path),
                found=f"{size:,} bytes",
                allowed=f"at most {MAX_LOG_BYTES:,} bytes",
                action="cut it to the engine's start-up: head -n 2000 LOG",
            )
        with path.open(encoding="utf-8", errors="replace", newline=None) as lines:
            log = parse_boot_log(lines)
    except OSError as error:
        raise InputError(f"cannot read the log: {error.strerror}", where=str(path)) from None
    if log is None:
        raise InputError(
            "no start-up log of vLLM, SGLang or TensorRT-LLM",
            where=str(path),
            allowed='lines such as "Model loading took 14.99 GiB" or "Load weight end."',
            action="pass the engine's own output, from its first line",
        )
    return log


def parse_boot_log(lines: Iterable[str]) -> BootLog | None:
    """Return what the last start-up in ``lines`` printed, or None when none is recognised."""
    reader = _Reader()
    for line in _entries(lines):
        reader.take(line)
    return reader.result()


def _entries(lines: Iterable[str]) -> Iterator[str]:
    """Lines without terminal codes; what was wrapped at a terminal's width also comes joined.

    A configuration is joined whole; of other lines each continuation comes joined to the one before.
    """
    held: list[str] = []
    before = ""
    for raw in lines:
        line = raw[:MAX_LINE_CHARACTERS].rstrip("\n")
        if "\x1b" in line:
            line = _ESCAPE.sub("", line)
        continues = _ENTRY.match(line) is None
        if held and continues and len(held) < MAX_WRAPPED_LINES:
            held.append(line)
            continue
        if held:
            yield "".join(held)
            held = []
        for word in CONFIG_WORDS:
            if word in line:
                held = [line]
                break
        else:
            yield line
            if continues and before:
                yield before[-WRAP_CHARACTERS:] + line[:WRAP_CHARACTERS]
        before = line
    if held:
        yield "".join(held)


class _Reader:
    """Collects figures line by line; a new configuration after a finished start-up begins anew."""

    def __init__(self) -> None:
        self.values: dict[
            str, Any
        ] = {}  # numbers and texts of a log, by field; typed by ``BootLog``
        self.engines = dict.fromkeys(ENGINE_LINES, 0)
        self.target: str | None = None

    def take(self, line: str) -> None:
        """Keep what one line says."""
        for word in CONFIG_WORDS:
            if word in line:
                self._settings(line)
                break
        for engine, known in ENGINE_LINES.items():
            for entry in known:
                if entry.word in line and (match := entry.pattern.search(line)):
                    self._keep(entry.field, match[1], entry.keep)
                    self.engines[engine] += 1
        for entry in COMMON_LINES:
            if entry.word in line and (match := entry.pattern.search(line)):
                self._keep(entry.field, match[1], entry.keep)
        if "Load weight end." in line:
            self._loaded(line)
        if "KV Cache is allocated" in line and (match := K_AND_V.search(line)):
            self._keep("kv_pool_gib", str(_number(match[1]) + _number(match[2])), "max")
            self.engines["sglang"] += 1
        if "top-p & top-k sampling" in line:
            self.values["fused_sampler"] = "Using FlashInfer" in line

    def result(self) -> BootLog | None:
        """What was found, when any known figure was."""
        if not any(name in self.values for name in _FOUND):
            return None
        engine = max(self.engines, key=lambda name: self.engines[name])
        return BootLog(engine=engine, **self.values)

    def _settings(self, line: str) -> None:
        if "concurrency" in self.values or "kv_tokens" in self.values:
            self.values = {}
            self.target = None
        for engine, mark in _CONFIG_MARKS:
            self.engines[engine] += mark in line
        for pattern, field in SETTINGS:
            if match := pattern.search(line):
                self._keep(field, match[1], "last")

    def _loaded(self, line: str) -> None:
        """SGLang's weights: the first type loaded is the model, any other a draft."""
        kind = LOADED_TYPE.search(line)
        if kind is None:
            return
        self.target = self.target or kind[1]
        usage, left = MEM_USAGE.search(line), AVAILABLE.search(line)
        before = self.values.get("free_before_gib")
        size = usage[1] if usage else None
        if size is None and left is not None and before is not None:
            size = str(before - _number(left[1]))
        if size is not None:
            self._keep("weights_gib" if kind[1] == self.target else "draft_gib", size, "max")

    def _keep(self, field: str, text: str, which: str) -> None:
        value = _value(field, text)
        if value is not None:
            old = self.values.get(field)
            self.values[field] = value if old is None else _WHICH[which](old, value)


def _value(field: str, text: str) -> Any:
    kind = _KIND[field]
    if kind.startswith("bool"):
        return text == "True"
    if kind.startswith("str"):
        return None if text in ("None", "null", "auto") else text
    number = _number(text)
    return int(number) if kind.startswith("int") else number


def _number(text: str) -> float:
    return float(text.replace(",", ""))
