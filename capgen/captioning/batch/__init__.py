"""Many images: from names to sources to records in order, resumable through a journal."""
