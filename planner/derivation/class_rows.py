"""The row about request classes: how long each waits beside what all would wait alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner.derivation.question import DerivationInputs
from planner.derivation.rows import DerivationRow, DerivationStep
from planner.scenario.request_classes import by_priority
from planner.serving.closed_form.class_waits import wait_factor
from planner.serving.closed_form.length_nodes import length_nodes


def classes(q: DerivationInputs) -> Iterator[DerivationRow]:
    """What the order of the queue does to each class's wait for a place in the batch (Cobham 1954)."""
    nodes = length_nodes(q.lengths).classes
    if nodes is None:
        return
    named = zip(nodes.names, nodes.decode_share, strict=True)
    parts = ", ".join(f"{name} {100 * share:.3g} %" for name, share in named)
    if not by_priority(q.service.classes):
        honest = DerivationStep(
            "first come, first served", f"of the decode steps: {parts}", "all wait alike"
        )
        yield DerivationRow("Wait by class", None, honest)
        return
    for group in q.groups:
        load = np.array(group.utilisation)
        factors = {
            name: float(wait_factor(load, nodes, nodes.decode_share, k))
            for k, name in enumerate(nodes.names)
        }
        found = [(name, group.predicted.seconds(f"{name}/ttft_p99")) for name in nodes.names]
        felt = "; ".join(f"{name} TTFT p99 {s:.3g} s" for name, s in found if s is not None)
        honest = DerivationStep(
            "(1 - load) / ((1 - load of those before) (1 - load up to its own))",
            f"load {load:.2f}; of the decode steps: {parts}",
            "; ".join(f"{name} waits {f:.2f} times as long" for name, f in factors.items()),
            f"as first come, first served, while the batch is full; {felt}",
        )
        many = len(q.groups) > 1
        topic = f"Wait by class, {group.gpu} {group.parallel}" if many else "Wait by class"
        yield DerivationRow(topic, None, honest)
