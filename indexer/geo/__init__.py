"""Lon/lat, H3 cells and search areas as numbers: no file is read here, and no table is known."""
