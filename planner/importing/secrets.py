"""What may be shown of a foreign file: nothing that looks like a secret leaves it.

Imports keep numbers, names that the catalog knows and names of workloads alone; this module guards the
few texts of a file that reach a message or a comment.
"""

from __future__ import annotations

import re

HIDDEN = "(hidden: looks like a secret)"
LONGEST = 200
_SHAPES = re.compile(
    r"""
    [a-z][a-z0-9+.-]*://[^/\s@]+@                      # credentials in a URL
    | \b(?:hf|ghp|gho|ghs|glpat|xox[abprs]|nvapi|sk|pk|rk|key|npm|pypi|dop_v1|AIza)[-_][A-Za-z0-9_-]{8,}
    | \bAIza[A-Za-z0-9_-]{20,}                           # Google API keys
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                       # AWS access keys
    | \bgithub_pat_[A-Za-z0-9_]{10,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}          # JSON web tokens
    | -----BEGIN
    | (?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/_.=-]{8,})
    | (?i:(?:pass(?:word|wd)?|secret|token|api[-_]?key|access[-_]?key|credential)s?\s*[=:]\s*\S)
    | [?&](?i:sig|signature|x-amz-[a-z-]+|token|key)=\S
    | (?<![A-Za-z0-9/+])[A-Fa-f0-9]{32,}(?![A-Za-z0-9])   # long hexadecimal
    | (?<![A-Za-z0-9/+.-])(?=[A-Za-z0-9+/]*[0-9])(?=[A-Za-z0-9+/]*[a-z])
      (?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{40,}={0,2}     # long base64
    """,
    re.VERBOSE,
)


def looks_secret(text: str) -> bool:
    """Whether ``text`` holds something of the shape of a token, key, password or credentialed URL."""
    return _SHAPES.search(text) is not None


def shown(text: str) -> str:
    """``text`` on one line, cut to a length that a message can hold, or that it is hidden."""
    if looks_secret(text):
        return HIDDEN
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
