"""A snapshot enters; a DuckDB connection that can read it and nothing else leaves."""

from .run import run_sql

__all__ = ["run_sql"]
