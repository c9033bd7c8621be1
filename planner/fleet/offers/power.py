"""What nodes draw at full load, with the server around their GPUs. PUE is not part of it.

A server of ``servers.csv`` or ``server_power.csv`` states the full power of the whole, which is shared out
by its GPUs. Servers of other GPUs are assumed to draw as much over their GPUs' own limits as the median of
those that are stated, so that a limit on power prefers no GPU for what is not known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from planner.catalog.gpu import GpuSpec
from planner.catalog.money_rows import ServerRow
from planner.catalog.store import Catalog


@dataclass(frozen=True, slots=True)
class ServerPower:
    """``stated``: full power of a server over its GPUs, by GPU [kW]; ``over_limits``: assumed of others."""

    stated: Mapping[str, float]
    over_limits: float

    def full_kw(self, gpu: GpuSpec) -> float:
        """Power of one GPU at full load with its share of the server [kW]."""
        return self.stated.get(gpu.name, self.over_limits * gpu.tdp_w / 1000)


def whole_servers(catalog: Catalog) -> Mapping[str, ServerRow]:
    """The server that can be bought of each GPU type that has one, by the GPU's name."""
    return {catalog.gpu(row.gpu).name: row for row in catalog.servers()}


def server_power(catalog: Catalog) -> ServerPower:
    """What the catalog states of servers' power; the GPUs' own limits alone where it states nothing."""
    stated = {
        catalog.gpu(gpu).name: kw / gpus
        for gpu, gpus, kw in (
            *((row.gpu, row.gpus, row.max_power_kw) for row in catalog.server_power()),
            *((row.gpu, row.gpus, row.max_power_kw) for row in catalog.servers()),
        )
    }
    over = [1000 * kw / catalog.gpu(name).tdp_w for name, kw in stated.items()]
    return ServerPower(stated, median(over) if over else 1.0)


def power_note(gpus: Iterable[str], catalog: Catalog) -> str:
    """Whose power the limits count, of a plan with these GPU types."""
    power = server_power(catalog)
    known = [g for g in dict.fromkeys(gpus) if g in power.stated]
    others = [g for g in dict.fromkeys(gpus) if g not in power.stated]
    parts = [f"the full power of whole servers of {', '.join(known)}"] * bool(known)
    parts += [
        f"{power.over_limits:.2g} times the GPU's limit of {', '.join(others)}, whose servers' power is not "
        "known (assumed: the median of the servers that are)"
    ] * bool(others)
    return f"limits on power and emissions count {' and '.join(parts)}"
