"""No unit slips among accelerators: peaks, memory and bandwidth against independent derivations.

``gpu_units.csv`` holds what vendors publish about the silicon: units, multiply-adds per unit and clock,
clock, memory bus and pin rate. Peaks are units x multiply-adds x 2 x clock; bandwidth is bus x rate / 8.
A sparse peak would be off by 2, a bidirectional link by 2, GiB for GB by 1.074.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from planner.catalog.gpu import GpuSpec
from planner.catalog.store import load_catalog

CATALOG = load_catalog()
GPUS = {gpu.name: gpu for gpu in CATALOG.gpus()}
with (Path(__file__).parent / "gpu_units.csv").open(encoding="utf-8", newline="") as _file:
    UNITS = {
        row["name"]: {k: float(v) for k, v in row.items() if k != "name"}
        for row in csv.DictReader(_file)
    }

INLINE_ECC = {"t4", "t4g", "a10", "a10g", "a40", "l4", "l40", "l40s", "b300-sxm-288gb", "a16"}
HALF_RATE_FP8 = {
    "rtx-5080",
    "rtx-5090",
    "rtx-5070-ti",
}  # FP8 with FP32 accumulation runs at half rate
RACK = {"gb200", "gb300"}
PCIE_X16_GB_S = {0.0, 15.75, 31.5, 63.0, 126.0}
LINK_GB_S = {
    "p100-sxm": 4 * 20,
    "v100-sxm-32gb": 6 * 25,
    "a100-sxm-80gb": 12 * 25,
    "h100-sxm-80gb": 18 * 25,
    "h200-sxm-141gb": 18 * 25,
    "b200-sxm-180gb": 18 * 50,
    "gb200": 18 * 50,
    "mi300x": 7 * 64,
    "gaudi-2": 21 * 12.5,
    "gaudi-3": 21 * 25,
}
every_gpu = pytest.mark.parametrize("gpu", GPUS.values(), ids=lambda gpu: gpu.name)


def test_there_are_enough_and_names_are_unique() -> None:
    assert len(GPUS) >= 45
    names = [n.lower() for gpu in GPUS.values() for n in (gpu.name, *gpu.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", UNITS)
def test_the_16_bit_peak_is_dense(name: str) -> None:
    unit = UNITS[name]
    derived = unit["units"] * unit["fma_per_unit_and_clock"] * 2 * unit["clock_mhz"] * 1e6
    assert GPUS[name].peak_flops("fp16") == pytest.approx(derived, rel=0.12)


@pytest.mark.parametrize("name", UNITS)
def test_bandwidth_is_in_si_units(name: str) -> None:
    derived = UNITS[name]["bus_bits"] * UNITS[name]["pin_gbit_s"] / 8
    assert GPUS[name].memory_bandwidth_gb_s == pytest.approx(derived, rel=0.035)


@every_gpu
def test_peaks_stand_in_the_ratios_of_their_generation(gpu: GpuSpec) -> None:
    peaks = gpu.peak_tflops
    if "bf16" in peaks and "fp16" in peaks:
        assert peaks["bf16"] == peaks["fp16"]
    if "fp8" in peaks:
        same_rate = gpu.architecture == "gaudi3"
        assert peaks["fp8"] / peaks["bf16"] == pytest.approx(1 if same_rate else 2, rel=0.03)
        assert gpu.architecture in {
            "ada-lovelace", "hopper", "blackwell", "blackwell-ultra", "cdna3", "cdna4", "gaudi2", "gaudi3"
        }  # fmt: skip
    if "fp4" in peaks:
        ratio = 3 if gpu.architecture == "blackwell-ultra" else 2
        if gpu.name in HALF_RATE_FP8:
            ratio = 4
        assert peaks["fp4"] / peaks["fp8"] == pytest.approx(ratio, rel=0.05)
        assert gpu.architecture in {"blackwell", "blackwell-ultra", "cdna4"}
    if "bf16" in peaks:
        assert gpu.architecture not in {"pascal", "volta", "turing"}


@every_gpu
def test_memory_is_what_the_driver_reports_in_binary_units(gpu: GpuSpec) -> None:
    if gpu.name == "gb10":
        return  # shares its memory with the processor
    share = gpu.driver_memory_mib / (gpu.marketed_memory_gb * 1024)
    low, high = (0.93, 0.9385) if gpu.name in INLINE_ECC else (0.985, 1.0001)
    if gpu.name in RACK:
        low, high = 0.96, 0.966
    if gpu.name == "gh200-144gb":
        low = 0.98
    assert low <= share <= high


@every_gpu
def test_a_process_sees_a_little_less_than_the_driver(gpu: GpuSpec) -> None:
    driver_gib = gpu.driver_memory_mib / 1024
    assert 0 < driver_gib - gpu.cuda_visible_gib <= max(0.6, 0.045 * driver_gib)
    assert gpu.visible_bytes < gpu.driver_bytes


@pytest.mark.parametrize("name", LINK_GB_S)
def test_links_are_per_direction(name: str) -> None:
    assert GPUS[name].link_gb_s == LINK_GB_S[name]


@every_gpu
def test_links_power_and_dates_are_plausible(gpu: GpuSpec) -> None:
    assert gpu.pcie_gb_s in PCIE_X16_GB_S
    assert (gpu.link_gb_s == 0) == (gpu.link_topology == "none") == (gpu.link_domain == 1)
    assert 0 < gpu.nic_gb_s <= 100
    assert 60 <= gpu.tdp_w <= 1500
    assert gpu.peak_flops("fp32") <= gpu.peak_flops("fp16") or gpu.vendor == "google"
    assert 0 <= (date.fromisoformat(gpu.as_of) - date(2026, 1, 1)).days < 366
    assert gpu.source


def test_a_bridge_is_there_only_where_a_node_has_it() -> None:
    alone, joined = CATALOG.gpu("h100-nvl"), CATALOG.gpu("h100-nvl-bridged")
    assert (alone.link_topology, alone.link_gb_s) == ("none", 0)
    assert (joined.link_topology, joined.link_gb_s, joined.link_domain) == ("pair", 300, 2)
    assert joined.name == "h100-nvl-94gb-bridged"
    assert joined not in CATALOG.gpus()
    offered = {o.instance_type: o.gpu for o in CATALOG.offers() if o.provider == "hyperstack"}
    assert offered["n3-H100x8"] == "h100-pcie-80gb"
    assert offered["n3-H100x8-NVLink"] == "h100-pcie-80gb-bridged"
