"""Weights & Biases, in a process of its own so that training never waits for it."""
