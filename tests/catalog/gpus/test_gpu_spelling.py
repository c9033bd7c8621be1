"""GPUs found by the names drivers and benchmarks print."""

from __future__ import annotations

import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("A100-SXM4-80GB", "a100-sxm-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("NVIDIA Z100", None),
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80gb"),
        ("H100-SXM5-80GB", "h100-sxm-80gb"),
        ("NVIDIA H100 PCIe", "h100-pcie-80gb"),
        ("NVIDIA H200", "h200-sxm-141gb"),
        ("NVIDIA B200", "b200-sxm-180gb"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("RTX 4090", "rtx-4090"),
        ("rtx4090", "rtx-4090"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-blackwell-server"),
        ("Tesla T4", "t4"),
        ("Tesla V100-SXM2-16GB", "v100-sxm-16gb"),
        ("AMD Instinct MI300X", "mi300x"),
        ("mi355x", "mi355x"),
    ],
)
def test_a_driver_name_is_the_catalog_gpu(written: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(InputError, match="unknown GPU"):
            CATALOG.gpu(written)
    else:
        assert CATALOG.gpu(written).name == name
