"""Writing reviewed captions anywhere: which of them, into which files."""
