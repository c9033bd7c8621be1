from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.performance.factors import load_calibration

GOOD = """
schema_version: 1
provenance: {source: mine, fitted_on: 2026-01-01, points: 3, data_sha256: abc}
shifts:
- {factor: kernel_gap_s, when: {engine: vllm, gpu: l40s}, shift: 0.5, deviation: 0.2}
"""


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    load_calibration(load_catalog(), path)


def test_a_good_file_loads(tmp_path: Path) -> None:
    load(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kernel_gap_s", "kernel_gaps"),
        ("shift: 0.5", "shift: fast"),
        ("shift: 0.5", "shift: 1000"),
        ("shifts:", "shift:"),
        ("schema_version: 1", "schema_version: [1"),
        ("points: 3", "points: 3, colour: red"),
        (
            "shifts:",
            "residuals: {levels: [0.1, 0.9], quantiles: {own: {tpot: [0.1, -0.1]}}}\nshifts:",
        ),
        ("shifts:", "residuals: {levels: [0.1, 0.9], quantiles: {own: {tpot: [0.1]}}}\nshifts:"),
        ("shifts:", "carriers: [{model: m, traits: {engine: vllm}}]\nshifts:"),
    ],
)
def test_a_bad_file_gives_one_message(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(InputError):
        load(tmp_path, GOOD.replace(old, new))
