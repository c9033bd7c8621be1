"""The shapes of what deploy files hold, before any spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """A value known only where the replica starts; ``times`` multiplies a rank."""

    name: str
    times: int = 1


PlainValue = bool | int | float | str
OptionValue = PlainValue | EnvironmentVariable | Mapping[str, PlainValue]
Options = dict[str, OptionValue]
"""What an engine is started with, by a name that is the same for every engine and version."""

Stated = Mapping[str, Any]
"""Options as a command line or an engine's file states them. Foreign text: a value may be anything until
the reader of its option has converted it."""

Manifest = dict[str, Any]
"""A document for a cluster or for Compose. Its types are the foreign schema's: what is written is held
against that schema's field list (``planner.deploy.check``), at any depth."""
