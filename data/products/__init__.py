"""Rasters of vectors that others have published -> sums of vectors per H3 cell."""
