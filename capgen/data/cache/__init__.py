"""What is kept about data sets between runs: decoded images, hashes of files; and the locks."""
