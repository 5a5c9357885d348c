"""Reading from the Hub: requests and their errors, file lists, progress. Knows no model."""
