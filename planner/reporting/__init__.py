"""How it is told: one plan, many renderings; rounding lives in one module."""
