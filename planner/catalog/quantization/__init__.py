"""What a checkpoint says of the formats of its weights."""
