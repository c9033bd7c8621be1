"""A fleet simulated as much worse than predicted as its service's margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.fleet.candidates.derating import Derating, derating
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import (
    Simulate,
    SimulatedService,
    check_service,
    held_share,
)
from planner.serving.simulation.window import Window
from planner.serving.split_arrivals import replica_cv
from planner.workload.lengths import JointLengths


def keeps_up(
    service: Service, placed: Sequence[Placed], rate_scale: float, lengths: JointLengths
) -> bool:
    """Whether every replica keeps up with ``rate_scale`` times its rate, derated as assured.

    A target on the gaps between tokens alone may hold in a simulation while the queue grows without
    end; a capacity is a rate that lasts.
    """
    for p in placed:
        worse = _worse(service, p)
        rate = p.rate_qps * rate_scale * worse.demand / p.replicas
        share = service.assumptions.prefix_hit_share
        slower = worse.slowed_replicas(p)
        if not slower.keeps_up(lengths, rate, replica_cv(service, rate), share):
            return False
    return True


@dataclass(frozen=True)
class Held:
    """A fleet simulated as predicted, and as much worse as its service's margin.

    ``decisive``: the simulation that says which targets hold; ``share``: of the planned rate at which
    every target does.
    """

    check: SimulatedService
    decisive: SimulatedService
    share: float


def share_held(
    service: Service,
    placed: Sequence[Placed],
    *,
    seed: int = 0,
    lengths: JointLengths | None = None,
    known: SimulatedService | None = None,
    simulate: Simulate = check_service,
) -> Held:
    """Simulate a fleet at its planned load, and find the share of it at which every target holds.

    ``known``: the simulation as predicted, where there is one already. Where that holds and the service
    is assured, the fleet is simulated again with steps, TTFT and demand derated, and that decides.
    """
    check = known or simulate(service, placed, lengths=lengths, seed=seed)
    if not check.holds or service.assurance is None:
        share = held_share(service, placed, check, lengths=lengths, seed=seed, simulate=simulate)
        return Held(check, check, share)
    worse, slower = _derated(service, placed)
    assured = simulate(worse, slower, seed=seed, percentiles=(), lengths=lengths)
    share = held_share(worse, slower, assured, lengths=lengths, seed=seed, simulate=simulate)
    return Held(check, assured, share)


def simulate_assured(
    service: Service,
    placed: Sequence[Placed],
    *,
    window: Window | None = None,
    rate_scale: float = 1.0,
    seed: int = 0,
    lengths: JointLengths | None = None,
    simulate: Simulate = check_service,
) -> SimulatedService:
    """Simulate a service at ``rate_scale`` times its rate, with steps, TTFT and demand derated.

    Without an assurance this is the plain simulation. ``window``: how long to simulate; with an
    assurance the window is found again, since slower replicas keep their requests longer. Several
    deployments share the tightest TTFT targets and the highest demand among theirs.
    """
    if service.assurance is None:
        return simulate(
            service,
            placed,
            window=window,
            rate_scale=rate_scale,
            seed=seed,
            percentiles=(),
            lengths=lengths,
        )
    scaled = [replace(p, rate_qps=p.rate_qps * rate_scale) for p in placed]
    worse, slower = _derated(service, scaled)
    return simulate(
        worse,
        slower,
        seed=seed,
        percentiles=(),
        lengths=lengths,
    )


def _derated(service: Service, placed: Sequence[Placed]) -> tuple[Service, list[Placed]]:
    """The service with its TTFT targets tightened, and the fleet with slower steps and more demand."""
    worse = [_worse(service, p) for p in placed]
    demand = max(w.demand for w in worse)
    slower = [
        replace(w.slowed_replicas(p), rate_qps=p.rate_qps * demand)
        for p, w in zip(placed, worse, strict=True)
    ]
    slo = max(worse, key=lambda w: w.ttft).tightened(service.slo)
    return service.model_copy(update={"slo": slo}), slower


def _worse(service: Service, placed: Placed) -> Derating:
    """How much worse than predicted a deployment may be, each pool of a unit by its own margin."""
    prefill = placed.prefill.steps if placed.prefill else None
    return derating(placed.steps, service.assurance, prefill)
