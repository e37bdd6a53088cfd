"""Rows of embeddings enter; a Parquet table keyed by H3, its index and `Hits` leave."""
