"""The link that carries KV cache between the pools of a unit."""

from __future__ import annotations

from pathlib import Path

from planner.deployment import Deployment
from planner.evidence import Evidence
from planner.fleet.candidates.handover import conversion_s_per_byte
from planner.performance.collectives import link
from planner.scenario.search.disaggregation import Disaggregation
from planner.serving.pools import NODE, KvLink, Place


def kv_link(
    prefill: Deployment,
    decode: Deployment,
    gpus: int,
    within: Place,
    root: Path,
    requested: Disaggregation,
) -> KvLink | None:
    """The link between the pools of a unit of ``gpus``; None where the catalog has none.

    Within a node what joins its GPUs (NVLink, or PCIe), across nodes the GPU's share of the network, the
    smaller of two GPU types', both at their nominal rate; a stated one replaces either. Rewriting a
    cache for another layout comes on top of every byte: ``1 / (1 / rate + seconds per byte)``.
    """
    text, rewriting = requested.kv_link, 1e9 * conversion_s_per_byte(root, prefill, decode)
    if text.gb_s is not None:
        return KvLink(
            rewritten_gb_s(text.gb_s, rewriting), text.latency, "stated", Evidence.ASSUMED
        )
    if within == NODE:
        joined = link(decode.gpu, gpus)
        return KvLink(joined.bytes_s / 1e9, text.latency, joined.kind, Evidence.MODELLED)
    rate = min(prefill.gpu.network_gb_s, decode.gpu.network_gb_s)
    if not rate:
        return None
    published = all(d.gpu.nic_evidence == "published" for d in (prefill, decode))
    known = Evidence.MODELLED if published else Evidence.ASSUMED
    return KvLink(rewritten_gb_s(rate, rewriting), text.latency, "network", known)


def rewritten_gb_s(gb_s: float, rewriting_s_per_gb: float) -> float:
    """The rate of a link whose every GB is rewritten after it [GB/s]."""
    return 1 / (1 / gb_s + rewriting_s_per_gb) if rewriting_s_per_gb else gb_s
