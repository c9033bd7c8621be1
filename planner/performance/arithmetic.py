"""In which precision a GPU computes with weights of a format."""

from __future__ import annotations

from planner.catalog.formats import WeightFormat
from planner.catalog.gpu import GpuSpec


def compute_precision(weights: WeightFormat, gpu: GpuSpec) -> str:
    """Return the arithmetic precision of matrix products: a key of ``GpuSpec.peak_tflops``.

    Native formats compute as they are where the device has such units. Weight-only formats, and
    formats the device lacks, are widened to 16 bits; four-bit floating-point weights meet 8-bit
    activations on devices with FP4 units (the mixed f8f6f4 products run at the FP8 rate).
    """
    wanted = weights.compute
    if weights.weight_only and wanted == "fp4" and gpu.peak_flops("fp4"):
        wanted = "fp8"
    elif weights.weight_only:
        return sixteen_bit(gpu)
    return wanted if gpu.peak_flops(wanted) else sixteen_bit(gpu)


def sixteen_bit(gpu: GpuSpec) -> str:
    """Return "bf16", or "fp16" / "fp32" on devices that lack it."""
    return next((p for p in ("bf16", "fp16") if gpu.peak_flops(p)), "fp32")
