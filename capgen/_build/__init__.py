"""Scripts that make shipped files; not part of the wheel."""
