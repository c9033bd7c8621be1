"""``planner schema``: the JSON Schema of a scenario file, for editors."""

from __future__ import annotations

import click

from planner.cli.shared.output_options import output_option


@click.command(name="schema")
@output_option
def command(output: str | None) -> int:
    """Print the JSON Schema of a scenario file.

    Editors that know YAML complete fields and mark mistakes with it, where the scenario's first line is
    the comment: # yaml-language-server: $schema=scenario.schema.json

    \b
    Examples:
      planner schema -o scenario.schema.json
    """
    from planner.reporting.files import as_json, send
    from planner.scenario.json_schema import scenario_schema

    send(as_json(scenario_schema()), output)
    return 0
