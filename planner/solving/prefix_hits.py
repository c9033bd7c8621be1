"""The prefix-cache hits of the chosen fleet, and the same fleet's under other pauses and routing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from planner.plan.prefix_hits import MORE_REQUESTS, PrefixCase, PrefixHits
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import Simulate, check_service
from planner.serving.simulation.window import window_for
from planner.serving.split_arrivals import replica_cv
from planner.solving.request_streams import Stream, streams_of
from planner.solving.stages import FleetAtLoad
from planner.workload.lengths import lengths_of
from planner.workload.turns import STICKY

CASE_REQUESTS = 4000  # measured in each case
MOST_CASE_REQUESTS = (
    40_000  # simulated in each: a fleet that cannot keep up has no stay to wait for
)
MORE = 1.2  # times the rate, in the case that shows how near the fleet is to losing its caches
BLIND = "least-loaded"


def prefix_hits_of(
    fleet: FleetAtLoad, seed: int, simulate: Simulate = check_service
) -> dict[str, PrefixHits]:
    """The hits of every service that has conversations, by its name; see ``PrefixHits``."""
    streams = [s for s in streams_of(fleet.decided) if s.service.conversations is not None]
    return {s.name: _hits(s, fleet, seed, simulate) for s in streams}


def _hits(stream: Stream, fleet: FleetAtLoad, seed: int, simulate: Simulate) -> PrefixHits:
    service, lengths = stream.service, stream.lengths
    placed = tuple(stream.placed.values())
    loads = [fleet.operating[key].simulated for key in stream.placed]
    found = [load.prefix_hits for load in loads if load is not None]
    simulated = next((share for share in found if share is not None), None)
    assert lengths.reuse is not None
    return PrefixHits(
        share=_closed_form(service, placed) if simulated is None else simulated,
        possible=float(lengths.reuse.repeated.sum() / lengths.prompt.sum()),
        method="closed-form" if simulated is None else "simulated",
        cases=tuple(
            PrefixCase(changed=changed, share=_closed_form(other, on))
            if simulated is None
            else _simulated(changed, other, on, seed, simulate)
            for changed, other, on in _cases(service, placed)
        ),
    )


def _cases(
    service: Service, placed: tuple[Placed, ...]
) -> Iterator[tuple[str, Service, tuple[Placed, ...]]]:
    """What is changed, in words; the service and the replicas with that change."""
    talk = service.conversations
    assert talk is not None
    if talk.think_time is not None:
        for words, factor in (("half the think time", 0.5), ("double the think time", 2.0)):
            other = talk.model_copy(update={"think_time": talk.think_time.times(factor)})
            yield words, service.model_copy(update={"conversations": other}), placed
    yield MORE_REQUESTS, *_more_requests(service, placed)
    policy = BLIND if service.routing.policy == STICKY else STICKY
    routing = service.routing.model_copy(update={"policy": policy})
    yield f"{policy} routing", service.model_copy(update={"routing": routing}), placed
    if any(p.deployment.settings.offload_host_gb for p in placed):
        yield "no KV offload", service, tuple(_without_offload(p) for p in placed)


def _more_requests(
    service: Service, placed: tuple[Placed, ...]
) -> tuple[Service, tuple[Placed, ...]]:
    """The same fleet with ``MORE`` times the rate."""
    busier = service.model_copy(update=service.rate_change(MORE * service.rate))
    return busier, tuple(replace(p, rate_qps=MORE * p.rate_qps) for p in placed)


def _without_offload(placed: Placed) -> Placed:
    settings = replace(placed.deployment.settings, offload_host_gb=0.0, offload_disk_gb=0.0)
    return replace(placed, deployment=replace(placed.deployment, settings=settings))


def _closed_form(service: Service, placed: Sequence[Placed]) -> float:
    """The hits of the whole fleet by the closed form, by rate."""
    lengths = lengths_of(service)

    def hits(p: Placed) -> float:
        rate = p.rate_qps / p.replicas
        return p.point(lengths, service.slo, rate, replica_cv(service, rate), 0.0).prefix_hits

    shares = [hits(p) for p in placed]
    rate = sum(p.rate_qps for p in placed)
    return sum(s * p.rate_qps for s, p in zip(shares, placed, strict=True)) / rate


def _simulated(
    changed: str, service: Service, placed: Sequence[Placed], seed: int, simulate: Simulate
) -> PrefixCase:
    window = window_for(service, placed, lengths_of(service), CASE_REQUESTS)
    rate = window.slice_share * sum(p.rate_qps for p in placed)
    window = window.shortened(MOST_CASE_REQUESTS / rate)
    check = simulate(service, placed, window=window, seed=seed, percentiles=())
    return PrefixCase(changed=changed, share=check.hit_share, holds=check.holds)
