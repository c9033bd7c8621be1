"""The integer program of a fleet: the cheapest replicas and nodes that carry every demand.

Sets
    s    demands: services, or length buckets of a service g
    d    replica kinds: a deployment with a GPU type, GPU groups and a capacity per demand
    o    offers: a node type at a price, under a term
    e    sites: nodes of one GPU type where replicas are placed freely, by zone or spot pool where one may
         fail, spot or not where its share is limited, by service where nodes are not shared, by
         provider and region where units are on two GPU types (``packing``)
    p    patterns: ways to fill one node with groups, or one GPU with shares (``packing``)
    i    atoms: what fails as a whole, a replica, a node, a zone or a spot pool (``resilience``)
    t    periods of h[t] hours, start-up included (``periods``)

Data
    rate[s,t], cap[s,d] [requests/s]; price[o] [USD per node and hour]; size[o], gpus[d] [GPUs];
    gpus[d,k] GPUs of d in groups of k or more; a[p,k] groups of size k in a pattern; K[g] the most
    kinds a service mixes; N[d,t] = ceil(sum_s rate[s,t] / cap[s,d]), what d needs alone; f failures
    at once, f1 of single replicas; R[o] share of a spot offer kept idle.

Variables
    n[d,e,t]  replicas running                                  whole
    m[d,e,t]  pools of d on its other GPU type                  whole, or n where one site has it
    u[o,e,t]  nodes billed (one for all t when committed)       whole
    x[s,d,t]  share of a demand's rate sent to a kind           real
    y[g,d]    service g uses kind d                             0/1
    z[s,gpu]  a whole bucket goes to this GPU type              0/1
    r[s,t]    share of a demand not served                      real, where not all must be served
    v, s      a vendor is paid, an offer is used                0/1
    w[p,e,t]  times a pattern is filled                         whole, where counting is not exact
    q[o]      existing nodes given up                           whole
    l[i,d,t]  replicas lost with an atom                        n, or 0/1 where counted one by one

Constraints, one function each
  demand and capacity
    choice    sum_d y[g,d] = 1 (K = 1) or <= K
    replicas  sum_e n[d,e,t] >= (N[d,t] + f1) y[g,d] where a service picks one kind for itself (K = 1)
    cover     sum_d cap[s,d] n[d,t] + rate r >= rate where the kinds of s serve s alone
    demand    sum_d x[s,d,t] + r[s,t] = 1 elsewhere; of work that may be moved within a window of
              periods, summed over it, = its periods
    capacity  sum_s rate[s,t] / cap[s,d] x[s,d,t] <= n[d,t]
    link      n[d,t] <= most useful replicas y[g,d], or x[s,d,t] <= the most of it in a period y[g,d]
    whole     x[s,d,t] <= z[s,gpu(d)], sum_gpu z[s,gpu] = 1
  placement
    cut       replicas on a share of a GPU <= sum_p a[p,share] w[p,e,t]; a cut GPU is a group of one
    packing   sum_d gpus[d,k] n[d,e,t] <= sum_(o reaches k) size[o] (1 - R[o]) u[o,e,t] where sizes nest
    pattern   groups of size k <= sum_p a[p,k] w[p,e,t], nodes filled <= (1 - R[o]) u, elsewhere
    beside    sum_e m[d,e,t] = sum_e n[d,e,t] in every place: each unit has both its pools there; m is
              placed, and lost with a node or a spot pool, as n is
  migration
    removal   q[o] >= existing[o] - u[o,0]
  limits, with q[o] counted besides u in the first period
    offer     sum_e u[o,e,t] <= nodes the offer has
    stock     GPUs billed of a type <= stock
    max_gpus  GPUs billed <= limit
    budget    sum price u <= limit, or the mean over the periods where dearer fleets are of no use
    power     sum power u <= limit
    cap       sum weight u <= limit: quotas by region or provider, carbon
  spot_share
    spot      GPUs that replicas take on spot nodes <= share of GPUs that replicas take, and on nodes
              that stay no replica that nothing needs
  contracts
    vendors   u[o,e,t] <= M[o] v[vendor], sum v <= the most vendors that may be paid
    least     min[o] s[o] <= sum_e u[o,e,t] <= M[o] s[o] where an offer is sold in no smaller number
  resilience
    mixture   n[d,e,t] = sum_p a[p,d] w[p,e,t], nodes filled <= (1 - R[o]) u, where nodes may fail
    exists    l = 1 where the replica, or the node filled that way, is there
    survive   sum_d cap[s,d] n[d,t] - (the f worst losses) >= rate where cover holds,
              sum_e n[d,e,t] - (the f worst losses) >= N[d,t] y[g,d] where a service picks one kind, and
              sum_d mu[d] n[d,t] - (the f worst losses) >= sum_s pi[s] (1 - r[s,t]) where demand holds,
              at prices found when a failure breaks a fleet (``rerouting``)

  generation
    knapsack  sum_d price[d] n[d,t] >= the cheapest whole cover of s at those prices, where only a
              gap is requested; implied by cover. The bound itself comes from the same prices

Objective, in this order
    1. unserved rate, the highest weight first (only where not all must be served)
    2. cost: sum_t h[t] sum_o price[o] u[o,t] / sum_t h[t], and overlap while migrating
    3. fewer GPUs, billed and used; then lower predicted TPOT (only for a requested gap of 0)
"""

from __future__ import annotations

import time
from dataclasses import replace

from planner.fleet.offers import contracts
from planner.fleet.offers.places import fewer_places
from planner.fleet.program.constraints import demand as demand_rows
from planner.fleet.program.constraints import limits, migration, resilience, spot_share
from planner.fleet.program.constraints import placement as placement_rows
from planner.fleet.program.decomposition.by_kind import branches, cheapest_branch, least_cost
from planner.fleet.program.decomposition.by_period import period_by_period, separable
from planner.fleet.program.dominance import without_dominated
from planner.fleet.program.objective import hold_mean, minimise_in_order, until
from planner.fleet.program.one_place import spread_types
from planner.fleet.program.problem import Problem, Solution, Solver
from planner.fleet.program.read_solution import read_solution
from planner.fleet.program.solver import SolverLimits, SolverResult, solver_version, usable
from planner.fleet.program.variables import Columns, declare

LEAST_SECONDS = 0.01  # for a program that is solved again when the time is up
MOST_COLUMNS = 2000  # where places may fail: in a larger program only the cheapest are looked at


def solve(
    problem: Problem,
    *,
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    solver: Solver = "highs",
    seed: int = 0,
    threads: int = 1,
    cost_alone: bool = False,
) -> Solution:
    """Return the cheapest fleet and what the solver proved about it.

    ``gap``: relative gap at which to stop; status "optimal" means proved within it. ``cost_alone``: the
    fleet may be any of the equally cheap ones. Raises
    InputError for an unknown solver or a senseless limit, SolverError when the solver fails.
    """
    effort = SolverLimits(time_limit_s, gap, usable(solver), seed, threads, cost_alone)
    started = time.monotonic()
    while True:
        solution = _solved(problem, effort, started)
        spread = spread_types(problem, solution)
        if not spread:
            return solution
        problem = replace(problem, one_place=problem.one_place | spread)
        left_s = time_limit_s - (time.monotonic() - started)
        effort = replace(effort, time_limit_s=max(left_s, LEAST_SECONDS))


def _solved(problem: Problem, effort: SolverLimits, started: float) -> Solution:
    """The cheapest fleet of one program. ``started``: when the first of its question was [s]."""
    deadline = time.monotonic() + effort.time_limit_s
    smaller = without_dominated(problem, ties=effort.gap == 0)
    parts = branches(smaller)
    if len(parts) > 1 and separable(smaller):
        return _hour_by_hour(parts, effort, started, deadline, len(smaller.kinds))
    if len(parts) == 1:
        columns = _built(smaller)
        outcome = cheapest(columns, effort, deadline)
    else:
        columns, outcome = cheapest_branch(parts, _built, effort, deadline)
    text = Solution(
        status=outcome.status,
        objective_usd_per_hour=outcome.objective,
        bound_usd_per_hour=outcome.bound,
        gap=outcome.gap,
        solver=effort.solver,
        solver_version=solver_version(effort.solver),
        seconds=time.monotonic() - started,
        variables=len(columns.model.columns),
        constraints=len(columns.model.rows),
        kinds_after_dominance=len(smaller.kinds),
        restrictions=tuple(sorted(columns.restrictions)),
    )
    return text if outcome.values is None else read_solution(columns, outcome.values, text)


def _hour_by_hour(
    parts: list[Problem], effort: SolverLimits, started: float, deadline: float, kinds: int
) -> Solution:
    """The cheapest fleet of problems of one kind whose periods share nothing else."""

    def one(problem: Problem) -> Solution:
        return _solved(problem, until(effort, deadline), started)

    found = period_by_period(
        [(least_cost(p), p) for p in parts], one, lambda: time.monotonic() >= deadline
    )
    return replace(
        found,
        solver=effort.solver,
        solver_version=solver_version(effort.solver),
        seconds=time.monotonic() - started,
        kinds_after_dominance=kinds,
    )


def cheapest(columns: Columns, effort: SolverLimits, deadline: float) -> SolverResult:
    """The cheapest fleet; where a failure breaks it, rows that show why join and it is asked again."""
    while True:
        outcome = minimise_in_order(columns, until(effort, deadline), deadline)
        if outcome.values is None or not columns.failures:
            return outcome
        model = columns.model
        model.rows = [r for r in model.rows if r.family != "order"]
        if not resilience.withstand_more(columns, outcome.values, effort):
            return outcome
        if time.monotonic() >= deadline:
            return replace(outcome, status="unknown", values=None, objective=None)


def _built(problem: Problem) -> Columns:
    """The program; of a large one only the cheapest places that may fail, and a word that it is so."""
    columns = build(problem)
    if len(columns.model.columns) <= MOST_COLUMNS:
        return columns
    fewer = fewer_places(problem)
    if len(fewer.offers) == len(problem.offers):
        return columns
    columns = build(fewer)
    columns.restrictions.add(
        f"zones and spot pools: {len(fewer.offers)} of {len(problem.offers)} offers were looked at, those at "
        "the cheapest places and the cheapest small nodes; the optimum is proved among them"
    )
    return columns


def build(problem: Problem) -> Columns:
    """Variables and constraints of ``problem``, family by family."""
    columns = declare(problem)
    demand_rows.choice(columns)
    demand_rows.replicas(columns)
    demand_rows.cover(columns)
    demand_rows.demand(columns)
    demand_rows.capacity(columns)
    demand_rows.link(columns)
    demand_rows.whole(columns)
    cut = placement_rows.cut(columns)
    placement_rows.packing(columns, cut)
    placement_rows.pattern(columns, cut)
    migration.removal(columns)
    limits.offer(columns)
    limits.stock(columns)
    limits.max_gpus(columns)
    limits.budget(columns)
    hold_mean(columns)
    limits.power(columns)
    limits.cap(columns)
    spot_share.spot(columns)
    contracts.vendors(columns)
    contracts.least(columns)
    resilience.withstand(columns)
    return columns
