"""Latency targets, as a scenario states them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NewType, get_args

from pydantic import Field, model_serializer, model_validator

from planner.scenario.fields import StrictDocument, field_error
from planner.units import parse_duration_s

MAX_TARGET_S = 604_800.0  # a week
Metric = Literal["ttft", "tpot", "itl", "e2e"]
METRICS: tuple[Metric, ...] = get_args(Metric)
TargetKey = NewType("TargetKey", str)  # a metric and a percentile: "ttft_p99"
CLASS_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
_METRIC = "|".join(METRICS)
_TARGET = re.compile(rf"^(?:({CLASS_NAME})/)?({_METRIC})_p([0-9]{{1,2}}(?:\.[0-9]+)?)$")


def metric_of(key: str) -> str:
    """The metric of a latency by its key: ``ttft`` of ``ttft_p99``, ``ttft_p99_s`` and ``chat/ttft_p99``."""
    return key.rpartition("/")[2].partition("_")[0]


def class_of(key: str) -> str:
    """The request class of a latency by its key: ``chat`` of ``chat/ttft_p99``, "" of ``ttft_p99``."""
    return key.rpartition("/")[0]


def class_target(request_class: str, key: str) -> str:
    """The key of a class's latency: ``chat/ttft_p99``; the key itself where there are no classes."""
    return f"{request_class}/{key}" if request_class else key


class Target(StrictDocument):
    """One latency target: ``percentile`` of ``metric`` must not exceed ``seconds`` [s].

    ``request_class``: whose requests it is of, where a service has classes.
    """

    metric: Metric
    percentile: Annotated[float, Field(gt=0, lt=100)]
    seconds: Annotated[float, Field(gt=0)]
    request_class: str = ""

    @property
    def key(self) -> TargetKey:
        """The scenario's own word for it: ``ttft_p99``, of a class ``chat/ttft_p99``."""
        own = f"{self.metric}_p{self.percentile:g}"
        return TargetKey(class_target(self.request_class, own))


def _target_s(key: str, raw: object) -> float:
    """A target's duration [s]; complains at its own field."""
    try:
        seconds = parse_duration_s(raw)
    except ValueError as error:
        raise field_error(key, raw, str(error).partition(", found ")[0]) from None
    if not 0 < seconds <= MAX_TARGET_S:
        raise field_error(
            key, raw, f"the target must be longer than 0 and at most {MAX_TARGET_S:,.0f} s"
        )
    return seconds


class Slo(StrictDocument):
    """Latency targets, written as ``{ttft_p99: 2s, tpot_p99: 100ms}``.

    ``goodput``: the share of requests that must meet every target at once (then each target's
    percentile is not applied by itself).
    """

    targets: tuple[Target, ...]
    goodput: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_keys(cls, value: object) -> object:
        if not isinstance(value, dict) or "targets" in value:
            return value
        targets = []
        rest = {}
        for key, raw in value.items():
            match = _TARGET.match(str(key))
            if match is None:
                rest[key] = raw
                continue
            percentile, seconds = float(match[3]), _target_s(str(key), raw)
            if percentile <= 0:
                raise field_error(str(key), raw, "a percentile lies between 0 and 100")
            named = {"metric": match[2], "percentile": percentile, "seconds": seconds}
            targets.append(Target.model_validate({**named, "request_class": match[1] or ""}))
        if not targets:
            if rest.keys() - {"goodput"}:  # each is named as an unknown field
                return {"targets": (), **rest}
            raise ValueError("give at least one target such as ttft_p99: 2s or tpot_p99: 100ms")
        return {"targets": tuple(targets), **rest}

    @model_serializer
    def _to_keys(self) -> dict[str, float]:
        keys: dict[str, float] = {t.key: t.seconds for t in self.targets}
        return keys if self.goodput is None else {**keys, "goodput": self.goodput}

    def target(self, metric: str) -> Target | None:
        """The strictest target on ``metric``, by seconds, or None."""
        return min(
            (t for t in self.targets if t.metric == metric), key=lambda t: t.seconds, default=None
        )
