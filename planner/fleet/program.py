"""The integer program of a fleet: the cheapest replicas and nodes that carry every demand.

Sets
    s    demands: services, or length buckets of a service g
    d    replica kinds: a deployment with a GPU type, GPU groups and a capacity per demand
    o    offers: a node type at a price, under a term
    e    sites: nodes of one GPU type where replicas stand freely, by zone or spot pool where one may
         fail, by service where nodes are not shared (``packing``)
    p    patterns: ways to fill one node with groups, or one GPU with shares (``packing``)
    i    atoms: what fails as a whole, a replica, a node, a zone or a spot pool (``resilience``)
    t    periods of h[t] hours

Data
    rate[s,t], cap[s,d] [requests/s]; price[o] [USD per node and hour]; size[o], gpus[d] [GPUs];
    gpus[d,k] GPUs of d in groups of k or more; a[p,k] groups of size k in a pattern; K[g] the most
    kinds a service mixes; N[d,t] = ceil(sum_s rate[s,t] / cap[s,d]), what d needs alone; f failures
    at once; before(t) the period t follows; R[o] share of a spot offer kept idle.

Variables
    n[d,e,t]  replicas running                                  whole
    u[o,e,t]  nodes billed (one for all t when committed)       whole
    v[o,e,t]  of them, nodes in use where a reserve is kept     whole
    x[s,d,t]  share of a demand's rate sent to a kind           real
    y[g,d]    service g uses kind d                             0/1
    z[s,gpu]  a whole bucket goes to this GPU type              0/1
    r[s,t]    share of a demand not served                      real, where not all must be served
    w[p,e,t]  times a pattern is filled                         whole, where counting is not exact
    b[o,e,t]  nodes started                                     real
    q[o]      existing nodes given up                           whole
    l[i,d,t]  replicas lost with an atom                        n, or 0/1 where counted one by one

Constraints, one function each
  carrying
    choice    sum_d y[g,d] = 1 (K = 1) or <= K
    replicas  sum_e n[d,e,t] = N[d,t] y[g,d] where a service picks one kind for itself (K = 1)
    cover     sum_d cap[s,d] n[d,t] + rate r >= rate where the kinds of s serve s alone
    demand    sum_d x[s,d,t] + r[s,t] = 1 elsewhere
    capacity  sum_s rate[s,t] / cap[s,d] x[s,d,t] <= n[d,t]
    link      n[d,t] <= most useful replicas y[g,d], or x[s,d,t] <= y[g,d]
    whole     x[s,d,t] <= z[s,gpu(d)], sum_gpu z[s,gpu] = 1
  housing
    reserve   v[o,e,t] <= (1 - R[o]) u[o,e,t]; elsewhere v is u
    cut       replicas on a share of a GPU <= sum_p a[p,share] w[p,e,t]; a cut GPU is a group of one
    packing   sum_d gpus[d,k] n[d,e,t] <= sum_(o reaches k) size[o] v[o,e,t] where sizes nest
    pattern   groups of size k <= sum_p a[p,k] w[p,e,t], and nodes filled <= v, elsewhere
  timing
    start     b[o,e,t] >= u[o,e,t] - u[o,e,before(t)]
    removal   q[o] >= existing[o] - u[o,0]
  limits, with q[o] counted besides u in the first period
    offer     sum_e u[o,e,t] <= nodes the offer has
    stock     GPUs billed of a type <= stock
    max_gpus  GPUs billed <= limit
    budget    sum price u <= limit
    power     sum power u <= limit
    spot      spot GPUs billed <= share of GPUs billed
    cap       sum weight u <= limit: quotas by region or provider, carbon
  resilience
    mixture   n[d,e,t] = sum_p a[p,d] w[p,e,t], nodes filled <= v, where nodes may fail
    exists    l = 1 where the replica, or the node filled that way, is there
    survive   sum_d cap[s,d] n[d,t] - (the f worst losses) >= rate where cover holds
    reroute   demand and capacity once more on n - l, for each f atoms, where demand holds

Objective, in this order
    1. unserved rate, the highest weight first (only where not all must be served)
    2. cost: sum_t h[t] sum_o price[o] u[o,t] / sum_t h[t], start-ups, overlap while migrating
    3. fewer GPUs, billed and used; then lower predicted TPOT (only when asked for a gap of 0)
"""

from __future__ import annotations

import time
from dataclasses import replace

from planner.fleet import carrying, housing, limits, resilience, timing
from planner.fleet.columns import Columns, declare
from planner.fleet.dominance import without_dominated
from planner.fleet.linear import LinearProgram, Terms, combine
from planner.fleet.problem import Problem, Solution
from planner.fleet.reading import read_solution
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
    carrying.choice(columns)
    carrying.replicas(columns)
    carrying.cover(columns)
    carrying.demand(columns)
    carrying.capacity(columns)
    carrying.link(columns)
    carrying.whole(columns)
    housing.reserve(columns)
    cut = housing.cut(columns)
    housing.packing(columns, cut)
    housing.pattern(columns, cut)
    timing.start(columns)
    timing.removal(columns)
    limits.offer(columns)
    limits.stock(columns)
    limits.max_gpus(columns)
    limits.budget(columns)
    limits.power(columns)
    limits.spot(columns)
    limits.cap(columns)
    resilience.withstand(columns)
    return columns


def cost(columns: Columns) -> dict[int, float]:
    """Mean USD per hour over the periods: nodes billed, start-ups, overlap while migrating."""
    problem = columns.problem
    hours = sum(problem.period_hours)
    prices = {o.key: o.usd_per_hour for o in problem.offers}
    running = ((h / hours, columns.billed(t, prices)) for t, h in enumerate(problem.period_hours))
    return combine(*running, (1.0, timing.change_cost(columns)))


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
        parts.extend((k.gpus * k.gpu_share, columns.running(k, t)) for k in problem.kinds)
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
