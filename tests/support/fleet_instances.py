"""Small random fleets of each kind, seeded, for the oracle and the metamorphic properties.

Rates and capacities are such that six nodes of an offer and four replicas of a kind always suffice.
"""

from __future__ import annotations

import random

from planner.fleet.program.problem import (
    Demand,
    FleetLimits,
    NodeOffer,
    Problem,
    ReplicaKind,
    Resilience,
)


def mixes(seed: int) -> Problem:
    """One or two services on up to two GPU types, kinds mixed, under limits now and then."""
    rng = random.Random(f"mixes {seed}")
    services = rng.randint(1, 2)
    most = rng.choice([None, 1, 2])
    demands = tuple(
        Demand(f"s{i}", f"s{i}", (rng.randint(2, 12) / 2,), max_kinds=most) for i in range(services)
    )
    kinds = tuple(
        ReplicaKind(
            f"k{j}",
            rng.choice("ab"),
            rng.choice([1, 2, 4]),
            {f"s{j % services}": rng.randint(4, 24) / 2},
            tpot_s=rng.choice([0.01, 0.02]),
        )
        for j in range(rng.randint(services, 3))
    )
    return Problem(demands, kinds, _offers(rng, (2, 4)), _limits(rng))


def buckets(seed: int) -> Problem:
    """One service in two or three length buckets on one kind per GPU type, whole or split."""
    rng = random.Random(f"buckets {seed}")
    whole = rng.random() < 0.5
    keys = [f"b{i}" for i in range(rng.randint(2, 3))]
    demands = tuple(Demand(k, "s", (rng.randint(1, 4) / 2,), whole=whole) for k in keys)
    kinds = tuple(
        ReplicaKind(f"on {gpu}", gpu, 1, {k: float(rng.choice([0, 1, 2, 4, 8])) for k in keys})
        for gpu in "ab"[: rng.randint(1, 2)]
    )
    offers = tuple(NodeOffer(g, g, 1, rng.randint(4, 20) / 4) for g in "ab")
    return Problem(demands, kinds, offers)


def packing(seed: int) -> Problem:
    """Group sizes that do not divide the node."""
    rng = random.Random(f"packing {seed}")
    services = rng.randint(1, 3)
    demands = tuple(
        Demand(f"s{i}", f"s{i}", (float(rng.randint(2, 4)),), max_kinds=rng.choice([None, 1]))
        for i in range(services)
    )
    kinds = tuple(
        ReplicaKind(
            f"k{i}", "a", rng.choice([1, 2, 3, 4, 5, 6]), {f"s{i}": float(rng.randint(2, 5))}
        )
        for i in range(services)
    )
    return Problem(demands, kinds, _offers(rng, (4, 6, 8), gpus="a"), _limits(rng))


def periods(seed: int) -> Problem:
    """Two or three periods with committed nodes beneath on-demand and spot."""
    rng = random.Random(f"periods {seed}")
    hours = tuple(float(rng.randint(1, 8)) for _ in range(rng.randint(2, 3)))
    services = rng.randint(1, 2)
    demands = tuple(
        Demand(
            f"s{i}",
            f"s{i}",
            tuple(float(rng.randint(0, 6)) for _ in hours),
            max_kinds=rng.choice([None, 1]),
        )
        for i in range(services)
    )
    kinds = tuple(
        ReplicaKind(
            f"k{j}", gpu, rng.choice([1, 2]), {f"s{j % services}": float(rng.randint(2, 5))}
        )
        for j, gpu in enumerate("aa" if services == 2 else "ab")
    )
    offers = tuple(
        NodeOffer(
            f"{gpu}-{term}", gpu, 2, price * share, committed=term == "year", spot=term == "spot"
        )
        for gpu in ("a" if services == 2 else "ab")
        for price in [rng.randint(8, 20) / 2]
        for term, share in (
            ("on-demand", 1.0),
            ("year", rng.choice([0.4, 0.6])),
            ("spot", rng.choice([0.3, 0.7])),
        )
        if term == "on-demand" or rng.random() < 0.6
    )
    limits = FleetLimits(max_spot_share=rng.choice([None, 0.5]))
    return Problem(demands, kinds, offers, limits, period_hours=hours)


def _offers(rng: random.Random, sizes: tuple[int, ...], gpus: str = "ab") -> tuple[NodeOffer, ...]:
    return tuple(
        NodeOffer(
            f"{gpu}{j}",
            gpu,
            rng.choice(sizes),
            rng.randint(4, 40) / 4,
            max_nodes=rng.choice([None, 1, 3]),
            power_kw=rng.randint(1, 4),
        )
        for gpu in gpus
        for j in range(rng.randint(1, 2))
    )


def _limits(rng: random.Random) -> FleetLimits:
    return FleetLimits(
        max_gpus=rng.choice([None, None, 8, 16]),
        max_usd_per_hour=rng.choice([None, None, 25.0]),
        max_power_kw=rng.choice([None, None, 8.0]),
        stock={"a": rng.choice([4, 8, 12])} if rng.random() < 0.3 else {},
    )


def redundancy(seed: int) -> Problem:
    """One or two services, or two buckets of one, that must survive a loss of one sort."""
    rng = random.Random(f"redundancy {seed}")
    sort = rng.choice(["replicas", "nodes", "zones", "spot_pools"])
    shared = rng.random() < 0.3
    keys = ["s0"] if rng.random() < 0.6 else ["s0", "s1"]
    most = None if shared else rng.choice([None, 1])
    demands = tuple(
        Demand(k, "s" if shared else k, (float(rng.randint(1, 4)),), max_kinds=most) for k in keys
    )
    kinds = tuple(
        ReplicaKind(
            f"k{j}",
            rng.choice("ab") if len(keys) == 1 else "a",
            rng.choice([1, 2]),
            {
                k: float(rng.randint(2, 5))
                for i, k in enumerate(keys)
                if shared or i == j % len(keys)
            },
        )
        for j in range(2)
    )
    offers = tuple(
        NodeOffer(
            f"{gpu}-{zone}-{term}",
            gpu,
            rng.choice([2, 4] if sort == "nodes" else [2]),
            rng.randint(4, 20) / 2,
            zone=zone,
            pool=gpu,
            spot=term == "spot",
        )
        for gpu in sorted({k.gpu for k in kinds})
        for zone in (("z1", "z2") if sort == "zones" else ("z1",))
        for term in (("on-demand", "spot") if sort == "spot_pools" else ("on-demand",))
    )
    limits = FleetLimits(max_gpus=rng.choice([None, None, 8]))
    count = rng.choice([1, 1, 2]) if sort in ("replicas", "nodes") else 1
    return Problem(demands, kinds, offers, limits, resilience=Resilience(**{sort: count}))


def wide_and_small(seed: int) -> Problem:
    """Nodes may fail under replicas that take several nodes, and under replicas on shares of a GPU."""
    rng = random.Random(f"wide and small {seed}")
    keys = ["s0"] if rng.random() < 0.5 else ["s0", "s1"]
    shared = len(keys) > 1 and rng.random() < 0.5
    demands = tuple(
        Demand(k, "s" if shared else k, (float(rng.randint(1, 4)),), max_kinds=None) for k in keys
    )
    sizes = [rng.choice([(4, ()), (4, (2, 2)), (6, (2, 2, 2)), (1, ()), (2, ())]) for _ in keys]
    sizes.append((1, ()))
    kinds = tuple(
        ReplicaKind(
            f"k{j}",
            "a",
            gpus,
            {
                k: float(rng.randint(2, 5))
                for i, k in enumerate(keys)
                if shared or i == j % len(keys)
            },
            group_sizes=groups,
            gpu_share=rng.choice([0.5, 0.25, 0.6]) if gpus == 1 and j == len(keys) else 1.0,
        )
        for j, (gpus, groups) in enumerate(sizes)
    )
    offers = tuple(
        NodeOffer(f"a{n}", "a", n, n * rng.randint(4, 8) / 2, link_gpus=rng.choice([0, 4]))
        for n in rng.choice([(2,), (1, 2)])
    )
    return Problem(demands, kinds, offers, resilience=Resilience(nodes=rng.choice([1, 1, 2])))


def several_losses(seed: int) -> Problem:
    """One or two services that must survive losses of two or three sorts, each on its own."""
    rng = random.Random(f"several losses {seed}")
    keys = ["s0"] if rng.random() < 0.7 else ["s0", "s1"]
    most = rng.choice([1, 1, None])
    demands = tuple(Demand(k, k, (float(rng.randint(1, 4)),), max_kinds=most) for k in keys)
    kinds = tuple(
        ReplicaKind(
            f"k{j}", "a", rng.choice([1, 1, 2]), {keys[j % len(keys)]: float(rng.randint(2, 4))}
        )
        for j in range(rng.randint(len(keys), 2))
    )
    sorts = rng.sample(["replicas", "nodes", "zones", "spot_pools"], rng.choice([2, 2, 3]))
    offers = tuple(
        NodeOffer(
            f"{zone}-{term}",
            "a",
            2,
            rng.randint(4, 20) / 2,
            zone=zone,
            pool="a",
            spot=term == "spot",
        )
        for zone in (("z1", "z2") if "zones" in sorts else ("z1",))
        for term in (("on-demand", "spot") if "spot_pools" in sorts else ("on-demand",))
    )
    return Problem(demands, kinds, offers, resilience=Resilience(**dict.fromkeys(sorts, 1)))


def places(seed: int) -> Problem:
    """Many zones or spot pools of unlike prices and node sizes, some of which may fail."""
    rng = random.Random(f"places {seed}")
    sort = rng.choice(["zones", "spot_pools"])
    most = rng.choice([1, 1, None])
    keys = ["s0"] if rng.random() < 0.6 else ["s0", "s1"]
    demands = tuple(Demand(k, k, (float(rng.randint(1, 6)),), max_kinds=most) for k in keys)
    kinds = tuple(
        ReplicaKind(
            f"k{j}",
            rng.choice("ab") if len(keys) == 1 else "a",
            rng.choice([1, 2]),
            {keys[j % len(keys)]: float(rng.randint(2, 5))},
        )
        for j in range(2)
    )
    offers = tuple(
        NodeOffer(
            f"{gpu}-{zone}-{size}",
            gpu,
            size,
            size * rng.randint(4, 16) / 4,
            zone=f"z{zone}",
            pool=gpu,
            spot=sort == "spot_pools",
            power_kw=float(size),
        )
        for gpu in sorted({k.gpu for k in kinds})
        for zone in range(rng.randint(3, 7))
        for size in rng.sample([1, 2, 4, 8], 2)
    )
    limits = FleetLimits(max_gpus=rng.choice([None, None, 16]))
    others = rng.choice([{}, {}, {"replicas": 1}, {"nodes": 1}])
    return Problem(demands, kinds, offers, limits, resilience=Resilience(**{sort: 1}, **others))
