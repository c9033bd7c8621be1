"""``planner mcp``: the planner as tools of the Model Context Protocol."""

from __future__ import annotations

import click

from planner.cli.shared.output_options import catalogs_option


@click.command(name="mcp")
@catalogs_option
def command(catalogs: str | None) -> int:
    """Offer solve, compare, memory, explain and check as tools, on standard input and output.

    For programs that speak the Model Context Protocol; scenarios are given as YAML text and cannot name
    files. Responses carry evidence grades, intervals and assumptions.

    \b
    Examples:
      planner mcp
      planner mcp --catalogs my-catalogs
    """
    from planner.session import Session
    from planner.web.mcp_server import create_server

    create_server(Session.open(catalogs)).run("stdio")
    return 0
