"""A service of a plan, simulated: its replica groups at their own number, routing and rate.

``check_service`` says whether every target holds, with the lower bound of the simulated share meeting
the percentile; ``held_share`` finds how much of the rate would hold when it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from planner.errors import InputError
from planner.scenario.schema import Service
from planner.scenario.slo import class_of, class_target, metric_of
from planner.serving.limits import replica_limits
from planner.serving.placed import Placed
from planner.serving.simulation.conversation_requests import conversation_requests
from planner.serving.simulation.replica_groups import (
    SimulatedGroup,
    numbers_of,
    unit_group,
    with_scaling,
)
from planner.serving.simulation.requests import Requests, drawn, open_loop, open_loop_calls
from planner.serving.simulation.simulation_result import Estimate, Study, TargetOutcome
from planner.serving.simulation.simulator import simulate as simulate_requests
from planner.serving.simulation.window import Window, window_for
from planner.workload.lengths import JointLengths, lengths_of

SEARCH_RUNS = 6
CLOSED_LOOP_ROUNDS = 10  # requests sent, as a multiple of those in flight
OVERLOAD_FACTOR = 6  # times the expected number of requests in flight: the fleet does not keep up
FEWEST_BACKLOG = 1000
MEDIANS = (("ttft", 50.0), ("tpot", 50.0))


@dataclass(frozen=True, slots=True)
class Scaling:
    """From ``at_s`` on a service is meant to have ``replicas`` (of its first deployment).

    Replicas that are added serve after the engine's start-up; those taken away finish what they have.
    """

    at_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class SimulatedService:
    """What the simulation of a service says.

    holds: every requirement's lower bound meets it; percentiles: by key such as "ttft_p99";
    rate_qps: what was simulated for the whole fleet; window: for how long; overloaded: the fleet did
    not keep up; hit_share: of the prompt tokens that prefix caches held; shed_share: of the requests that
    found a full queue; prompts_per_call: those of a call count as one, until the last is answered;
    by_kind: percentiles of the requests that each kind of ``placed`` answered [s], those of gaps left
    out.
    """

    holds: bool
    outcomes: tuple[TargetOutcome, ...]
    percentiles: dict[str, Estimate]
    rate_qps: float
    window: Window
    overloaded: bool
    hit_share: float
    shed_share: float
    prompts_per_call: int
    by_kind: tuple[dict[str, float], ...]

    @property
    def enough(self) -> bool:
        """Whether the run was long enough for every percentile it reports."""
        return all(e.enough for e in self.percentiles.values())


@dataclass(frozen=True, slots=True)
class StudiedService(SimulatedService):
    """The same with every request of the simulation, and the names of their classes."""

    study: Study
    request_classes: tuple[str, ...] = ()

    @property
    def by_class(self) -> dict[str, Study]:
        """The requests of each class alone."""
        return {name: self.study.of_class(k) for k, name in enumerate(self.request_classes)}


class Simulate(Protocol):
    """What simulates a service as ``check_service`` does, or knows what it would say."""

    def __call__(
        self,
        service: Service,
        placed: Sequence[Placed],
        *,
        window: Window | None = None,
        rate_scale: float = 1.0,
        seed: int = 0,
        percentiles: Sequence[tuple[str, float]] = MEDIANS,
        lengths: JointLengths | None = None,
    ) -> SimulatedService: ...


def groups_of(placed: Sequence[Placed], share: float = 1.0) -> list[SimulatedGroup]:
    """The simulator's groups, ``share`` of the replicas of each."""
    groups = []
    for p in placed:
        count, weight = max(1, round(p.replicas * share)), max(p.rate_qps, 1e-9)
        if p.prefill is not None:
            groups.append(unit_group(p.prefill, p.deployment, p.memory, p.steps, count, weight))
            continue
        limits = replica_limits(p.deployment, p.memory)
        groups.append(SimulatedGroup(p.steps, limits, count, weight=weight))
    return groups


def check_service(
    service: Service,
    placed: Sequence[Placed],
    *,
    window: Window | None = None,
    rate_scale: float = 1.0,
    replications: int = 1,
    seed: int = 0,
    scaling: Sequence[Scaling] = (),
    percentiles: Sequence[tuple[str, float]] = MEDIANS,
    lengths: JointLengths | None = None,
    progress: Callable[[int], None] | None = None,
) -> StudiedService:
    """Simulate a service at ``rate_scale`` times its rate and judge its targets.

    Besides the targets' own percentiles those in ``percentiles`` are reported, and the 99th of TTFT,
    TPOT and E2E. ``scaling``: replicas added or taken away on the way, with the engine's start-up.
    ``lengths``: of the requests sent here, where they are not all of the service's. Raises InputError
    for a rate of zero.
    """
    if rate_scale <= 0:
        raise InputError("the rate scale must be positive", found=rate_scale)
    lengths = lengths or lengths_of(service)
    window = window or window_for(service, placed, lengths)
    if scaling:
        if any(p.prefill for p in placed):
            raise InputError("units of prefill and decode pools cannot be scaled while they run")
        window = replace(window, slice_share=1.0)
    groups = groups_of(placed, window.slice_share)
    if scaling:
        start_up = service.routing.start_up
        engine = placed[0].deployment.engine
        start_up = engine.start_up_s if start_up is None else start_up
        groups[0] = with_scaling(groups[0], [(e.at_s, e.replicas) for e in scaling], start_up)
    units = sum(g.decode.units if g.decode else g.replicas for g in groups)
    kept = 1.0 if scaling else units / sum(p.replicas for p in placed)
    rate = sum(p.rate_qps for p in placed) * rate_scale
    in_flight = rate * kept * window.tail_s
    backlog = int(OVERLOAD_FACTOR * in_flight) + FEWEST_BACKLOG
    backlog += OVERLOAD_FACTOR * (service.prompts_per_call - 1)
    runs = []
    for i in range(replications):
        requests = _requests(service, lengths, rate * kept, window, seed + 1009 * i)
        runs.append(
            simulate_requests(
                groups,
                requests,
                service.routing,
                seed=seed + i,
                warm_up_s=window.warm_up_s,
                measured_until_s=window.warm_up_s + window.measured_s,
                prefix_hit_share=service.assumptions.prefix_hit_share,
                max_backlog=backlog,
                progress=progress,
            )
        )
    judged = judge(service, Study(tuple(runs)), rate, window, percentiles)
    return replace(judged, by_kind=_by_kind(judged, numbers_of(groups)))


def _by_kind(judged: StudiedService, kinds: Sequence[range]) -> tuple[dict[str, float], ...]:
    """Percentiles of the requests that each kind of replica answered [s]; ``kinds``: their numbers."""
    found = []
    for numbers in kinds:
        own = judged.study.of_replicas(numbers)
        estimates = {
            key: own.percentile(metric_of(key), float(key.rpartition("_p")[2]))
            for key in judged.percentiles
            if metric_of(key) != "itl" and not class_of(key)
        }
        found.append({key: e.value_s for key, e in estimates.items() if e.requests})
    return tuple(found)


def _requests(
    service: Service, lengths: JointLengths, rate_qps: float, window: Window, seed: int
) -> Requests:
    """What is sent in a window: requests of their own, several a call, or turns of conversations."""
    each = service.prompts_per_call
    if each > 1:
        return open_loop_calls(lengths, service.arrivals, each, rate_qps, window.total_s, seed)
    if service.conversations is None:
        return open_loop(lengths, service.arrivals, rate_qps, window.total_s, seed)
    return conversation_requests(service, rate_qps, window.total_s, window.tail_s, seed)


def replay_service(
    service: Service,
    placed: Sequence[Placed],
    requests: Requests,
    *,
    seed: int = 0,
    kv_pool_tokens: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> StudiedService:
    """Simulate given requests (a trace's) through the fleet; every request counts, none is warm-up.

    ``kv_pool_tokens``: a replica's pool as its engine printed it, instead of the memory model's.
    """
    if service.classes and requests.classes is None:
        raise InputError(
            "given requests do not say which class they are of",
            where=service.name,
            found=f"classes: {', '.join(c.name for c in service.classes)}",
            action="simulate the service's own requests, or leave classes out of a copy of the scenario",
        )
    groups = groups_of(placed)
    if kv_pool_tokens is not None:
        groups = [_with_pool(g, kv_pool_tokens) for g in groups]
    run = simulate_requests(
        groups,
        requests,
        service.routing,
        seed=seed,
        prefix_hit_share=0.0 if requests.prefix else service.assumptions.prefix_hit_share,
        progress=progress,
    )
    span = float(requests.arrival_s[-1])
    rate = len(requests) / max(span, 1e-9)
    return judge(service, Study((run,)), rate, Window(0.0, span, 0.0))


def _with_pool(group: SimulatedGroup, tokens: float) -> SimulatedGroup:
    """The group with a pool of ``tokens`` on each replica that writes answers."""
    if group.decode is not None:
        answers = _with_pool(group.decode.group, tokens)
        return replace(group, decode=replace(group.decode, group=answers))
    return replace(group, limits=group.limits.with_pool_tokens(tokens))


def closed_loop_service(
    service: Service,
    placed: Sequence[Placed],
    concurrency: int,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> StudiedService:
    """Keep ``concurrency`` requests in flight, as load tests do, for ten rounds of them.

    Every request counts, the burst at the start included; ``rate_qps`` is the throughput that came out.
    Raises InputError where prompts come in calls: what is kept in flight are single prompts.
    """
    if service.prompts_per_call > 1:
        raise InputError(
            "a closed loop keeps single prompts in flight, not calls of several",
            where=service.name,
            found=f"prompts_per_call: {service.prompts_per_call}",
            action="leave --concurrency out, or simulate with --set prompts_per_call=1",
        )
    count = CLOSED_LOOP_ROUNDS * concurrency
    lengths = lengths_of(service)
    chosen = lengths.draw(count, np.random.default_rng(seed))
    run = simulate_requests(
        groups_of(placed),
        drawn(lengths, chosen, np.zeros(count)),
        service.routing,
        seed=seed,
        concurrency=concurrency,
        prefix_hit_share=service.assumptions.prefix_hit_share,
        progress=progress,
    )
    rate = count / max(run.end_of_run_s, 1e-9)
    return judge(service, Study((run,)), rate, Window(0.0, run.end_of_run_s, 0.0))


def judge(
    service: Service,
    study: Study,
    rate_qps: float,
    window: Window,
    percentiles: Sequence[tuple[str, float]] = (),
) -> StudiedService:
    """Read the targets' outcomes and the wanted percentiles from a study, of every request class too."""
    of_class = {c.name: study.of_class(k) for k, c in enumerate(service.classes)}
    outcomes = study.outcomes(service.slo, of_class)
    wanted = [*percentiles, *((m, 99.0) for m in ("ttft", "tpot", "e2e"))]
    named = [(name, m, q) for name in ("", *of_class) for m, q in wanted]
    named += [(t.request_class, t.metric, t.percentile) for t in service.slo.targets]
    found = {
        class_target(name, f"{m}_p{q:g}"): of_class.get(name, study).percentile(m, q)
        for name, m, q in dict.fromkeys(named)
    }
    return StudiedService(
        holds=not study.overloaded and all(o.holds for o in outcomes),
        outcomes=outcomes,
        percentiles={k: e for k, e in found.items() if e.requests},
        rate_qps=rate_qps,
        window=window,
        overloaded=study.overloaded,
        hit_share=study.hit_share,
        shed_share=study.shed_share,
        study=study,
        prompts_per_call=service.prompts_per_call,
        by_kind=(),
        request_classes=tuple(of_class),
    )


def held_share(
    service: Service,
    placed: Sequence[Placed],
    first: SimulatedService,
    *,
    seed: int = 0,
    tolerance: float = 0.01,
    lengths: JointLengths | None = None,
    simulate: Simulate = check_service,
) -> float:
    """The largest share of the rate at which every target holds, at most 1; 0 when none does.

    ``first``: the check at the full rate. The late share is followed down by regula falsi on its
    logarithm with common random numbers; at most ``SEARCH_RUNS`` further runs.
    """
    if first.holds:
        return 1.0
    high, high_miss = 1.0, _miss(first)
    low = 0.0
    low_miss = -3.0
    share = 0.93
    for _ in range(SEARCH_RUNS):
        check = simulate(
            service,
            placed,
            window=first.window,
            rate_scale=share,
            seed=seed,
            percentiles=(),
            lengths=lengths,
        )
        miss = _miss(check)
        if miss <= 0:
            low, low_miss = share, miss
        else:
            high, high_miss = share, miss
        if high - low <= tolerance:
            break
        if low == 0.0:
            share = high * (0.9 if high > 0.6 else 0.5)
            continue
        cut = low + (high - low) * min(0.85, max(0.15, -low_miss / (high_miss - low_miss)))
        share = cut
    return low


def _miss(check: SimulatedService) -> float:
    """Positive when some requirement fails: the logarithm of late over allowed share, cut at +-3."""
    if check.overloaded:
        return 3.0
    worst = -3.0
    for o in check.outcomes:
        late = max(1 - o.met_low, 1e-9)
        worst = max(worst, math.log(late / max(1 - o.required, 1e-9)))
    return float(np.clip(worst, -3.0, 3.0))
