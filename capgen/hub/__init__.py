"""Pushing models to the Hub and pulling them from there, through huggingface_hub."""
