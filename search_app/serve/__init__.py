"""A table served over HTTP: the words of `skyhex.search` for other programs, features and tiles for maps."""
