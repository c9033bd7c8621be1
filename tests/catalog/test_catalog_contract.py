"""``catalogs/README.md`` names exactly the columns that files have and that the planner reads."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from planner.accuracy.memory_facts import MemoryFact
from planner.catalog.drafts import DraftPriorRow, DraftRow, MethodRow
from planner.catalog.engine_rows import VersionRow
from planner.catalog.format_rows import FormatRow
from planner.catalog.gpus.rows import GpuRow
from planner.catalog.gpus.slices import SliceRow
from planner.catalog.kv_handover import BackendRow, ConnectorRow
from planner.catalog.model_files import ModelEntry
from planner.catalog.money_rows import (
    ApiBatchRow,
    ApiPriceRow,
    CountryRow,
    NetworkRow,
    OwnershipRow,
    ProviderAliasRow,
    ServerPowerRow,
    ServerRow,
    ServiceLevelRow,
)
from planner.catalog.offer_rows import OfferRow
from planner.catalog.store import load_catalog
from planner.catalog.support import SupportConditions
from planner.sizing.corrections import CorrectionRow
from planner.sizing.reference_gpus import ReferenceGpuRow

ROOT = load_catalog().root
TABLES: dict[str, type[BaseModel]] = {
    "gpus.csv": GpuRow,
    "formats.csv": FormatRow,
    "gpu_slices.csv": SliceRow,
    "kv_connectors.csv": ConnectorRow,
    "attention_backends.csv": BackendRow,
    "prices/offers_*.csv": OfferRow,
    "prices/api.csv": ApiPriceRow,
    "prices/api_batch.csv": ApiBatchRow,
    "prices/servers.csv": ServerRow,
    "prices/server_power.csv": ServerPowerRow,
    "prices/ownership.csv": OwnershipRow,
    "prices/provider_aliases.csv": ProviderAliasRow,
    "prices/countries.csv": CountryRow,
    "prices/service_levels.csv": ServiceLevelRow,
    "prices/networks.csv": NetworkRow,
    "models/index.csv": ModelEntry,
    "drafts/drafts.csv": DraftRow,
    "drafts/methods.csv": MethodRow,
    "drafts/priors.csv": DraftPriorRow,
    "memory/cards.csv": ReferenceGpuRow,
    "memory/corrections.csv": CorrectionRow,
    "calibration/memory_facts.csv": MemoryFact,
}


def documented(section: str) -> dict[str, list[str]]:
    """Name -> the other cells, for the rows of a section's table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", body, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("section", TABLES)
def test_the_contract_matches_what_is_read(section: str) -> None:
    contract = documented(section)
    assert list(contract) == list(TABLES[section].model_fields)
    for name, field in TABLES[section].model_fields.items():
        default = contract[name][2]
        assert (default == "required") == field.is_required(), name
        if isinstance(field.default, bool):
            assert default == str(field.default).lower(), name
        elif isinstance(field.default, (int, float)):
            assert default == f"{field.default:g}", name
        elif field.default is None:
            assert default == "none", name
        elif not field.is_required():
            assert default == (field.default or "empty"), name


@pytest.mark.parametrize("section", TABLES)
def test_the_contract_matches_the_files(section: str) -> None:
    files = sorted(ROOT.glob(section))
    assert files
    for path in files:
        written = header(path)
        optional = [n for n, f in TABLES[section].model_fields.items() if not f.is_required()]
        left_out = set(documented(section)) - set(written)
        assert left_out <= set(optional), path.name
        assert written == [n for n in documented(section) if n not in left_out], path.name


def test_engine_keys_and_support_conditions_are_documented() -> None:
    assert list(documented("engines.yaml")) == list(VersionRow.model_fields)
    assert list(documented("support.yaml")) == [field.name for field in fields(SupportConditions)]


def test_every_file_is_described() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+)$", text, flags=re.MULTILINE)
    assert "gpus.csv" in sections
    described = {path for section in sections for path in ROOT.glob(section)}
    files = {path for path in ROOT.rglob("*") if path.suffix in (".csv", ".yaml")}
    assert files <= described, sorted(str(p.relative_to(ROOT)) for p in files - described)
