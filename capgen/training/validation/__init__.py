"""Validation: loss and scores on val, which model is the best, samples to look at."""
