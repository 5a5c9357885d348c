"""Fitting a confidence to judged captions, and measuring how good it is."""
