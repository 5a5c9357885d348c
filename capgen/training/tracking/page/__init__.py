"""The page of a run: `run.html` in its folder."""
