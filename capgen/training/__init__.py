"""Training: cross-entropy on human captions, as a generator of events (`loop.train`)."""
