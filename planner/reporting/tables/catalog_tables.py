"""What the catalog holds, as report tables: one function a listing."""

from __future__ import annotations

from collections.abc import Iterable

from planner.catalog.engine import EngineSpec
from planner.catalog.format_rows import FormatRow
from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec
from planner.catalog.money_rows import ApiBatchRow, ApiPriceRow, ServerRow
from planner.catalog.offer import Offer
from planner.catalog.support import SupportRule
from planner.reporting.document import Column, Quantity, Table, rows_of
from planner.sizing.parameters import count_parameters

NUMBER, TEXT = Quantity.NUMBER, Quantity.TEXT
PEAKS = {"fp16": "16-bit", "fp8": "FP8", "int8": "INT8", "fp4": "FP4"}


def gpus_table(gpus: Iterable[GpuSpec]) -> Table:
    """Accelerators with what decides their speed and size."""
    columns = (
        Column("name", "name"),
        Column("architecture", "architecture"),
        Column("cuda_visible_gib", "visible GiB", NUMBER),
        Column("memory_bandwidth_gb_s", "GB/s", NUMBER),
        *(Column(f"{key}_tflops", f"{title} TFLOP/s", NUMBER) for key, title in PEAKS.items()),
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
        Column("total_parameters_billion", "params, 1e9", NUMBER),
        Column("active_parameters_billion", "active, 1e9", NUMBER),
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


def offers_table(offers: Iterable[Offer]) -> Table:
    """Offers, cheapest per GPU-hour first."""
    columns = (
        Column("usd_per_gpu_hour", "per GPU", Quantity.USD_PER_HOUR),
        Column("usd_per_hour", "instance", Quantity.USD_PER_HOUR),
        Column("gpu", "GPU"),
        Column("gpu_count", "count", NUMBER),
        Column("provider", "provider"),
        Column("region", "region"),
        Column("instance_type", "instance type"),
        Column("term", "term"),
        Column("tier", "tier"),
        Column("as_of", "as of"),
        Column("confidence", "confidence"),
    )
    rows = rows_of(
        sorted(offers, key=lambda offer: (offer.usd_per_gpu_hour, offer.key)),
        columns,
        region=lambda offer: offer.region + (" (government)" if offer.government else ""),
        term=lambda offer: offer.term.value,
    )
    return Table("offers", "Offers, cheapest per GPU-hour first", columns, rows)


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
    rows = rows_of(
        engines,
        columns,
        scheduler=lambda engine: engine.scheduler.value,
        prefix_caching=lambda engine: "yes" if engine.prefix_caching else "no",
    )
    return Table("engines", "Engines", columns, rows, "Some defaults differ by GPU class.")


def formats_table(formats: Iterable[FormatRow]) -> Table:
    """Weight and KV cache formats."""
    columns = (
        Column("kind", "kind"),
        Column("name", "name"),
        Column("bits", "bits", NUMBER),
        Column("scales", "scales"),
        Column("compute", "arithmetic"),
        Column("keeps", "stays in 16 bits"),
        Column("aliases", "also"),
    )
    rows = rows_of(
        formats,
        columns,
        scales=_scales,
        compute=lambda row: f"16 bits ({row.compute} weights)" if row.weight_only else row.compute,
        keeps=lambda row: row.keeps.replace(";", ", "),
        aliases=lambda row: row.aliases.replace(";", ", "),
    )
    return Table("formats", "Number formats", columns, rows)


def _scales(row: FormatRow) -> str:
    if not row.scale_bits:
        return ""
    if row.block_rows and row.block_cols:
        return f"one per {row.block_rows} x {row.block_cols}"
    return {0: "one per tensor", -1: "one per channel"}.get(row.group, f"one per {row.group}")


def rules_table(rules: Iterable[SupportRule]) -> Table:
    """What would not launch."""
    columns = (
        Column("reason", "what would not launch, and why"),
        Column("engines", "engines"),
        Column("source", "source"),
        Column("as_of", "as of"),
    )
    rows = rows_of(rules, columns, engines=lambda rule: ", ".join(rule.when.engines) or "all")
    return Table("rules", "What would not launch", columns, rows)


def apis_table(prices: Iterable[ApiPriceRow]) -> Table:
    """Hosted APIs, by model."""
    columns = (
        Column("model", "model"),
        Column("provider", "provider"),
        Column("input_usd_per_million", "input, per M", Quantity.USD),
        Column("cached_input_usd_per_million", "cached, per M", Quantity.USD),
        Column("output_usd_per_million", "output, per M", Quantity.USD),
        Column("as_of", "as of"),
        Column("confidence", "confidence"),
    )
    ranked = sorted(prices, key=lambda p: (p.model.lower(), p.output_usd_per_million))
    rows = rows_of(ranked, columns)
    return Table("apis", "Hosted APIs, per million tokens", columns, rows)


def batches_table(batches: Iterable[ApiBatchRow]) -> Table:
    """What hosts take off their prices for requests in a batch."""
    columns = (
        Column("provider", "provider"),
        Column("discount", "discount", Quantity.SHARE),
        Column("within_hours", "within, h", NUMBER),
        Column("as_of", "as of"),
        Column("confidence", "confidence"),
        Column("note", "note"),
    )
    return Table("batches", "Hosted APIs, requests in a batch", columns, rows_of(batches, columns))


def servers_table(servers: Iterable[ServerRow]) -> Table:
    """Servers that can be bought."""
    columns = (
        Column("name", "name"),
        Column("gpu", "GPU"),
        Column("gpus", "count", NUMBER),
        Column("price_usd", "price", Quantity.USD),
        Column("price_low_usd", "range", Quantity.USD, low_end=True),
        Column("price_high_usd", "to", Quantity.USD),
        Column("max_power_kw", "kW at most", NUMBER),
        Column("idle_power_kw", "kW idle", NUMBER),
        Column("confidence", "confidence"),
        Column("as_of", "as of"),
    )
    return Table("servers", "Servers that can be bought", columns, rows_of(servers, columns))


def prices_table(offers: Iterable[Offer]) -> Table:
    """How many offers of each provider, and how old they are, the oldest first."""
    dates: dict[str, list[str]] = {}
    tiers: dict[str, set[str]] = {}
    for offer in offers:
        dates.setdefault(offer.provider, []).append(offer.as_of)
        tiers.setdefault(offer.provider, set()).add(offer.tier)
    columns = (
        Column("provider", "provider"),
        Column("offers", "offers", Quantity.COUNT),
        Column("oldest", "oldest price"),
        Column("newest", "newest price"),
        Column("tiers", "tiers"),
    )
    rows = sorted(
        (p, len(days), min(days), max(days), ", ".join(sorted(t for t in tiers[p] if t)))
        for p, days in dates.items()
    )
    ranked = tuple(sorted(rows, key=lambda row: row[3]))
    note = "Refresh with: planner catalog prices --refresh -o prices.csv"
    return Table("prices", "Prices by provider", columns, ranked, note)
