"""Decoding in numpy: greedy, beam search and sampling over any step model."""
