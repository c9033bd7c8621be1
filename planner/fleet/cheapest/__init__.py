"""What the cheapest fleet could be made of, before capacities are found."""
