"""A run to look at: `run.html` and `curves.png` in its folder.

tracker   when they are written
panels    which curves there are
axes      where numbers lie on a chart
svg       the curves in the page
drawing   the curves as an image
report    what the page shows, in which order
samples   images with their captions over the epochs
"""
