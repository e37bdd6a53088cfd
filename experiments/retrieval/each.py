"""How work on several sets is done, and shown."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
C = TypeVar("C")


class Each(Protocol):
    """Works on item after item, and may show how far it is."""

    def __call__(self, items: Sequence[T], work: Callable[[T], C]) -> list[C]:
        """What `work` makes of each item."""
        ...
