"""Energy and carbon of a plan: power between idle and full by load, times PUE and the grid's intensity.

    energy  = sum GPUs x (idle + load x (full - idle)) x PUE x 730 h
    carbon  = energy x grid intensity of the region

Where a server row of the GPU states idle and full power of the whole, these are taken, shared out by its
GPUs; of others the GPU's limit alone, at any load, which stands for the host that is not known.
"""

from __future__ import annotations

from planner.catalog.store import Catalog
from planner.findings.ownership_terms import terms_of
from planner.findings.schema import Energy
from planner.fleet.offers.power import whole_servers
from planner.plan.labels import rented
from planner.plan.schema import Plan
from planner.scenario.fleet import Carbon
from planner.units import HOURS_PER_MONTH
from planner.workload.lengths import lengths_of

SECONDS_PER_HOUR = 3600.0


def energy_of(plan: Plan, catalog: Catalog) -> Energy | None:
    """What the planned fleet draws at its mean load; None without a plan."""
    if plan.totals is None:
        return None
    carbon = plan.scenario.limits.carbon
    pue = carbon.pue if carbon is not None else terms_of(plan.scenario, catalog).value("pue")
    servers = whole_servers(catalog)
    loads = _loads(plan)
    kwh = kg = 0.0
    bases = {}
    for node in rented(plan):
        count = node.count * node.gpus_per_node * node.hours_share
        row = servers.get(node.gpu)
        if row is not None:
            full, idle = row.max_power_kw / row.gpus, row.idle_power_kw / row.gpus
            load = loads.get(node.gpu, 0.0)
            bases[node.gpu] = f"{node.gpu}: whole server ({row.name}), {100 * load:.0f} % load"
        else:
            full = idle = catalog.gpu(node.gpu).tdp_w / 1000
            load = 1.0
            bases[node.gpu] = f"{node.gpu}: its power limit, no host"
        drawn = count * (idle + load * (full - idle)) * pue * HOURS_PER_MONTH
        kwh += drawn
        kg += drawn * _intensity(carbon, node.region) / 1000
    tokens = _tokens_per_month(plan) / 1e6
    return Energy(
        kwh,
        kg,
        kwh / tokens if tokens else None,
        kg / tokens if tokens else None,
        pue,
        1000 * kg / kwh if kwh else 0.0,
        "; ".join(bases.values()),
    )


def _loads(plan: Plan) -> dict[str, float]:
    """Mean utilization of each GPU type, by GPUs; idle GPUs of its nodes count as idle."""
    used: dict[str, float] = {}
    for service in plan.services:
        for group in service.replica_groups:
            for gpu, each in group.gpus_by_type.items():
                used[gpu] = used.get(gpu, 0.0) + group.utilisation * (group.replicas * each)
    rented_gpus: dict[str, float] = {}
    for node in rented(plan):
        gpus = node.count * node.gpus_per_node * node.hours_share
        rented_gpus[node.gpu] = rented_gpus.get(node.gpu, 0.0) + gpus
    return {gpu: min(1.0, used.get(gpu, 0.0) / gpus) for gpu, gpus in rented_gpus.items() if gpus}


def _intensity(carbon: Carbon | None, region: str) -> float:
    """Grid intensity of a region [g CO2e per kWh]; the scenario's, else the world's mean."""
    if carbon is None:
        return WORLD_G_PER_KWH
    return carbon.g_per_kwh.get(region, carbon.elsewhere_g_per_kwh)


WORLD_G_PER_KWH = float(Carbon.model_fields["elsewhere_g_per_kwh"].default)


def _tokens_per_month(plan: Plan) -> float:
    requested = {s.name: s for s in plan.scenario.services}
    per_second = 0.0
    for service in plan.services:
        lengths = lengths_of(requested[service.name])
        per_second += service.served_qps * (lengths.mean_prompt + lengths.mean_written)
    return per_second * SECONDS_PER_HOUR * HOURS_PER_MONTH
