"""Measurements, run by hand: `python -m benchmarks.encoder`, `python -m benchmarks.search`."""
