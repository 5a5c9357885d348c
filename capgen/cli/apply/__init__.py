"""`capgen apply`: reviewed captions into images, sidecars and files."""
