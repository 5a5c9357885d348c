"""Writers of caption records."""
