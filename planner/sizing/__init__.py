"""What fits: exact parameters, KV cache, sharding and the memory of each GPU."""
