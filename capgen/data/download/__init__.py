"""Known data sets: where to get them, fetching, unpacking and installing."""
