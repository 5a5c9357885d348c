"""Caption metrics, equal to the official COCO scorers."""
