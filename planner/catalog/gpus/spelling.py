"""GPU names as drivers and benchmarks print them, brought to the catalog's spelling."""

from __future__ import annotations

import re

_BRANDS = re.compile(r"^(nvidia|amd|instinct|tesla|geforce|radeon|pro-)[-_ ]+")
_MEMORY_KINDS = re.compile(r"-hbm\d+e?$|-(blackwell-server-edition|server-edition)$")


def catalog_spelling(name: str) -> str:
    """A driver's name in the catalog's spelling: ``NVIDIA A100-SXM4-80GB`` is ``a100-sxm-80gb``.

    Lower case, words joined by ``-``, no maker or brand, ``sxm<digit>`` as ``sxm``, no kind of memory.
    """
    text = name.strip().lower()
    while (shorter := _BRANDS.sub("", text)) != text:
        text = shorter
    text = re.sub(r"[\s_]+", "-", text)
    text = re.sub(r"sxm\d", "sxm", text)
    text = re.sub(r"^(rtx)-?(\d{4})", r"\1-\2", text)
    text = re.sub(r"^(.+)-(\d+gb)-pcie$", r"\1-pcie-\2", text)
    return _MEMORY_KINDS.sub("", text)
