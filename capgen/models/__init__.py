"""Models: encoders, builders, folders, ONNX export."""
