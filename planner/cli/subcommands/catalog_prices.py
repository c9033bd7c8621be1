"""``planner catalog prices``: how old the prices are, and a price file of today's."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from planner.cli.shared.output_options import listing_options
from planner.reporting.output import Output


@click.command(
    name="prices", short_help="List how old prices are, or write a price file with --refresh."
)
@click.option("--refresh", is_flag=True, help="Write a price file of what gpuhunt lists now.")
@click.option(
    "--from",
    "saved",
    type=click.Path(exists=True, dir_okay=False),
    help="Refresh from items saved as a JSON list instead, without gpuhunt.",
)
@listing_options
def prices(refresh: bool, saved: str | None, output: Output, catalogs: str | None) -> None:
    """List each provider's offers and their dates, or write a price file with --refresh.

    A refreshed file has the columns of a scenario's prices.file. It needs the gpuhunt package, or
    items saved from it (--from). What the catalog cannot name is left out and counted on stderr.

    \b
    Examples:
      planner catalog prices
      planner catalog prices --refresh -o prices.csv
      planner catalog prices --refresh --from items.json -o prices.csv
    """
    from planner.catalog.refresh import items_of, price_file, read_items, refreshed
    from planner.catalog.store import load_catalog
    from planner.reporting.files import send
    from planner.reporting.listing import write_listing
    from planner.reporting.optional_packages import need

    catalog = load_catalog(catalogs)
    if not refresh:
        from planner.reporting.tables.catalog_tables import prices_table

        write_listing(prices_table(catalog.offers()), output)
        return
    if saved is not None:
        items = read_items(Path(saved))
        day = datetime.date.fromtimestamp(Path(saved).stat().st_mtime).isoformat()
        source = f"items of gpuhunt saved in {Path(saved).name}"
    else:
        from dataclasses import asdict
        from importlib.metadata import version

        gpuhunt = need("gpuhunt", "refreshing prices", extra="prices")
        listed = gpuhunt.Catalog(balance_resources=False)
        listed.load()
        items = items_of([asdict(item) for item in listed.query(min_gpu_count=1)], "gpuhunt")
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        source = f"gpuhunt {version('gpuhunt')}"
    found = refreshed(items, catalog, day, source)
    send(price_file(found.offers), output.file)
    click.echo(f"{len(found.offers)} offers", err=True)
    for reason, count in sorted(found.left_out.items(), key=lambda pair: -pair[1]):
        click.echo(f"left out: {count} items, {reason}", err=True)
