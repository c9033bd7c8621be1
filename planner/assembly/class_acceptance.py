"""The load test of a replica whose requests are of several classes: one client a class, all at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.assembly.load_client import ClientRun
from planner.plan.acceptance import Rung
from planner.scenario.request_classes import RequestClass, levels_of
from planner.scenario.schema import Service
from planner.serving.split_arrivals import SplitArrivals
from planner.workload.class_mix import mixed
from planner.workload.lengths import JointLengths, constant, joint_lengths

LATE = 5  # requests that a percentile rests on
FEWEST = 100  # requests of a class
IN_FLIGHT = (
    4  # times all requests in flight that are expected: a limit that does not shape the load
)
LEAST_IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class MeanLengths:
    """What a class's client sends: the means of its lengths [tokens]."""

    prompt: int
    output: int


def class_means(service: Service) -> dict[str, MeanLengths]:
    """The lengths that each class's client sends."""
    correlation = service.length_correlation
    found = {
        c.name: joint_lengths(c.prompt_tokens, c.output_tokens, correlation)
        for c in service.classes
    }
    return {
        name: MeanLengths(round(own.mean_prompt), max(2, round(own.mean_output)))
        for name, own in found.items()
    }


def mix_of_means(service: Service) -> JointLengths:
    """All clients together as one distribution."""
    means = class_means(service).values()
    each = [constant(m.prompt, m.output) for m in means]
    prompt, output, _ = mixed(each, [c.share for c in service.classes])
    return JointLengths(prompt, output)


def class_rungs(
    service: Service,
    model: str,
    *,
    share: float,
    rate_qps: float,
    in_flight: float,
    seconds: float,
    limits_s: Mapping[str, float],
    number: int,
    sends_priorities: bool,
) -> Iterator[Rung]:
    """One run of each class at ``share`` of the planned load, which start together and last equally long.

    rate_qps: of all classes [requests/s]; in_flight: requests of all that are expected; seconds: what a run
    lasts at least; limits_s: of every class, beside its own targets [s]; number: of the file names;
    sends_priorities: whether the engine's queue is in the order of the number in each request.
    """
    means, levels = class_means(service), levels_of(service.classes)
    cv = SplitArrivals.of(service).calls_cv(rate_qps)
    lasts = max(seconds, *(_fewest(service, c) / (c.share * rate_qps) for c in service.classes))
    for place, c in enumerate(service.classes):
        targets = _targets(service, c)
        rate, own = c.share * rate_qps, means[c.name]
        most = max(LEAST_IN_FLIGHT, math.ceil(IN_FLIGHT * in_flight))
        run = ClientRun(
            model=model,
            rate_qps=rate,
            in_flight=most,
            requests=math.ceil(rate * lasts),
            prompt=own.prompt,
            output=own.output,
            arrival_cv=math.sqrt(c.share * cv**2 + 1 - c.share),
            result=f"rung-{number}-{c.name}.json",
            percentiles=tuple(sorted({99.0, *(t.percentile for t in service.slo.targets)})),
            seed=number * len(levels) + place,
            request_class=c.name,
            priority=levels[c.name] if sends_priorities else None,
        )
        yield Rung(
            share=share,
            rate_qps=rate,
            concurrency=most,
            requests=run.requests,
            limits_s={**targets, **limits_s},
            command=run.command(service),
            request_class=c.name,
            prompt_tokens=own.prompt,
            output_tokens=own.output,
        )


def _targets(service: Service, c: RequestClass) -> dict[str, float]:
    """The class's own targets, without its name [s]."""
    own = (t for t in service.slo.targets if t.request_class == c.name)
    return {t.model_copy(update={"request_class": ""}).key: t.seconds for t in own}


def _fewest(service: Service, c: RequestClass) -> int:
    """So many requests that the farthest percentile of a class rests on a few."""
    farthest = [t.percentile for t in service.slo.targets if t.request_class == c.name]
    return max([FEWEST, *(math.ceil(LATE / (1 - p / 100) - 1e-6) for p in farthest)])
