"""What a fleet costs: rates, ownership, ways to pay."""
