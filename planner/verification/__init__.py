"""A plan re-checked without the solver: every sum, price, constraint, packing and floor."""
