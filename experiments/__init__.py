"""Recipes and measurements: pre-training and retrieval, and the lab book that keeps failures."""
