"""Fits a model's confidence to scored captions, and measures the quality of the fit."""
