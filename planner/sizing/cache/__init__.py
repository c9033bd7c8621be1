"""What sequences keep in GPU memory: KV cache, windows, states, and the pages they fill."""
