"""What arrives: request lengths, traces and their statistics."""
