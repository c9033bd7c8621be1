"""``planner catalog``: list and show what the catalogs hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from planner.errors import InputError, nearest

if TYPE_CHECKING:
    from planner.catalog.store import Catalog
    from planner.reporting.catalog_tables import Details
    from planner.reporting.document import Table

Named = TypeVar("Named")
Listing = Callable[..., Any]
TABLE_LIMIT = 40


@click.group(name="catalog", short_help="list models, GPUs, offers and engines")
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


def _options(listing: Listing) -> Listing:
    options = (
        click.option(
            "--format",
            "style",
            type=click.Choice(["table", "json", "csv", "md"]),
            default="table",
            show_default=True,
            help="How the list is written.",
        ),
        click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file."),
        click.option(
            "--catalogs",
            type=click.Path(exists=True, file_okay=False),
            help="Use this folder instead of the shipped catalogs.",
        ),
    )
    for option in reversed(options):
        listing = option(listing)
    return listing


@command.command()
@click.argument("words", metavar="[FILTER]", nargs=-1)
@_options
def gpus(words: tuple[str, ...], style: str, output: str | None, catalogs: str | None) -> None:
    """List accelerators: memory, bandwidth, dense peaks, links, power."""
    from planner.reporting.catalog_tables import gpus_table

    def text(gpu: Any) -> str:
        return " ".join((gpu.name, *gpu.aliases, gpu.vendor, gpu.architecture, gpu.link_topology))

    found = _matching(_catalog(catalogs).gpus(), text, words)
    _deliver(gpus_table(found), style, output)


@command.command()
@click.argument("words", metavar="[FILTER]", nargs=-1)
@_options
def models(words: tuple[str, ...], style: str, output: str | None, catalogs: str | None) -> None:
    """List models: counted parameters, layers, context, native weight format."""
    from planner.reporting.catalog_tables import models_table

    def text(entry: Any) -> str:
        return " ".join((*entry.names, entry.family, entry.note))

    catalog = _catalog(catalogs)
    entries = _matching(catalog.model_index(), text, words)
    _deliver(models_table(catalog.model(entry.name) for entry in entries), style, output)


@command.command()
@click.argument("words", metavar="[FILTER]", nargs=-1)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    help=f"Show at most this many, 0 for all [default: {TABLE_LIMIT} as a table, else all].",
)
@_options
def offers(
    words: tuple[str, ...],
    limit: int | None,
    style: str,
    output: str | None,
    catalogs: str | None,
) -> None:
    """List offers, cheapest per GPU-hour first."""
    from planner.reporting.catalog_tables import offers_table

    def text(offer: Any) -> str:
        return f"{offer.key} {offer.gpu} {'government' if offer.government else ''}"

    found = _matching(_catalog(catalogs).offers(), text, words)
    if limit is None and style == "table":
        limit = TABLE_LIMIT
    _deliver(offers_table(found, limit or None), style, output)


@command.command()
@click.argument("words", metavar="[FILTER]", nargs=-1)
@_options
def engines(words: tuple[str, ...], style: str, output: str | None, catalogs: str | None) -> None:
    """List engine versions and their defaults."""
    from planner.reporting.catalog_tables import engines_table

    def text(engine: Any) -> str:
        return f"{engine.name} {engine.version} {engine.scheduler.value}"

    found = _matching(_catalog(catalogs).engines(), text, words)
    _deliver(engines_table(found), style, output)


@command.command()
@click.argument("name")
@_options
def show(name: str, style: str, output: str | None, catalogs: str | None) -> None:
    """Show everything known about one GPU, model or engine ("vllm", "vllm 0.12").

    NAME may also be a config.json, or the folder that holds one.
    """
    details = _details(_catalog(catalogs), name)
    if style == "json":
        from planner.reporting.listing import as_json

        _write(as_json({"name": details.name, **details.facts}), output)
    else:
        _deliver(details.table(), style, output)


def _details(catalog: Catalog, name: str) -> Details:
    from planner.reporting.catalog_tables import engine_details, gpu_details, model_details

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


def _catalog(folder: str | None) -> Catalog:
    from planner.catalog.store import load_catalog

    return load_catalog(Path(folder) if folder else None)


def _matching(
    entries: Iterable[Named], text: Callable[[Named], str], words: tuple[str, ...]
) -> list[Named]:
    wanted = [word.lower() for argument in words for word in argument.split()]
    found = [entry for entry in entries if all(word in text(entry).lower() for word in wanted)]
    if not found:
        raise InputError("nothing matches", found=" ".join(words), action="try fewer words")
    return found


def _deliver(table: Table, style: str, output: str | None) -> None:
    from planner.reporting.listing import print_listing, write_listing

    if style == "table" and output is None:
        print_listing(table)
        return
    _write(write_listing(table, style), output)


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        from planner.reporting.files import write_file

        write_file(output, text)
