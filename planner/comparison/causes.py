"""Why two plans differ: what changed in their inputs, by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.plan.labels import matched, rented
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

# Which kind of cause a changed field of a service is; every other field describes the demand.
_KIND: Mapping[str, str] = {
    "model": "model",
    "rate": "rate",
    "prompt_tokens": "lengths",
    "output_tokens": "lengths",
    "length_correlation": "lengths",
    "buckets": "lengths",
    "classes": "lengths",
    "slo": "SLO",
    "search": "search",
    "allow_lower_precision": "search",
    "max_deployments": "search",
    "assumptions": "assumptions",
}
_UNASKED = ("services", "name", "description")  # of a scenario: what it holds and what it is called
_OF_SCENARIO = tuple(f for f in Scenario.model_fields if f not in (*_UNASKED, "prices"))
KINDS = (
    "model",
    "rate",
    "lengths",
    "demand",
    "SLO",
    "assumptions",
    "search",
    "price",
    *_OF_SCENARIO,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Something in the inputs that differs: which kind, and from what to what."""

    kind: str
    detail: str


def kind_of(field: str, *, of_service: bool = True) -> str:
    """Which kind of cause a field of a service is, or one of the scenario itself ("" for a name)."""
    if of_service:
        return "" if field == "name" else _KIND.get(field, "demand")
    return "" if field in _UNASKED else "price" if field == "prices" else field


def causes(old: Plan, new: Plan) -> Iterator[Cause]:
    """Every input that differs: of the question, of prices, calibration, catalog and planner."""
    yield from _question_causes(old.scenario, new.scenario)
    yield from _price_causes(old, new)
    a, b = old.provenance, new.provenance
    if (a.calibration, a.calibration_digest) != (b.calibration, b.calibration_digest):
        yield Cause(
            "calibration",
            f"{_stamp(a.calibration, a.calibration_digest)} -> "
            f"{_stamp(b.calibration, b.calibration_digest)}",
        )
    own = old.scenario.prices.file or new.scenario.prices.file
    if a.price_dates != b.price_dates and (own or a.catalog_digest != b.catalog_digest):
        yield Cause("catalog date", f"prices of {_dates(a.price_dates)} -> {_dates(b.price_dates)}")
    if a.catalog_digest != b.catalog_digest:
        yield Cause("catalog", f"{a.catalog_digest[:12]} -> {b.catalog_digest[:12]}")
    if a.planner_version != b.planner_version:
        yield Cause("planner", f"version {a.planner_version} -> {b.planner_version}")


def _question_causes(old: Scenario, new: Scenario) -> Iterator[Cause]:
    before, after = ({s.name: s for s in scenario.services} for scenario in (old, new))
    for name, a, b in matched(before, after):
        if a is None or b is None:
            yield Cause("demand", f"service {name} {'added' if a is None else 'removed'}")
            continue
        left, right = a.model_dump(mode="json"), b.model_dump(mode="json")
        for field, value, other in matched(left, right):
            if value != other:
                yield Cause(kind_of(field), f"{name}: {_text(field, value, other)}")
    left, right = old.model_dump(mode="json"), new.model_dump(mode="json")
    for field in dict.fromkeys((*left, *right)):
        if field not in _UNASKED and left.get(field) != right.get(field):
            kind = kind_of(field, of_service=False)
            yield Cause(kind, _text(field, left.get(field), right.get(field)))


def _price_causes(old: Plan, new: Plan) -> Iterator[Cause]:
    before, after = ({n.name: n.usd_per_hour_each for n in rented(plan)} for plan in (old, new))
    for name, a, b in matched(before, after):
        if a is not None and b is not None and a != b:
            yield Cause("price", f"{name}: {a:g} -> {b:g} USD per node-hour")


def _text(field: str, old: object, new: object) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [
            _text(f"{field}.{key}", old.get(key), new.get(key))
            for key in (*old, *(k for k in new if k not in old))
            if old.get(key) != new.get(key)
        ]
        return "; ".join(parts)
    if field.startswith("slo.") and not field.endswith("goodput"):
        old, new = (v if v is None else f"{_plain(v)} s" for v in (old, new))
    return f"{field} {_plain(old)} -> {_plain(new)}"


def _plain(value: object) -> str:
    """A value as a scenario file would write it, what is left out there left out."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        stated = {k: v for k, v in value.items() if v is not None and v not in ({}, [], ())}
        return "{" + ", ".join(f"{k}: {_plain(v)}" for k, v in stated.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stamp(name: str, digest: str) -> str:
    return f"{name} ({digest[:12]})"


def _dates(dates: tuple[str, str] | None) -> str:
    if dates is None:
        return "unknown date"
    return dates[0] if dates[0] == dates[1] else f"{dates[0]} to {dates[1]}"
