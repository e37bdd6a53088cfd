"""Lon/lat, H3 cells and search areas as numbers: no table is known here."""
