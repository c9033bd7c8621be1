"""YAML as these files need it: safe, in the given order, strings that stay strings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

_AMBIGUOUS = re.compile(r"[-+.]?[0-9]|[yYnN]$")


class _Dumper(yaml.SafeDumper):
    """Block style, no anchors, and quotes around strings that an older YAML reader would convert."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Other readers take ``1e3`` for a number and ``y`` for a boolean; PyYAML does not quote those."""
    style = "'" if _AMBIGUOUS.match(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def to_yaml(document: Mapping[str, Any]) -> str:
    """One YAML document."""
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=1_000_000
    )


def to_yaml_stream(documents: Iterable[Mapping[str, Any]]) -> str:
    """Several documents in one file."""
    return "---\n".join(to_yaml(document) for document in documents)


def read_yaml_stream(text: str) -> list[Any]:
    """Every document of a file these functions wrote."""
    return [d for d in yaml.safe_load_all(text) if d is not None]
