"""``planner init``: write a first scenario, commented."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from planner.cli.shared.names import MODEL
from planner.cli.shared.output_options import catalogs_option
from planner.cli.shared.paths import OUTPUT_FILE
from planner.errors import InputError
from planner.scenario.template import (
    KINDS,
    QUESTIONS,
    WAYS,
    Answers,
    commented_scenario,
    questions_of,
)


@click.command(name="init")
@click.option("--from-model", "model", metavar="MODEL", type=MODEL, help="Do not ask; plan MODEL.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="Requests, turns of conversations, a batch with a deadline, or prompts that are pooled.",
)
@click.option("--adapters", type=click.IntRange(min=1), help="So many LoRA adapters on the model.")
@click.option(
    "--try", "ways", multiple=True, type=click.Choice(WAYS), help="Also search this way to serve."
)
@click.option(
    "-o",
    "--output",
    type=OUTPUT_FILE,
    default="scenario.yaml",
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@catalogs_option
def command(
    model: str | None,
    kind: str | None,
    adapters: int | None,
    ways: tuple[str, ...],
    output: str,
    force: bool,
    catalogs: str | None,
) -> int:
    """Write a commented scenario to start from: asks for model, kind of work, load and targets.

    With --from-model nothing is asked, and the load and targets are examples to edit.

    Exit codes: 0 written, 2 invalid input or the file exists.

    \b
    Examples:
      planner init
      planner init --from-model Qwen/Qwen3-32B -o mine.yaml
      planner init --from-model Qwen/Qwen3-Reranker-8B --kind rerank
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.files import must_be_new, write_file
    from planner.scenario.reader import checked
    from planner.scenario.text.yaml_source import parse_source

    if not force:
        must_be_new(output)
    if model is None and not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask on",
            action="name the model: planner init --from-model MODEL",
        )
    stated = {"kind": kind, "adapters": adapters, "ways": ", ".join(ways) or None}
    given = {field: str(value) for field, value in stated.items() if value is not None}
    catalog = load_catalog(catalogs)
    text = commented_scenario(_requested(given) if model is None else Answers(model, **given))
    source = parse_source(text, output)
    checked(source, Path(output).parent, default_name=Path(output).stem, catalog=catalog)
    write_file(output, text)
    return 0


def _requested(given: dict[str, str]) -> Answers:
    """Ask for what is not given."""
    model = click.prompt("Model (planner catalog models lists them)", err=True)
    usual = Answers(model, **given)
    if "kind" not in given:
        kind = click.prompt("Kind of work", default=usual.kind, type=click.Choice(KINDS), err=True)
        given = {**given, "kind": kind}
    answers = {
        field: str(click.prompt(QUESTIONS[field], default=vars(usual)[field] or "none", err=True))
        for field in questions_of(given["kind"])
        if field not in given
    }
    return Answers(model, **given, **answers)
