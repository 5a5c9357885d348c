"""Alternative texts of the images of a site: found in its pages, written, and checked."""
