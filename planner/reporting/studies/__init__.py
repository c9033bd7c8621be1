"""Documents of comparisons, sweeps, frontiers, differences and batches."""
