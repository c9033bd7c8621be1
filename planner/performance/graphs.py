"""Which batches of a decode step an engine has captured as graphs; the host launches the others.

``graphs`` in ``catalogs/calibration/host_time.yaml``: an engine that pads runs any batch up to the largest
captured one as the next larger; one that does not runs the captured sizes alone. The largest is the row's, or
that of the engine's release and GPU (``engines.yaml``), or what a run was launched with. vLLM counts tokens:
with three drafts for each of 64 sequences a step has 256, and a graph for 512 holds 128 sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from planner.deployment import Deployment
from planner.performance.host_time import GraphRow
from planner.performance.steps import Number
from planner.sizing.coefficients import memory_coefficients
from planner.sizing.memory import graphs_max_batch


@dataclass(frozen=True, slots=True)
class CapturedBatches:
    """Every batch up to ``every_to`` [sequences of one rank], and the ``sizes`` beyond it."""

    every_to: float
    sizes: tuple[float, ...] = ()

    def launched(self, sequences: Number) -> Number:
        """Share of steps of so many sequences that run without a graph.

        A mean between two whole numbers is made of both: half of the steps of 63.5 sequences have 64.
        """
        inside = np.clip(self.every_to + 1 - np.asarray(sequences, dtype=float), 0.0, 1.0)
        for size in self.sizes:
            inside = np.maximum(inside, np.clip(1 - np.abs(sequences - size), 0.0, 1.0))
        share = 1.0 - inside
        return float(share) if np.ndim(share) == 0 else share


@lru_cache(maxsize=4096)
def captured_batches(rows: tuple[GraphRow, ...], deployment: Deployment) -> CapturedBatches | None:
    """What a deployment has captured; None where nothing is known of it, and in eager mode."""
    settings = deployment.settings
    row = next((row for row in rows if row.engine == deployment.engine.name), None)
    if row is None or settings.eager:
        return None
    largest = settings.graphs_max_batch or row.largest
    if largest is None:
        largest = graphs_max_batch(deployment, memory_coefficients(deployment.engine))
    if row.in_tokens:
        largest //= 1 + settings.draft_tokens
    if row.padded or settings.graph_padding:
        return CapturedBatches(float(largest))
    doubled = [float(2**power) for power in range(1, int(largest).bit_length())]
    sizes = {size for size in doubled if row.every_size_to < size <= largest} | {float(largest)}
    return CapturedBatches(float(min(row.every_size_to, largest)), tuple(sorted(sizes)))
