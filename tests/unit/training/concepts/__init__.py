"""Tests of capgen.training.concepts."""
