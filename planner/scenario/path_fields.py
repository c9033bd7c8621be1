"""Files that a field set from outside a scenario names: from where it was given, not from the file.

In a scenario's text a relative path starts at the text's own folder. ``--set prices.file=quotes.csv`` is
typed in a shell, where a path starts at the working directory: what lies there is meant. What does not is
read as if it stood in the file, so that a name (a shipped trace, a model) stays one.
"""

from __future__ import annotations

from pathlib import Path

FILES = ("prices.file", "load.series", "trace")
CONFIG = "config.json"


def from_working_directory(field: str, value: object, file: str) -> object:
    """The value set, with each relative path that exists from the working directory made whole.

    ``field``: dotted; ``file``: the scenario's own, in whose folder a path stays as it is.
    """
    if isinstance(value, dict):
        return {
            key: from_working_directory(f"{field}.{key}", inner, file)
            for key, inner in value.items()
        }
    if not isinstance(value, str) or not value or Path(value).is_absolute():
        return value
    here = Path.cwd() / value
    if Path(file).parent.resolve() == Path.cwd().resolve() or not _is_meant(field, here):
        return value
    return str(here)


def _is_meant(field: str, path: Path) -> bool:
    """Whether the field takes a file, and this is one."""
    try:
        if field.split(".")[-1] == "model":
            return (path / CONFIG).is_file() or (path.suffix == ".json" and path.is_file())
        takes = any(f".{field}".endswith(f".{name}") for name in FILES)
        return takes and path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return False
