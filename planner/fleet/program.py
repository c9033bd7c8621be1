"""The integer program of a fleet: the cheapest replicas and nodes that carry every demand.

Sets
    s    demands: services, or length buckets of a service g
    d    replica kinds: a deployment with a GPU type, GPU groups and a capacity per demand
    o    offers: a node type at a price, under a term
    e    sites: nodes of one GPU type in one failure domain, where replicas stand freely (``packing``)
    p    patterns: ways to fill one node with groups (``packing``)
    t    periods of h[t] hours

Data
    rate[s,t], cap[s,d] [requests/s]; price[o] [USD per node and hour]; size[o], gpus[d] [GPUs];
    gpus[d,k] GPUs of d in groups of k or more; a[p,k] groups of size k in a pattern; K[g] the most
    kinds a service mixes; N[d,t] = ceil(sum_s rate[s,t] / cap[s,d]), what d needs alone.

Variables
    n[d,e,t]  replicas running                             whole
    u[o,e,t]  nodes billed (one for all t when committed)  whole
    x[s,d,t]  share of a demand's rate sent to a kind      real
    y[g,d]    service g uses kind d                        0/1
    z[s,gpu]  a whole bucket goes to this GPU type         0/1
    r[s,t]    share of a demand not served                 real, only where not all must be served
    w[p,e,t]  times a pattern is filled                    whole, only where counting is not exact

Constraints, one function each
    choice    sum_d y[g,d] = 1 (K = 1) or <= K
    replicas  sum_e n[d,e,t] = N[d,t] y[g,d] where a service picks one kind for itself (K = 1)
    cover     sum_d cap[s,d] n[d,t] + rate r >= rate where the kinds of s serve s alone
    demand    sum_d x[s,d,t] + r[s,t] = 1 elsewhere
    capacity  sum_s rate[s,t] / cap[s,d] x[s,d,t] <= n[d,t]
    link      n[d,t] <= ceil(rate[s,t] / cap[s,d]) y[g,d], or x[s,d,t] <= y[g,d]
    whole     x[s,d,t] <= z[s,gpu(d)], sum_gpu z[s,gpu] = 1
    packing   sum_d gpus[d,k] n[d,e,t] <= sum_(o reaches k) size[o] u[o,e,t] where sizes nest
    pattern   groups of size k <= sum_p a[p,k] w[p,e,t], and nodes filled <= nodes billed, elsewhere
    offer     sum_e u[o,e,t] <= nodes the offer has
    stock     GPUs billed of a type <= stock
    max_gpus  GPUs billed <= limit
    budget    sum price u <= limit
    power     sum power u <= limit
    spot      spot GPUs billed <= share of GPUs billed

Objective, in this order
    1. unserved rate, the highest weight first (only where not all must be served)
    2. cost: sum_t h[t] sum_o price[o] u[o,t] / sum_t h[t]
    3. fewer GPUs, billed and used; then lower predicted TPOT (only when asked for a gap of 0)
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from planner.fleet.columns import Columns, declare
from planner.fleet.dominance import without_dominated
from planner.fleet.linear import LinearProgram, Terms, combine, total
from planner.fleet.packing import Shape, group_gpus, nested, patterns
from planner.fleet.problem import NodeOffer, Problem, Solution
from planner.fleet.reading import read_solution
from planner.fleet.services import most_kinds
from planner.fleet.solver import Effort, Outcome, minimise, solver_version

KEPT = 1e-9  # how far a later objective may push an earlier one, relative


def solve(
    problem: Problem,
    *,
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    solver: str = "highs",
    seed: int = 0,
    threads: int = 1,
) -> Solution:
    """Return the cheapest fleet and what the solver proved about it.

    ``gap``: relative gap at which to stop; status "optimal" means proved within it. Raises
    InputError for an unknown solver or a senseless limit, SolverError when the solver fails.
    """
    effort = Effort(time_limit_s, gap, solver, seed, threads)
    started = time.monotonic()
    smaller = without_dominated(problem, ties=gap == 0)
    columns = build(smaller)
    outcome = _minimise_in_order(columns, effort, started)
    told = Solution(
        status=outcome.status,
        objective_usd_per_hour=outcome.objective,
        bound_usd_per_hour=outcome.bound,
        gap=outcome.gap,
        solver=solver,
        solver_version=solver_version(solver),
        seconds=time.monotonic() - started,
        variables=len(columns.model.columns),
        constraints=len(columns.model.rows),
        kinds_after_dominance=len(smaller.kinds),
    )
    return told if outcome.values is None else read_solution(columns, outcome.values, told)


def build(problem: Problem) -> Columns:
    """Variables and constraints of ``problem``, family by family."""
    columns = declare(problem)
    choice(columns)
    replicas(columns)
    cover(columns)
    demand(columns)
    capacity(columns)
    link(columns)
    whole(columns)
    packing(columns)
    pattern(columns)
    offer(columns)
    stock(columns)
    max_gpus(columns)
    budget(columns)
    power(columns)
    spot(columns)
    return columns


def choice(columns: Columns) -> None:
    """One kind for a service that picks one for itself; at most K for one that mixes."""
    picked: dict[str, dict[int, float]] = {}
    for (g, _), i in columns.choices.items():
        picked.setdefault(g, {})[i] = 1.0
    for g, demands in columns.services.demands.items():
        picks = picked.get(g, {})
        if g in columns.services.one_kind:
            columns.model.row("choice", (g,), picks, "==", 1.0)
        elif picks:
            columns.model.row("choice", (g,), picks, "<=", float(most_kinds(demands) or 0))


def replicas(columns: Columns) -> None:
    """A service that picks kind d runs exactly N[d,t] of it, wherever they stand."""
    kinds = {k.key: k for k in columns.problem.kinds}
    for (g, key), chosen in columns.choices.items():
        if g not in columns.services.one_kind:
            continue
        kind = kinds[key]
        if len(columns.hosts[kind.key]) == 1:
            continue
        for t in columns.problem.periods:
            need = float(columns.services.alone(g, kind, t) or 0)
            terms = combine((1.0, columns.running(kind, t)), (-need, {chosen: 1.0}))
            columns.model.row("replicas", (g, key, t), terms, "==", 0.0)


def cover(columns: Columns) -> None:
    """Replicas that serve one demand alone carry its rate together; routing needs no variables."""
    for g, demands in columns.services.demands.items():
        for s in demands:
            for t, rate in enumerate(s.rates_qps):
                if g in columns.services.one_kind or rate <= 0 or columns.is_routed(s.key):
                    continue
                kinds = columns.services.kinds_of[g]
                terms = combine(
                    *((k.capacity_qps[s.key] / rate, columns.running(k, t)) for k in kinds),
                    (1.0, columns.unserved(s.key, t)),
                )
                columns.model.row("cover", (s.key, t), terms, ">=", 1.0)


def demand(columns: Columns) -> None:
    """The shares of a demand, and what goes unserved, make up the whole."""
    for s in columns.problem.demands:
        if not columns.is_routed(s.key):
            continue
        for t, rate in enumerate(s.rates_qps):
            if rate > 0:
                shares = total({i: 1.0} for _, i in columns.shares_of(s.key, t))
                terms = combine((1.0, shares), (1.0, columns.unserved(s.key, t)))
                columns.model.row("demand", (s.key, t), terms, "==", 1.0)


def capacity(columns: Columns) -> None:
    """A kind's replicas carry what is routed to them: the sum of rate over capacity, in replicas."""
    load: dict[tuple[str, int], dict[int, float]] = {}
    rates = {s.key: s.rates_qps for s in columns.problem.demands}
    kinds = {k.key: k for k in columns.problem.kinds}
    for (s, d, t), i in columns.shares.items():
        load.setdefault((d, t), {})[i] = rates[s][t] / kinds[d].capacity_qps[s]
    for (d, t), terms in load.items():
        left = combine((1.0, terms), (-1.0, columns.running(kinds[d], t)))
        columns.model.row("capacity", (d, t), left, "<=", 0.0)


def link(columns: Columns) -> None:
    """Only kinds a service uses run for it or receive its requests."""
    kinds = {k.key: k for k in columns.problem.kinds}
    for (g, key), chosen in columns.choices.items():
        if g in columns.services.one_kind:
            continue
        kind = kinds[key]
        for s in columns.services.demands[g]:
            for t, rate in enumerate(s.rates_qps):
                if rate <= 0:
                    continue
                if columns.is_routed(s.key):
                    share = columns.shares.get((s.key, key, t))
                    if share is not None:
                        terms = {share: 1.0, chosen: -1.0}
                        columns.model.row("link", (g, key, s.key, t), terms, "<=", 0.0)
                else:
                    most = float(math.ceil(rate / kind.capacity_qps[s.key]))
                    terms = combine((1.0, columns.running(kind, t)), (-most, {chosen: 1.0}))
                    columns.model.row("link", (g, key, t), terms, "<=", 0.0)


def whole(columns: Columns) -> None:
    """A whole bucket goes to one GPU type."""
    gpu_of = {k.key: k.gpu for k in columns.problem.kinds}
    for s in columns.problem.demands:
        if not s.whole or not columns.is_routed(s.key):
            continue
        reach = {(d, t): i for (key, d, t), i in columns.shares.items() if key == s.key}
        types = {
            g: columns.model.binary("type", s.key, g) for g in {gpu_of[d]: 0 for d, _ in reach}
        }
        columns.model.row("whole", (s.key,), dict.fromkeys(types.values(), 1.0), "==", 1.0)
        for (d, t), share in reach.items():
            terms = {share: 1.0, types[gpu_of[d]]: -1.0}
            columns.model.row("whole", (s.key, d, t), terms, "<=", 0.0)


def packing(columns: Columns) -> None:
    """Whole groups in whole nodes: groups of a size or larger find their GPUs in nodes that reach it."""
    for e, offers in columns.sites.items():
        kinds = columns.tenants(e)
        sizes = sorted({g for k in kinds for g in k.groups})
        if not nested(sizes, (Shape.of(o) for o in offers)):
            continue
        seen: list[NodeOffer] = []
        for size in sizes:
            reaching = [o for o in offers if Shape.of(o).reach >= size]
            if reaching == seen:
                continue
            seen = reaching
            for t in columns.problem.periods:
                used = combine(
                    *((float(group_gpus(k, size)), columns.replicas[k.key, e, t]) for k in kinds)
                )
                room = total({columns.nodes[o.key, e, t]: float(o.gpus_per_node)} for o in reaching)
                terms = combine((1.0, used), (-1.0, room))
                columns.model.row("packing", (e, size, t), terms, "<=", 0.0)


def pattern(columns: Columns) -> None:
    """Where sizes do not nest, each group takes a slot of its size in a node filled by a pattern."""
    for e, offers in columns.sites.items():
        kinds = columns.tenants(e)
        sizes = tuple(sorted({g for k in kinds for g in k.groups}))
        shapes = sorted({Shape.of(o) for o in offers})
        if nested(sizes, shapes):
            continue
        for t in columns.problem.periods:
            slots: dict[int, dict[int, float]] = {g: {} for g in sizes}
            for shape in shapes:
                filled: dict[int, float] = {}
                for p in patterns(sizes, shape):
                    column = columns.model.integer("pattern", e, p, t)
                    filled[column] = float(p.nodes)
                    for size, count in p.slots:
                        slots[size][column] = float(count)
                rented = total(
                    {columns.nodes[o.key, e, t]: 1.0} for o in offers if Shape.of(o) == shape
                )
                terms = combine((1.0, filled), (-1.0, rented))
                columns.model.row("pattern", (e, shape, t), terms, "<=", 0.0)
            for size in sizes:
                groups = combine(
                    *((float(k.groups.count(size)), columns.replicas[k.key, e, t]) for k in kinds)
                )
                terms = combine((1.0, groups), (-1.0, slots[size]))
                columns.model.row("pattern", (e, size, t), terms, "<=", 0.0)


def offer(columns: Columns) -> None:
    """No more nodes of an offer than it has."""
    for o in columns.problem.offers:
        if o.max_nodes is None:
            continue
        for t in columns.problem.periods:
            terms = columns.billed(t, {o.key: 1.0})
            columns.model.row("offer", (o.key, t), terms, "<=", float(o.max_nodes))


def stock(columns: Columns) -> None:
    """GPUs billed of a type within its stock."""
    for gpu, most in columns.problem.limits.stock.items():
        sizes = {o.key: float(o.gpus_per_node) for o in columns.problem.offers if o.gpu == gpu}
        _cap(columns, "stock", (gpu,), sizes, float(most))


def max_gpus(columns: Columns) -> None:
    """GPUs billed within the limit."""
    most = columns.problem.limits.max_gpus
    if most is not None:
        sizes = {o.key: float(o.gpus_per_node) for o in columns.problem.offers}
        _cap(columns, "max_gpus", (), sizes, float(most))


def budget(columns: Columns) -> None:
    """What is paid per hour within the budget."""
    most = columns.problem.limits.max_usd_per_hour
    if most is not None:
        _cap(columns, "budget", (), {o.key: o.usd_per_hour for o in columns.problem.offers}, most)


def power(columns: Columns) -> None:
    """Power of the billed nodes within the limit."""
    most = columns.problem.limits.max_power_kw
    if most is not None:
        _cap(columns, "power", (), {o.key: o.power_kw for o in columns.problem.offers}, most)


def spot(columns: Columns) -> None:
    """Spot GPUs billed are at most a share of the GPUs billed."""
    share = columns.problem.limits.max_spot_share
    if share is not None:
        weights = {
            o.key: ((1.0 - share) if o.spot else -share) * o.gpus_per_node
            for o in columns.problem.offers
        }
        _cap(columns, "spot", (), weights, 0.0)


def _cap(
    columns: Columns, family: str, key: tuple[str, ...], weights: Mapping[str, float], most: float
) -> None:
    for t in columns.problem.periods:
        columns.model.row(family, (*key, t), columns.billed(t, weights), "<=", most)


def cost(columns: Columns) -> dict[int, float]:
    """Mean USD per hour over the periods."""
    problem = columns.problem
    hours = sum(problem.period_hours)
    prices = {o.key: o.usd_per_hour for o in problem.offers}
    return combine(
        *((h / hours, columns.billed(t, prices)) for t, h in enumerate(problem.period_hours))
    )


def shortfalls(columns: Columns) -> list[dict[int, float]]:
    """Unserved requests per hour, one objective for each weight, the highest first."""
    problem = columns.problem
    demands = {s.key: s for s in problem.demands}
    by_weight: dict[float, dict[int, float]] = {}
    for (key, t), i in columns.short.items():
        lost = demands[key].rates_qps[t] * problem.period_hours[t]
        by_weight.setdefault(demands[key].weight, {})[i] = lost
    return [by_weight[w] for w in sorted(by_weight, reverse=True)]


def tie_break(columns: Columns) -> dict[int, float]:
    """GPUs billed and used, then TPOT weighted by the share it serves (all TPOTs count under 1 GPU)."""
    problem = columns.problem
    sizes = {o.key: float(o.gpus_per_node) for o in problem.offers}
    worst = max((k.tpot_s for k in problem.kinds), default=0.0) or 1.0
    fine = 0.25 / (worst * len(problem.demands) * len(problem.period_hours))
    parts: list[tuple[float, Terms]] = []
    for t in problem.periods:
        parts.append((1.0, columns.billed(t, sizes)))
        parts.extend((float(k.gpus), columns.running(k, t)) for k in problem.kinds)
    kinds = {k.key: k for k in problem.kinds}
    parts.extend((fine * kinds[d].tpot_s, {i: 1.0}) for (_, d, _), i in columns.shares.items())
    parts.extend((fine * kinds[d].tpot_s, {i: 1.0}) for (_, d), i in columns.choices.items())
    return combine(*parts)


def _minimise_in_order(columns: Columns, effort: Effort, started: float) -> Outcome:
    """Solve for each objective in turn, holding the earlier ones; tells what was proved of the cost."""
    deadline = started + effort.time_limit_s
    proved = True
    for terms in shortfalls(columns):
        outcome = minimise(columns.model, terms, _until(effort, deadline))
        if outcome.values is None:
            return replace(outcome, objective=None, bound=None)
        proved = proved and outcome.status == "optimal"
        _hold(columns.model, "served", terms, outcome)
    first = minimise(columns.model, cost(columns), _until(effort, deadline))
    if not proved and first.status == "optimal":
        first = replace(first, status="feasible")
    if first.status != "optimal" or effort.gap > 0:
        return first
    _hold(columns.model, "cost", cost(columns), first)
    second = minimise(columns.model, tie_break(columns), _until(effort, deadline))
    return first if second.values is None else replace(first, values=second.values)


def _hold(model: LinearProgram, name: str, terms: Terms, outcome: Outcome) -> None:
    reached = outcome.objective or 0.0
    model.row("order", (name, len(model.rows)), terms, "<=", reached * (1 + KEPT) + KEPT)


def _until(effort: Effort, deadline: float) -> Effort:
    return replace(effort, time_limit_s=max(deadline - time.monotonic(), 0.01))
