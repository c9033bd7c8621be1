"""Refit the layers over the shipped fit: ``python -m benchmarks.vendor_fit [amd] [nvidia]``.

``make accuracy`` runs this after the shipped fit, over which the layer lies; it takes a few minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from planner.accuracy.kernels.relatives_fit import relatives_file
from planner.accuracy.margin_fit import (
    LeftOutError,
    errors_by_grade,
    file_of,
    left_out_errors,
    write_left_out_errors,
)
from planner.accuracy.vendor_fit import (
    LAYERS,
    TABLES,
    FactorLayer,
    VendorFit,
    fit_vendor,
    layer_errors,
    layer_file,
    layer_path,
)
from planner.catalog.store import Catalog, load_catalog
from planner.performance.calibration_files import dump_shipped
from planner.performance.kernels.correction import FITTED, named


def main(vendors: tuple[str, ...]) -> int:
    """Fit and write the layers of the vendors named, of all when none is."""
    for layer in LAYERS:
        if not vendors or layer.vendor in vendors:
            write_layer(load_catalog(), layer)
    return 0


def write_layer(catalog: Catalog, layer: FactorLayer) -> VendorFit:
    """Fit one layer, write it beside the shipped fit and print its errors."""
    done = fit_vendor(catalog, layer)
    fitted_on = datetime.now(UTC).date().isoformat()
    document = layer_file(done, catalog, fitted_on)
    vendor = layer.vendor
    layer_path(catalog, vendor).write_text(dump_shipped(document), encoding="utf-8")
    if done.relatives is not None:
        correction = relatives_file(done.relatives, vendor, TABLES, catalog, fitted_on)
        target = catalog.root / "calibration" / named(FITTED, vendor)
        target.write_text(dump_shipped(correction), encoding="utf-8")
    for name, value in layer_errors(done).items():
        print(f"{vendor} {name:40} {100 * value:5.1f} %")
    errors = left_out_errors(done)
    if errors:
        write_left_out_errors(errors, catalog.root / "calibration" / file_of(vendor))
        print_margins(errors, vendor)
    return done


def print_margins(errors: Sequence[LeftOutError], vendor: str = "") -> None:
    """Quantiles and coverage by grade, for ``margins.yaml``."""
    for grade, found in errors_by_grade(errors).items():
        levels = ", ".join(f"{q:.4f}" for q in found.quantiles())
        held = ", ".join(f"{found.coverage(level):.3f}" for level in (0.5, 0.8, 0.9))
        groups = len(found.groups)
        print(
            f"{vendor} {grade:12} {levels}; held {held} of {groups}, passed: {found.passed}".strip()
        )


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
