"""What nodes draw at full load: with the server around their GPUs where the catalog states it.

A server row gives the full power of the whole, which is shared out by its GPUs; of other GPUs only their
own limit is known, without a host. PUE is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planner.catalog.gpu import GpuSpec
from planner.catalog.money_rows import ServerRow
from planner.catalog.store import Catalog


def whole_servers(catalog: Catalog) -> Mapping[str, ServerRow]:
    """The server row of each GPU type that has one, by the GPU's name."""
    return {catalog.gpu(row.gpu).name: row for row in catalog.servers()}


def full_power_kw(gpu: GpuSpec, servers: Mapping[str, ServerRow]) -> float:
    """Power of one GPU at full load with its share of the server, or its own limit alone [kW]."""
    row = servers.get(gpu.name)
    return gpu.tdp_w / 1000 if row is None else row.max_power_kw / row.gpus


def power_note(gpus: Iterable[str], catalog: Catalog) -> str:
    """Whose power the limits count, of a plan with these GPU types."""
    servers = whole_servers(catalog)
    whole = [g for g in dict.fromkeys(gpus) if g in servers]
    alone = [g for g in dict.fromkeys(gpus) if g not in servers]
    parts = [f"whole servers of {', '.join(whole)}"] * bool(whole)
    parts += [f"the GPUs alone of {', '.join(alone)}, whose servers' power is not known"] * bool(
        alone
    )
    return f"limits on power and emissions count the full power of {' and '.join(parts)}"
