"""Where results go: the requested format, to a file or to stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from planner.errors import InputError, OutputError
from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting.document import Document, Value
from planner.reporting.extras import need
from planner.reporting.files import check_target, send, write_file
from planner.reporting.formats import csv_table, html, markdown, rich_document
from planner.reporting.plan.plan_document import plan_document

DEFAULT_TABLE = "order"
ALL_TABLES = "all"
SOLVED_TABLES = frozenset(
    {
        "ways_to_pay",
        "break_even",
        "regret",
        "sensitivity",
        "tornado",
        "price_ladder",
        "price_ranges",
        "frontier",
    }
)


_PACKAGES = {"html": ("jinja2", "matplotlib"), "xlsx": ("xlsxwriter",)}


def prepare(style: str, *outputs: str | None) -> None:
    """Before long work: raise OutputError for what could not be written or drawn at its end."""
    for output in outputs:
        if output is not None:
            check_target(output)
    for package in _PACKAGES.get(style, ()):
        need(package, f"the {style} format")


def write_plan(plan: Plan, style: str, output: str | None, *, table: str = DEFAULT_TABLE) -> None:
    """Tell a plan as ``style`` (table, json, md, html, csv, xlsx), to ``output`` or stdout.

    Raises OutputError when the file cannot be written or a package is missing.
    """
    write_findings(Findings(plan), style, output, table=table)


def write_findings(
    findings: Findings,
    style: str,
    output: str | None,
    *,
    table: str = DEFAULT_TABLE,
    memo: bool = False,
) -> None:
    """Write a plan with what was found out around it, or the one-page ``memo`` of it.

    Raises OutputError as ``write_plan``.
    """
    if memo:
        from planner.reporting.plan.memo import memo as memo_of

        write_document(memo_of(findings), style, output, table=table)
        return
    if style == "json":
        send(findings.plan.to_json(), output)
    elif style == "xlsx":
        from planner.reporting.plan import spreadsheet

        send(spreadsheet.render(findings), output)
    else:
        write_document(plan_document(findings), style, output, table=table)


def write_document(
    document: Document,
    style: str,
    output: str | None,
    *,
    table: str,
    data: Callable[[], Mapping[str, object]] | None = None,
) -> None:
    """Tell any document; ``table`` is the one CSV carries, ``data`` what JSON carries."""
    if style == "json" and data is not None:
        send(json.dumps(data(), indent=2, ensure_ascii=False, allow_nan=False) + "\n", output)
    elif style == "html":
        send(html.render(document), output)
    elif style == "md":
        send(markdown.render(document), output)
    elif style == "csv":
        _write_csv(document, output, table)
    elif style == "table":
        if output is None:
            rich_document.show(document)
        else:
            write_file(output, rich_document.text(document))
    else:
        raise OutputError("this result has no such format", found=style)


def _write_csv(document: Document, output: str | None, table: str) -> None:
    """One table; or each in a file of its own, named after it, beside ``output``."""
    if table != ALL_TABLES:
        send(csv_table.render(csv_table.pick(document, table)), output)
        return
    if output is None:
        raise InputError(
            "several tables cannot be one CSV",
            where=f"--table {ALL_TABLES}",
            action="add -o NAME.csv: each table is written as NAME.TABLE.csv",
        )
    path = Path(output)
    for key, each in document.tables().items():
        write_file(path.with_suffix(f".{key}{path.suffix or '.csv'}"), csv_table.render(each))


def records(document: Document, table: str) -> list[dict[str, Value]]:
    """A table's rows as mappings by column key, values exact."""
    source = document.tables()[table]
    keys = [c.key for c in source.columns]
    return [dict(zip(keys, (c.value for c in row), strict=True)) for row in source.cells()]
