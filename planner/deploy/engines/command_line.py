"""Settings to a command line and back, by the dialect of the engine's version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from planner.deploy.engines import sglang, tensorrt_llm, vllm
from planner.deploy.engines.dialect import Dialect
from planner.deploy.launch import Launch, Role
from planner.deploy.manifest import EnvironmentVariable, Manifest, Options, OptionValue, Stated
from planner.errors import InputError

ENGINES: Mapping[str, ModuleType] = {
    "vllm": vllm,
    "sglang": sglang,
    "tensorrt-llm": tensorrt_llm,
}
Word = str | EnvironmentVariable


@dataclass(frozen=True, slots=True)
class Command:
    """The program, its words in order, and the content of its configuration file (or None).

    Each group is one option with its value, so that a script can give it a line.
    """

    program: tuple[str, ...]
    groups: tuple[tuple[Word, ...], ...]
    config: Manifest | None

    @property
    def words(self) -> tuple[Word, ...]:
        """Everything after the program."""
        return tuple(word for group in self.groups for word in group)


def command(launch: Launch, role: Role) -> Command:
    """How one process of the replica is started."""
    stated: Options = ENGINES[launch.dialect.engine].settings(launch, role)
    return spell(launch.dialect, launch.program, stated)


def spell(dialect: Dialect, program: tuple[str, ...], stated: Mapping[str, OptionValue]) -> Command:
    """Write settings as the engine's options; InputError when this version lacks one."""
    groups: list[tuple[Word, ...]] = []
    config: Manifest = {}
    for name, value in stated.items():
        row = dialect.setting(name)
        if row.form == "config":
            section, _, key = row.option.rpartition(".")
            (config.setdefault(section, {}) if section else config)[key] = value
        elif row.form == "positional":
            groups.insert(0, (_safe_positional(value),))
        elif row.form == "json":
            groups.append((row.option, json.dumps(value, separators=(",", ":"))))
        elif row.form == "value":
            groups.append(
                (row.option, value if isinstance(value, EnvironmentVariable) else _text(value))
            )
        elif row.form == "switch":
            stem = row.option.removeprefix("--")
            groups.append((row.option if value else f"--no-{stem}",))
        elif bool(value) is (row.form == "flag"):
            groups.append((row.option,))
    return Command(program, tuple(groups), config or None)


def parse(dialect: Dialect, words: Sequence[str], config: Stated | None) -> Manifest:
    """Read an engine's options back into settings; values are text, or what the file holds.

    Raises InputError for an option that this version does not have or takes otherwise, and for a
    value outside its recorded choices.
    """
    by_option = {r.option: r for r in dialect.settings().values() if r.form != "config"}
    stated: Manifest = {
        name: False for name, row in dialect.settings().items() if row.form == "flag"
    }
    stated |= {name: True for name, row in dialect.settings().items() if row.form == "off-flag"}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("-"):
            stated["model"] = word
            continue
        positive = f"--{word.removeprefix('--no-')}" if word.startswith("--no-") else word
        row = by_option.get(word) or by_option.get(positive)
        _check_option(dialect, word)
        if row is None:
            raise InputError("an option that the plan does not set", found=word)
        if row.form in ("value", "json"):
            if not queue:
                raise InputError("an option without its value", found=word)
            value = queue.pop(0)
            _check_value(dialect, word, value)
            stated[row.setting] = json.loads(value) if row.form == "json" else value
        else:
            stated[row.setting] = word == row.option and row.form != "off-flag"
    return {**stated, **_read_config(dialect, config or {})}


def _read_config(dialect: Dialect, config: Stated) -> Manifest:
    rows = {r.option: r for r in dialect.settings().values() if r.form == "config"}
    flat = {}
    for key, value in config.items():
        entries = value.items() if isinstance(value, Mapping) else [("", value)]
        for inner, leaf in entries:
            name = f"{key}.{inner}" if inner else key
            _check_option(dialect, name)
            _check_value(dialect, name, str(leaf))
            if name not in rows:
                raise InputError("a key that the plan does not set", found=name)
            flat[rows[name].setting] = leaf
    return flat


def _check_option(dialect: Dialect, word: str) -> None:
    if word not in dialect.options():
        raise InputError(f"{dialect.engine} {dialect.version} has no such option", found=word)


def _check_value(dialect: Dialect, word: str, value: str) -> None:
    row = dialect.options()[word]
    if row.takes in ("flag", "switch"):
        raise InputError(f"{dialect.engine}: the option takes no value", found=f"{word} {value}")
    if row.choices and value not in row.choices.split(";"):
        raise InputError(
            f"{dialect.engine} {dialect.version}: not a value of {word}",
            found=value,
            allowed=row.choices.replace(";", ", "),
        )


def _safe_positional(value: OptionValue) -> str:
    text = str(value)
    if text.startswith("-"):
        raise InputError("a model name cannot start with a dash", found=text)
    return text


def _text(value: OptionValue) -> str:
    return str(value)
