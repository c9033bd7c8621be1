"""How it is presented: one plan, many renderings; rounding lives in one module."""
