"""Validation: loss and scores on val, which model is best, sample captions."""
