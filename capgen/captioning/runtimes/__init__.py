"""What computes: ONNX Runtime on the CPU, torch elsewhere, behind one protocol."""
