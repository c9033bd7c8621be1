"""Where model configs come from: the catalog's ``models/index.csv``, or a file a user names."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.tables import IsoDate, TableRow, read_rows, read_text
from planner.errors import CatalogError, InputError, PlannerError, ScenarioWarning, in_words

MAX_CONFIG_BYTES = 5_000_000
MAX_DEPTH = 100
CONFIG_NAMES = ("config.json", "params.json")
QUANTIZATION_NAME = "hf_quant_config.json"  # ModelOpt writes it beside the config
UNQUANTIZED = ("bf16", "fp16", "fp32")
FORMAT_IN_NAME = re.compile(
    r"(?<![a-z])(nvfp4|mxfp4|fp8|int8|int4|awq|gptq|w4a16|w8a8)(?![a-z0-9])", re.IGNORECASE
)


class ModelEntry(TableRow):
    """One line of ``catalogs/models/index.csv``."""

    name: str
    file: str
    aliases: str = ""
    family: str
    source: str
    as_of: IsoDate
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The model's own name and its aliases."""
        return (self.name, *filter(None, map(str.strip, self.aliases.split(";"))))


def read_model_index(path: Path) -> tuple[ModelEntry, ...]:
    """Return every model the catalog lists; raises CatalogError when a name is given twice."""
    entries: list[ModelEntry] = []
    seen: dict[str, str] = {}
    for line, entry in read_rows(path, ModelEntry):
        for name in entry.names:
            if seen.setdefault(name.lower(), entry.name) != entry.name:
                raise CatalogError("a name is given twice", where=f"{path}:{line}", found=name)
        entries.append(entry)
    return tuple(entries)


def _read_object(path: Path, error: type[PlannerError]) -> dict[str, object]:
    text = read_text(path, MAX_CONFIG_BYTES, error)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        where = f"{path}:{problem.lineno}:{problem.colno}"
        raise error(f"not valid JSON: {problem.msg}", where=where) from None
    except ValueError:
        raise error(
            "a number of the JSON has too many digits", where=str(path), allowed="at most 4,300"
        ) from None
    except RecursionError:
        raise error("the JSON is nested too deeply", where=str(path)) from None
    if not isinstance(content, dict):
        raise error(
            "not a model config",
            where=str(path),
            found=in_words(content),
            allowed="a JSON object, such as a checkpoint's config.json",
        )
    if _deeper_than(content, MAX_DEPTH):  # some versions of Python read any depth
        raise error("the JSON is nested too deeply", where=str(path))
    return content


def _deeper_than(content: object, depth: int) -> bool:
    """Whether lists and mappings lie within one another more than ``depth`` times."""
    level = [content]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def load_model_file(
    path: Path, entry: ModelEntry | None = None, error: type[PlannerError] = InputError
) -> ModelSpec:
    """Return the model of a ``config.json`` or ``params.json``, or of the folder that holds one.

    Raises ``error`` when the file is missing, too large or not JSON, or when the config is not one
    the planner knows (see ``planner.catalog.model_config``).
    """
    if path.is_dir():
        files = [path / name for name in CONFIG_NAMES]
        path = next((file for file in files if file.is_file()), files[0])
    config = _read_object(path, error)
    beside = path.with_name(QUANTIZATION_NAME)
    if path.name in CONFIG_NAMES and "quantization_config" not in config and beside.is_file():
        config = {**config, "quantization_config": _read_object(beside, error)}
    try:
        if entry is None:
            model = parse_config(config, name=_name(path), where=str(path))
            _warn_of_missing_section(model, path)
            return model
        model = parse_config(config, name=entry.name, where=str(path))
    except InputError as problem:
        if error is InputError:
            raise
        parts = {key: getattr(problem, key) for key in ("where", "found", "allowed", "action")}
        raise error(problem.what, **parts) from None
    return replace(model, source=entry.source, aliases=entry.names[1:])


def _warn_of_missing_section(model: ModelSpec, path: Path) -> None:
    """Warn where the name promises fewer bits than the config states: they may be stated beside it."""
    named = FORMAT_IN_NAME.search(model.name)
    if named is None or model.native_weights not in UNQUANTIZED:
        return
    text = (
        f"{path}: sized with weights in {model.native_weights}, although its name says {named[0]}: the "
        f"config states no quantization; put the checkpoint's {QUANTIZATION_NAME} beside its config.json "
        "in one folder and name that, or choose the weights"
    )
    warnings.warn(text, ScenarioWarning, stacklevel=3)


def _name(path: Path) -> str:
    return path.resolve().parent.name if path.name in CONFIG_NAMES else path.stem
