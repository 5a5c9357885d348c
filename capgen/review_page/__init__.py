"""The page on which a person reviews captions, and the local server behind it."""
