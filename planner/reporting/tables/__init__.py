"""Tables of the catalog, memory, traces and simulations."""
