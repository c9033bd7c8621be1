"""Covers in place of replicas: a Dantzig-Wolfe reformulation, its bound by column generation.

Where replicas of some kinds carry one demand alone, the fractions in the relaxation (a third of a large
replica) make its bound weak. Here every demand in every period picks one whole cover instead, and
covers are made as they are requested: the relaxation over the covers known puts prices on GPUs, at
those prices each demand's cheapest whole cover is a knapsack (``covers``), and what is cheaper than
its demand pays joins. At any prices the cheapest covers bound the cost of every fleet from below; when
none joins, bound and relaxation meet. Covers already known then make good fleets. No fleet is lost:
the bound is over all covers, made or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planner.fleet.program.decomposition.covers import Cover, cheapest_cover
from planner.fleet.program.linear_program import (
    LinearConstraint,
    LinearProgram,
    Terms,
    Variable,
    value,
)
from planner.fleet.program.solver import SolverLimits, relaxation
from planner.fleet.program.variables import Columns

MOST_ROUNDS = 60
WIDENING_ROUNDS = 20
CLOSE = 1e-5  # relative distance of bound and relaxation at which no more covers are made


@dataclass(frozen=True, slots=True)
class Master:
    """The program over the covers known: other columns first, then one 0/1 column per cover.

    ``others``: columns of the replica program that stay; ``covers``: (demand row, cover) of the rest;
    ``blocks``: the covers' columns by service and period.
    """

    program: LinearProgram
    objective: Terms
    others: tuple[int, ...]
    covers: tuple[tuple[int, Cover], ...]
    blocks: Mapping[tuple[str, int], list[int]]
    columns: Columns

    def replicas(self, values: list[float]) -> list[float]:
        """The same fleet in columns of the replica program."""
        plain = [0.0] * len(self.columns.model.columns)
        for i, found in zip(self.others, values, strict=False):
            plain[i] = found
        for (_, cover), times in zip(self.covers, values[len(self.others) :], strict=True):
            for i, count in cover:
                plain[i] += count * round(times)
        return plain


@dataclass(slots=True)
class Generation:
    """The demands that are covered, and the covers made so far for each.

    ``bound``: no fleet costs less; ``relaxed``: the other columns in the last relaxation;
    ``prices``: what its dual values make a replica cost.
    """

    columns: Columns
    objective: Terms
    demands: list[LinearConstraint]
    pools: list[dict[Cover, None]] = field(default_factory=list)
    bound: float = float("-inf")
    relaxed: list[float] = field(default_factory=list)
    prices: dict[int, float] = field(default_factory=dict)

    @property
    def others(self) -> tuple[int, ...]:
        """The columns besides the replicas that covers represent."""
        inside = {i for row in self.demands for i in row.terms}
        return tuple(i for i in range(len(self.columns.model.columns)) if i not in inside)

    @property
    def rest(self) -> list[LinearConstraint]:
        """The rows besides those that cover."""
        return [r for r in self.columns.model.rows if r.family != "cover"]

    def master(self) -> Master:
        """The whole-numbered program over the covers made so far."""
        model = self.columns.model
        others = self.others
        program = LinearProgram([model.columns[i] for i in others])
        place = {i: {n: 1.0} for n, i in enumerate(others)}
        covers: list[tuple[int, Cover]] = []
        blocks: dict[tuple[str, int], list[int]] = {}
        picks: list[dict[int, float]] = []
        for d, (row, pool) in enumerate(zip(self.demands, self.pools, strict=True)):
            demand, t = str(row.key[0]), int(str(row.key[1]))
            block = blocks.setdefault((self.columns.services.service_of[demand], t), [])
            picks.append({})
            for cover in pool:
                column = program.binary("covered by", demand, t, cover)
                covers.append((d, cover))
                block.append(column)
                picks[-1][column] = 1.0
                for i, count in cover:
                    place.setdefault(i, {})[column] = float(count)
        for row in self.rest:
            program.row(row.family, row.key, _placed(row.terms, place), row.sense, row.right)
        for row, pick in zip(self.demands, picks, strict=True):
            program.row("cover", row.key, pick, "==", 1.0)
        return Master(
            program, _placed(self.objective, place), others, tuple(covers), blocks, self.columns
        )


def generate(columns: Columns, objective: Terms, effort: SolverLimits) -> Generation | None:
    """Make covers until the bound meets the relaxation; None where covers do not represent replicas."""
    demands = [r for r in columns.model.rows if r.family == "cover"]
    if len(demands) < 2 or not all(r.terms for r in demands):
        return None
    if not _separable(columns, objective, demands):
        return None
    made = Generation(columns, objective, demands)
    for row in demands:
        alone = (cheapest_cover([(i, 1.0, c)], row.right).cover for i, c in row.terms.items())
        made.pools.append(dict.fromkeys(alone))
    rounds = 0
    while rounds < MOST_ROUNDS and _round(made, effort, {}):
        rounds += 1
    return made if made.relaxed else None


def widen(made: Generation, effort: SolverLimits, fixed: Mapping[int, float]) -> None:
    """Make the covers that suit ``fixed`` columns (of the replica program) as well; the bound stays."""
    known = replace(made)
    rounds = 0
    while rounds < WIDENING_ROUNDS and _round(made, effort, fixed):
        rounds += 1
    made.bound, made.relaxed, made.prices = known.bound, known.relaxed, known.prices


def tighten(made: Generation) -> None:
    """Family knapsack: state each demand's cheapest cover at the prices found; implied by cover."""
    for row in made.demands:
        kinds = _priced(made.prices, row)
        least = cheapest_cover(kinds, row.right).bound
        if least > 1e-9:
            terms = {i: price / least for i, price, _ in kinds}
            made.columns.model.row("knapsack", row.key, terms, ">=", 1.0)


def _priced(prices: Terms, row: LinearConstraint) -> list[tuple[int, float, float]]:
    return [(i, max(prices.get(i, 0.0), 0.0), c) for i, c in row.terms.items()]


def _round(made: Generation, effort: SolverLimits, fixed: Mapping[int, float]) -> bool:
    """Price the covers once: raise the bound, add what is cheaper; whether there is more to do."""
    master = made.master()
    held = {n: fixed[i] for n, i in enumerate(master.others) if i in fixed}
    relaxed = LinearProgram(
        [_continuous(c, held.get(n)) for n, c in enumerate(master.program.columns)],
        master.program.rows,
    )
    found = relaxation(relaxed, master.objective, effort)
    if found is None:
        return False
    values, duals = found
    made.relaxed = [values[n] for n in range(len(master.others))]
    reached = value(master.objective, values)
    prices = dict(made.objective)
    rest = made.rest
    for row, dual in zip(rest, duals, strict=False):
        if dual:
            for i, c in row.terms.items():
                prices[i] = prices.get(i, 0.0) - dual * c
    made.prices = prices
    bound, added = reached, False
    for row, pool, paid in zip(made.demands, made.pools, duals[len(rest) :], strict=True):
        cheapest = cheapest_cover(_priced(prices, row), row.right)
        bound += min(0.0, cheapest.bound - paid)
        if cheapest.price < paid - 1e-9 and cheapest.cover not in pool:
            pool[cheapest.cover] = None
            added = True
    made.bound = max(made.bound, bound)
    return added and reached - made.bound > CLOSE * abs(reached)


def _separable(columns: Columns, objective: Terms, demands: list[LinearConstraint]) -> bool:
    """Whether more replicas than a cover needs never help anywhere, so that covers suffice."""
    inside = [i for row in demands for i in row.terms]
    if len(set(inside)) < len(inside) or columns.short:
        return False
    own = set(inside)
    whole = all(
        columns.model.columns[i].integer and columns.model.columns[i].high is None for i in own
    )
    dear = all(objective.get(i, 0.0) >= 0 for i in own)
    crowding = all(
        row.sense == "<=" and all(c >= 0 for i, c in row.terms.items() if i in own)
        for row in columns.model.rows
        if row.family != "cover" and not own.isdisjoint(row.terms)
    )
    return whole and dear and crowding


def _continuous(column: Variable, held: float | None) -> Variable:
    if held is not None:
        return replace(column, integer=False, low=held, high=held)
    high = None if column.label[0] == "covered by" else column.high
    return replace(column, integer=False, high=high)


def _placed(terms: Terms, place: Mapping[int, Terms]) -> dict[int, float]:
    placed: dict[int, float] = {}
    for i, c in terms.items():
        for column, count in place.get(i, {}).items():
            placed[column] = placed.get(column, 0.0) + c * count
    return placed
