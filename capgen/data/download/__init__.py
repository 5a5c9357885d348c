"""Known data sets: where they are, fetching them, unpacking and installing."""
