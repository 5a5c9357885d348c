"""Data sets: layouts, splits, examples."""
