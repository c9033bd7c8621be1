"""The rows of ``catalogs/formats.csv``: weight and KV formats with their other names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from planner.catalog.formats import KvFormat, WeightFormat
from planner.catalog.tables import IsoDate, TableRow, read_table


class FormatRow(TableRow):
    """One number format; ``catalogs/README.md`` says what each column means."""

    kind: Literal["weights", "kv"]
    name: str
    bits: float = Field(gt=0, le=32)
    compute: str = ""
    weight_only: bool = False
    group: int = Field(default=0, ge=-1)
    block_rows: int | None = Field(default=None, gt=0)
    block_cols: int | None = Field(default=None, gt=0)
    scale_bits: float = Field(default=0.0, ge=0)
    zero_bits: float = Field(default=0.0, ge=0)
    pad_hidden: int = Field(default=1, gt=0)
    pad_width: int = Field(default=1, gt=0)
    pad_by_gpu: str = Field(default="", pattern=r"^([a-z0-9-]+:\d+x\d+(;|$))*$")
    keeps: str = ""
    aliases: str = ""
    source: str
    as_of: IsoDate
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The format's own name and its aliases."""
        return (self.name, *filter(None, self.aliases.split(";")))

    def weight_format(self) -> WeightFormat:
        """Return the weight format of a ``weights`` row."""
        block = (self.block_rows, self.block_cols)
        return WeightFormat(
            name=self.name,
            bits=self.bits,
            compute=self.compute,
            weight_only=self.weight_only,
            group=self.group,
            block=(block[0], block[1]) if block[0] and block[1] else None,
            scale_bits=self.scale_bits,
            zero_bits=self.zero_bits,
            keeps=frozenset(filter(None, self.keeps.split(";"))),
            source=self.source,
            expert_padding=(self.pad_hidden, self.pad_width),
            padding_by_gpu=tuple(
                _padding(part) for part in filter(None, self.pad_by_gpu.split(";"))
            ),
        )

    def kv_format(self) -> KvFormat:
        """Return the KV format of a ``kv`` row."""
        return KvFormat(
            name=self.name, bits=self.bits, group=max(self.group, 0), scale_bits=self.scale_bits
        )


def _padding(text: str) -> tuple[str, tuple[int, int]]:
    """One entry of ``pad_by_gpu``: "hopper:256x1"."""
    architecture, _, sizes = text.partition(":")
    hidden, _, width = sizes.partition("x")
    return architecture, (int(hidden), int(width))


@dataclass(frozen=True, slots=True)
class Formats:
    """Every format by each of its names, and the rows they come from."""

    rows: tuple[FormatRow, ...]
    weights: dict[str, WeightFormat]
    kv: dict[str, KvFormat]


def read_formats(path: Path) -> Formats:
    """Return the weight and KV formats of ``catalogs/formats.csv``."""
    formats = Formats(read_table(path, FormatRow), {}, {})
    for row in formats.rows:
        if row.kind == "weights":
            formats.weights.update(dict.fromkeys(row.names, row.weight_format()))
        else:
            formats.kv.update(dict.fromkeys(row.names, row.kv_format()))
    return formats
