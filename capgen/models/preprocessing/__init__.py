"""From an image to the encoder's input, as the model's preprocessor settings say."""
