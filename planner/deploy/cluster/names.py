"""Names that a cluster accepts: DNS labels, unique within one set of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

MAX_LENGTH = 40  # leaves room for the suffixes that controllers append to a 63-character label


def dns_label(text: str) -> str:
    """``text`` as an RFC 1035 label of at most ``MAX_LENGTH`` characters.

    What is left out of a name that had to be cut or has nothing usable is replaced by a short digest.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    label = plain if plain[:1].isalpha() else f"s-{plain}".rstrip("-")
    if plain and len(label) <= MAX_LENGTH:
        return label
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{label[: MAX_LENGTH - 7].rstrip('-')}-{digest}"


def unique_labels(names: Iterable[str]) -> list[str]:
    """A label for each name, in order; names that fall together are numbered."""
    taken: set[str] = set()
    labels = []
    for name in names:
        label = base = dns_label(name)
        number = 2
        while label in taken:
            suffix = f"-{number}"
            label = base[: MAX_LENGTH - len(suffix)].rstrip("-") + suffix
            number += 1
        taken.add(label)
        labels.append(label)
    return labels
