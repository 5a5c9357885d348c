"""`capgen train`: the command, its dry run, its progress, the upload at its end."""
