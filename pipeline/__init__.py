"""A plan of samples enters; a committed table leaves: here encoder and table meet, without a face."""
