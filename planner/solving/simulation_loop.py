"""The chosen fleet run in the simulator; capacities that prove wrong corrected, and decided again.

A round simulates every service at its planned rate with its planned replicas; of a service split by
length, every kind with the mix of buckets routed to it (``streams``). Where a target fails,
the share of the rate that would have held becomes the new capacity of the kinds involved, and the
program is solved again; it may then choose a candidate that was never simulated, which the next round
simulates. Where a loss must be survived (``failures``), a fleet that holds is simulated at the rate that the
replicas left then get, and has to hold there too. Where every target holds, the same fleet is simulated at
the rates that fewer replicas would get, as much worse than predicted as the scenario's margin: the closed
form takes arrivals as split at random, and a router that looks does better. What held there raises the
capacity. Fleets of other kinds that would be cheaper with a little more capacity are simulated too
(``near_winners``).
Rounds are bounded and all recorded; the cheapest fleet that held is the answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.errors import PhysicsBreach
from planner.fleet.candidates.floors import guard_latency
from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.fleet.program.too_dear import without_too_dear
from planner.plan.provenance import VerificationRound
from planner.serving.simulation.service_simulation import Simulate, SimulatedService, check_service
from planner.solving.assured_simulation import share_held, simulate_assured
from planner.solving.build_problem import decide
from planner.solving.largest_scale import largest_scale, remember_too_few
from planner.solving.near_winners import (
    NearWinners,
    after_a_loss,
    is_cheaper,
    stream_key,
)
from planner.solving.operating import operating
from planner.solving.options import Progress, SolveOptions
from planner.solving.request_streams import Stream, streams_of
from planner.solving.stages import Decided, FleetAtLoad, SimulatedLoad, Simulation

MAX_ROUNDS = 8
LEAST_SHARE = 0.1  # of the time limit, for each program after those that used it up once more
MARGIN = (
    0.98  # capacities are corrected to a little under what held, so that a round makes progress
)
MORE_CAPACITY = 1.10
MAX_NEAR_WINNERS = 5
NEAR_WINNER_SECONDS = 10.0  # for each solve of what would be cheaper with more capacity


@dataclass(frozen=True)
class SimulatedStream:
    """A stream as it was simulated, and the share of its rate at which every target holds.

    ``check``: as predicted; ``decisive``: as much worse as the service is assured against, and where
    replicas may be lost at the rate that the others then get, which is ``needed`` times the planned one.
    """

    stream: Stream
    check: SimulatedService
    decisive: SimulatedService
    share: float
    needed: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether every target holds, after a loss that must be survived too."""
        return self.share >= self.needed


def simulated(
    fleet: FleetAtLoad,
    effort: SolveOptions,
    progress: Progress = lambda _message: None,
    near: NearWinners | None = None,
) -> tuple[FleetAtLoad, Simulation]:
    """Simulate, correct and solve again until nothing cheaper holds or the rounds are used up.

    ``near``: what was simulated before. Returns the cheapest fleet that held and what was simulated; the
    last one tried where none did.
    """
    rounds: list[VerificationRound] = []
    replayed: set[str] = set()
    near = near or NearWinners(effort)
    held: tuple[FleetAtLoad, dict[str, float]] | None = None
    errors: dict[str, float] = {}
    deadline = time.monotonic() + effort.time_limit_s
    for number in range(1, MAX_ROUNDS + 1):
        progress(f"simulating the chosen fleet, round {number}")
        decided = fleet.decided
        replayed |= set(decided.replicas())
        found = [_simulate(stream, near, decided.problem) for stream in streams_of(decided)]
        rounds += [round_of(number, decided, p) for p in found]
        fleet, errors = with_simulated(fleet, found)
        for missed in (p for p in found if not p.holds):
            remember_too_few(missed, near)
        if all(p.holds for p in found):
            held = fleet, errors
            problem = _raised(decided, found, near)
        else:
            problem = _corrected(decided, found, held[0].decided.replicas() if held else {})
        progress(f"solving the program again after round {number}")
        left_s = max(deadline - time.monotonic(), LEAST_SHARE * effort.time_limit_s)
        again = replace(effort, time_limit_s=min(effort.time_limit_s, left_s))
        solution = decide(problem, again, proved=near.proved)
        confirmed = held[0].decided if held else None
        cheaper: Decided | None = None
        if _is_news(solution, confirmed):
            cheaper = replace(decided, problem=problem, solution=solution)
        elif confirmed is not None:
            progress("simulating fleets that are nearly as cheap")
            cheaper = near.next(confirmed, problem, replayed)
        if cheaper is None:
            break
        fleet = FleetAtLoad(cheaper, operating(cheaper))
    if held is None:
        return fleet, Simulation(False, tuple(rounds), errors, ())
    fleet, errors = held
    winners = tuple(_near_winners(fleet.decided, replayed | near.screened, effort, near.proved))
    return fleet, Simulation(True, tuple(rounds), errors, winners)


def _is_news(solution: Solution, held: Decided | None) -> bool:
    """Whether a solution is worth playing: nothing has held yet, or it is cheaper than what has."""
    if not solution.has_fleet:
        return False
    return held is None or is_cheaper(
        solution.objective_usd_per_hour, held.solution.objective_usd_per_hour
    )


def _simulate(stream: Stream, near: NearWinners, problem: Problem) -> SimulatedStream:
    """Simulate a stream as it has to hold, unless that is known, and find how much of it does."""
    key = stream_key(stream)
    known = near.checks.get(key)
    replayed = simulated_as_required(stream, problem, near.effort.seed, known, near.simulate)
    near.checks[key] = replayed.check
    return replayed


def simulated_as_required(
    stream: Stream,
    problem: Problem,
    seed: int,
    known: SimulatedService | None = None,
    simulate: Simulate = check_service,
) -> SimulatedStream:
    """A stream at its planned load and, where that holds, at the rate replicas get after a loss to survive.

    ``known``: its simulation as predicted.
    """
    replayed = simulated_as_planned(stream, seed, known, simulate)
    worst = _rate_after_a_loss(stream, problem)
    if worst == 1.0 or not replayed.holds:
        return replayed
    placed, lengths = tuple(stream.placed.values()), stream.lengths
    trial = simulate_assured(
        stream.service, placed, rate_scale=worst, seed=seed, lengths=lengths, simulate=simulate
    )
    if trial.holds:
        return replace(replayed, share=worst, needed=worst)
    more = tuple(replace(p, rate_qps=p.rate_qps * worst) for p in placed)
    held = share_held(stream.service, more, seed=seed, lengths=lengths, simulate=simulate)
    share = min(held.share, 1.0) * worst
    return SimulatedStream(stream, replayed.check, held.decisive, share, worst)


def _rate_after_a_loss(stream: Stream, problem: Problem) -> float:
    """Times its planned rate that a replica gets when what may fail has failed.

    Exact for replicas of one kind that fail by themselves; else all that the closed form lets them carry,
    which the program counts on wherever a node, zone or pool is lost.
    """
    counted = after_a_loss(stream, problem)
    lost = problem.resilience.replicas
    if problem.resilience.by_place or len(stream.placed) > 1 or stream.replicas <= lost:
        return counted
    return min(counted, stream.replicas / (stream.replicas - lost))


def simulated_as_planned(
    stream: Stream,
    seed: int,
    known: SimulatedService | None = None,
    simulate: Simulate = check_service,
) -> SimulatedStream:
    """A stream simulated at its planned load; ``known``: its simulation as predicted."""
    placed = tuple(stream.placed.values())
    held = share_held(
        stream.service, placed, seed=seed, lengths=stream.lengths, known=known, simulate=simulate
    )
    return SimulatedStream(stream, held.check, held.decisive, held.share)


def _raised(decided: Decided, found: Iterable[SimulatedStream], near: NearWinners) -> Problem:
    """Raise capacities to what the simulated fleet held at the rates that fewer replicas would get.

    The share of fewer replicas doubles from one while the targets hold (``largest_scale``).
    Fleets over time are left as they are.
    """
    problem = decided.problem
    if len(problem.period_hours) > 1:
        return problem
    factors: dict[str, float] = {}
    for replayed in found:
        stream = replayed.stream
        if stream.replicas < 2:
            continue
        scale = largest_scale(replayed, near)
        if scale > 1:  # a hair more, so that rounding does not cost a replica
            factors |= {
                k: max(1.0, scale * load / stream.placed[k].replicas * (1 + 1e-9))
                for k, load in stream.load.items()
            }
    return scaled(problem, factors)


def _corrected(
    decided: Decided, found: Iterable[SimulatedStream], held: Mapping[str, int]
) -> Problem:
    """Lower the capacity of every kind whose stream missed a target; drop it if no rate held.

    ``held``: replicas by kind of a fleet in which all held. Where the share that would have held leads back
    to those, half as many more as lie between are tried.
    """
    factors: dict[str, float] = {}
    for stream, share in ((p.stream, p.share) for p in found if not p.holds):
        for key, load in stream.load.items():
            few = stream.placed[key].replicas
            each = MARGIN * share * load / few
            enough = held.get(key, 0)
            between = (few + enough) // 2
            if len(stream.placed) == 1 and between > few and each * (enough - 1) < load:
                each = load / between * (1 + 1e-9)
            factors[key] = each
    return scaled(decided.problem, factors)


def round_of(number: int, decided: Decided, replayed: SimulatedStream) -> VerificationRound:
    """What one stream of the chosen fleet did in a round, as a plan records it."""
    stream = replayed.stream
    failed = [o.key for o in replayed.decisive.outcomes if not o.holds]
    slowed = "" if stream.service.assurance is None else ", steps slowed by the margin"
    loss = ", after a loss" if replayed.needed > 1 else ""
    note = f"holds at the planned load{loss and ' and' + loss[1:]}"
    if not replayed.holds:
        note = f"misses {', '.join(failed)}{_shed(stream, replayed.decisive)}{loss}"
    mix = "the mix of lengths routed to it " if stream.service.buckets is not None else ""
    return VerificationRound(
        round=number,
        deployment="; ".join(
            f"{p.replicas}x ({decided.by_key[k].label})" for k, p in stream.placed.items()
        ),
        closed_form_qps=min(_counted_qps(decided, k) for k in stream.placed),
        simulated_qps=min(p.rate_qps / p.replicas for p in stream.placed.values()) * replayed.share,
        holds=replayed.holds,
        note=mix + note + slowed,
    )


def _shed(stream: Stream, decisive: SimulatedService) -> str:
    """Why requests have no latency at all: a queue of limited length sends them away."""
    if not decisive.shed_share:
        return ""
    queue = stream.service.routing.max_queue
    percent = f"{100 * decisive.shed_share:.2g} %"
    return f" as {percent} of the requests find a full queue (routing.max_queue: {queue})"


def _counted_qps(decided: Decided, key: str) -> float:
    """What the closed form lets one replica carry of the mix it gets [requests/s]."""
    capacities, rates = decided.by_key[key].bucket_qps, decided.demand_qps(key)
    return sum(rates.values()) / sum(rate / capacities[d] for d, rate in rates.items())


def with_simulated(
    fleet: FleetAtLoad, found: Iterable[SimulatedStream]
) -> tuple[FleetAtLoad, dict[str, float]]:
    """The fleet with its simulated percentiles, and the relative error of the closed form's."""
    operating = dict(fleet.operating)
    errors: dict[str, float] = {}
    found = tuple(found)
    for replayed in found:
        _guard(fleet.decided, replayed)
    kinds = (
        (k, p, own)
        for p in found
        for k, own in zip(p.stream.placed, _own_percentiles(p), strict=True)
    )
    for key, replayed, own in kinds:
        at, check = fleet.operating[key], replayed.check
        percentiles = _percentiles(check)
        for name, predicted in at.point.latency_s.items():
            if percentiles.get(name, 0.0) > 0:
                errors[f"{key}: {name}"] = predicted / percentiles[name] - 1
        talks = replayed.stream.service.conversations is not None
        load = SimulatedLoad(
            latency_s=percentiles,
            intervals_s={n: (e.low_s, e.high_s) for n, e in check.percentiles.items()},
            prefix_hits=check.hit_share if talks else None,
            own_s=own,
        )
        operating[key] = replace(at, simulated=load)
    return FleetAtLoad(fleet.decided, operating), errors


def _own_percentiles(replayed: SimulatedStream) -> tuple[dict[str, float], ...]:
    """Of each kind of a stream the percentiles of its own requests; none where it has one kind."""
    count = len(replayed.stream.placed)
    return replayed.check.by_kind if count > 1 else ({},) * count


def _guard(decided: Decided, replayed: SimulatedStream) -> None:
    """Raise PhysicsBreach where the percentiles of all kinds together beat the floors of each."""
    breaches = []
    for key in replayed.stream.placed:
        try:
            guard_latency(
                decided.by_key[key], _percentiles(replayed.check), replayed.stream.service
            )
        except PhysicsBreach as breach:
            breaches.append(breach)
    if len(breaches) == len(replayed.stream.placed):
        raise breaches[0]


def _percentiles(check: SimulatedService) -> dict[str, float]:
    return {name: estimate.value_s for name, estimate in check.percentiles.items()}


def _near_winners(
    decided: Decided, replayed: set[str], effort: SolveOptions, proved: ProvedSolutions | None
) -> Iterable[str]:
    """Unplayed candidates that would make a cheaper fleet if they carried 10 % more."""
    cost = decided.solution.objective_usd_per_hour or 0.0
    problem = replace(
        decided.problem,
        kinds=tuple(
            k
            if k.key in replayed
            else replace(k, capacity_qps={d: c * MORE_CAPACITY for d, c in k.capacity_qps.items()})
            for k in decided.problem.kinds
        ),
    )
    problem = without_too_dear(problem, cost)
    brief = replace(effort, time_limit_s=min(effort.time_limit_s, NEAR_WINNER_SECONDS))
    for _ in range(MAX_NEAR_WINNERS):
        solution = decide(problem, brief, proved=proved)
        found = solution.objective_usd_per_hour
        if found is None or found >= cost * (1 - 1e-9):
            return
        winners = {k for (k, _), n in solution.replicas.items() if n and k not in replayed}
        if not winners:
            return
        yield from (f"{decided.by_key[k].label}: ${found:,.2f}/h" for k in sorted(winners))
        problem = replace(problem, kinds=tuple(k for k in problem.kinds if k.key not in winners))
