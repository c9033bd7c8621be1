"""Everything the catalog says about one entry, as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.catalog.engine import EngineSpec
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import Layer, ModelSpec
from planner.reporting.document import Column, Table, Value
from planner.sizing.parameters import count_parameters

PEAKS = ("fp32", "fp16", "bf16", "fp8", "int8", "fp4")


@dataclass(frozen=True, slots=True)
class Details:
    """Everything known about one entry; facts that are None or empty are unknown."""

    name: str
    facts: Mapping[str, Value]

    def table(self) -> Table:
        """One known fact a line, numbers written exactly."""
        columns = (Column("field", "field"), Column("value", "value"))
        rows = tuple(
            (key, value if isinstance(value, str) else f"{value:,}")
            for key, value in self.facts.items()
            if value not in (None, "")
        )
        return Table("details", self.name, columns, rows)


def gpu_details(gpu: GpuSpec) -> Details:
    """Everything the catalog says about one accelerator."""
    peaks = {f"{p}_dense_tflops": gpu.peak_tflops.get(p) for p in PEAKS}
    facts: dict[str, Value] = {
        "vendor": gpu.vendor,
        "architecture": gpu.architecture,
        "compute_capability": gpu.compute_capability,
        "aliases": ", ".join(gpu.aliases),
        "marketed_memory_gb": gpu.marketed_memory_gb,
        "driver_memory_mib": gpu.driver_memory_mib,
        "cuda_visible_gib": gpu.cuda_visible_gib,
        "memory_evidence": gpu.memory_evidence,
        "memory_bandwidth_gb_s": gpu.memory_bandwidth_gb_s,
        **peaks,
        "link_gb_s_per_direction": gpu.link_gb_s or None,
        "link_topology": gpu.link_topology,
        "link_domain": gpu.link_domain,
        "pcie_gb_s_per_direction": gpu.pcie_gb_s or None,
        "nic_gb_s_per_direction": gpu.nic_gb_s or None,
        "nic_evidence": gpu.nic_evidence,
        "tdp_w": gpu.tdp_w,
        "launch_year": str(gpu.launch_year),
        "source": gpu.source,
        "as_of": gpu.as_of,
        "note": gpu.note,
    }
    return Details(gpu.name, facts)


def model_details(model: ModelSpec) -> Details:
    """Everything the catalog and the config say about one model."""
    counted = count_parameters(model)
    facts: dict[str, Value] = {
        "architecture": model.architecture,
        "aliases": ", ".join(model.aliases),
        "total_parameters": counted.total,
        "active_parameters": counted.active,
        "mtp_parameters": counted.mtp or None,
        "vision_parameters": counted.vision or None,
        **{f"parameters_{k}": n for k, n in sorted(counted.by_class.items())},
        "hidden_size": model.hidden_size,
        "vocab_size": model.vocab_size,
        "layers": "; ".join(_layer_kinds(model.layers)),
        "max_context_tokens": model.max_context_tokens or None,
        "dtype": model.dtype,
        "native_weights": model.native_weights,
        "source": model.source,
    }
    return Details(model.name, facts)


def _layer_kinds(layers: Sequence[Layer]) -> list[str]:
    kinds: dict[str, int] = {}
    for layer in layers:
        kind = f"{layer.mixer or 'no mixer'} + {layer.mlp or 'no feed-forward'}"
        kinds[kind] = kinds.get(kind, 0) + 1
    return [f"{count} x {kind}" for kind, count in kinds.items()]


def engine_details(engine: EngineSpec) -> Details:
    """Everything the catalog says about one engine version."""
    limits = [
        f"{', '.join(c.name_prefixes) or 'any GPU'} from {c.min_visible_gib:g} GiB"
        + (f" but {', '.join(c.except_prefixes)}" if c.except_prefixes else "")
        + f": {c.max_num_seqs or engine.max_num_seqs} sequences, "
        f"{c.max_num_batched_tokens or engine.max_num_batched_tokens} tokens, "
        f"fraction {c.memory_fraction or engine.memory_fraction:g}"
        for c in engine.gpu_limits
    ]
    facts: dict[str, Value] = {
        "scheduler": engine.scheduler.value,
        "memory_budget": engine.memory_budget,
        "memory_fraction": engine.memory_fraction,
        "graphs_inside_budget": "yes" if engine.graphs_inside_budget else "no",
        "max_num_seqs": engine.max_num_seqs,
        "max_num_batched_tokens": engine.max_num_batched_tokens,
        "by_gpu_class": "; ".join(limits),
        "kv_block_tokens": engine.kv_block_tokens,
        "prefix_caching": "yes" if engine.prefix_caching else "no",
        "kv_offload": " and ".join(engine.kv_offload.tiers) if engine.kv_offload else "no",
        "start_up_s": engine.start_up_s,
        "mla_kv_padding_values": engine.mla_kv_padding_values or None,
        "source": engine.source,
        "as_of": engine.as_of,
        "note": engine.note,
    }
    return Details(f"{engine.name} {engine.version}", facts)
