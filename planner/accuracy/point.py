"""One measured run: what ran, on what, under which load, and what was measured of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from planner.accuracy.measures import TPOT, TTFT, Measure
from planner.workload.trace import Trace


class LoadKind(StrEnum):
    """How a benchmark sends its requests."""

    CLOSED = "closed"  # each answer releases the next request
    OPEN = "open"  # at a rate, whatever is in flight
    OFFLINE = "offline"  # all at the start


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the engine was launched with beside the layout; None where the default held.

    eager: without captured graphs; graphs_max_batch: the largest captured batch; graph_padding: whether
    batches between captured ones run as the next larger.
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    memory_fraction: float | None = None
    max_model_len: int | None = None
    eager: bool = False
    graphs_max_batch: int | None = None
    graph_padding: bool | None = None


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """One pool of a disaggregated run: ``workers`` replicas of TP x DP GPUs."""

    workers: int
    tensor_parallel: int
    data_parallel: int = 1
    expert_parallel: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of the pool."""
        return self.workers * self.tensor_parallel * self.data_parallel


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One measured run. Times in milliseconds, as benchmarks print them; nan where not recorded.

    ttft_ms, tpot_ms: means over requests; ``others``: everything else that was measured, in seconds
    and tokens/s. concurrency: requests in flight at most, 0 where nothing limits them. rate_qps: of
    arrivals [requests/s]. requests: how many were sent, 0 where not recorded. length_spread: lengths
    are uniform between this share of nominal and nominal; mean_lengths: ``prompt_tokens`` and
    ``output_tokens`` are means of the run, not what was requested; lengths: each request's own.
    replicas: equal copies of the layout behind a router. prefill: the pool that only prefills, in
    front of ``replicas`` that only decode. draft_tokens: drafted a step; acceptance: a share per drafted
    token up to 1, tokens a step above it.
    """

    model: str
    gpu: str
    engine: str
    weights: str
    tensor_parallel: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    ttft_ms: float = math.nan
    tpot_ms: float = math.nan
    engine_version: str = ""
    data_parallel: int = 1
    expert_parallel: int = 1
    pipeline_parallel: int = 1
    kv_cache: str = ""
    measured_on: str = ""
    source: str = ""
    weight: float = 1.0
    others: tuple[tuple[Measure, float], ...] = ()
    load: LoadKind = LoadKind.CLOSED
    rate_qps: float = 0.0
    requests: int = 0
    length_spread: float | None = None
    mean_lengths: bool = False
    lengths: Trace | None = None
    settings: RunSettings = RunSettings()
    speculative: str = ""
    draft_tokens: int | None = None
    acceptance: float | None = None
    replicas: int = 1
    prefill: PoolLayout | None = None

    @property
    def decode_gpus(self) -> int:
        """GPUs that write answers: all of them, unless a pool of its own prefills."""
        layout = self.tensor_parallel * self.data_parallel * self.pipeline_parallel
        return layout * self.replicas

    @property
    def gpus(self) -> int:
        return self.decode_gpus + (self.prefill.gpus if self.prefill else 0)

    @property
    def group(self) -> tuple[str, str, str, str]:
        """What errors are averaged over: model, GPU, engine and weights."""
        return self.model, self.gpu, self.engine, self.weights

    @property
    def workload(self) -> tuple[str, int, int]:
        """Points of one workload differ in the deployment and the concurrency alone."""
        return self.model, self.prompt_tokens, self.output_tokens

    @property
    def measures(self) -> dict[Measure, float]:
        """Everything measured, in seconds and tokens/s."""
        means = {TTFT: self.ttft_ms / 1e3, TPOT: self.tpot_ms / 1e3}
        return {m: value for m, value in means.items() if not math.isnan(value)} | dict(self.others)

    def typical(self, metric: str) -> Measure | None:
        """The mean of a latency, or the median of a run that recorded no mean."""
        mean, median = Measure(metric), Measure(metric, 50.0)
        return next((m for m in (mean, median) if m in self.measures), None)

    def tokens_per_s_per_gpu(self, ttft_ms: float, tpot_ms: float) -> float:
        """Output tokens/s and GPU of ``concurrency`` requests in flight with these times [ms]."""
        seconds = (ttft_ms + tpot_ms * (self.output_tokens - 1)) / 1e3
        return self.concurrency * self.output_tokens / seconds / self.gpus
