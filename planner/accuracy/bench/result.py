"""One run as a load generator reports it, and what its file leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.accuracy.measures import MS, TPOT, TTFT, Measure
from planner.accuracy.point import LoadKind, MeasuredPoint, RunSettings
from planner.errors import InputError
from planner.workload.trace import Trace


@dataclass(frozen=True, slots=True)
class Setting:
    """What a result file leaves out; empty or 1 leaves it to what the file says.

    ``model`` overrides the name the file gives.
    """

    gpu: str = ""
    engine: str = ""
    weights: str = ""
    tensor_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    model: str = ""
    engine_version: str = ""
    kv_cache: str = ""
    eager: bool = False


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One run of a load generator; lengths are means over its requests, or nominal [tokens].

    measures: in seconds and tokens/s. spread: lengths are uniform between this share of nominal and
    nominal; None where the file does not say. found: what the file says of the deployment. failed:
    requests that came to nothing. request_class: that all of them are of, where the run says so.
    """

    tool: str
    model: str
    prompt_tokens: float
    output_tokens: float
    measures: Mapping[Measure, float]
    concurrency: float = 0.0
    load: LoadKind = LoadKind.CLOSED
    rate_qps: float = 0.0
    requests: int = 0
    failed: int = 0
    spread: float | None = None
    lengths: Trace | None = None
    found: Mapping[str, str] = field(default_factory=dict)
    request_class: str = ""

    @property
    def ttft_ms(self) -> float:
        """Mean TTFT [ms]; KeyError where the run recorded none."""
        return self.measures[TTFT] * MS

    @property
    def tpot_ms(self) -> float:
        """Mean TPOT [ms]; KeyError where the run recorded none."""
        return self.measures[TPOT] * MS

    @property
    def sent_qps(self) -> float | None:
        """The rate at which requests were sent, of an open loop that recorded how long it took [1/s].

        The last requests are answered after all are sent: their mean stay is not counted.
        """
        took_s, ttft_s = self.measures.get(Measure("makespan_s")), self.measures.get(TTFT)
        if not took_s or ttft_s is None or not self.requests:
            return None
        stay_s = ttft_s + self.measures.get(TPOT, 0.0) * max(self.output_tokens - 1, 0.0)
        return (self.requests + self.failed) / max(took_s - stay_s, took_s / 100)

    @property
    def percentiles_s(self) -> dict[str, float]:
        """Measured percentiles by statistic, ``ttft_p99`` [s]."""
        return {
            f"{m.metric}_p{m.percentile:g}": value
            for m, value in self.measures.items()
            if m.percentile is not None
        }

    def point(self, setting: Setting, source: str) -> MeasuredPoint:
        """Return the point; InputError naming what neither the file nor the person says."""
        stated = self._stated(setting, source)
        others = {m: value for m, value in self.measures.items() if m not in (TTFT, TPOT)}
        return MeasuredPoint(
            model=stated["model"],
            gpu=stated["gpu"],
            engine=stated["engine"],
            weights=stated["weights"],
            tensor_parallel=self._degree("tensor_parallel", setting.tensor_parallel),
            prompt_tokens=max(1, round(self.prompt_tokens)),
            output_tokens=max(1, round(self.output_tokens)),
            concurrency=round(self.concurrency),
            ttft_ms=self.measures.get(TTFT, float("nan")) * MS,
            tpot_ms=self.measures.get(TPOT, float("nan")) * MS,
            engine_version=setting.engine_version or self.found.get("engine_version", ""),
            data_parallel=self._degree("data_parallel", setting.data_parallel),
            expert_parallel=self._degree("expert_parallel", setting.expert_parallel),
            kv_cache=setting.kv_cache,
            source=source,
            others=tuple(others.items()),
            load=self.load,
            rate_qps=self.rate_qps,
            requests=self.requests,
            length_spread=self.spread,
            mean_lengths=self.spread is None,
            lengths=self.lengths,
            settings=RunSettings(eager=setting.eager),
        )

    def _degree(self, name: str, requested: int) -> int:
        return requested if requested > 1 else int(self.found.get(name, "1"))

    def _stated(self, setting: Setting, source: str) -> dict[str, str]:
        """Model, GPU, engine and weights from the options, else from the file; all missing at once."""
        stated = {
            "model": setting.model or self.model,
            "gpu": setting.gpu or self.found.get("gpu", ""),
            "engine": setting.engine or self.found.get("engine", ""),
            "weights": setting.weights or self.found.get("weights", ""),
        }
        missing = [name for name, value in stated.items() if not value]
        if missing:
            raise InputError(
                f"a result file of {self.tool} does not say the {_listed(missing)} it was measured with",
                where=source,
                action=f"add {_listed([f'--{name}' for name in missing])}",
            )
        return stated


def _listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def closed_or_not(
    concurrency: float | None, rate: float | None, at_once: bool, requests: int, where: str
) -> tuple[LoadKind, float, float]:
    """How requests were sent: load, requests in flight at most, rate [requests/s].

    A finite rate is an open loop, a limit without one a closed loop, neither an offline run where the
    tool said that everything was sent at once (``at_once``).
    """
    if rate:
        return LoadKind.OPEN, concurrency or 0.0, rate
    if concurrency:
        return LoadKind.CLOSED, min(concurrency, requests or concurrency), 0.0
    if at_once and requests:
        return LoadKind.OFFLINE, float(requests), 0.0
    raise InputError(
        "the run had no fixed concurrency, and no rate of requests is recorded",
        where=where,
        action="measure with a limit (--max-concurrency 32) or a rate (--request-rate 4), which the "
        "tool then records",
    )
