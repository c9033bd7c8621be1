"""Request classes: kinds of requests that share the replicas of one service, each with targets of its own.

Interactive and background requests of one model, say. Where their priorities differ, the engine's queue is in
the order of priority, and of arrival within one; the service's ``slo`` holds the targets of every class by
``CLASS/ttft_p99``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from planner.scenario.fields import StrictDocument, field_error, omit_defaults
from planner.scenario.lengths import LengthSpec
from planner.scenario.slo import CLASS_NAME, Slo, class_target
from planner.units import parse_rate_qps

MOST_CLASSES = 8
LEAST_JUDGED = (
    0.02  # of the requests: percentiles of what is rarer take longer simulations than are made
)
SUM_OF_SHARES = 1e-6  # how far from 1 the shares may add up
LEAVE_ONE_OUT = "leave one out"
PERCENTILES = "classes have percentiles of their own"
_JUDGED_ALONE = ("ttft", "tpot", "e2e")


class RequestClass(StrictDocument):
    """Requests that share the service's replicas with those of other classes.

    ``share``: of the service's requests; or ``rate`` in every class, which then add up to the service's.
    ``priority``: the higher is served first, within the engine's queue; equal ones, as by default, wait
    alike. ``slo``: targets on ttft, tpot and e2e of these requests alone, at least 2 % of all; left out, they
    only have to be answered as fast as they come. ``prompt_tokens``, ``output_tokens``: the service's
    where left out.
    """

    name: Annotated[str, Field(pattern=rf"^{CLASS_NAME}$")]
    share: Annotated[float, Field(gt=0, lt=1)]
    rate: Annotated[float | None, BeforeValidator(parse_rate_qps)] = None
    prompt_tokens: LengthSpec
    output_tokens: LengthSpec
    priority: Annotated[int, Field(ge=0)] = 0
    slo: Slo | None = None

    _written = omit_defaults("rate", "priority", "slo")


def levels_of(classes: Sequence[RequestClass]) -> dict[str, int]:
    """Where the priority of each class ranks, 0 is served first."""
    ranked = sorted({c.priority for c in classes}, reverse=True)
    return {c.name: ranked.index(c.priority) for c in classes}


def by_priority(classes: Sequence[RequestClass]) -> bool:
    """Whether requests of one class are served before those of another."""
    return len({c.priority for c in classes}) > 1


def replaced_by_classes(service: Mapping[str, object]) -> tuple[str, ...]:
    """The fields of a service, as its file states it, that its classes have of their own."""
    classes = service.get("classes")
    if not classes:
        return ()
    rates = isinstance(classes, list | tuple) and any(
        isinstance(c, Mapping) and c.get("rate") is not None for c in classes
    )
    return ("slo", "rate") if rates else ("slo",)


def with_classes(value: object) -> object:
    """A service's fields with what follows from its classes: lengths, shares, and ``slo`` by class.

    Raises where a service with classes states what is theirs. What is wrong within a class stays there, for
    its own field to say.
    """
    if not isinstance(value, Mapping) or not value.get("classes"):
        return value
    classes = value["classes"]
    if not isinstance(classes, list | tuple) or not all(isinstance(c, Mapping) for c in classes):
        return value
    if value.get("job") is not None:
        raise field_error("classes", None, "job does not go with classes", LEAVE_ONE_OUT)
    shared = {k: value[k] for k in ("prompt_tokens", "output_tokens") if k in value}
    stated = [{**shared, **c} for c in classes]
    rates = [c.get("rate") for c in stated]
    more: dict[str, object] = {}
    if any(r is not None for r in rates):
        stated, more["rate"] = _by_rate(stated, value.get("rate"))
    targets: dict[str, object] = {}
    kept = []
    for c in stated:
        found = _targets_of(c)
        targets |= found or {}
        kept.append({k: v for k, v in c.items() if k != "slo" or found is None})
    targets |= _own_targets(value.get("slo"))
    slo: object = targets or {"targets": ()}
    return {**value, **more, "classes": tuple(kept), "slo": slo, **_stand_ins(stated)}


def _by_rate(
    classes: Sequence[Mapping[str, object]], whole: object
) -> tuple[list[dict[str, object]], object]:
    """Classes that state rates with their shares, and the sum of the rates [requests/s]."""
    if whole is not None:
        message = "rate adds up from the classes, each of which states its own"
        raise field_error("rate", whole, message, LEAVE_ONE_OUT)
    rates = []
    for c in classes:
        rate = parse_rate_qps(c.get("rate"))
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < math.inf:
            message = "a class has no rate above 0, where others state theirs"
            action = "give each class a rate such as 20/s, or each a share"
            raise field_error("classes", c.get("rate"), message, action)
        if "share" in c:
            raise field_error("classes", c["share"], "a class has a rate or a share", LEAVE_ONE_OUT)
        rates.append(float(rate))
    total = sum(rates)
    named = [
        {**{k: v for k, v in c.items() if k != "rate"}, "share": r / total}
        for c, r in zip(classes, rates, strict=True)
    ]
    return named, total


def _own_targets(stated: object) -> dict[str, object]:
    """What the service's own ``slo`` says of its classes; raises where it is of no class."""
    if stated is None:
        return {}
    if isinstance(stated, Slo):
        return dict(stated.model_dump())
    if not isinstance(stated, Mapping):
        raise field_error("slo", stated, "slo belongs to each class", "move it there")
    for key in stated:
        if "/" not in str(key):
            action = "give each class an slo of its own"
            raise field_error("slo", key, f"{key} belongs to a class", action)
    return {str(k): v for k, v in stated.items()}


def _targets_of(stated: Mapping[str, object]) -> dict[str, object] | None:
    """A class's targets by ``CLASS/ttft_p99``; None where its ``slo`` is none that can be read."""
    slo, name = stated.get("slo"), str(stated.get("name"))
    if slo is None:
        return {}
    if re.fullmatch(CLASS_NAME, name) is None:
        return None
    try:
        found = slo if isinstance(slo, Slo) else Slo.model_validate(slo)
    except ValidationError:
        return None
    if found.goodput is not None:
        raise field_error("classes", found.goodput, PERCENTILES, "leave goodput out")
    return {class_target(name, t.key): t.seconds for t in found.targets}


def _stand_ins(classes: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Lengths of a service whose classes have their own: those of the first, which nobody reads."""
    return {
        field: classes[0][field]
        for field in ("prompt_tokens", "output_tokens")
        if field in classes[0]
    }


def check_classes(classes: Sequence[RequestClass], slo: Slo, others: Mapping[str, bool]) -> None:
    """Raise where classes contradict each other, or go with what ``others`` names."""
    for field, given in others.items():
        if given:
            message = f"{field} does not go with classes"
            raise field_error("classes", None, message, LEAVE_ONE_OUT)
    _check_names_and_shares(classes)
    for c in classes:
        for field in ("prompt_tokens", "output_tokens"):
            if getattr(c, field).trace is not None:
                message = f"{field} of class {c.name!r} cannot be a trace"
                action = "give mean and cv, or the quantiles that planner trace describe prints"
                raise field_error("classes", getattr(c, field).trace, message, action)
    _check_targets(classes, slo)


def _check_names_and_shares(classes: Sequence[RequestClass]) -> None:
    names = [c.name for c in classes]
    double = sorted({n for n in names if names.count(n) > 1})
    if double:
        message = f"two classes share the name {double[0]!r}"
        raise field_error("classes", None, message, "give each class a name of its own")
    if not 2 <= len(classes) <= MOST_CLASSES:
        message = f"a service has 2 to {MOST_CLASSES} classes"
        action = "write a single class as the service itself"
        raise field_error("classes", len(classes), message, action)
    total = sum(c.share for c in classes)
    if abs(total - 1) > SUM_OF_SHARES:
        message = "the shares of the classes must add up to 1"
        action = "change a share, or give each class a rate instead"
        raise field_error("classes", round(total, 6), message, action)


def _check_targets(classes: Sequence[RequestClass], slo: Slo) -> None:
    if slo.goodput is not None:
        raise field_error("slo", slo.goodput, PERCENTILES, "leave goodput out")
    if not slo.targets and all(c.slo is None for c in classes):
        action = "give at least one an slo, or make the service a job"
        raise field_error("classes", None, "no class has a target", action)
    by_name = {c.name: c for c in classes}
    for target in slo.targets:
        if target.request_class not in by_name:
            message = f"no class is called {target.request_class!r}"
            raise field_error("slo", target.key, message, f"name one of {', '.join(by_name)}")
        own = by_name[target.request_class]
        if own.share < LEAST_JUDGED:
            least = f"{100 * LEAST_JUDGED:g} %"
            message = f"class {own.name!r} is too rare for targets: percentiles need {least} of the requests"
            action = "leave its slo out, or make it a service with replicas of its own"
            raise field_error("classes", own.share, message, action)
        if target.metric not in _JUDGED_ALONE:
            action = f"leave {target.key} out, or give a target on tpot"
            message = "gaps between tokens are not known by class"
            raise field_error("classes", target.key, message, action)
