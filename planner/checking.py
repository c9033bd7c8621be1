"""The chosen fleet played in the simulator; capacities that prove wrong corrected, and decided again.

A round simulates every service at its planned rate with its planned replicas; of a service split by
length, every kind with the mix of buckets routed to it (``streams``). Where a target fails,
the share of the rate that would have held becomes the new capacity of the kinds involved, and the
program is solved again; it may then choose a candidate that was never played, which the next round
plays. Where every target holds, the same fleet is played at the rates that fewer replicas would get,
as much worse than predicted as the scenario asks to be assured against: the closed form takes arrivals
as split at random, and a router that looks does better. What held there raises the capacity. Rounds
are bounded and all recorded; the cheapest fleet that held is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from planner.errors import PhysicsBreach
from planner.fleet.assured_play import play_assured
from planner.fleet.candidates import guard_latency
from planner.fleet.problem import Problem, Solution
from planner.framing import decide
from planner.plan import VerificationRound
from planner.serving.service_simulation import Check, check_service, held_share
from planner.solved import Effort, Operating, Progress, Solved
from planner.streams import Stream, streams_of

MAX_ROUNDS = 8
MARGIN = (
    0.98  # capacities are corrected to a little under what held, so that a round makes progress
)
MAX_TRIALS = 4
MORE_CAPACITY = 1.10
MAX_NEAR_WINNERS = 5


@dataclass(frozen=True)
class Played:
    """A stream as it was simulated, and the share of its rate at which every target holds."""

    stream: Stream
    check: Check
    share: float


def checked(
    solved: Solved,
    effort: Effort,
    operating: Callable[[Solved], dict[str, Operating]],
    progress: Progress,
) -> Solved:
    """Simulate, correct and solve again until nothing cheaper holds or the rounds are used up.

    ``operating`` predicts the chosen candidates at the load they get. The result's ``rounds`` say
    what was played; its note says when no fleet was confirmed.
    """
    rounds: list[VerificationRound] = []
    played: set[str] = set()
    held: Solved | None = None
    for number in range(1, MAX_ROUNDS + 1):
        progress(f"simulating the chosen fleet, round {number}")
        played |= set(solved.replicas())
        found = [_play(stream, effort) for stream in streams_of(solved)]
        rounds += [_round(number, solved, p) for p in found]
        solved = _with_simulated(solved, found)
        if all(p.share >= 1 for p in found):
            held = solved
            problem = _raised(solved, found, effort)
        else:
            problem = _corrected(solved, found)
        solution = decide(problem, effort)
        if solution.status not in ("optimal", "feasible") or not _is_news(solution, held):
            break
        solved = replace(solved, problem=problem, solution=solution)
        solved = replace(solved, operating=operating(solved))
    if held is None:
        note = "no fleet was confirmed in the simulator; the printed one misses a target there"
        return replace(
            solved,
            rounds=tuple(rounds),
            verification_note=note,
            warnings=(*solved.warnings, note),
        )
    return replace(
        held,
        rounds=tuple(rounds),
        near_winners=tuple(_near_winners(held, played, effort)),
        verification_note="every target holds in the simulator at the planned load",
    )


def _is_news(solution: Solution, held: Solved | None) -> bool:
    """Whether a solution is worth playing: nothing has held yet, or it is cheaper than what has."""
    if held is None:
        return True
    cost, known = solution.objective_usd_per_hour, held.solution.objective_usd_per_hour
    return cost is not None and known is not None and cost < known * (1 - 1e-9)


def _play(stream: Stream, effort: Effort) -> Played:
    """Simulate a stream as planned, and find how much of it holds."""
    placed = tuple(stream.placed.values())
    check = check_service(stream.service, placed, lengths=stream.lengths, seed=effort.seed)
    share = held_share(stream.service, placed, check, lengths=stream.lengths, seed=effort.seed)
    return Played(stream, check, share)


def _raised(solved: Solved, found: Iterable[Played], effort: Effort) -> Problem:
    """Raise capacities to what the played fleet held at the rates that fewer replicas would get.

    The share of fewer replicas doubles from one while the targets hold, ``MAX_TRIALS`` times at most.
    Fleets over time are left as they are.
    """
    problem = solved.problem
    if len(problem.period_hours) > 1:
        return problem
    factors: dict[str, float] = {}
    for played in found:
        stream = played.stream
        if stream.replicas < 2:
            continue
        scale = _largest_scale(played, effort)
        if scale > 1:  # a hair more, so that rounding does not cost a replica
            factors |= {
                k: max(1.0, scale * load / stream.placed[k].replicas * (1 + 1e-9))
                for k, load in stream.load.items()
            }
    return _scaled(problem, factors)


def _largest_scale(played: Played, effort: Effort) -> float:
    """The largest tried multiple of the planned rate at which every target still holds."""
    stream = played.stream
    scale, fewer = 1.0, 1
    for _ in range(MAX_TRIALS):
        if fewer >= stream.replicas:
            break
        more = stream.replicas / (stream.replicas - fewer)
        trial = play_assured(
            stream.service,
            tuple(stream.placed.values()),
            window=played.check.window,
            rate_scale=more,
            seed=effort.seed,
            lengths=stream.lengths,
        )
        if not trial.holds:
            break
        scale, fewer = more, 2 * fewer
    return scale


def _corrected(solved: Solved, found: Iterable[Played]) -> Problem:
    """Lower the capacity of every kind whose stream missed a target; drop it if no rate held."""
    return _scaled(
        solved.problem,
        {
            k: MARGIN * played.share * load / played.stream.placed[k].replicas
            for played in found
            if played.share < 1
            for k, load in played.stream.load.items()
        },
    )


def _scaled(problem: Problem, factors: Mapping[str, float]) -> Problem:
    """The problem with capacities of kinds multiplied, for every demand alike; at 0 a kind is gone."""
    return replace(
        problem,
        kinds=tuple(
            replace(k, capacity_qps={d: c * factors[k.key] for d, c in k.capacity_qps.items()})
            if k.key in factors
            else k
            for k in problem.kinds
            if factors.get(k.key, 1.0) > 0
        ),
    )


def _round(number: int, solved: Solved, played: Played) -> VerificationRound:
    stream = played.stream
    failed = [o.key for o in played.check.outcomes if not o.holds]
    note = "holds at the planned load" if played.share >= 1 else f"misses {', '.join(failed)}"
    mix = "the mix of lengths routed to it " if stream.service.buckets is not None else ""
    return VerificationRound(
        round=number,
        deployment="; ".join(
            f"{p.replicas}x ({solved.by_key[k].label})" for k, p in stream.placed.items()
        ),
        closed_form_qps=min(_counted_qps(solved, k) for k in stream.placed),
        simulated_qps=min(p.rate_qps / p.replicas for p in stream.placed.values()) * played.share,
        holds=played.share >= 1,
        note=mix + note,
    )


def _counted_qps(solved: Solved, key: str) -> float:
    """What the closed form lets one replica carry of the mix it gets [requests/s]."""
    capacities, rates = solved.by_key[key].bucket_qps, solved.demand_qps(key)
    return sum(rates.values()) / sum(rate / capacities[d] for d, rate in rates.items())


def _with_simulated(solved: Solved, found: Iterable[Played]) -> Solved:
    """Put the simulated percentiles in place of the closed form's, and keep its error."""
    operating = dict(solved.operating)
    errors: dict[str, float] = {}
    for played in found:
        _guard(solved, played)
    for key, played in ((k, p) for p in found for k in p.stream.placed):
        at, check = solved.operating[key], played.check
        simulated = _simulated(check)
        for name in simulated.keys() & at.point.latency_s.keys():
            if simulated[name] > 0:
                errors[f"{key}: {name}"] = at.point.latency_s[name] / simulated[name] - 1
        operating[key] = replace(
            at,
            latency_s=simulated,
            method="simulated",
            simulation_intervals={n: (e.low_s, e.high_s) for n, e in check.percentiles.items()},
        )
    return replace(solved, operating=operating, closed_form_error=errors)


def _guard(solved: Solved, played: Played) -> None:
    """Raise PhysicsBreach where the percentiles of all kinds together beat the floors of each."""
    breaches = []
    for key in played.stream.placed:
        try:
            guard_latency(solved.by_key[key], _simulated(played.check), played.stream.service)
        except PhysicsBreach as breach:
            breaches.append(breach)
    if len(breaches) == len(played.stream.placed):
        raise breaches[0]


def _simulated(check: Check) -> dict[str, float]:
    return {name: estimate.value_s for name, estimate in check.percentiles.items()}


def _near_winners(solved: Solved, played: set[str], effort: Effort) -> Iterable[str]:
    """Unplayed candidates that would make a cheaper fleet if they carried 10 % more."""
    cost = solved.solution.objective_usd_per_hour or 0.0
    problem = replace(
        solved.problem,
        kinds=tuple(
            k
            if k.key in played
            else replace(k, capacity_qps={d: c * MORE_CAPACITY for d, c in k.capacity_qps.items()})
            for k in solved.problem.kinds
        ),
    )
    for _ in range(MAX_NEAR_WINNERS):
        solution = decide(problem, effort)
        found = solution.objective_usd_per_hour
        if found is None or found >= cost * (1 - 1e-9):
            return
        winners = {k for (k, _), n in solution.replicas.items() if n and k not in played}
        if not winners:
            return
        yield from (f"{solved.by_key[k].label}: {found:.2f} USD/h" for k in sorted(winners))
        problem = replace(problem, kinds=tuple(k for k in problem.kinds if k.key not in winners))
