"""A fleet played as much worse than predicted as its service asks to be assured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.fleet.candidates.derating import derating
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import SimulatedService, Window, check_service
from planner.workload.lengths import JointLengths


def keeps_up(
    service: Service, placed: Sequence[Placed], rate_scale: float, lengths: JointLengths
) -> bool:
    """Whether every replica keeps up with ``rate_scale`` times its rate, derated as assured.

    A target on the gaps between tokens alone may hold in a simulation while the queue grows without
    end; a capacity is a rate that lasts.
    """
    for p in placed:
        worse = derating(p.steps, service.assurance)
        rate = p.rate_qps * rate_scale * worse.demand / p.replicas
        share = service.assumptions.prefix_hit_share
        slower = p.with_steps(worse.slowed)
        if not slower.keeps_up(lengths, rate, max(1.0, service.arrivals.cv), share):
            return False
    return True


def play_assured(
    service: Service,
    placed: Sequence[Placed],
    *,
    window: Window | None = None,
    rate_scale: float = 1.0,
    seed: int = 0,
    lengths: JointLengths | None = None,
) -> SimulatedService:
    """Simulate a service at ``rate_scale`` times its rate, with steps, TTFT and demand derated.

    Without an assurance this is the plain simulation. ``window``: how long to play; with an
    assurance the window is found again, since slower replicas keep their requests longer. Several
    deployments share the tightest TTFT targets and the highest demand among theirs.
    """
    if service.assurance is None:
        return check_service(
            service,
            placed,
            window=window,
            rate_scale=rate_scale,
            seed=seed,
            percentiles=(),
            lengths=lengths,
        )
    worse = [derating(p.steps, service.assurance) for p in placed]
    slower = [
        replace(p.with_steps(w.slowed), rate_qps=p.rate_qps * rate_scale)
        for p, w in zip(placed, worse, strict=True)
    ]
    slo = max(worse, key=lambda w: w.ttft).tightened(service.slo)
    return check_service(
        service.model_copy(update={"slo": slo}),
        slower,
        rate_scale=max(w.demand for w in worse),
        seed=seed,
        percentiles=(),
        lengths=lengths,
    )
