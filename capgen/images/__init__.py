"""Images: found in folders, recognised, decoded to upright RGB; captions in their metadata."""
