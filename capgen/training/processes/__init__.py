"""A training run in one process or in several, on one machine or several."""
