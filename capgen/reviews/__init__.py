"""What people decided about captions: the journal of decisions, and records with them."""
