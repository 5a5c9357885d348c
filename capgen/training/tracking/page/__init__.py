"""A run to look at: `run.html` in its folder.

tracker   when it is written
report    what it shows, in which order
panels    which curves there are
samples   images with their captions over the epochs
"""
