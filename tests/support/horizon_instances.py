"""Small random fleets over time: a shared day, growth under commitments, pools, owned beside rented.

Rates, capacities and counts on offer are such that five nodes of an offer and five replicas of a kind
always suffice, which is what brute force tries.
"""

from __future__ import annotations

import random

from planner.fleet.program.problem import (
    Cap,
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
)


def shared_day(seed: int) -> Problem:
    """A day of four to eight periods; two services whose small replicas may share a GPU."""
    rng = random.Random(f"shared day {seed}")
    hours = tuple(float(rng.choice([1, 1, 2, 6])) for _ in range(rng.randint(4, 8)))
    keys = ["s0", "s1"]
    demands = tuple(
        Demand(
            k, k, tuple(float(rng.randint(0, 5)) for _ in hours), max_kinds=rng.choice([1, 1, None])
        )
        for k in keys
    )
    kinds = (
        *(
            ReplicaKind(
                f"small {k}",
                "a",
                1,
                {k: float(rng.randint(2, 3))},
                gpu_share=rng.choice([0.5, 0.25, 0.6, 0.4]),
            )
            for k in keys
        ),
        ReplicaKind("whole", "a", rng.choice([1, 2]), {rng.choice(keys): float(rng.randint(3, 6))}),
    )
    price = rng.randint(8, 20) / 4
    offers = (
        NodeOffer("on-demand", "a", 2, 2 * price),
        NodeOffer("year", "a", 2, rng.choice([0.5, 0.7]) * 2 * price, committed=True),
    )
    return Problem(demands, kinds, offers, period_hours=hours)


def growth(seed: int) -> Problem:
    """Stages of a growing demand: commitments that start with a stage and run for some or to the end."""
    rng = random.Random(f"growth {seed}")
    stages = rng.randint(3, 4)
    hours = tuple(float(rng.choice([1, 3])) for _ in range(stages))
    rate = rng.randint(1, 3)
    rates = []
    for _ in range(stages):
        rates.append(float(rate))
        rate += rng.randint(0, 2)
    demands = (Demand("s", "s", tuple(rates), max_kinds=rng.choice([1, None])),)
    kinds = tuple(
        ReplicaKind(f"k{gpu}", gpu, rng.choice([1, 2]), {"s": float(rng.randint(2, 4))})
        for gpu in "ab"[: rng.randint(1, 2)]
    )
    gpus = sorted({k.gpu for k in kinds})
    offers: list[NodeOffer] = []
    for gpu in gpus:
        price = rng.randint(6, 16) / 2
        offers.append(NodeOffer(f"{gpu} on-demand", gpu, 2, price))
        for start in rng.sample(range(stages), 2 if len(gpus) == 1 else 1):
            end = rng.randint(start + 1, stages)
            offers.append(
                NodeOffer(
                    f"{gpu} from {start} to {end}",
                    gpu,
                    2,
                    price * rng.choice([0.4, 0.6, 0.8]),
                    committed=True,
                    periods=tuple(range(start, end)),
                    max_nodes=rng.choice([None, 2]),
                )
            )
    return Problem(demands, kinds, tuple(offers), period_hours=hours)


def pools(seed: int) -> Problem:
    """Units of a prefill pool and a decode pool, whose groups differ in size, beside plain replicas."""
    rng = random.Random(f"pools {seed}")
    keys = ["s0"] if rng.random() < 0.5 else ["s0", "s1"]
    demands = tuple(
        Demand(k, k, (float(rng.randint(2, 8)),), max_kinds=rng.choice([1, 1, 2])) for k in keys
    )
    units = [(1, 1), (2, 1), (2, 1, 1), (4, 2), (2, 2, 4), (3, 1), (4, 1, 1)]
    drawn = [(k, rng.choice(units), float(rng.randint(3, 8))) for k in keys]
    kinds = (
        *(
            ReplicaKind(f"unit of {k}", "a", sum(sizes), {k: rate}, group_sizes=sizes)
            for k, sizes, rate in drawn
        ),
        ReplicaKind("plain", "a", rng.choice([1, 2, 4]), {keys[0]: float(rng.randint(2, 5))}),
    )
    offers = tuple(
        NodeOffer(f"a{n}", "a", n, n * rng.randint(4, 8) / 4, max_nodes=rng.choice([1, 2, 5]))
        for n in sorted(rng.sample([2, 4, 8], 2))
    )
    return Problem(demands, kinds, offers, FleetLimits(max_gpus=rng.choice([None, None, 16])))


def owned(seed: int) -> Problem:
    """Owned nodes that run today, beside offers of several vendors, least quantities and quotas."""
    rng = random.Random(f"owned {seed}")
    hours = tuple(float(rng.randint(1, 4)) for _ in range(rng.randint(1, 2)))
    demands = (Demand("s", "s", tuple(float(rng.randint(1, 4)) for _ in hours), max_kinds=None),)
    kinds = tuple(
        ReplicaKind(f"k{gpu}", gpu, rng.choice([1, 2]), {"s": float(rng.randint(2, 4))})
        for gpu in "ab"
    )
    existing = rng.randint(1, 2)
    mine = NodeOffer(
        "mine", "a", 2, rng.randint(1, 12) / 4, max_nodes=existing, existing=existing, power_kw=2.0
    )
    offers = (
        mine,
        *(
            NodeOffer(
                f"{gpu} of v{j}",
                gpu,
                rng.choice([1, 2]),
                rng.randint(4, 16) / 2,
                vendor=f"v{j}",
                min_nodes=rng.choice([1, 1, 2]) if len(hours) == 1 else 1,
                max_nodes=rng.choice([None, 3]),
                power_kw=1.0,
            )
            for j, gpu in enumerate(rng.choice(["ab", "bb", "aab"]))
        ),
    )
    rented = {o.key: float(o.gpus_per_node) for o in offers[1:]}
    limits = FleetLimits(
        max_vendors=rng.choice([None, 1]),
        max_gpus=rng.choice([None, None, 6]),
        caps=(Cap("rented", float(rng.randint(2, 6)), rented),) if rng.random() < 0.4 else (),
    )
    overlap = rng.choice([0.0, 0.2, 1.0])
    return Problem(demands, kinds, offers, limits, period_hours=hours, overlap_hours=overlap)


def few_places(seed: int) -> Problem:
    """Three zones or spot pools of unlike prices, some of which may fail, with losses of other sorts."""
    rng = random.Random(f"few places {seed}")
    sort = rng.choice(["zones", "spot_pools"])
    demands = (Demand("s", "s", (float(rng.randint(1, 5)),), max_kinds=rng.choice([1, None])),)
    kinds = tuple(
        ReplicaKind(f"k{j}", "a", gpus, {"s": float(rng.randint(2, 4))})
        for j, gpus in enumerate(rng.choice([(1,), (2,), (1, 2)]))
    )
    offers = tuple(
        NodeOffer(
            f"z{zone}",
            "a",
            rng.choice([1, 2, 2]),
            rng.randint(4, 16) / 4,
            zone=f"z{zone}",
            pool="a",
            spot=sort == "spot_pools",
        )
        for zone in range(3)
    )
    others = rng.choice([{}, {"replicas": 1}, {"nodes": 1}, {"replicas": 1, "nodes": 1}])
    return Problem(demands, kinds, offers, resilience=Resilience(**{sort: 1}, **others))
