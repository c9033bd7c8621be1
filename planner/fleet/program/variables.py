"""The sets and the variables of the fleet program: what is decided, before any constraint.

``declare`` turns a problem into sites and columns; ``planner.fleet.program.program`` states the
formulation, and each family of constraints is one module of ``planner.fleet.program.constraints``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planner.fleet.program.demand_index import Services
from planner.fleet.program.failure_domains import Failure
from planner.fleet.program.linear_program import LinearProgram, Terms, combine, total
from planner.fleet.program.packing import Shape, Site
from planner.fleet.program.problem import NodeOffer, Problem, ReplicaKind


@dataclass(slots=True)
class Columns:
    """Where each decision stands among the columns of ``model``.

    ``nodes`` u[o,e,t], ``replicas`` n[d,e,t], ``shares`` x[s,d,t], ``choices`` y[g,d], ``short``
    r[s,t].
    ``replicas`` are expressions: a service that picks one kind runs (N[d,t] + f1) y[g,d] of it.
    ``sites``: offers by site; ``hosts``: sites that can hold a kind; ``routed``: demands with share
    variables. ``removed``: existing nodes of an offer given up in the first period. ``failures``: what
    must be survived; ``restrictions``: in words, what was left out to keep the program small.
    ``other_pools``: by kind on two GPU types, what is on the other one; ``unit_of``: the way back.
    """

    problem: Problem
    sites: dict[Site, list[NodeOffer]]
    services: Services
    hosts: dict[str, list[Site]]
    tenants: dict[Site, list[ReplicaKind]]
    model: LinearProgram = field(default_factory=LinearProgram)
    nodes: dict[tuple[str, Site, int], int] = field(default_factory=dict)
    replicas: dict[tuple[str, Site, int], Terms] = field(default_factory=dict)
    shares: dict[tuple[str, str, int], int] = field(default_factory=dict)
    choices: dict[tuple[str, str], int] = field(default_factory=dict)
    short: dict[tuple[str, int], int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    routed: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    restrictions: set[str] = field(default_factory=set)
    other_pools: dict[str, ReplicaKind] = field(default_factory=dict)
    unit_of: dict[str, str] = field(default_factory=dict)

    def running(self, kind: ReplicaKind, t: int) -> dict[int, float]:
        """Replicas of a kind over all sites that can hold it."""
        return total(self.replicas[kind.key, e, t] for e in self.hosts[kind.key])

    def billed(self, t: int, weights: Mapping[str, float]) -> dict[int, float]:
        """``sum weights[o] u[o,t]`` over the offers named, in the periods they run."""
        terms: dict[int, float] = {}
        for e, offers in self.sites.items():
            for offer in offers:
                if offer.key in weights and offer.runs_in(t):
                    column = self.nodes[offer.key, e, t]
                    terms[column] = terms.get(column, 0.0) + weights[offer.key]
        return terms

    def placed(self, kind: ReplicaKind) -> bool:
        """Whether it is decided how many replicas of a service's one kind are at each site."""
        return len(self.hosts[kind.key]) > 1 or self.problem.resilience.by_place

    def room(self, e: Site, t: int, shape: Shape) -> dict[int, float]:
        """Nodes of a shape at a site that replicas may use: all but the reserve of each offer."""
        return total(
            {self.nodes[o.key, e, t]: 1.0 - o.reserve_share}
            for o in self.sites[e]
            if o.runs_in(t) and Shape.of(o) == shape
        )

    def shapes(self, e: Site) -> list[Shape]:
        """The shapes of the nodes offered at a site."""
        return sorted({Shape.of(o) for o in self.sites[e]})

    def is_routed(self, demand: str) -> bool:
        """Whether the demand's requests are routed by share variables."""
        return demand in self.routed

    def shares_of(self, demand: str, t: int) -> list[tuple[str, int]]:
        """(kind, column) of the demand's shares in period ``t``."""
        return [
            (k.key, self.shares[demand, k.key, t])
            for k in self.services.kinds_of[self.services.service_of[demand]]
            if (demand, k.key, t) in self.shares
        ]

    def unserved(self, demand: str, t: int) -> dict[int, float]:
        """r[s,t] as an expression; empty where all must be served."""
        column = self.short.get((demand, t))
        return {} if column is None else {column: 1.0}


def declare(problem: Problem) -> Columns:
    """Sets and variables of ``problem``."""
    services = Services.of(problem)
    sites = _sites(problem, services)
    pools = {k.key: pool for k in problem.kinds if (pool := k.other_pool()) is not None}
    hosts = _hosts(problem, services, sites, pools)
    tenants: dict[Site, list[ReplicaKind]] = {e: [] for e in sites}
    for kind in (*problem.kinds, *pools.values()):
        for e in hosts[kind.key]:
            tenants[e].append(_as_placed(kind, e))
    columns = Columns(problem, sites, services, hosts, tenants, other_pools=pools)
    columns.unit_of = {pool.key: key for key, pool in pools.items()}
    _node_columns(columns)
    for g in services.demands:
        if g in services.one_kind:
            _one_kind_columns(columns, g)
    for kind in problem.kinds:
        if not services.users[kind.key] & services.one_kind:
            _replica_columns(columns, kind)
    for g in services.demands:
        if g not in services.one_kind:
            _mixed_columns(columns, g)
    for kind in problem.kinds:
        if kind.key in pools:
            _other_pool(columns, kind, pools[kind.key])
    return columns


def _hosts(
    problem: Problem,
    services: Services,
    sites: dict[Site, list[NodeOffer]],
    pools: Mapping[str, ReplicaKind],
) -> dict[str, list[Site]]:
    """Sites that can hold each kind, and the other pool of a kind that has one, beside which it must lie."""
    hosts: dict[str, list[Site]] = {}
    for kind in problem.kinds:
        tenant = _tenant(services, kind)
        able = _able(sites, kind, tenant)
        pool = pools.get(kind.key)
        if pool is not None:
            others = [o for o in _able(sites, pool, tenant) if pool.spans_over(o.network_gb_s)]
            able = [e for e in able if kind.spans_over(e.network_gb_s)]
            able = [e for e in able if any(_together(e, o) for o in others)]
            hosts[pool.key] = [o for o in others if any(_together(e, o) for e in able)]
        hosts[kind.key] = able
    return hosts


def _able(sites: dict[Site, list[NodeOffer]], kind: ReplicaKind, tenant: str) -> list[Site]:
    """Sites whose nodes hold a kind's groups, or all of it, and are kept for no other service."""
    return [
        e
        for e, offers in sites.items()
        if e.gpu == kind.gpu
        and _largest_group(kind, e) <= max(Shape.of(o).reach for o in offers)
        and e.tenant in ("", tenant)
    ]


def _largest_group(kind: ReplicaKind, e: Site) -> int:
    """GPUs that must share a node of the site."""
    return max(_as_placed(kind, e).groups, default=1)


def _as_placed(kind: ReplicaKind, e: Site) -> ReplicaKind:
    """The kind as it may lie at the site: its groups apart, or all in one node."""
    return kind if kind.spans_over(e.network_gb_s) else kind.in_one_group


def _together(a: Site, b: Site) -> bool:
    """Whether pools at two sites are in one place, for one service."""
    return (a.zone, a.place, a.tenant) == (b.zone, b.place, b.tenant)


def _other_pool(columns: Columns, kind: ReplicaKind, pool: ReplicaKind) -> None:
    """In every place as many of the other pool as of the kind: ``sum_e m[d,e,t] = sum_e n[d,e,t]``."""
    by_place: dict[tuple[str, str, str], list[Site]] = {}
    for e in columns.hosts[pool.key]:
        by_place.setdefault((e.zone, e.place, e.tenant), []).append(e)
    for place, others in by_place.items():
        mine = [e for e in columns.hosts[kind.key] if (e.zone, e.place, e.tenant) == place]
        for t in columns.problem.periods:
            units = total(columns.replicas[kind.key, e, t] for e in mine)
            if len(others) == 1 or not units:
                columns.replicas.update({(pool.key, e, t): dict(units) for e in others})
                continue
            running: dict[int, float] = {}
            for e in others:
                column = columns.model.integer("replicas", pool.key, e, t)
                columns.replicas[pool.key, e, t] = {column: 1.0}
                running[column] = 1.0
            terms = combine((1.0, running), (-1.0, units))
            columns.model.row("beside", (kind.key, *place, t), terms, "==", 0.0)


def _sites(problem: Problem, services: Services) -> dict[Site, list[NodeOffer]]:
    """Offers by site: zones and pools distinguished where they may fail, services where they do not share.

    Spot nodes are sites of their own where their share is limited.
    """
    lost, placed = problem.resilience, problem.placed
    limited = problem.limits.max_spot_share is not None
    tenants = [""]
    if not problem.share_nodes:
        tenants = sorted({_tenant(services, k) for k in problem.kinds})
    sites: dict[Site, list[NodeOffer]] = {}
    for offer in problem.offers:
        zone = offer.zone if lost.zones else ""
        pool = f"{offer.zone} {offer.pool}" if lost.spot_pools and offer.spot else ""
        for tenant in tenants:
            site = Site(offer.gpu, zone, pool, tenant, spot=limited and offer.spot)
            if offer.gpu in placed:
                site = replace(site, place=offer.place, network_gb_s=offer.network_gb_s)
            sites.setdefault(site, []).append(offer)
    return sites


def _tenant(services: Services, kind: ReplicaKind) -> str:
    return "+".join(sorted(services.users[kind.key]))


def _node_columns(columns: Columns) -> None:
    """u[o,e,t]: one column for all its periods when the offer is committed."""
    for e, offers in columns.sites.items():
        for offer in offers:
            column = None
            for t in columns.problem.periods:
                if not offer.runs_in(t):
                    continue
                if column is None or not offer.committed:
                    column = columns.model.integer("nodes", offer.key, e, t, high=offer.max_nodes)
                columns.nodes[offer.key, e, t] = column


def _one_kind_columns(columns: Columns, g: str) -> None:
    """y[g,d], and n[d,e,t] = (N[d,t] + f1) y[g,d] without a column of its own where one site holds d."""
    problem = columns.problem
    for kind in columns.services.kinds_of[g]:
        needs = [columns.services.running(g, kind, t) for t in problem.periods]
        hosts = columns.hosts[kind.key]
        if None in needs or not hosts:
            for e in hosts:
                columns.replicas.update({(kind.key, e, t): {} for t in problem.periods})
            continue
        chosen = columns.model.binary("uses", g, kind.key)
        columns.choices[g, kind.key] = chosen
        for t, need in enumerate(needs):
            for e in hosts:
                columns.replicas[kind.key, e, t] = (
                    {columns.model.integer("replicas", kind.key, e, t): 1.0}
                    if columns.placed(kind)
                    else {chosen: float(need or 0)}
                )


def _replica_columns(columns: Columns, kind: ReplicaKind) -> None:
    for e in columns.hosts[kind.key]:
        for t in columns.problem.periods:
            column = columns.model.integer("replicas", kind.key, e, t)
            columns.replicas[kind.key, e, t] = {column: 1.0}


def _mixed_columns(columns: Columns, g: str) -> None:
    """y where the mix is capped, x where kinds are shared between demands, r where some may go unserved."""
    problem, model = columns.problem, columns.model
    services = columns.services
    kinds, demands = services.kinds_of[g], services.demands[g]
    if any(d.max_kinds is not None for d in demands):
        columns.choices.update({(g, k.key): model.binary("uses", g, k.key) for k in kinds})
    shared = (
        len(demands) > 1
        or any(len(services.users[k.key]) > 1 for k in kinds)
        or demands[0].whole
        or any(d.windows for d in demands)
    )
    for demand in demands:
        if shared:
            columns.routed.add(demand.key)
        for t in problem.periods:
            if demand.rates_qps[t] <= 0:
                continue
            if not problem.serve_all:
                columns.short[demand.key, t] = model.continuous("short", demand.key, t, high=1.0)
            if shared:
                for kind in kinds:
                    if kind.capacity_qps.get(demand.key, 0.0) > 0:
                        column = model.continuous(
                            "share", demand.key, kind.key, t, high=demand.most_share
                        )
                        columns.shares[demand.key, kind.key, t] = column
