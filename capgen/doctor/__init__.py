"""Is what capgen works with in order?

examine       every area in turn; what cannot even be looked at is a fault
versions      Python and the packages against the ranges that capgen declares
devices       what torch and ONNX Runtime can compute on
storage       places, their space, what the caches take
installation  the package's own files, WordNet, the bundled model
network       the Hub and Weights & Biases: whether they answer, who is logged in
"""
