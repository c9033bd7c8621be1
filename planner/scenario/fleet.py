"""The fleet part of the question: demand over time, failures to survive, what runs already, quotas.

Every document has defaults that leave it out: one period, nothing fails, nodes are shared.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from planner.catalog.offer import TERM_NAMES, Term
from planner.scenario.fields import (
    NotNegative,
    Positive,
    Share,
    StrictDocument,
    as_tuple,
    by_term,
    term_name,
)

HOURS_A_DAY = 24
HOURS_A_WEEK = 168
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")

Counts = Annotated[tuple[NotNegative, ...], BeforeValidator(as_tuple)]
Tokens = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)]


class Load(StrictDocument):
    """How a service's rate varies around its mean, ``rate``.

    ``hourly``: 24 numbers (a day) or 168 (a week, from Monday), only their proportions count.
    ``series``: a rate series file (window_start_s, rate_rps) and ``workload`` in it; it is reduced to
    ``days`` representative days, the peak hour kept as it is. ``peak_ratio``: rate in the busiest
    window of an hour over the hour's mean, for what a profile cannot show; a series with windows
    shorter than an hour brings its own.
    """

    hourly: Counts | None = None
    series: str | None = None
    workload: str | None = None
    days: Annotated[int, Field(ge=1, le=14)] = 3
    peak_ratio: Annotated[float, Field(ge=1, le=100)] = 1.0

    @model_validator(mode="after")
    def _one_kind(self) -> Load:
        if self.hourly is not None and self.series is not None:
            raise ValueError("give hourly or series, not both")
        if self.hourly is not None:
            if len(self.hourly) not in (HOURS_A_DAY, HOURS_A_WEEK):
                raise ValueError("hourly needs 24 numbers (a day) or 168 (a week)")
            if sum(self.hourly) <= 0:
                raise ValueError("hourly needs a number above 0")
        if self.workload is not None and self.series is None:
            raise ValueError("workload names a column of a series")
        return self


class Assurance(StrictDocument):
    """Size for a probability rather than for the prediction itself; a number alone is the probability.

    ``probability``: that every target holds, given the traffic as stated and the one-sided quantiles of
    the step-time error by evidence grade. Where a grade's quantiles have not covered left-out
    measurements it is a stated width, a margin that is assumed. ``demand_cv``: coefficient of variation
    of the true demand around ``rate``. ``none`` sizes for the prediction itself.
    """

    probability: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9
    demand_cv: Annotated[float, Field(ge=0, le=5)] = 0.0


DEFAULT_ASSURANCE = Assurance(probability=0.8)


def assured(value: object) -> object:
    """``0.8`` and ``80%`` are a probability, ``none`` no assurance; what is no mapping is refused."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value > 1:
            raise ValueError(f"assurance is a probability: 0.8 is 80 %, {value:g} is more than 1")
        return {"probability": float(value)}
    if isinstance(value, str) and value != "none":
        share = _PERCENT.fullmatch(value.strip())
        if share is None:
            raise ValueError("assurance is a probability, such as 0.8 or 80%, or none")
        return {"probability": float(share[1]) / 100}
    return None if value == "none" else value


class Buckets(StrictDocument):
    """Length buckets a service is split into: upper bounds [tokens] of all but the last bucket.

    ``whole``: a bucket goes to one GPU type entirely; otherwise its requests may be split.
    """

    prompt_tokens: Tokens = ()
    output_tokens: Tokens = ()
    whole: bool = False

    @model_validator(mode="after")
    def _bounds_rise(self) -> Buckets:
        for name in ("prompt_tokens", "output_tokens"):
            bounds = getattr(self, name)
            if any(a >= b for a, b in itertools.pairwise(bounds)):
                raise ValueError(f"the bounds of {name} must rise")
        if not (self.prompt_tokens or self.output_tokens):
            raise ValueError("give the bounds of prompt_tokens, output_tokens or both")
        if (len(self.prompt_tokens) + 1) * (len(self.output_tokens) + 1) > 32:
            raise ValueError("at most 32 buckets")
        return self


class Horizon(StrictDocument):
    """How far the plan looks: ``months`` in ``stages`` of equal length.

    ``growth_per_month``: of every service's rate, compounded; a stage is sized for its last month and
    pays for what it serves on average. ``need``: whether it ends with the horizon (a commitment is
    charged whole) or continues (it is charged for the months within); required where a term admitted
    outlasts the horizon. ``lead_time_months``: between deciding and using, by term; commitments may
    begin at any stage.
    """

    months: Annotated[int, Field(ge=1, le=120)] = 36
    stages: Annotated[int, Field(ge=1, le=24)] = 1
    growth_per_month: Annotated[float, Field(ge=-0.5, le=1)] = 0.0
    need: Literal["ends", "continues"] | None = None
    lead_time_months: Annotated[dict[str, NotNegative], AfterValidator(by_term)] = Field(
        default_factory=dict
    )

    @property
    def ends(self) -> bool:
        """Whether nothing is needed any more after the horizon."""
        return self.need == "ends"

    def growth(self, month: int) -> float:
        """Rate in a month over today's; month 1 is the first and has today's."""
        return float((1 + self.growth_per_month) ** (month - 1))

    def mean_growth(self, first: int, last: int) -> float:
        """Mean rate of the months ``first`` to ``last`` over today's."""
        return math.fsum(self.growth(m) for m in range(first, last + 1)) / (last - first + 1)

    @model_validator(mode="after")
    def _stages_fit(self) -> Horizon:
        if (self.growth_per_month or self.stages > 1) and "months" not in self.model_fields_set:
            raise ValueError("growth and stages need months")
        if self.months % self.stages:
            raise ValueError("stages must divide months")
        unknown = [t for t in self.lead_time_months if Term.named(t) is None]
        if unknown:
            names = ", ".join(TERM_NAMES)
            raise ValueError(f"unknown term {unknown[0]!r}; a lead time is of {names}")
        return self


class Failures(StrictDocument):
    """What may be lost at once, wherever it hurts most, with every target held."""

    replicas: Annotated[int, Field(ge=0, le=8)] = 0
    nodes: Annotated[int, Field(ge=0, le=3)] = 0
    zones: Annotated[int, Field(ge=0, le=3)] = 0


class Spot(StrictDocument):
    """How spot capacity may be used.

    ``max_share``: of the GPUs that replicas run on; idle ones do not count, nor replicas that nothing needs.
    ``reserve_share``: of spot nodes kept idle for interruptions.
    ``pools_lost``: whole pools (a provider's GPU type in a region) that may go at once.
    """

    max_share: Share = 1.0
    reserve_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pools_lost: Annotated[int, Field(ge=0, le=3)] = 1


class Existing(StrictDocument):
    """Nodes that run today: ``nodes`` of ``gpus_per_node`` GPUs, at no capital cost.

    ``usd_per_hour``: what one costs to run (power, colocation). ``network_gbps``: what one sends to the
    others, and receives, at once [Gb/s]; the usual of the GPU type where it is not given.
    """

    gpu: str
    nodes: Annotated[int, Field(ge=1, le=100_000)]
    gpus_per_node: Annotated[int, Field(ge=1, le=72)] = 8
    usd_per_hour: NotNegative = 0.0
    region: str = "own"
    network_gbps: Annotated[float, Field(gt=0, le=1_000_000)] | None = None


class Migration(StrictDocument):
    """Leaving what runs today: removed nodes stay for ``overlap_hours`` beside what replaces them."""

    overlap_hours: NotNegative = 0.0


class Quota(StrictDocument):
    """At most ``max_gpus`` GPUs among the offers that match every name given."""

    max_gpus: Annotated[int, Field(ge=0)]
    gpu: str | None = None
    provider: str | None = None
    region: str | None = None
    term: Annotated[str, AfterValidator(term_name)] | None = None


class Carbon(StrictDocument):
    """A cap on emissions: grid intensity by region [g CO2e per kWh], and the most per hour [kg].

    Regions not listed emit ``elsewhere_g_per_kwh``; nodes draw their full power (as of
    ``limits.max_power_kw``) times ``pue``.
    """

    max_kg_per_hour: Positive
    g_per_kwh: dict[str, NotNegative] = Field(default_factory=dict)
    elsewhere_g_per_kwh: NotNegative = 475.0
    pue: Annotated[float, Field(ge=1, le=3)] = 1.2


MIG = "mig"  # every profile that a GPU type has
GpuPart = (
    Annotated[float, Field(gt=0, lt=1)] | Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]{1,24}$")]
)


class Sharing(StrictDocument):
    """What services may share. ``nodes``: one node for several services; ``gpu``: parts of one GPU.

    A number s is a time slice: s of the GPU's memory, and s of its bandwidth and arithmetic, as all
    others may be busy. A MIG profile (``3g.40gb``, or ``mig`` for every one) has the memory, bandwidth and
    SMs of ``catalogs/gpu_slices.csv``.
    """

    nodes: bool = True
    gpu: Annotated[tuple[GpuPart, ...], BeforeValidator(as_tuple)] = ()


Serve = Literal["all", "by-priority"]
