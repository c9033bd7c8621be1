"""``planner schema``: the JSON Schema of a scenario file, for editors."""

from __future__ import annotations

import click

from planner.cli.shared.paths import OUTPUT_FILE


@click.command(name="schema", short_help="print the JSON Schema of a scenario file")
@click.option("-o", "--output", type=OUTPUT_FILE, help="Write to a file.")
def command(output: str | None) -> int:
    """Print the JSON Schema of a scenario file.

    Editors that know YAML complete fields and mark mistakes with it, where the scenario's first line is
    the comment: # yaml-language-server: $schema=scenario.schema.json

    \b
    Examples:
      planner schema -o scenario.schema.json
    """
    import json

    from planner.reporting.files import send
    from planner.scenario.json_schema import scenario_schema

    send(json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n", output)
    return 0
