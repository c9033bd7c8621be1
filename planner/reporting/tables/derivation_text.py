"""A derivation in the terminal: the textbook beside what the targets need, a part of a step a line."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from planner.derivation.rows import Beside, Derivation, DerivationStep
from planner.reporting import rounding

TEXTBOOK = "by memory alone (textbook)"
HONEST = "what the targets need"
_PAGE = 120  # columns of a file


def render_derivations(
    derivations: Iterable[Derivation], beside: Iterable[Beside] = ()
) -> RenderableType:
    """Every service's derivation as one table of two columns, and the verdict."""
    parts: list[RenderableType] = []
    for d in derivations:
        table = Table(box=SIMPLE_HEAD, show_edge=False, show_lines=True, expand=True)
        table.add_column("", style="bold", ratio=2)
        table.add_column(TEXTBOOK, ratio=5)
        table.add_column(HONEST, ratio=5)
        for row in d.rows:
            table.add_row(row.topic, _cell(row.textbook), _cell(row.honest))
        parts += [Text(f"{d.service}: {d.model}", style="bold cyan"), table]
        parts.append(Text.assemble(("In a sentence: ", "bold"), d.verdict, "\n"))
    options = tuple(beside)
    if options:
        table = Table(box=SIMPLE_HEAD, show_edge=False)
        table.add_column("solved beside it")
        table.add_column("a replica holds", justify="right")
        table.add_column("GPUs", justify="right")
        table.add_column("cost", justify="right")
        table.add_column("answer")
        for b in options:
            table.add_row(
                b.scenario,
                rounding.qps(b.capacity_qps),
                rounding.count(b.gpus),
                rounding.usd_per_hour(b.usd_per_hour),
                b.answer,
            )
        parts.append(table)
    return Group(*parts)


def page_of_derivations(derivations: Iterable[Derivation], beside: Iterable[Beside]) -> str:
    """The same as the text of a wide page."""
    page = io.StringIO()
    Console(file=page, width=_PAGE).print(render_derivations(derivations, beside))
    return page.getvalue()


def _cell(step: DerivationStep | None) -> Text:
    if step is None:
        return Text("-", style="dim")
    text = Text(step.formula, style="dim")
    if step.numbers:
        text.append(f"\n{step.numbers}", style="default")
    text.append(f"\n= {step.result}", style="bold green")
    if step.note:
        text.append(f"\n{step.note}", style="italic")
    return text
