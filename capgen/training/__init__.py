"""Training: a generator of events."""
