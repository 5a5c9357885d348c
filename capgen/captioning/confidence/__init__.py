"""How likely a caption is to be good: what is recorded of it, and the fitted model."""
