"""`capgen eval`: scores of captions, comparisons, reports."""
