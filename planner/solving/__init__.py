"""The pipeline: frame, candidates, decide, simulate."""
