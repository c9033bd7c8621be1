"""Documents parsed once: their content as JSON in the user's cache folder, by a hash of the text."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

from planner import cache_folder

FORM = "1"
DATE = "\0date"
LEAST_CHARACTERS = 2_000  # shorter texts are parsed as fast as they are found


def parsed_once(kind: str, text: str, parse: Callable[[str], Any]) -> Any:
    """What ``parse`` makes of ``text``, from an earlier run where its content was kept.

    ``kind``: names the parser among others of the same texts. Content that JSON would change (keys
    that are no text, moments in time) is parsed each time.
    """
    if len(text) < LEAST_CHARACTERS or cache_folder.cache_folder() is None:
        return parse(text)
    key = cache_folder.key_of((FORM, cache_folder.program(), text))
    kept = cache_folder.load(kind, key)
    if isinstance(kept, list) and len(kept) == 1:
        return _restored(kept[0])
    content = parse(text)
    plain = _plain(content)
    if plain is not None:
        cache_folder.save(kind, key, [plain])
    return content


def _plain(content: object) -> object | None:
    """``content`` in JSON values, dates marked; None where it would not come back as it was."""
    try:
        plain = json.loads(json.dumps(content, default=_marked))
        return plain if _restored(plain) == content else None
    except (TypeError, ValueError):
        return None


def _marked(value: object) -> object:
    if type(value) is datetime.date:
        return {DATE: value.isoformat()}
    raise TypeError(f"no JSON value: {type(value).__name__}")


def _restored(content: Any) -> Any:
    if isinstance(content, dict):
        if DATE in content:
            return datetime.date.fromisoformat(content[DATE])
        return {key: _restored(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_restored(value) for value in content]
    return content
