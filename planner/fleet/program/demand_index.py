"""Who serves whom: demands by service, kinds by service, and what a service needs of one kind alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.fleet.program.problem import Demand, Problem, ReplicaKind

ROUNDING = 1e-9  # a load this little above a whole number of replicas is that number


@dataclass(frozen=True, slots=True)
class Services:
    """Demands and replica kinds by service; ``users``: the services each kind can serve.

    ``one_kind``: services that pick one kind for themselves, so that its count follows from the rate.
    """

    demands: dict[str, list[Demand]]
    service_of: dict[str, str]
    kinds_of: dict[str, list[ReplicaKind]]
    users: dict[str, frozenset[str]]
    one_kind: frozenset[str]
    spare_replicas: int

    @classmethod
    def of(cls, problem: Problem) -> Services:
        """Sort a problem's demands and kinds by service."""
        demands: dict[str, list[Demand]] = {}
        for demand in problem.demands:
            demands.setdefault(demand.service, []).append(demand)
        service_of = {d.key: d.service for d in problem.demands}
        users = {
            k.key: frozenset(
                service_of[s] for s, c in k.capacity_qps.items() if c > 0 and s in service_of
            )
            for k in problem.kinds
        }
        kinds_of: dict[str, list[ReplicaKind]] = {g: [] for g in demands}
        for kind in problem.kinds:
            for g in sorted(users[kind.key]):
                kinds_of[g].append(kind)
        one_kind = frozenset(
            g
            for g, own in demands.items()
            if problem.serve_all
            and most_kinds(own) == 1
            and not any(d.windows for d in own)
            and all(len(users[k.key]) == 1 for k in kinds_of[g])
        )
        return cls(demands, service_of, kinds_of, users, one_kind, problem.resilience.replicas)

    def needed(self, service: str, kind: ReplicaKind, t: int) -> int | None:
        """N[d,t]: replicas of ``kind`` that carry the service in period ``t``; None = it cannot.

        The seldomest request needs one.
        """
        load = load_on(self.demands[service], kind, t)
        return None if load is None else max(math.ceil(load - ROUNDING), math.ceil(min(load, 1.0)))

    def running(self, service: str, kind: ReplicaKind, t: int) -> int | None:
        """Replicas that still are ``needed`` ones after any loss of single replicas."""
        need = self.needed(service, kind, t)
        return need + self.spare_replicas if need and not self.is_deferrable(service) else need

    def is_deferrable(self, service: str) -> bool:
        """Whether what a failure stops is done later."""
        return all(d.deferrable for d in self.demands[service])

    def gpus_alone(self, service: str, kind: ReplicaKind) -> tuple[int, ...] | None:
        """GPUs of ``running`` in each period; None where the kind cannot carry the service."""
        periods = range(len(self.demands[service][0].rates_qps))
        needs = [self.running(service, kind, t) for t in periods]
        if None in needs:
            return None
        return tuple(kind.gpus * (n or 0) for n in needs)


def load_on(demands: list[Demand], kind: ReplicaKind, t: int) -> float | None:
    """Replicas' worth of load that ``demands`` put on ``kind``; None where it cannot serve one."""
    load = 0.0
    for demand in demands:
        rate = demand.rates_qps[t]
        if rate <= 0:
            continue
        capacity = kind.capacity_qps.get(demand.key, 0.0)
        if capacity <= 0:
            return None
        load += rate / capacity
    return load


def most_kinds(demands: list[Demand]) -> int | None:
    """The most kinds the service of ``demands`` may mix; None = any number."""
    caps = [d.max_kinds for d in demands if d.max_kinds is not None]
    return min(caps) if caps else None
