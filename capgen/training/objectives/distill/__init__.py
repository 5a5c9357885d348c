"""Knowledge distillation: teachers, their captions, the loss."""
