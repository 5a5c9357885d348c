"""The PTB tokenizer of the COCO scorers, without Java."""
