"""Pre-training: samples enter, weights leave. Embedding needs nothing of it."""
