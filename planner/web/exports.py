"""A plan as a file to download: what the command line writes, from the same functions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import assert_never

from planner.catalog.store import Catalog
from planner.deploy.choices import Choices
from planner.deploy.targets import launch_files
from planner.findings.schema import Findings
from planner.plan.schema import Plan
from planner.reporting.formats import csv_table, html, markdown
from planner.reporting.plan import spreadsheet
from planner.reporting.plan.plan_document import plan_document
from planner.web.requests import Style, Target

_EPOCH = (1980, 1, 1, 0, 0, 0)
MEDIA: Mapping[Style, str] = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "launch": "application/zip",
}


def report(findings: Findings, style: Style, table: str) -> bytes:
    """The report on a plan. Raises OutputError when the report extra is missing."""
    match style:
        case "json" | "launch":
            return findings.plan.to_json().encode()
        case "xlsx":
            return spreadsheet.render(findings)
        case "html":
            return html.render(plan_document(findings)).encode()
        case "md":
            return markdown.render(plan_document(findings)).encode()
        case "csv":
            return csv_table.render(csv_table.pick(plan_document(findings), table)).encode()
        case _:
            assert_never(style)


def launch_archive(plan: Plan, catalog: Catalog, target: Target) -> bytes:
    """The launch files for ``target`` as a ZIP archive, the same bytes for the same plan."""
    written = launch_files(plan, catalog, target, Choices())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(written.files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            archive.writestr(entry, written.files[name])
    return buffer.getvalue()
