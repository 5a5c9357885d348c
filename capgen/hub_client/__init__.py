"""Client of the Hub: requests and their errors, file lists, progress. Knows nothing of models."""
