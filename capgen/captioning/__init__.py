"""Captioning: prepared images, a runtime, decoding, retries, and the records of captions."""
