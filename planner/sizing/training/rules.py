"""What training keeps per parameter, read from ``catalogs/memory/training.yaml``."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from planner.catalog.store import Catalog
from planner.catalog.tables import read_yaml, validate_document
from planner.errors import InputError, nearest


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Optimizer(_Document):
    """Bytes per trainable parameter: the 32-bit copy of the weights, and the optimizer's states."""

    master_bytes: float = Field(ge=0)
    state_bytes: float = Field(ge=0)
    source: str
    as_of: date


class Adapters(_Document):
    """Which tensor classes get low-rank adapters, and the format of the frozen base weights."""

    targets: tuple[str, ...]
    base_format: str
    source: str
    as_of: date


class TrainingRules(_Document):
    """Everything ``training_memory`` needs beside the model's shapes."""

    gradient_bytes: float = Field(gt=0)
    context_gib: float = Field(ge=0)
    optimizers: dict[str, Optimizer]
    lora: Adapters
    qlora: Adapters

    def optimizer(self, name: str) -> Optimizer:
        """Return the optimizer of that name; raises InputError with the nearest one."""
        if name not in self.optimizers:
            raise InputError(
                "unknown optimizer",
                found=name,
                allowed=", ".join(self.optimizers),
                action=nearest(name, self.optimizers),
            )
        return self.optimizers[name]


def training_rules(catalog: Catalog) -> TrainingRules:
    """Read the training rules; raises CatalogError when the file is wrong."""
    path = catalog.root / "memory" / "training.yaml"
    return validate_document(path, read_yaml(path), TrainingRules)
