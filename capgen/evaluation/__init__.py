"""Judging captioners: captions of a split, scores, comparisons, reports.

data         images with references, and the names that predictions use for them
predictions  reads files of captions made elsewhere
systems      what makes captions: a model, or such a file
evaluate     runs a system over a split and scores it; a generator of typed events
compare      two evaluations over the same images
examples     which images to look at
html         the report to open in a browser
"""
