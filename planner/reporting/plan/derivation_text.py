"""A derivation printed in the terminal or in Markdown: the textbook beside what the targets need."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

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


def derivations_as(
    style: str, derivations: Sequence[Derivation], beside: Sequence[Beside] = ()
) -> str:
    """The same as text: "table" (of a wide page), "md", or "json" with every row's parts."""
    if style == "md":
        return markdown_derivations(derivations, beside)
    if style == "json":
        stated = {
            "derivations": [asdict(d) for d in derivations],
            "beside": [asdict(b) for b in beside],
        }
        return json.dumps(stated, indent=2, ensure_ascii=False) + "\n"
    page = io.StringIO()
    Console(file=page, width=_PAGE).print(render_derivations(derivations, beside))
    return page.getvalue()


def markdown_derivations(derivations: Iterable[Derivation], beside: Iterable[Beside] = ()) -> str:
    """The same as Markdown."""
    lines: list[str] = []
    for d in derivations:
        lines += [f"## {d.service}: {d.model}", "", f"| | {TEXTBOOK} | {HONEST} |", "|---|---|---|"]
        lines += [
            f"| {row.topic} | {_line(row.textbook)} | {_line(row.honest)} |" for row in d.rows
        ]
        lines += ["", f"In a sentence: {d.verdict}", ""]
    for b in beside:
        cost = rounding.usd_per_hour(b.usd_per_hour)
        lines.append(f"- {b.scenario}: {b.answer}, {rounding.count(b.gpus)} GPUs, {cost}")
    return "\n".join(lines).rstrip() + "\n"


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


def _line(step: DerivationStep | None) -> str:
    if step is None:
        return "-"
    parts = [step.formula, step.numbers, f"= **{step.result}**", step.note]
    return "; ".join(p.replace("|", "\\|") for p in parts if p)
