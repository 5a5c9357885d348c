"""Checks of the installation and what it works with.

examine       every area in turn; an area that cannot be checked is a fault
versions      Python and the packages against the ranges that capgen declares
devices       what torch and ONNX Runtime can compute on
storage       folders, free space, size of the caches
installation  the package's own files, WordNet, the bundled model
network       the Hub and Weights & Biases: whether they answer, and who is logged in
"""
