"""All-to-all of mixtures: between nodes, and of FP4 experts inside a link domain."""

from __future__ import annotations

import numpy as np

from planner.catalog.model import MoeMlp
from planner.deployment import Deployment
from planner.performance.arithmetic import compute_precision
from planner.performance.collectives import NODE_GPUS
from planner.performance.kernels.components import TOKENS
from planner.performance.kernels.grids import Floats
from planner.performance.loads import kernel_formats

DIRECT_TOKENS, NETWORK_SHARE, EXCHANGE_LATENCY_S = 512.0, 0.9, 30e-6
DOMAIN_LATENCY_S = 7e-6


def inside_domain(d: Deployment, ranks: int, bytes_s: float) -> Floats | None:
    """Dispatch and combine of one layer over links that reach every rank [s], over the tokens of all ranks.

    FP4 experts: each token goes to the ranks of its experts in FP4 and comes back in 8 bits (TensorRT-LLM's
    NVLink kernels on GB200 take 15 to 1,000 us for 1 to 8,192 tokens of a rank). None for others, whose
    tokens every rank gathers.
    bytes_s: link bandwidth of one rank [B/s].
    """
    _, routed = kernel_formats(d)
    if compute_precision(routed, d.gpu) != "fp4":
        return None
    moe = next(y.mlp for y in d.model.layers if isinstance(y.mlp, MoeMlp))
    sent = TOKENS / ranks * moe.top_k * (ranks - 1) / ranks * d.model.hidden_size * (0.5 + 1.0)
    return sent / (NETWORK_SHARE * bytes_s) + 2 * DOMAIN_LATENCY_S


def across_nodes(d: Deployment, ranks: int, bytes_s: float) -> Floats:
    """Dispatch and combine of one layer between nodes [s] over the tokens of all ranks.

    Up to DIRECT_TOKENS of a rank each copy goes straight to its expert's rank: ``k (n - m) / n``
    copies a token cross the network, n ranks in nodes of m. Beyond, one copy goes to each node with
    an expert of it and is passed on inside: ``(N - 1) (1 - (1 - 1/N)**k)`` of N nodes. FP8 experts
    are sent FP8 tokens and return 16 bits. (DeepEP's low-latency and normal kernels.)
    bytes_s: network bandwidth of one rank [B/s].
    """
    _, routed = kernel_formats(d)
    moe = next(y.mlp for y in d.model.layers if isinstance(y.mlp, MoeMlp))
    near = min(ranks, max(NODE_GPUS, d.gpu.link_domain))
    nodes = ranks / near
    straight = moe.top_k * (ranks - near) / ranks
    relayed = (nodes - 1) * (1.0 - (1.0 - 1.0 / nodes) ** moe.top_k)
    own = TOKENS / ranks
    copies = np.where(own > DIRECT_TOKENS, min(relayed, straight), straight)
    out = 1.0 if compute_precision(routed, d.gpu) in ("fp8", "fp4") else 2.0
    sent = own * copies * d.model.hidden_size * (out + 2.0)
    return sent / (NETWORK_SHARE * bytes_s) + 2 * EXCHANGE_LATENCY_S
