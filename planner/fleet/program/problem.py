"""The fleet decision as plain numbers: what is demanded, what can run, what can be rented.

Nothing here knows about models or latency: a replica kind is a number of GPUs and a capacity per
demand. That keeps the program testable by brute force and re-checkable without a solver.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from planner.errors import InputError


@dataclass(frozen=True, slots=True)
class Demand:
    """A service, or one length bucket of it. ``rates_qps``: mean rate per period [requests/s].

    ``service`` groups buckets; ``max_kinds`` caps how many replica kinds a service may mix;
    ``whole``: the bucket goes to one GPU type entirely; ``weight``: value of serving one request
    when stock is short (every request of a higher weight comes first). ``windows``: periods within
    each of which the work may be moved: ``rates_qps`` is then its even spread over them; ``deferrable``: what
    a failure stops is done later, so that no failure need be survived. Raises InputError for a rate that is
    negative or not finite.
    """

    key: str
    service: str
    rates_qps: tuple[float, ...]
    max_kinds: int | None = None
    whole: bool = False
    weight: float = 1.0
    windows: tuple[tuple[int, ...], ...] = ()
    deferrable: bool = False

    def __post_init__(self) -> None:
        if any(not _at_least_zero(rate) for rate in self.rates_qps):
            message = "rates must be finite and not negative"
            raise InputError(message, where=self.key, found=self.rates_qps)

    @property
    def most_share(self) -> float:
        """The most of its mean rate in one period: all the work of the longest window."""
        return float(max((len(w) for w in self.windows), default=1))


@dataclass(frozen=True, slots=True)
class PoolBeside:
    """GPUs of another type that a replica has beside its own, in the same place: groups by size.

    ``network_gb_s``: as the kind's.
    """

    gpu: str
    groups: tuple[int, ...]
    network_gb_s: float = 0.0

    @property
    def gpus(self) -> int:
        """GPUs of that type in one replica."""
        return sum(self.groups)


@dataclass(frozen=True, slots=True)
class ReplicaKind:
    """One deployment: ``gpus`` of type ``gpu`` per replica, and the rate it holds per demand key.

    ``capacity_qps`` has an entry for each demand it may serve [requests/s]. ``group_gpus``: GPUs that
    must share one node or link domain (the TP group), 0 = all of them; ``group_sizes`` instead lists
    groups that differ (prefill and decode pools). ``gpu_share``: of its one GPU, where several small
    replicas share it. ``tpot_s`` breaks ties. ``beside``: the other pool, where it is on another GPU
    type: a replica is then a unit of both, in one place, and is lost with either. ``network_gb_s``: the
    share of a GPU in what joins nodes that its capacity counts on; on nodes with less it lies whole on one.
    Raises InputError without GPUs, for a capacity that is negative or not finite, and for a share of several
    GPUs.
    """

    key: str
    gpu: str
    gpus: int
    capacity_qps: Mapping[str, float]
    group_gpus: int = 0
    tpot_s: float = 0.0
    group_sizes: tuple[int, ...] = ()
    gpu_share: float = 1.0
    beside: PoolBeside | None = None
    network_gb_s: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus < 1 or any(not _at_least_zero(c) for c in self.capacity_qps.values()):
            message = "a replica needs GPUs and finite capacities"
            raise InputError(message, where=self.key, found=self.gpus)
        if not 0 < self.gpu_share <= 1 or (self.gpu_share < 1 and self.gpus != 1):
            message = "only a replica on one GPU can take a share of it"
            found = f"{self.gpu_share} of {self.gpus} GPUs"
            raise InputError(message, where=self.key, found=found)

    @property
    def all_gpus(self) -> float:
        """GPUs of both types, as far as a replica takes them."""
        return self.own_gpus + (self.beside.gpus if self.beside else 0)

    @property
    def own_gpus(self) -> float:
        """GPUs of its own type, as far as a replica takes them."""
        return self.gpus * self.gpu_share

    @property
    def in_one_group(self) -> ReplicaKind:
        """The kind where all its GPUs must share one node."""
        return replace(self, group_gpus=0, group_sizes=(self.gpus,)) if self.is_wide else self

    def spans_over(self, network_gb_s: float) -> bool:
        """Whether its groups may lie on several nodes that such a network joins."""
        return network_gb_s > 0 and network_gb_s >= self.network_gb_s

    @property
    def types(self) -> tuple[str, ...]:
        """GPU types that a replica needs."""
        return (self.gpu,) if self.beside is None else (self.gpu, self.beside.gpu)

    def other_pool(self) -> ReplicaKind | None:
        """What is on the other GPU type, as a kind that serves nothing by itself."""
        if self.beside is None:
            return None
        return ReplicaKind(
            f"{self.key} (prefill)",
            self.beside.gpu,
            self.beside.gpus,
            {},
            group_sizes=self.beside.groups,
            network_gb_s=self.beside.network_gb_s,
        )

    @property
    def is_wide(self) -> bool:
        """Whether it has several GPU groups, which may stand on different nodes of one place."""
        return self.beside is not None or len(self.groups) > 1

    @property
    def groups(self) -> tuple[int, ...]:
        """Sizes of the GPU groups that must each stay within one node or link domain [GPUs].

        A replica on a share of a GPU has none: it is on a GPU that is cut.
        """
        if self.gpu_share < 1:
            return ()
        if self.group_sizes:
            return self.group_sizes
        size = self.group_gpus or self.gpus
        whole, rest = divmod(self.gpus, size)
        return (size,) * whole + ((rest,) if rest else ())


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """Something that can be rented or is owned: a node of ``gpus_per_node`` GPUs at a price.

    ``committed``: paid in every period whether used or not; ``spot``: may be lost at once with its
    whole (``pool``, ``zone``); ``max_nodes``: stock or quota of this offer, None = unlimited.
    ``link_gpus``: GPUs of one link domain when it spans nodes (an NVLink rack), 0 = the node's own.
    ``periods``: when it can run and is paid, None = always. ``reserve_share``: of its GPUs kept idle
    against interruptions. ``existing``: nodes that run before the first period. ``min_nodes``: where
    any are billed, no fewer than these; ``vendor``: whom ``max_vendors`` counts, "" = nobody. ``place``:
    provider and region, within which the GPU groups of one replica lie. ``network_gb_s``: a GPU's
    share of what joins its nodes, 0 where they do not reach each other and a replica lies whole on one.
    Raises InputError without GPUs and for a price that is negative or not finite.
    """

    key: str
    gpu: str
    gpus_per_node: int
    usd_per_hour: float
    zone: str = ""
    pool: str = ""
    committed: bool = False
    spot: bool = False
    max_nodes: int | None = None
    power_kw: float = 0.0
    link_gpus: int = 0
    periods: tuple[int, ...] | None = None
    reserve_share: float = 0.0
    existing: int = 0
    min_nodes: int = 1
    vendor: str = ""
    place: str = ""
    network_gb_s: float = math.inf

    def __post_init__(self) -> None:
        if not _at_least_zero(self.usd_per_hour) or self.gpus_per_node < 1:
            message = "an offer needs a price of at least 0 and at least one GPU"
            found = f"{self.usd_per_hour} USD/h for {self.gpus_per_node} GPUs"
            raise InputError(message, where=self.key, found=found)

    @property
    def is_free(self) -> bool:
        """Whether any number can be billed, and none runs already."""
        return self.max_nodes is None and self.min_nodes <= 1 and not self.existing

    def runs_in(self, period: int) -> bool:
        """Whether the offer can run, and is paid, in that period."""
        return self.periods is None or period in self.periods


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit in every period: ``sum per_node[offer] * nodes billed <= limit``.

    A quota, a region's or provider's GPUs, carbon [kg/h]: ``key`` names it in the scenario's words.
    """

    key: str
    limit: float
    per_node: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """Caps on the whole fleet in every period; None = no cap. ``stock``: GPUs by type.

    GPUs count as billed: a rented node of eight counts eight, used or not. ``max_vendors``: how many
    may be paid at all. ``max_spot_share`` is of the GPUs that replicas take (``spot_share``).
    ``mean_usd_per_hour`` is of all periods together, for programs whose dearer fleets are of no use.
    """

    max_gpus: int | None = None
    max_usd_per_hour: float | None = None
    max_power_kw: float | None = None
    max_spot_share: float | None = None
    stock: Mapping[str, int] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    max_vendors: int | None = None
    mean_usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Resilience:
    """What may fail without missing a target: so many at once of one sort, wherever it hurts most.

    ``replicas``, ``nodes``, ``zones``, or whole ``spot_pools`` in a zone; sorts do not fail together.
    """

    replicas: int = 0
    nodes: int = 0
    zones: int = 0
    spot_pools: int = 0

    @property
    def by_place(self) -> bool:
        """Whether it matters where replicas stand: nodes, zones or spot pools may fail."""
        return bool(self.nodes or self.zones or self.spot_pools)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fleet decision. ``period_hours``: how long each period lasts [h]; their sum weighs costs.

    ``share_nodes``: whether services may share a node. ``overlap_hours``: how long removed
    existing nodes run beside what replaces them in the first period [h]. ``one_place``: GPU types whose
    nodes are distinguished by place, so that replicas wider than a node lie in one (``one_place``).

    Raises InputError for two things of one key, for periods without length and for demands that do not
    have a rate in each.
    """

    demands: tuple[Demand, ...]
    kinds: tuple[ReplicaKind, ...]
    offers: tuple[NodeOffer, ...]
    limits: FleetLimits = FleetLimits()
    period_hours: tuple[float, ...] = (1.0,)
    resilience: Resilience = Resilience()
    serve_all: bool = True
    share_nodes: bool = True
    overlap_hours: float = 0.0
    one_place: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_keys("demand", self.demands)
        _check_keys("kind", self.kinds)
        _check_keys("offer", self.offers)
        if not self.period_hours or any(not _positive(h) for h in self.period_hours):
            raise InputError("periods must last more than 0 hours", found=self.period_hours)
        for demand in self.demands:
            if len(demand.rates_qps) != len(self.period_hours):
                raise InputError(
                    "one rate per period is needed",
                    where=demand.key,
                    found=f"{len(demand.rates_qps)} rates",
                    allowed=f"{len(self.period_hours)} rates",
                )

    @property
    def placed(self) -> frozenset[str]:
        """GPU types whose nodes are distinguished by place: of units of two types, and of ``one_place``."""
        paired = (gpu for k in self.kinds if k.beside is not None for gpu in k.types)
        return self.one_place.union(paired)

    @property
    def periods(self) -> range:
        """Indexes of the periods."""
        return range(len(self.period_hours))

    def of_kinds(self, kinds: Iterable[ReplicaKind]) -> Problem:
        """The same with these kinds alone: offers of other GPU types are left out, but for existing nodes."""
        kept = tuple(kinds)
        used = {gpu for kind in kept for gpu in kind.types}
        offers = tuple(o for o in self.offers if o.gpu in used or o.existing)
        return replace(self, kinds=kept, offers=offers)


def _check_keys(name: str, things: Sequence[Demand | ReplicaKind | NodeOffer]) -> None:
    keys = [thing.key for thing in things]
    if len(set(keys)) != len(keys):
        double = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"two {name}s share a key", found=double)


def _positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


def _at_least_zero(number: float) -> bool:
    return math.isfinite(number) and number >= 0


Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Solver = Literal["highs", "cbc"]  # behind PuLP


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver proved. ``status``: "optimal", "feasible", "infeasible" or "unknown".

    ``replicas``: replicas per (kind, period); ``nodes``: running nodes per (offer, kind or "" when
    pooled, period); ``billed``: nodes paid per (offer, period); ``routed_qps``: rate per (demand,
    kind, period); ``unserved_qps`` per (demand, period). ``objective`` and ``bound`` are mean
    USD per hour over the periods; ``gap`` is relative. ``kinds_after_dominance``: replica kinds
    that reached the solver. ``overlap_node_hours``: per offer, paid for nodes that overlap
    while migrating, over the horizon [h]. ``restrictions``: in words, which fleets were not looked at.
    """

    status: Status
    objective_usd_per_hour: float | None
    bound_usd_per_hour: float | None
    gap: float | None
    replicas: Mapping[tuple[str, int], int] = field(default_factory=dict)
    nodes: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    billed: Mapping[tuple[str, int], int] = field(default_factory=dict)
    routed_qps: Mapping[tuple[str, str, int], float] = field(default_factory=dict)
    unserved_qps: Mapping[tuple[str, int], float] = field(default_factory=dict)
    solver: str = ""
    solver_version: str = ""
    seconds: float = 0.0
    variables: int = 0
    constraints: int = 0
    kinds_after_dominance: int = 0
    overlap_node_hours: Mapping[str, float] = field(default_factory=dict)
    restrictions: tuple[str, ...] = ()

    @property
    def has_fleet(self) -> bool:
        """Whether a fleet was found, proved cheapest or not."""
        return self.status in ("optimal", "feasible")

    def most_gpus(self, problem: Problem) -> int:
        """GPUs billed in the period with the most, of nodes as ``problem`` has them."""
        each = {o.key: o.gpus_per_node for o in problem.offers}
        billed: dict[int, int] = {}
        for (offer, period), nodes in self.billed.items():
            billed[period] = billed.get(period, 0) + nodes * each[offer]
        return max(billed.values(), default=0)

    def most_replicas(self) -> dict[str, int]:
        """Replicas of each kind in the period with the most."""
        most: dict[str, int] = {}
        for (kind, _), count in self.replicas.items():
            most[kind] = max(most.get(kind, 0), count)
        return most
