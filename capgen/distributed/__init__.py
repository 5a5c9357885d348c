"""Captioning on many machines: shares and parts of a list, and engines that work on them."""
