"""How each engine is started: its options, degrees and checkpoints."""
