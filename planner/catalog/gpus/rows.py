"""The rows of ``catalogs/gpus.csv``, and the ``GpuSpec`` each becomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.gpu import GpuSpec
from planner.catalog.tables import IsoDate, TableRow, read_table

BRIDGED = "-bridged"  # ends the name of a device in a node whose bridge joins it to others
PRECISIONS = ("fp32", "fp16", "bf16", "fp8", "int8", "fp4")


class GpuRow(TableRow):
    """One accelerator; ``catalogs/README.md`` says what each column means."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    vendor: Literal["nvidia", "amd", "intel", "google"]
    architecture: str
    compute_capability: str = ""
    driver_memory_mib: float = Field(gt=0)
    cuda_visible_gib: float = Field(gt=0)
    memory_evidence: Literal["measured", "assumed"]
    marketed_memory_gb: float = Field(gt=0)
    memory_bandwidth_gb_s: float = Field(gt=0)
    occupied_gib: float = Field(default=0.0, ge=0)
    multiprocessors: int | None = Field(default=None, ge=1)
    fp32_tflops: float | None = Field(default=None, gt=0)
    fp16_tflops: float | None = Field(default=None, gt=0)
    bf16_tflops: float | None = Field(default=None, gt=0)
    fp8_tflops: float | None = Field(default=None, gt=0)
    int8_tops: float | None = Field(default=None, gt=0)
    fp4_tflops: float | None = Field(default=None, gt=0)
    link_gb_s: float = Field(ge=0)
    link_topology: Literal["switch", "mesh", "pair", "none"]
    link_domain: int = Field(ge=1)
    bridge_gb_s: float = Field(default=0.0, ge=0)
    bridge_topology: Literal["", "pair", "mesh"] = ""
    bridge_domain: int = Field(default=1, ge=1)
    nic_gb_s: float = Field(ge=0)
    nic_evidence: Literal["published", "assumed"]
    pcie_gb_s: float = Field(ge=0)
    tdp_w: float = Field(gt=0)
    launch_year: int = Field(ge=2010, le=2035)
    aliases: str = ""
    source: str
    as_of: IsoDate
    note: str = ""

    def spec(self) -> GpuSpec:
        """Return the accelerator, with the precisions it lacks left out."""
        peaks = {
            precision: getattr(self, f"{precision}_{'tops' if precision == 'int8' else 'tflops'}")
            for precision in PRECISIONS
        }
        return GpuSpec(
            name=self.name,
            vendor=self.vendor,
            architecture=self.architecture,
            compute_capability=self.compute_capability,
            driver_memory_mib=self.driver_memory_mib,
            cuda_visible_gib=self.cuda_visible_gib,
            memory_evidence=self.memory_evidence,
            marketed_memory_gb=self.marketed_memory_gb,
            memory_bandwidth_gb_s=self.memory_bandwidth_gb_s,
            occupied_gib=self.occupied_gib,
            multiprocessors=self.multiprocessors,
            peak_tflops={p: v for p, v in peaks.items() if v is not None},
            link_gb_s=self.link_gb_s,
            link_topology=self.link_topology,
            link_domain=self.link_domain,
            nic_gb_s=self.nic_gb_s,
            nic_evidence=self.nic_evidence,
            pcie_gb_s=self.pcie_gb_s,
            tdp_w=self.tdp_w,
            launch_year=self.launch_year,
            source=self.source,
            as_of=self.as_of,
            aliases=tuple(filter(None, self.aliases.split(";"))),
            note=self.note,
        )

    def bridged(self) -> GpuSpec | None:
        """Return the accelerator in a node that has the bridge, under a name of its own."""
        if not self.bridge_topology:
            return None
        return replace(
            self.spec(),
            name=f"{self.name}{BRIDGED}",
            aliases=(),
            link_gb_s=self.bridge_gb_s,
            link_topology=self.bridge_topology,
            link_domain=self.bridge_domain,
        )


def read_gpus(path: Path) -> tuple[GpuSpec, ...]:
    """Return every accelerator of ``catalogs/gpus.csv``, in file order."""
    return tuple(row.spec() for row in read_table(path, GpuRow))


def read_bridged_gpus(path: Path) -> tuple[GpuSpec, ...]:
    """Return those that a bridge can join, as they are in a node that has it."""
    found = (row.bridged() for row in read_table(path, GpuRow))
    return tuple(gpu for gpu in found if gpu is not None)
