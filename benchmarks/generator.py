"""Seeded fleets of any size for timing the program: services, candidates, GPU types with stock.

Capacities follow a rough law (bandwidth or arithmetic of the GPU, tensor-parallel loss, precision,
model size, noise), so that no GPU type wins everywhere and stock binds on the cheap ones. A service
needs about 2 to 60 middling GPUs at its peak.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from planner.fleet.program.problem import Demand, FleetLimits, NodeOffer, Problem, ReplicaKind

TENSOR_PARALLEL = (1, 2, 4, 8)
TYPICAL_SPEED = 15.0  # requests/s of a model of size 1 on a middling GPU


@dataclass(frozen=True)
class Size:
    """How large a fleet to make; ``candidates`` are per service, before dominance."""

    services: int
    candidates: int
    periods: int = 1
    gpu_types: int = 10
    max_kinds: int | None = None
    commitments: bool = False

    @property
    def label(self) -> str:
        mix = "mixed" if self.max_kinds is None else f"at most {self.max_kinds} kind a service"
        time = f" x {self.periods} periods" if self.periods > 1 else ""
        return f"{self.services} services x {self.candidates} candidates{time}, {mix}"


def fleet(size: Size, seed: int = 0) -> Problem:
    """A random fleet problem; the same seed gives the same one."""
    rng = random.Random(f"fleet {size} {seed}")
    speed = {f"gpu{g}": 4.0 * 1.35**g * rng.uniform(0.85, 1.2) for g in range(size.gpu_types)}
    price = {g: 0.55 * s ** rng.uniform(0.85, 1.05) for g, s in speed.items()}
    demands = []
    kinds: list[ReplicaKind] = []
    for s in range(size.services):
        model = math.exp(rng.uniform(0.0, 3.0))
        gpus = math.exp(rng.uniform(math.log(2), math.log(60)))
        peak = gpus * TYPICAL_SPEED / model
        demands.append(
            Demand(f"s{s}", f"s{s}", _day(rng, peak, size.periods), max_kinds=size.max_kinds)
        )
        kinds.extend(_kinds(rng, s, model, speed, size))
    needed = dict.fromkeys(speed, 0.0)
    for d in demands:
        best = {
            g: min(
                (
                    max(d.rates_qps) / k.capacity_qps[d.key] * k.gpus
                    for k in kinds
                    if k.gpu == g and d.key in k.capacity_qps
                ),
                default=0.0,
            )
            for g in speed
        }
        for g, gpus in best.items():
            needed[g] += gpus
    stock = {g: max(16, 8 * round(n * rng.uniform(0.1, 0.4) / 8)) for g, n in needed.items()}
    return Problem(
        tuple(demands),
        tuple(kinds),
        tuple(_offers(rng, price, size)),
        FleetLimits(stock=stock),
        period_hours=(1.0,) * size.periods,
    )


def _day(rng: random.Random, peak: float, periods: int) -> tuple[float, ...]:
    if periods == 1:
        return (peak,)
    phase = rng.uniform(0, 2 * math.pi)
    return tuple(
        peak * (0.55 + 0.45 * math.sin(2 * math.pi * t / periods + phase)) * rng.uniform(0.9, 1.0)
        for t in range(periods)
    )


def _kinds(
    rng: random.Random, s: int, model: float, speed: dict[str, float], size: Size
) -> list[ReplicaKind]:
    layouts = [(g, tp) for g in speed for tp in TENSOR_PARALLEL]
    variants = max(1, math.ceil(size.candidates / len(layouts)))
    made: list[ReplicaKind] = []
    for g, tp in layouts:
        for v in range(variants):
            if len(made) == size.candidates:
                return made
            per_gpu = speed[g] / model * rng.uniform(0.5, 1.3)
            qps = max(0.05, per_gpu * tp ** rng.uniform(0.8, 1.02))
            made.append(
                ReplicaKind(
                    f"s{s}-{g}-tp{tp}-v{v}", g, tp, {f"s{s}": qps}, tpot_s=rng.uniform(0.01, 0.1)
                )
            )
    return made


def _offers(rng: random.Random, price: dict[str, float], size: Size) -> list[NodeOffer]:
    offers = []
    for g, usd in price.items():
        for gpus in (1, 8):
            each = usd * gpus * rng.uniform(0.95, 1.1)
            offers.append(NodeOffer(f"{g}-{gpus}", g, gpus, each))
            if size.commitments:
                offers.append(NodeOffer(f"{g}-{gpus}-1y", g, gpus, each * 0.6, committed=True))
    return offers
