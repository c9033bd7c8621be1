"""How one question becomes many: a scenario restricted to one value of an axis, or moved along it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, product

from planner.catalog.offer import TERM_NAMES, Term
from planner.catalog.store import Catalog
from planner.errors import InputError, nearest
from planner.scenario.fields import Names
from planner.scenario.lengths import Lengths
from planner.scenario.request_classes import by_priority
from planner.scenario.schema import Scenario, Service
from planner.scenario.search.fields import Search
from planner.scenario.slo import Slo

MAX_OPTIONS = 100
POOLS = ("prefill", "decode")
QUEUE = "queue"  # axis: in which order the request classes of a service wait
BY_PRIORITY, FIRST_COME = "priority", "first-come"

# Axis as the user writes it -> (part of the scenario, its field).
CHOICES: Mapping[str, tuple[str, str]] = {
    "tensor_parallel": ("search", "tensor_parallel"),
    "gpu": ("search", "gpus"),
    "engine": ("search", "engines"),
    "weights": ("search", "weights"),
    "kv_cache": ("search", "kv_cache"),
    "term": ("prices", "terms"),
    "provider": ("prices", "providers"),
    QUEUE: ("classes", "priority"),
}


def parse_vary(text: str) -> tuple[str, tuple[str, ...]]:
    """Read ``tensor_parallel=2,4`` as an axis and its values.

    Raises InputError on an unknown axis, no value, a repeated value, or a value that cannot be.
    """
    axis, equals, listed = text.partition("=")
    axis = axis.strip()
    values = tuple(v.strip() for v in listed.split(",") if v.strip())
    if axis not in CHOICES:
        raise InputError(
            "unknown axis to vary",
            where="--vary",
            found=axis,
            allowed=", ".join(CHOICES),
            action=nearest(axis, CHOICES),
        )
    if not equals or not values:
        raise InputError(
            "no values to vary over", where="--vary", found=text, allowed=f"{axis}=A,B"
        )
    double = sorted({v for v in values if values.count(v) > 1})
    if double:
        raise InputError("the same value twice", where=f"--vary {axis}", found=", ".join(double))
    for value in values:
        _check(axis, value)
    return axis, values


def axes_of(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read several ``AXIS=A,B``; InputError when an axis is given twice."""
    axes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        axis, values = parse_vary(text)
        if axis in axes:
            raise InputError("the same axis twice", where="--vary", found=axis)
        axes[axis] = values
    return axes


def grid(axes: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], ...]:
    """Every combination of the axes' values, the last axis moving fastest.

    Raises InputError when there are none or more than ``MAX_OPTIONS``.
    """
    size = 1
    for values in axes.values():
        size *= len(values)
    if not axes or not 1 <= size <= MAX_OPTIONS:
        raise InputError(
            "nothing to compare" if size < 1 or not axes else "too many options to compare",
            where="--vary",
            found=f"{size if axes else 0} options",
            allowed=f"1 to {MAX_OPTIONS}",
        )
    return tuple(dict(zip(axes, values, strict=True)) for values in product(*axes.values()))


def restrict(scenario: Scenario, choice: Mapping[str, str]) -> Scenario:
    """The scenario with each axis of ``choice`` held to one value, for all its services and their pools."""
    for axis, value in choice.items():
        part, field = CHOICES[axis]
        if axis == QUEUE:
            scenario = _queued(scenario, value)
            continue
        held = {field: (int(value) if axis == "tensor_parallel" else value,)}
        scenario = (
            _with_prices(scenario, held) if part == "prices" else _with_search(scenario, held)
        )
    return scenario


def _queued(scenario: Scenario, order: str) -> Scenario:
    """The scenario with its request classes by their priorities, or all alike.

    Raises InputError where none has priorities.
    """
    if not any(by_priority(s.classes) for s in scenario.services):
        raise InputError(
            "no service has request classes with priorities",
            where=f"scenario {scenario.name!r}",
            action="give classes different priorities, the higher is served first",
        )
    if order == BY_PRIORITY:
        return scenario
    return _each(
        scenario,
        lambda s: {"classes": tuple(c.model_copy(update={"priority": 0}) for c in s.classes)},
    )


def _with_prices(scenario: Scenario, held: Mapping[str, object]) -> Scenario:
    return scenario.model_copy(update={"prices": scenario.prices.model_copy(update=dict(held))})


def _with_search(scenario: Scenario, held: Mapping[str, object]) -> Scenario:
    return _each(scenario, lambda s: {"search": _held(s.search, held)})


def _held(search: Search, held: Mapping[str, object]) -> Search:
    """The search with fields held; its pools have none of their own in their place."""
    pools = search.disaggregation
    if pools is not None:
        own = {f"{role}_{f}": None for f in held for role in POOLS if hasattr(pools, f"{role}_{f}")}
        pools = pools.model_copy(update=own)
    return search.model_copy(update={**held, "disaggregation": pools})


def among(scenario: Scenario, gpus: tuple[str, ...], catalog: Catalog) -> Scenario:
    """The scenario with every search narrowed to those GPU types, each pool to those of its own.

    A pool that would have none left keeps what it names. ``gpus``: the catalog's names; empty for all.
    """
    if not gpus:
        return scenario

    def kept(names: Names | None) -> Names | None:
        named = names or ()
        return tuple(n for n in named if catalog.gpu(n).name in gpus) or names

    def narrowed(search: Search) -> Search:
        pools = search.disaggregation
        if pools is not None:
            own = {f"{role}_gpus": kept(getattr(pools, f"{role}_gpus")) for role in POOLS}
            pools = pools.model_copy(update=own)
        return search.model_copy(update={"gpus": gpus, "disaggregation": pools})

    return _each(scenario, lambda s: {"search": narrowed(s.search)})


def with_rate(scenario: Scenario, rate_qps: float) -> Scenario:
    """The scenario at a total rate of ``rate_qps`` [requests/s], services in their proportions."""
    total = sum(s.rate for s in scenario.services)
    return _each(scenario, lambda s: s.rate_change(s.rate * rate_qps / total))


def with_growth(scenario: Scenario, growth: float) -> Scenario:
    """The scenario after every service's rate grew by ``growth`` (0.25: a quarter more)."""
    return _each(scenario, lambda s: s.rate_change(s.rate * (1 + growth)))


def with_output_tokens(scenario: Scenario, tokens: float) -> Scenario:
    """Every service's mean output length set to ``tokens``, its distribution's shape kept."""
    _must_be_its_own(scenario)
    return _each(scenario, lambda s: {"output_tokens": _with_mean(s.output_tokens, tokens)})


def with_prompt_tokens(scenario: Scenario, tokens: float) -> Scenario:
    """Every service's mean prompt length set to ``tokens``, its distribution's shape kept."""
    _must_be_its_own(scenario)
    return _each(scenario, lambda s: {"prompt_tokens": _with_mean(s.prompt_tokens, tokens)})


def with_target(scenario: Scenario, metric: str, limit_s: float) -> Scenario:
    """Every service's strictest target on ``metric`` set to ``limit_s`` [s].

    Raises InputError when no service has a target on that metric.
    """
    if not any(s.slo.target(metric) for s in scenario.services):
        raise InputError(
            f"no service has a target on {metric}",
            where=f"scenario {scenario.name!r}",
            action=f"add one to slo, for example {metric}_p99: 2s",
        )

    def moved(service: Service) -> dict[str, object]:
        strictest = service.slo.target(metric)
        targets = tuple(
            t.model_copy(update={"seconds": limit_s}) if t is strictest else t
            for t in service.slo.targets
        )
        return {"slo": Slo(targets=targets, goodput=service.slo.goodput)}

    return _each(scenario, moved)


def with_price_factor(scenario: Scenario, factor: float, of: str) -> Scenario:
    """The scenario with prices multiplied by ``factor``: those of a GPU, provider or term, or all."""
    return _with_prices(scenario, {"factors": {**scenario.prices.factors, of: factor}})


def _must_be_its_own(scenario: Scenario) -> None:
    """Raise InputError where the lengths are those of request classes."""
    for service in scenario.services:
        if service.classes:
            raise InputError(
                "lengths of request classes cannot be swept together",
                where=f"service {service.name!r}",
                action="change one class with --set classes.0.prompt_tokens=..., and solve again",
            )


def _with_mean(lengths: Lengths, tokens: float) -> Lengths:
    if lengths.trace is not None:
        raise InputError(
            "lengths from a trace cannot be swept",
            where="scenario",
            found=lengths.trace,
            allowed="a number of tokens, {mean, cv} or {quantiles}",
        )
    if lengths.quantiles is not None:
        points = sorted(lengths.quantiles.items())
        mean = sum((high - low) * (a + b) / 2 for (low, a), (high, b) in pairwise(points)) / (
            points[-1][0] - points[0][0]
        )
        scaled = {p: v * tokens / mean for p, v in points}
        return lengths.model_copy(update={"quantiles": scaled})
    return lengths.model_copy(update={"mean": tokens})


def _each(scenario: Scenario, changes: Callable[[Service], Mapping[str, object]]) -> Scenario:
    services = tuple(s.model_copy(update=dict(changes(s))) for s in scenario.services)
    return scenario.model_copy(update={"services": services})


def _check(axis: str, value: str) -> None:
    if axis == "tensor_parallel" and not (value.isdecimal() and 1 <= int(value) <= 1024):
        raise InputError("not a degree", where=f"--vary {axis}", found=value, allowed="1 to 1024")
    if axis == QUEUE:
        _one_of(value, (BY_PRIORITY, FIRST_COME), axis)
    if axis == "term":
        _one_of(value, TERM_NAMES if Term.named(value) is None else (value,), axis)


def _one_of(value: str, allowed: Iterable[str], axis: str) -> None:
    names = list(allowed)
    if value not in names:
        raise InputError(
            "unknown value",
            where=f"--vary {axis}",
            found=value,
            allowed=", ".join(names),
            action=nearest(value, names),
        )
