"""Gradient steps: optimizer, micro-batches, weight average, processes, memory."""
