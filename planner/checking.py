"""The chosen fleet played in the simulator; capacities that prove wrong corrected, and decided again.

A round simulates every service at its planned rate with its planned replicas. Where a target fails,
the share of the rate that would have held becomes the new capacity of the kinds involved, and the
program is solved again; it may then choose a candidate that was never played, which the next round
plays. Where every target holds, the same fleet is played at the rates that fewer replicas would get,
as much worse than predicted as the scenario asks to be assured against: the closed form takes arrivals
as split at random, and a router that looks does better. What held there raises the capacity, once per
kind. Rounds are bounded and all recorded; the cheapest fleet that
held is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from planner.fleet.assured_play import play_assured
from planner.fleet.candidates import guard_latency
from planner.fleet.problem import Problem, Solution
from planner.framing import decide
from planner.plan import VerificationRound
from planner.scenario import Service
from planner.serving.placed import Placed
from planner.serving.service_simulation import Check, check_service, held_share
from planner.solved import Effort, Operating, Progress, Solved

MAX_ROUNDS = 8
MARGIN = (
    0.98  # capacities are corrected to a little under what held, so that a round makes progress
)
MAX_TRIALS = 4
MORE_CAPACITY = 1.10
MAX_NEAR_WINNERS = 5


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
    raised: set[str] = set()
    held: Solved | None = None
    for number in range(1, MAX_ROUNDS + 1):
        progress(f"simulating the chosen fleet, round {number}")
        checks = {s.name: _check(solved, s, effort) for s in solved.scenario.services}
        played |= set(solved.replicas())
        shares = {name: _share(solved, name, c, effort) for name, c in checks.items() if c}
        rounds += [_round(number, solved, n, c, shares[n]) for n, c in checks.items() if c]
        solved = _with_simulated(solved, checks)
        if all(share >= 1 for share in shares.values()):
            held = solved
            problem = _raised(solved, checks, raised, effort)
        else:
            problem = _corrected(solved, shares)
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


def _raised(
    solved: Solved, checks: dict[str, Check | None], raised: set[str], effort: Effort
) -> Problem:
    """Raise capacities to what the played fleet held at the rates that fewer replicas would get.

    The share of fewer replicas doubles from one while the targets hold, ``MAX_TRIALS`` times at most.
    Kinds are noted in ``raised`` and never raised again. Fleets over time are left as they are.
    """
    problem = solved.problem
    if len(problem.period_hours) > 1:
        return problem
    for service in solved.scenario.services:
        check, counts = checks[service.name], solved.replicas()
        kinds = {k for k in counts if solved.by_key[k].service == service.name}
        replicas = sum(counts[k] for k in kinds)
        if check is None or replicas < 2 or kinds & raised:
            continue
        raised |= kinds
        scale = _largest_scale(solved, service, check, replicas, effort)
        if scale > 1:
            problem = _with_capacities(problem, solved, service.name, kinds, scale)
    return problem


def _largest_scale(
    solved: Solved, service: Service, check: Check, replicas: int, effort: Effort
) -> float:
    """The largest tried multiple of the planned rate at which every target still holds."""
    placed = _placed(solved, service)
    scale, fewer = 1.0, 1
    for _ in range(MAX_TRIALS):
        if fewer >= replicas:
            break
        more = replicas / (replicas - fewer)
        trial = play_assured(
            service, placed, window=check.window, rate_scale=more, seed=effort.seed
        )
        if not trial.holds:
            break
        scale, fewer = more, 2 * fewer
    return scale


def _with_capacities(
    problem: Problem, solved: Solved, service: str, kinds: set[str], scale: float
) -> Problem:
    """Count what one replica was seen to carry, a hair more so that rounding does not cost one."""
    counts, rates = solved.replicas(), solved.routed_qps(service)
    seen = {k: rates.get(k, 0.0) / counts[k] * scale * (1 + 1e-9) for k in kinds}
    return replace(
        problem,
        kinds=tuple(
            replace(k, capacity_qps={service: max(seen[k.key], k.capacity_qps[service])})
            if k.key in kinds
            else k
            for k in problem.kinds
        ),
    )


def _check(solved: Solved, service: Service, effort: Effort) -> Check | None:
    """Simulate one service as planned; None where it has no replicas, or is split by length."""
    placed = [] if service.buckets else _placed(solved, service)
    return check_service(service, placed, seed=effort.seed) if placed else None


def _placed(solved: Solved, service: Service) -> list[Placed]:
    rates = solved.routed_qps(service.name)
    return [
        Placed(c.deployment, c.memory, c.steps, count, rates.get(c.key, 0.0), c.prefill)
        for c, count in ((solved.by_key[k], n) for k, n in solved.replicas().items())
        if c.service == service.name
    ]


def _share(solved: Solved, name: str, check: Check, effort: Effort) -> float:
    service = next(s for s in solved.scenario.services if s.name == name)
    return held_share(service, _placed(solved, service), check, seed=effort.seed)


def _round(number: int, solved: Solved, name: str, check: Check, share: float) -> VerificationRound:
    kinds = [k for k in solved.replicas() if solved.by_key[k].service == name]
    counts, rates = solved.replicas(), solved.routed_qps(name)
    per_replica = min(rates[k] / counts[k] for k in kinds)
    failed = [o.key for o in check.outcomes if not o.holds]
    return VerificationRound(
        round=number,
        deployment="; ".join(f"{counts[k]}x ({solved.by_key[k].label})" for k in kinds),
        closed_form_qps=min(solved.by_key[k].capacity.qps for k in kinds),
        simulated_qps=per_replica * share,
        holds=share >= 1,
        note="holds at the planned load" if share >= 1 else f"misses {', '.join(failed)}",
    )


def _with_simulated(solved: Solved, checks: dict[str, Check | None]) -> Solved:
    """Put the simulated percentiles in place of the closed form's, and keep its error."""
    operating = dict(solved.operating)
    errors: dict[str, float] = {}
    for key, at in solved.operating.items():
        check = checks[solved.by_key[key].service]
        if check is None:
            continue
        simulated = {name: e.value_s for name, e in check.percentiles.items()}
        for name in simulated.keys() & at.point.latency_s.keys():
            if simulated[name] > 0:
                errors[f"{key}: {name}"] = at.point.latency_s[name] / simulated[name] - 1
        service = next(s for s in solved.scenario.services if s.name == solved.by_key[key].service)
        guard_latency(solved.by_key[key], simulated, service)
        operating[key] = replace(
            at,
            latency_s=simulated,
            method="simulated",
            simulation_intervals={n: (e.low_s, e.high_s) for n, e in check.percentiles.items()},
        )
    return replace(solved, operating=operating, closed_form_error=errors)


def _corrected(solved: Solved, shares: dict[str, float]) -> Problem:
    """Lower the capacity of every kind whose service missed a target; drop it if no rate held."""
    counts = solved.replicas()
    kinds = []
    for kind in solved.problem.kinds:
        service = solved.by_key[kind.key].service
        share = shares.get(service, 1.0)
        if kind.key in counts and share < 1:
            held = MARGIN * share * solved.routed_qps(service).get(kind.key, 0.0) / counts[kind.key]
            if held <= 0:
                continue
            kind = replace(kind, capacity_qps={service: held})
        kinds.append(kind)
    return replace(solved.problem, kinds=tuple(kinds))


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
