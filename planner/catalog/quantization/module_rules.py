"""What entries of a quantisation section speak of: tensor classes, layers and projections.

An entry is a module's name, a name with wildcards, or a regular expression after ``re:``; modules are
named differently in every family, so that an entry is reduced to the class it speaks of, the layers
it names and the projections it lists. ``Linear`` and ``*`` mean every linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

CLASS_PATTERNS = (
    (
        "",
        r"in_proj_[ab]\b|in_proj_ba|conv1d|norm|mtp\.fc|eh_proj|shared_head|e_score|shared_expert_gate|router|weights_proj|indexers_proj|mlp\.gate$|moe\.gate$|^gate$",
    ),
    ("vision", r"vision|visual|mm_projector|multi_modal|patch_merge|embed_vision|audio|mlp1\b"),
    ("mtp", r"mtp(?!\.fc)|nextn"),
    ("indexer", r"indexer|index_[qk]"),
    ("shared_expert", r"shared_expert"),
    ("expert", r"experts|\bmoe\b"),
    ("recurrent", r"linear_attn|mamba|in_proj|out_proj"),
    ("attention", r"attn|attention|[qkvo]_proj"),
    ("head", r"lm_head|^head$|\.head$"),
    ("embedding", r"embed"),
    ("mlp", r"mlp|ffn|feed_forward|(gate|up|down)_proj"),
)
EVERYTHING = ("Linear", "*", "re:.*", ".*")
LAYER_PART = re.compile(r"(?:layers?|blocks?|\bh)\.")
ALTERNATIVES = re.compile(r"\(([a-z_|]+)\)_proj")
LEAF = re.compile(r"[a-z_]*_proj(?:_[a-z]+)*")
FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "kv_proj": ("k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "in_proj_qkvz": ("in_proj_qkv", "in_proj_z"),
    "fused_qkv_a_proj": ("q_a_proj", "kv_a_proj_with_mqa"),
}
TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # one buffer, one format
EXPERT_MATRICES = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


@dataclass(frozen=True, slots=True)
class ModuleRule:
    """Modules of ``klass`` ("*" = all linear layers) in ``layers`` (None = all), ``leaves`` likewise."""

    klass: str
    layers: frozenset[int] | None
    leaves: frozenset[str] | None

    def covers(self, klass: str, layer: int, leaf: str) -> bool:
        """Whether one matrix is meant."""
        return (
            self.klass in ("*", klass)
            and (self.layers is None or layer in self.layers)
            and (self.leaves is None or leaf in self.leaves)
        )


def module_rule(entry: str, layers: int) -> ModuleRule | None:
    """The rule of one entry for a model of that many layers; None for what is never quantised."""
    if entry in EVERYTHING:
        return ModuleRule("*", None, None)
    klass = class_of(entry)
    if not klass:
        return None
    return ModuleRule(klass, _layers(entry, layers), _leaves(entry))


@lru_cache(maxsize=65_536)
def class_of(module: str) -> str:
    """The tensor class a module name or pattern speaks of; "" for what is never quantised."""
    text = (
        module.removeprefix("re:")
        .replace("\\", "")
        .replace("(gate|up|gate_up|down)_proj", "up_proj")
    )
    for name, pattern in CLASS_PATTERNS:
        if re.search(pattern, text):
            return name
    return ""


def _layers(entry: str, count: int) -> frozenset[int] | None:
    """The layers an entry names; None when it names none, or all."""
    text = entry.removeprefix("re:").replace("\\.", ".")
    found = LAYER_PART.search(text)
    if found is None:
        return None
    part = _first_part(text[found.end() :])
    if part.isdigit():
        return frozenset((int(part),))
    if not any(character.isdigit() for character in part.replace("0-9", "")):
        return None
    try:
        pattern = re.compile(part)
    except re.error:
        return None
    return frozenset(index for index in range(count) if pattern.fullmatch(str(index)))


def _first_part(text: str) -> str:
    """What comes before the next dot outside brackets."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "." and depth == 0:
            return text[:index]
    return text.rstrip("$")


def _leaves(entry: str) -> frozenset[str] | None:
    text = entry.removeprefix("re:").replace("\\", "")
    names: list[str] = []
    for found in ALTERNATIVES.finditer(text):
        names += [f"{part}_proj" for part in found.group(1).split("|") if part]
    names += LEAF.findall(ALTERNATIVES.sub("", text))
    names += [EXPERT_MATRICES[part] for part in text.split(".") if part in EXPERT_MATRICES]
    whole = {leaf for name in names for leaf in FUSED.get(name, (name,)) if leaf != "_proj"}
    for parts in TOGETHER:
        whole |= set(parts) if whole.intersection(parts) else set()
    return frozenset(whole) or None


def rules_of(entries: Iterable[object], layers: int) -> list[ModuleRule]:
    """The rules of a list of entries, without those that speak of nothing quantised."""
    found = (module_rule(str(entry), layers) for entry in entries)
    return list(dict.fromkeys(rule for rule in found if rule is not None))
