"""Files in object stores and other places that fsspec reads (`s3://bucket/photos/`)."""
