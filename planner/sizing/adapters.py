"""Memory of LoRA adapters an engine holds beside the weights."""

from __future__ import annotations

from planner.deployment import Deployment
from planner.sizing.sharding import Cut, local_values, rank_tensors

LORA_CLASSES = frozenset({"attention", "mlp", "shared_expert"})
LORA_BYTES = 2


def lora_bytes(deployment: Deployment) -> float:
    """Adapter slots of one GPU [B]: ``n 2 r (rows + cols)`` for each linear layer, in 16 bits.

    Of a matrix cut over tensor parallelism one factor is cut with it and the other is replicated,
    so that a rank holds ``(1 + 1/t) / 2`` of both (vLLM LoRA layers, not fully sharded).
    """
    settings = deployment.settings
    if settings.lora_adapters == 0:
        return 0.0
    shared = (1 + 1 / deployment.tensor_parallel) / 2
    sides = 0.0
    for tensor, values in rank_tensors(deployment):
        if tensor.klass in LORA_CLASSES and min(tensor.rows, tensor.cols) > 1:
            layers = round(values / local_values(tensor, Cut.of(deployment)))
            cut = 1.0 if tensor.shard == "replicated" else shared
            sides += layers * tensor.copies * (tensor.rows + tensor.cols) * cut
    return settings.lora_adapters * settings.lora_rank * LORA_BYTES * sides
