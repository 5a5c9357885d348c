"""The input of a step: images or frozen features, packed captions, augmentation, order."""
