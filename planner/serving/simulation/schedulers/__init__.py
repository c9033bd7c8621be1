"""One module per way engines admit and mix work; each composes a replica's next step."""
