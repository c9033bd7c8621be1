"""The integer program: data, variables, constraints, objective, solver, solution."""
