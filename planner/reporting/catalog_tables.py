"""What the catalog holds, as report tables: accelerators, models, offers, engines, formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from planner.catalog.engine import EngineSpec
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import Layer, ModelSpec
from planner.catalog.offer import Offer
from planner.reporting.document import Column, Quantity, Table, Value
from planner.sizing.parameters import count_parameters

NUMBER, TEXT = Quantity.NUMBER, Quantity.TEXT
PEAKS = ("bf16", "fp8", "int8", "fp4")


def gpus_table(gpus: Iterable[GpuSpec]) -> Table:
    """Accelerators with what decides their speed and size."""
    columns = (
        Column("name", "name"),
        Column("architecture", "architecture"),
        Column("cuda_visible_gib", "visible GiB", NUMBER),
        Column("memory_bandwidth_gb_s", "GB/s", NUMBER),
        *(Column(f"{p}_tflops", f"{p.upper()} TFLOP/s", NUMBER) for p in PEAKS),
        Column("link_gb_s", "link GB/s", NUMBER),
        Column("link_topology", "topology"),
        Column("link_domain", "joined", NUMBER),
        Column("tdp_w", "W", NUMBER),
    )
    rows = tuple(
        (
            gpu.name,
            gpu.architecture,
            gpu.cuda_visible_gib,
            gpu.memory_bandwidth_gb_s,
            *(gpu.peak_tflops.get(precision) for precision in PEAKS),
            gpu.link_gb_s or None,
            gpu.link_topology,
            gpu.link_domain,
            gpu.tdp_w,
        )
        for gpu in gpus
    )
    note = "Dense peaks of one device; bandwidths per direction."
    return Table("gpus", "Accelerators", columns, rows, note)


def models_table(models: Iterable[ModelSpec]) -> Table:
    """Models with their counted parameters and shape."""
    columns = (
        Column("name", "name"),
        Column("total_parameters_billion", "parameters, B", NUMBER),
        Column("active_parameters_billion", "active, B", NUMBER),
        Column("layers", "layers", NUMBER),
        Column("max_context_tokens", "context", Quantity.COUNT),
        Column("native_weights", "native"),
        Column("architecture", "architecture"),
    )
    rows = []
    for model in models:
        counted = count_parameters(model)
        rows.append(
            (
                model.name,
                counted.total / 1e9,
                counted.active / 1e9,
                len(model.layers),
                model.max_context_tokens or None,
                model.native_weights,
                model.architecture,
            )
        )
    return Table("models", "Models", columns, tuple(rows))


def offers_table(offers: Sequence[Offer], limit: int | None = None) -> Table:
    """Offers, cheapest per GPU-hour first; at most ``limit`` of them."""
    columns = (
        Column("usd_per_gpu_hour", "per GPU", Quantity.USD_PER_HOUR),
        Column("usd_per_hour", "instance", Quantity.USD_PER_HOUR),
        Column("gpu", "GPU"),
        Column("gpu_count", "count", NUMBER),
        Column("provider", "provider"),
        Column("region", "region"),
        Column("instance_type", "instance type"),
        Column("term", "term"),
        Column("as_of", "as of"),
        Column("confidence", "confidence"),
    )
    cheapest = sorted(offers, key=lambda offer: (offer.usd_per_gpu_hour, offer.key))
    rows = tuple(
        (
            offer.usd_per_gpu_hour,
            offer.usd_per_hour,
            offer.gpu,
            offer.gpu_count,
            offer.provider,
            offer.region + (" (government)" if offer.government else ""),
            offer.instance_type,
            offer.term.value,
            offer.as_of,
            offer.confidence,
        )
        for offer in cheapest[:limit]
    )
    left_out = len(cheapest) - len(rows)
    note = f"{left_out:,} dearer offers are not shown; --limit 0 shows all." if left_out else ""
    return Table("offers", "Offers, cheapest per GPU-hour first", columns, rows, note)


def engines_table(engines: Iterable[EngineSpec]) -> Table:
    """Engine versions with their defaults."""
    columns = (
        Column("name", "name"),
        Column("version", "version"),
        Column("scheduler", "scheduler"),
        Column("memory_budget", "memory budget"),
        Column("memory_fraction", "fraction", NUMBER),
        Column("max_num_seqs", "sequences", NUMBER),
        Column("max_num_batched_tokens", "tokens per step", Quantity.COUNT),
        Column("kv_block_tokens", "KV block", NUMBER),
        Column("prefix_caching", "prefix cache"),
        Column("as_of", "as of"),
    )
    rows = tuple(
        (
            engine.name,
            engine.version,
            engine.scheduler.value,
            engine.memory_budget,
            engine.memory_fraction,
            engine.max_num_seqs,
            engine.max_num_batched_tokens,
            engine.kv_block_tokens,
            "yes" if engine.prefix_caching else "no",
            engine.as_of,
        )
        for engine in engines
    )
    return Table("engines", "Engines", columns, rows, "Some defaults differ by GPU class.")


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
    peaks = {f"{p}_dense_tflops": gpu.peak_tflops.get(p) for p in ("fp32", "fp16", *PEAKS)}
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
        f"{', '.join(c.name_prefixes) or 'any card'} from {c.min_visible_gib:g} GiB"
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
        "start_up_s": engine.start_up_s,
        "mla_kv_padding_values": engine.mla_kv_padding_values or None,
        "source": engine.source,
        "as_of": engine.as_of,
        "note": engine.note,
    }
    return Details(f"{engine.name} {engine.version}", facts)
