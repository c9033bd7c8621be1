"""What else could be rented: narrower choices, the next cheapest fleets, the frontier."""
