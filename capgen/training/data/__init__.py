"""What a step is fed: images or frozen features, packed captions, augmentation, order."""
