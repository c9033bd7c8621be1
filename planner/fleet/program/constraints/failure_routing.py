"""Demands that share kinds must be routable after every failure: rows for prices that show where not.

By the duality of routing, what survives carries the shared demands exactly if at no prices (``pi`` per
demand, ``mu`` per replica, ``nu`` per kind a service may use, ``pi <= mu rate / cap + nu``) the demands are
worth more than the replicas left. Each such price gives one row of family survive, against the worst
losses at that price; it needs no routing per failure. Rows of a few prices are there from the start,
others join when a fleet is found that some failure breaks.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from planner.fleet.program.failure_domains import Failure
from planner.fleet.program.linear_program import LinearProgram, Terms, combine, value
from planner.fleet.program.problem import Demand
from planner.fleet.program.solver import SolverLimits, relaxation
from planner.fleet.program.variables import Columns

MISSED = 1e-6  # of a demand: less than this is carried


@dataclass(frozen=True, slots=True)
class FailurePrices:
    """``demand`` pi by demand, ``replica`` mu by kind, ``use`` nu by (service, kind)."""

    demand: Mapping[str, float]
    replica: Mapping[str, float]
    use: Mapping[tuple[str, str], float] = field(default_factory=dict)


def shared(columns: Columns, t: int) -> list[Demand]:
    """The demands routed by shares that ask for something in period ``t`` and cannot wait."""
    return [
        s
        for s in columns.problem.demands
        if columns.is_routed(s.key) and s.rates_qps[t] > 0 and not s.deferrable
    ]


def first_prices(columns: Columns, t: int) -> Iterator[FailurePrices]:
    """Each shared demand alone, and all of them at what they take of the kind that carries them best."""
    demands = shared(columns, t)
    worth = {s.key: min(_loads(columns, s, t).values(), default=0.0) for s in demands}
    for chosen in [[s] for s in demands] + ([demands] if len(demands) > 1 else []):
        replica: dict[str, float] = {}
        for s in chosen:
            for d, load in _loads(columns, s, t).items():
                replica[d] = max(replica.get(d, 0.0), worth[s.key] / load)
        yield FailurePrices({s.key: worth[s.key] for s in chosen}, replica)


def left_over(columns: Columns, t: int, prices: FailurePrices) -> dict[int, float]:
    """What all replicas, uses and unserved shares are worth at ``prices``."""
    kinds = {k.key: k for k in columns.problem.kinds}
    running = ((mu, columns.running(kinds[d], t)) for d, mu in prices.replica.items())
    unserved = ((pi, columns.unserved(s, t)) for s, pi in prices.demand.items())
    used = ((nu, {columns.choices[gd]: 1.0}) for gd, nu in prices.use.items())
    return combine(*running, *unserved, *used)


def broken(
    columns: Columns, values: list[float], effort: SolverLimits
) -> Iterator[tuple[Failure, FailurePrices]]:
    """For each sort of failure and period, prices at which some failure leaves too little; if any does."""
    for failure in columns.failures:
        demands = shared(columns, failure.t)
        if not demands:
            continue
        running = {
            k.key: value(columns.running(k, failure.t), values) for k in columns.problem.kinds
        }
        for lost in _losses(failure, values):
            left = {d: n - lost.get(d, 0.0) for d, n in running.items()}
            prices = _missed(columns, failure.t, demands, left, values, effort)
            if prices is not None:
                yield failure, prices
                break


def _losses(failure: Failure, values: list[float]) -> list[dict[str, float]]:
    """What each set of atoms takes that may fail together, stated once, the largest first."""
    taken = Counter(
        tuple(sorted((d, n) for d, terms in a.lost.items() if (n := value(terms, values)) > 0.5))
        for a in failure.atoms
    )
    del taken[()]
    equal = [a for a, times in taken.items() for _ in range(min(times, failure.most))]
    sets = set(itertools.combinations(sorted(equal), min(failure.most, len(equal))))
    losses = []
    for together in sets:
        lost: dict[str, float] = {}
        for d, n in itertools.chain(*together):
            lost[d] = lost.get(d, 0.0) + n
        losses.append(lost)
    return sorted(losses, key=lambda lost: (-sum(lost.values()), sorted(lost.items())))


def _missed(
    columns: Columns,
    t: int,
    demands: Sequence[Demand],
    left: Mapping[str, float],
    values: list[float],
    effort: SolverLimits,
) -> FailurePrices | None:
    """Prices that show why ``left`` cannot carry the demands; None when it can."""
    program = LinearProgram()
    missed: dict[int, float] = {}
    load: dict[str, dict[int, float]] = {}
    whole: list[tuple[str, dict[int, float], float]] = []
    uses: list[tuple[tuple[str, str], int, float]] = []
    for s in demands:
        short = program.continuous("missed", s.key)
        missed[short] = 1.0
        terms = {short: 1.0}
        for d, weight in _loads(columns, s, t).items():
            share = program.continuous("share", s.key, d)
            terms[share] = 1.0
            load.setdefault(d, {})[share] = weight
            chosen = columns.choices.get((s.service, d))
            if chosen is not None:
                uses.append(((s.service, d), share, round(values[chosen])))
        whole.append((s.key, terms, 1.0 - value(columns.unserved(s.key, t), values)))
    for key, terms, need in whole:
        program.row("demand", (key,), terms, ">=", need)
    for d, terms in load.items():
        program.row("capacity", (d,), terms, "<=", max(0.0, left[d]))
    for (g, d), share, most in uses:
        program.row("link", (g, d, share), {share: 1.0}, "<=", float(most))
    found = relaxation(program, missed, effort)
    if found is None or value(missed, found[0]) <= MISSED:
        return None
    duals = iter(found[1])
    demand = {key: max(0.0, next(duals)) for key, _, _ in whole}
    replica = {d: max(0.0, -next(duals)) for d in load}
    use: dict[tuple[str, str], float] = {}
    for gd, _, _ in uses:
        use[gd] = use.get(gd, 0.0) + max(0.0, -next(duals))
    return FailurePrices(demand, replica, {gd: nu for gd, nu in use.items() if nu > 0})


def _loads(columns: Columns, s: Demand, t: int) -> dict[str, float]:
    """Replicas of each kind that the whole demand takes in period ``t``."""
    kinds = {k.key: k for k in columns.problem.kinds}
    return {
        d: s.rates_qps[t] / kinds[d].capacity_qps[s.key] for d, _ in columns.shares_of(s.key, t)
    }


def worth(prices: FailurePrices) -> float:
    """What the demands are worth at ``prices``."""
    return sum(prices.demand.values())


def taken(prices: FailurePrices, lost: Mapping[str, Terms]) -> dict[int, float]:
    """What an atom's replicas are worth at ``prices``."""
    return combine(*((prices.replica[d], n) for d, n in lost.items() if d in prices.replica))
