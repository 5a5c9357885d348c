"""`capgen alt`."""
