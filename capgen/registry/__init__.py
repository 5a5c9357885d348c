"""The models of this machine: listed, described, compared, checked, exported, renamed, removed.

entries   what is known of a model from its files, without loading it
listing   which models there are, and what a name means
default   the model that is used where none is named
changes   rename and remove; never outside the registry's own folders
verify    hashes, loading, a probe image
compare   several models over the same images, with size and speed
speed     images a second, measured side by side
report    the comparison as a page
export    ONNX, and ONNX in int8
"""
