"""Classes of ``catalogs/models/classes.csv``: a known body, in its section, with towers and a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.body import Body, Parser
from planner.catalog.architectures.class_table import (
    ClassRow,
    named_towers,
    with_class_defaults,
)
from planner.catalog.architectures.drafts import next_token_module
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.heads import SuffixRule, with_score, without_head
from planner.catalog.architectures.multimodal.towers import TOWERS, has_shape
from planner.catalog.architectures.multimodal.vision import matrix
from planner.errors import CatalogError

NAME_KEYS = ("mm_vision_tower", "model_name", "name", "_name_or_path", "architecture")


class ClassParser:
    """Reads one class of the table; callable as a parser.

    ``parsers`` are the bodies by class name, ``by_type`` the class that replaces a
    ``model_type``.
    """

    def __init__(
        self, row: ClassRow, parsers: Mapping[str, Parser], by_type: Mapping[str, str]
    ) -> None:
        self.row = row
        self.parsers = parsers
        self.by_type = by_type

    def __call__(self, fields: ConfigFields) -> Body:
        text = self._text(fields)
        if self.row.head == "mtp":
            return next_token_module(self._parser(text), text)
        body = self._parser(text)(text)
        vision: Tensors = body.vision
        notes = [self.row.note, body.note]
        for path, style in self.row.towers:
            tensors, note = _tower(fields, path, style, body.hidden)
            vision += tensors
            notes.append(note)
        body = replace(body, vision=vision, note="; ".join(filter(None, notes)))
        if self.row.head == "none":
            return without_head(body)
        return with_score(body, fields) if self.row.head == "score" else body

    def _text(self, fields: ConfigFields) -> ConfigFields:
        """The text model's fields: its own section, with the class's defaults behind them."""
        for path in self.row.sections:
            section = fields.section_at(path)
            if section is not None:
                full = with_class_defaults(section)
                if fields.has("tie_word_embeddings") and not section.has("tie_word_embeddings"):
                    tied = fields.flag("tie_word_embeddings")
                    full = full.override({"tie_word_embeddings": tied})
                return full
        if self.row.sections and not fields.has("hidden_size"):
            wanted = " or ".join(self.row.sections)
            raise fields.error(self.row.sections[0], "is missing", None, f"a section {wanted}")
        return fields

    def _parser(self, text: ConfigFields) -> Parser:
        if self.row.body:
            return self.parsers[self.row.body]
        listed = text.items("architectures") or ()
        for name in (*listed, self.by_type.get(text.text("model_type"), "")):
            if isinstance(name, str) and name in self.parsers and name != self.row.name:
                return self.parsers[name]
        found = listed[0] if listed else text.text("model_type")
        raise text.error(
            "model_type", "names no known text model", found, "a known architecture or model_type"
        )


class HeadParser:
    """Reads a class that is a known one with another head, or none; callable as a parser."""

    def __init__(self, base: Parser, rule: SuffixRule) -> None:
        self.base = base
        self.rule = rule

    def __call__(self, fields: ConfigFields) -> Body:
        body = self.base(fields)
        if self.rule.head == "none":
            return without_head(body)
        return with_score(body, fields, two_layers=self.rule.two_layers)


def _tower(fields: ConfigFields, path: str, style: str, hidden: int) -> tuple[Tensors, str]:
    """The tensors of one tower, and what is approximate about them; ``@name`` is a tower by name."""
    if path.startswith("@"):
        named = ConfigFields(named_towers()[path[1:].lower()].fields, fields.where)
        return TOWERS[style](named, fields, hidden), ""
    value = fields.values.get(path)
    if isinstance(value, str):
        section = ConfigFields({"name": value}, fields.where, f"{path}.")
    else:
        found = fields.section_at(path)
        if found is None:
            return (), ""
        section = with_class_defaults(found)
    top = _holder(fields, path)
    if has_shape(section):
        return TOWERS[style](section, top, hidden), ""
    inner = section.section("params") or section.section("args") or section
    keys = (*NAME_KEYS, "model")
    names = (str(f.values[key]).lower() for f in (section, inner) for key in keys if f.has(key))
    tower = next((named_towers()[name] for name in names if name in named_towers()), None)
    if tower is None:
        return (), f"the shape of {path} is not in the file: its tower is not counted"
    if tower.parameters:
        return matrix(f"{path}.attn", tower.parameters, 1, bias=False), ""
    chosen = style if tower.style == "" else tower.style
    if chosen not in TOWERS:
        raise CatalogError("unknown tower style", found=chosen, allowed=", ".join(TOWERS))
    return TOWERS[chosen](section.with_defaults(tower.fields), top, hidden), ""


def _holder(fields: ConfigFields, path: str) -> ConfigFields:
    """The fields beside a tower's section, where projectors are described."""
    parent, _, _ = path.rpartition(".")
    return (fields.section_at(parent) if parent else fields) or fields
