"""ONNX export: the traced encoder, the decoder built node by node, int8."""
