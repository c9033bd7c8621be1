"""``planner catalog``: list and show what the catalogs hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from planner.cli.shared.output_options import listing_options
from planner.cli.subcommands.catalog_prices import prices
from planner.errors import InputError, nearest
from planner.reporting.output import Output

if TYPE_CHECKING:
    from planner.catalog.store import Catalog
    from planner.reporting.document import Table
    from planner.reporting.tables.catalog_details import Details

Named = TypeVar("Named")


@click.group(name="catalog")
def command() -> None:
    """List what the catalogs hold, or show one entry.

    A FILTER is words that must all occur in an entry, in any order and case.

    \b
    Examples:
      planner catalog gpus hopper
      planner catalog models qwen3 moe
      planner catalog offers h100 spot europe
      planner catalog show h100-sxm-80gb
    """


def _listing(
    name: str,
    summary: str,
    example: str,
    entries: Callable[[Catalog], Iterable[Any]],
    text: Callable[[Any], str],
    limit: int | None = None,
    resolve: Callable[[Catalog, Any], Any] = lambda _catalog, entry: entry,
) -> None:
    """Add a command that lists the ``entries`` whose ``text`` holds the filter's words.

    ``example`` is a filter its help shows; ``resolve`` turns a listed entry into what the table
    shows; ``limit`` bounds the printed table.
    """

    shown = f"{limit} as a table, else all" if limit else "all"

    @click.argument("words", metavar="[FILTER]", nargs=-1)
    @click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=None,
        help=f"Show at most this many, 0 for all [default: {shown}].",
    )
    @listing_options
    def list_entries(
        words: tuple[str, ...],
        limit: int | None,
        output: Output,
        catalogs: str | None,
    ) -> None:
        from planner.catalog.store import load_catalog
        from planner.reporting.listing import write_listing
        from planner.reporting.tables import catalog_tables

        catalog = load_catalog(catalogs)
        found = _matching(entries(catalog), text, words)
        if limit is None and output.format == "table":
            limit = default_limit
        shown = [resolve(catalog, entry) for entry in found]
        table = getattr(catalog_tables, f"{name}_table")(shown)
        write_listing(_cut(table, limit), output)

    default_limit = limit
    help_text = f"{summary}\n\n\b\nExamples:\n  planner catalog {name} {example}"
    command.command(name, help=help_text, short_help=summary)(list_entries)


def _cut(table: Table, limit: int | None) -> Table:
    left_out = len(table.rows) - limit if limit else 0
    if limit is None or left_out <= 0:
        return table
    note = f"{left_out:,} more are not shown; --limit 0 shows all."
    return replace(table, rows=table.rows[:limit], note=f"{table.note} {note}".strip())


_listing(
    "gpus",
    "List accelerators: memory, bandwidth, dense peaks, links, power.",
    "h100",
    lambda catalog: catalog.gpus(),
    lambda gpu: " ".join((gpu.name, *gpu.aliases, gpu.vendor, gpu.architecture, gpu.link_topology)),
)
_listing(
    "models",
    "List models: counted parameters, layers, context, native weight format.",
    "llama 70b --format csv",
    lambda catalog: catalog.model_index(),
    lambda entry: " ".join((*entry.names, entry.family, entry.note)),
    resolve=lambda catalog, entry: catalog.model(entry.name),
)
_listing(
    "offers",
    "List offers, cheapest per GPU-hour first.",
    "h100-sxm-80gb aws",
    lambda catalog: catalog.offers(),
    lambda offer: (
        f"{offer.key} {offer.gpu} {offer.tier} {offer.country} "
        f"{'government' if offer.government else ''}"
    ),
    limit=40,
)
_listing(
    "engines",
    "List engine versions and their defaults.",
    "vllm",
    lambda catalog: catalog.engines(),
    lambda engine: f"{engine.name} {engine.version} {engine.scheduler.value}",
)
_listing(
    "formats",
    "List weight and KV cache formats: bits, scales, arithmetic.",
    "fp8",
    lambda catalog: catalog.formats(),
    lambda row: " ".join((row.kind, *row.names, row.compute)),
)
_listing(
    "rules",
    "List what would not launch, and why.",
    "nvfp4",
    lambda catalog: catalog.support_rules(),
    lambda rule: f"{rule.reason} {rule.when}",
)
_listing(
    "apis",
    "List what hosted APIs charge per million tokens.",
    "llama",
    lambda catalog: catalog.api_prices(),
    lambda price: f"{price.provider} {price.model}",
)
_listing(
    "batches",
    "List the discounts of API hosts on batch requests, which may wait.",
    "together",
    lambda catalog: catalog.api_batches(),
    lambda batch: batch.provider,
)
_listing(
    "servers",
    "List servers that can be bought: price and power.",
    "h200",
    lambda catalog: catalog.servers(),
    lambda server: f"{server.name} {server.gpu}",
)


command.add_command(prices)


@command.command()
@click.argument("name")
@listing_options
def show(name: str, output: Output, catalogs: str | None) -> None:
    """Show everything known about one GPU, model or engine ("vllm", "vllm 0.12").

    NAME may also be a config.json, or the folder that holds one.

    \b
    Examples:
      planner catalog show h100-sxm-80gb
      planner catalog show "vllm 0.12"
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.files import as_json, send
    from planner.reporting.listing import write_listing

    details = _details(load_catalog(catalogs), name)
    if output.format == "json":
        send(as_json({"name": details.name, **details.facts}), output.file)
    else:
        write_listing(details.table(), output)


def _details(catalog: Catalog, name: str) -> Details:
    from planner.reporting.tables.catalog_details import engine_details, gpu_details, model_details

    engine, _, version = name.replace("@", " ").partition(" ")
    tries: tuple[Callable[[], Details], ...] = (
        lambda: gpu_details(catalog.gpu(name)),
        lambda: engine_details(catalog.engine(engine, version.strip() or None)),
    )
    for attempt in tries:
        try:
            return attempt()
        except InputError:
            continue
    if Path(name).exists() or any(
        name.lower() == known.lower() for entry in catalog.model_index() for known in entry.names
    ):
        return model_details(catalog.model(name))
    known = [*(gpu.name for gpu in catalog.gpus()), *catalog.model_names()]
    raise InputError(
        "no GPU, model or engine of that name",
        found=name,
        action=nearest(name, known) or "list them with: planner catalog gpus, models or engines",
    )


def _matching(
    entries: Iterable[Named], text: Callable[[Named], str], words: tuple[str, ...]
) -> list[Named]:
    wanted = [word.lower() for argument in words for word in argument.split()]
    found = [entry for entry in entries if all(word in text(entry).lower() for word in wanted)]
    if not found:
        raise InputError("nothing matches", found=" ".join(words), action="try fewer words")
    return found
