"""Data kept between runs: decoded images and hashes of files."""
