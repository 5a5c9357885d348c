"""`capgen caption`: one image, many images, explanations."""
