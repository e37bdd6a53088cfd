"""A snapshot enters; segments with measured plans leave. An index knows no filter."""
