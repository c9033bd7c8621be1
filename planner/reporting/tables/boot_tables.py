"""How a start-up check is presented: planned beside printed, part by part."""

from __future__ import annotations

from dataclasses import asdict

from planner.reporting import rounding
from planner.reporting.document import Column, Document, Items, Quantity, Section, Table, rows_of
from planner.sizing.boot_log.check import BootCheck
from planner.sizing.boot_log.parts import PartCheck
from planner.units import GIB


def check_document(check: BootCheck) -> Document:
    """``planner memory --check``."""
    deployment = check.deployment
    table = Table(
        "check",
        "Planned against printed, per GPU",
        (
            Column("part", "part"),
            Column("planned", "planned", Quantity.NUMBER),
            Column("printed", "printed", Quantity.NUMBER),
            Column("difference", "difference", Quantity.NUMBER),
            Column("explanation", "what explains it"),
        ),
        tuple(
            (
                part.part,
                _size(part, part.planned),
                _size(part, part.printed),
                _difference(part),
                part.explanation or " ",
            )
            for part in check.parts
        ),
    )
    sections = [Section("check", "Check", (table,))]
    if check.assumptions:
        sections.append(Section("assumed", "Not in the log", (Items(check.assumptions),)))
    version = check.log.version or "unknown version"
    return Document(
        title=f"{deployment.model.name} on {check.log.engine} {version}",
        headline=deployment.label,
        sections=tuple(sections),
        data=(_parts(check),),
    )


def check_mapping(check: BootCheck) -> dict[str, object]:
    """The JSON of ``planner memory --check``; sizes in bytes per GPU."""
    return {
        "model": check.deployment.model.name,
        "gpu": check.deployment.gpu.name,
        "engine": check.log.engine,
        "engine_version": check.log.version,
        "tensor_parallel": check.log.tensor_parallel,
        "log": asdict(check.log),
        "parts": _parts(check).records(),
        "assumptions": list(check.assumptions),
    }


def _parts(check: BootCheck) -> Table:
    """A row a part, exact, in its own unit."""
    columns = (
        Column("part", "Part"),
        Column("unit", "Unit"),
        Column("planned", "Planned", Quantity.NUMBER),
        Column("printed", "Printed", Quantity.NUMBER),
        Column("difference", "Difference", Quantity.CHANGE),
        Column("comparable", "Comparable"),
        Column("explanation", "Explanation"),
    )
    return Table("parts", "Every part", columns, rows_of(check.parts, columns))


def _size(part: PartCheck, value: float | None) -> str:
    if value is None:
        return rounding.UNKNOWN
    if part.unit == "bytes":
        return f"{rounding.fixed(value / GIB)} GiB"
    if part.unit == "sequences":
        return rounding.fixed(value)
    return rounding.count(value) + (" B" if part.unit == "bytes per token" else "")


def _difference(part: PartCheck) -> str:
    if not part.comparable:
        return "not the same"
    return rounding.UNKNOWN if part.difference is None else f"{100 * part.difference:+.1f} %"
