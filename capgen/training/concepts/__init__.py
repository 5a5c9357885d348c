"""Concepts in training: the nouns of captions, and the ImageNet classes that name them."""
