"""The engine and its settings from a container's command: read word by word, never run.

Settings are those that the planner knows (``catalogs/engine_options/settings.csv``); every other option
is passed over with its value, so that keys and tokens given as options stay where they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.catalog.engine import EngineSpec, version_key
from planner.deploy.engines.dialect import Dialect, OptionRow
from planner.importing.documents import at, mappings
from planner.importing.tables import ProgramRow, program_rows

_END = ("&&", "||", ";", "|", ">", ">>", "&")
_SHELL_OPTION = re.compile(r"-[a-z]*c")
_VERSION = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_VARIABLE = re.compile(r"\$[({]?([A-Za-z_][A-Za-z0-9_]*)[)}]?")
MODEL_OPTIONS = ("--model", "--model-path", "--model_path")


@dataclass(frozen=True)
class EngineCommand:
    """An engine's server as a container starts it; ``settings`` by the planner's names, as text."""

    engine: str
    version: str
    model: str
    served_name: str
    settings: Mapping[str, object] = field(default_factory=dict)


def engine_command(
    container: Mapping[str, object], engines: Sequence[EngineSpec], root: Path
) -> EngineCommand | None:
    """What ``container`` serves; None where it is no known engine's server."""
    words = _words([*_texts(at(container, "command")), *_texts(at(container, "args"))])
    image = str(at(container, "image") or "")
    program, rest = _program(words, image, program_rows(root))
    if program is None:
        return None
    version = _version(program.engine, image, engines)
    read = _Options(Dialect(program.engine, version, root)).read(rest)
    variables = {
        str(v.get("name")): str(v["value"]) for v in mappings(at(container, "env")) if "value" in v
    }
    model = _filled(str(read.pop("model", "")), variables)
    served = str(read.pop("served_name", ""))
    return EngineCommand(program.engine, version, model, _filled(served, variables), read)


def options_of(engine: str, version: str, words: Sequence[str], root: Path) -> dict[str, object]:
    """The known settings among an engine's options."""
    return _Options(Dialect(engine, version, root)).read(list(words))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return (
        [str(v) for v in value if isinstance(v, (str, int, float))]
        if isinstance(value, list)
        else []
    )


def _words(texts: Sequence[str]) -> list[str]:
    """The words of a command; a script given to a shell (after -c) is split as a shell would."""
    words: list[str] = []
    for number, text in enumerate(texts):
        if not any(_SHELL_OPTION.fullmatch(before) for before in texts[:number]):
            words.append(text)
            continue
        try:
            words += shlex.split(text.replace("\\\n", " "), comments=True)
        except ValueError:
            words += text.split()
    return words


def _program(
    words: list[str], image: str, rows: Sequence[ProgramRow]
) -> tuple[ProgramRow | None, list[str]]:
    """The program that is started and the words after it."""
    names = [
        word.rpartition("/")[2] if n == 0 or "/bin/" in word else word
        for n, word in enumerate(words)
    ]
    for row in rows:
        wanted = row.words.split()
        for start in range(len(words) - len(wanted) + 1) if wanted else ():
            if names[start : start + len(wanted)] == wanted:
                return row, _until_end(words[start + len(wanted) :])
    repository = image.partition("@")[0]
    repository = (
        repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository
    )
    for row in rows:
        if row.image and (repository == row.image or repository.endswith(f"/{row.image}")):
            return row, _until_end(words)
    return None, []


def _until_end(words: list[str]) -> list[str]:
    end = next((n for n, word in enumerate(words) if word in _END), len(words))
    return words[:end]


def _version(engine: str, image: str, engines: Sequence[EngineSpec]) -> str:
    """The version in the image's tag, else the newest that the catalog has."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _VERSION.search(tag)
    if found is not None:
        return found[0]
    known = [e.version for e in engines if e.name == engine]
    return max(known, key=version_key, default="")


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` by the container's own plain variables of that name."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), text)


class _Options:
    """Known options of one engine version.

    Spellings with - and _ are the same, and a beginning that one option alone has means that option, as
    for argparse.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.options = dialect.options()
        self.settings = {
            row.option: row.setting for row in dialect.settings().values() if row.form != "config"
        }
        self.negative = {
            row.option for row in dialect.settings().values() if row.form == "off-flag"
        }

    def read(self, words: list[str]) -> dict[str, object]:
        stated: dict[str, object] = {}
        queue = list(words)
        while queue:
            whole_word = queue.pop(0)
            if not whole_word.startswith("-"):
                stated.setdefault("model", whole_word)
                continue
            word, separator, value = whole_word.partition("=")
            row = self._row(word)
            takes_value = row.takes in ("value", "config") if row else _is_value(queue)
            if takes_value and not separator:
                value = queue.pop(0) if queue else ""
            self._keep(stated, word, row, value)
        return stated

    def _keep(
        self, stated: dict[str, object], word: str, row: OptionRow | None, value: str
    ) -> None:
        if word in MODEL_OPTIONS:
            stated["model"] = value
            return
        known = [name for name in (row.names if row else ()) if name in self.settings]
        if row is None or not known:
            return
        setting = self.settings[known[0]]
        if row.takes in ("value", "config"):
            stated[setting] = value
        else:
            stated[setting] = not word.startswith("--no-") and known[0] not in self.negative

    def _row(self, word: str) -> OptionRow | None:
        dashes = word[: len(word) - len(word.lstrip("-"))]
        rest = word[len(dashes) :]
        for spelled in (word, dashes + rest.replace("_", "-"), dashes + rest.replace("-", "_")):
            found = self.options.get(spelled)
            if found is not None:
                return found
        longer = {
            row.option: row
            for name, row in self.options.items()
            if dashes == "--" and rest and name.startswith(f"--{rest.replace('_', '-')}")
        }
        return next(iter(longer.values())) if len(longer) == 1 else None


def _is_value(queue: Sequence[str]) -> bool:
    """Whether the next word belongs to an unknown option rather than being one itself."""
    return bool(queue) and not queue[0].startswith("-")
