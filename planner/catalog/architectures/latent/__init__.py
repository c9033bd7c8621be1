"""Latent attention: DeepSeek, Kimi-K2, GLM-5, LongCat."""
