"""A snapshot enters; the answer to a SELECT leaves, from a DuckDB that can read it and nothing else."""

from typing import TYPE_CHECKING, Any

from .limits import Limits

if TYPE_CHECKING:
    from .run import run_sql

__all__ = ["Limits", "run_sql"]


def __getattr__(name: str) -> Any:
    """`run_sql`, and with it DuckDB, when it is asked for: limits are named where no SQL is."""
    if name != "run_sql":
        raise AttributeError(name)
    from .run import run_sql

    return run_sql
