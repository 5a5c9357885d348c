"""Knowledge distillation: teachers, the captions they make, the loss."""
