"""The correction fitted over measured kernels, and what the tables cover."""
