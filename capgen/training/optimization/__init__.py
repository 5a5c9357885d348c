"""Gradient steps: optimizer, weight average, processes, memory."""
