"""A snapshot enters; the answer to a SELECT leaves, from a DuckDB that can read it and nothing else."""

from .limits import Limits
from .run import run_sql

__all__ = ["Limits", "run_sql"]
