"""A run: its folder, saved state, checkpoints and events; single or in stages."""
