"""Rasters and STAC items enter; typed `Sample`s, ready for the encoder, leave."""
