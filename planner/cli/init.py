"""``planner init``: write a first scenario, commented."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.shared.names import MODEL
from planner.cli.shared.paths import OUTPUT_FILE
from planner.errors import InputError

if TYPE_CHECKING:
    from planner.scenario.template import Answers

QUESTIONS = {
    "rate": "Requests per second",
    "prompt_tokens": "Prompt tokens per request",
    "output_tokens": "Output tokens per request",
    "ttft_p99": "Time to first token, 99th percentile",
    "tpot_p99": "Time per output token, 99th percentile",
    "gpus": "GPUs to consider (all, or names with commas)",
}


@click.command(name="init", short_help="write a first scenario, commented")
@click.option("--from-model", "model", metavar="MODEL", type=MODEL, help="Do not ask; plan MODEL.")
@click.option(
    "-o",
    "--output",
    type=OUTPUT_FILE,
    default="scenario.yaml",
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--catalogs",
    type=click.Path(exists=True, file_okay=False),
    help="Use this folder instead of the shipped catalogs.",
)
def command(model: str | None, output: str, force: bool, catalogs: str | None) -> int:
    """Write a commented scenario to start from: asks for model, load and targets.

    With --from-model nothing is asked, and the load and targets are examples to edit.

    Exit codes: 0 written, 2 invalid input or the file exists.

    \b
    Examples:
      planner init
      planner init --from-model Qwen/Qwen3-32B -o mine.yaml
    """
    from planner.catalog.store import load_catalog
    from planner.reporting.files import write_file
    from planner.scenario.reader import checked
    from planner.scenario.template import commented_scenario
    from planner.scenario.yaml_source import parse_source

    if Path(output).exists() and not force:
        raise InputError(
            "the file exists already",
            where=output,
            action="name another with -o, or replace it with --force",
        )
    if model is None and not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask on",
            action="name the model: planner init --from-model MODEL",
        )
    catalog = load_catalog(Path(catalogs) if catalogs else None)
    text = commented_scenario(_requested() if model is None else _defaults(model))
    source = parse_source(text, output)
    checked(source, Path(output).parent, default_name=Path(output).stem, catalog=catalog)
    write_file(output, text)
    return 0


def _defaults(model: str) -> Answers:
    from planner.scenario.template import Answers

    return Answers(model)


def _requested() -> Answers:
    from planner.scenario.template import Answers

    model = click.prompt("Model (planner catalog models lists them)", err=True)
    usual = Answers(model)
    given = {
        field: str(click.prompt(text, default=default, err=True))
        for field, text in QUESTIONS.items()
        if (default := vars(usual)[field])
    }
    return Answers(model, **given)
