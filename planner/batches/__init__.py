"""Many scenarios at once: each becomes one row, whatever happens to the others."""
