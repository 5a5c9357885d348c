"""Captioning: images, decoding, the two runtimes and the Captioner."""
