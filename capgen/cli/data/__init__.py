"""`capgen data`: download, import, look at and clean data sets."""
