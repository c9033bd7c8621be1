"""A plan checked: every sum, price, constraint and prediction recomputed, its cost proved again."""
