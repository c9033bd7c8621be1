"""What an accelerator is: one row of ``catalogs/gpus.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.units import GIB, MIB


@dataclass(frozen=True, slots=True)
class GpuSpec:
    """Dense peak rates, driver-reported memory, bandwidth, link domain and power of one device.

    ``peak_tflops``: dense (never sparse) TFLOP/s or TOP/s by compute precision
    ("fp32", "fp16", "bf16", "fp8", "int8", "fp4"); a precision the device lacks is absent.
    ``multiprocessors``: SMs or compute units that load for themselves; none where a DMA engine does.
    ``cuda_visible_gib``: what a process sees as total memory, a little under the driver's figure.
    ``occupied_gib``: of it, what the system holds at start where it shares the device's memory.
    ``link_gb_s``: per-direction bandwidth to peers [GB/s]; 0 = PCIe only. ``link_topology``:
    "switch", "mesh" (bandwidth scales with the peers used), "pair" (bridged pairs) or "none".
    ``link_domain``: how many devices one fast-link domain joins. ``nic_gb_s``: this device's share of
    the network between nodes, per direction [GB/s]; 0 = unknown. ``memory_evidence`` and
    ``nic_evidence``: the grade behind ``cuda_visible_gib`` and ``nic_gb_s``. ``reserved_gib``: of the visible
    memory, what other processes hold; ``is_part``: a part of a GPU of that name, with a part of its rates.
    ``offered_network_gb_s``: as ``nic_gb_s``, where the nodes that a replica is meant for have less; None
    for the usual share.
    Hashing looks at name and
    memory alone, so that a GPU is a cheap key of a cache.
    """

    name: str
    vendor: str
    architecture: str
    compute_capability: str
    driver_memory_mib: float
    cuda_visible_gib: float
    marketed_memory_gb: float
    memory_bandwidth_gb_s: float
    peak_tflops: Mapping[str, float] = field(hash=False)
    link_gb_s: float
    link_topology: str
    link_domain: int
    pcie_gb_s: float
    tdp_w: float
    launch_year: int
    source: str
    as_of: str
    memory_evidence: str = "assumed"
    nic_gb_s: float = 0.0
    nic_evidence: str = "assumed"
    multiprocessors: int | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    occupied_gib: float = 0.0
    reserved_gib: float = 0.0
    is_part: bool = False
    offered_network_gb_s: float | None = None

    def __hash__(self) -> int:
        return hash((self.name, self.driver_memory_mib, self.cuda_visible_gib))

    @property
    def network_gb_s(self) -> float:
        """This device's share of the network between its nodes, per direction [GB/s]; 0 = unknown."""
        offered = self.offered_network_gb_s
        return self.nic_gb_s if offered is None else offered

    @property
    def visible_bytes(self) -> float:
        """Memory a process may use at most [B]."""
        return self.cuda_visible_gib * GIB

    @property
    def free_bytes(self) -> float:
        """Memory that is free when an engine starts [B]."""
        return (self.cuda_visible_gib - self.occupied_gib - self.reserved_gib) * GIB

    @property
    def driver_bytes(self) -> float:
        """Memory the driver reports [B]."""
        return self.driver_memory_mib * MIB

    @property
    def bandwidth_bytes_s(self) -> float:
        """Peak memory bandwidth [B/s]."""
        return self.memory_bandwidth_gb_s * 1e9

    def peak_flops(self, precision: str) -> float:
        """Dense peak [FLOP/s] at ``precision``; 0.0 where the device has no such units."""
        return self.peak_tflops.get(precision, 0.0) * 1e12
