"""The simulator's loop compiled: same numbers, for what it covers; absent where no compiler was."""
