"""`capgen models`: list, compare, export, verify, rename and remove models."""
