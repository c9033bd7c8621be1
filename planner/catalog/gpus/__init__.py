"""GPUs as tables list them: their rows, their parts, and the names that drivers print."""
