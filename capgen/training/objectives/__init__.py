"""What a step minimises: cross-entropy, self-critical training, distillation."""
