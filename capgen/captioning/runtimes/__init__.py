"""Runtimes: ONNX Runtime on the CPU and torch, with one protocol."""
