"""SQL conditions that a person agreed to: those of links and project files are shown first, not answered.

What was agreed to holds until the server ends, for these very letters.
"""

from indexer.errors import QueryError

_agreed: set[str] = set()


class HeldError(QueryError):
    """A question waits until its SQL condition is agreed to."""


def agree(statement: str) -> None:
    """A person typed a condition, or read it and wants it answered."""
    _agreed.add(statement)


def check_agreed(statement: str) -> None:
    """Raises `HeldError` for a condition that nobody here agreed to; none at all needs no one."""
    if statement and statement not in _agreed:
        raise HeldError("the question has an SQL condition that nobody here has agreed to yet")
