"""Features of a task's tiles -> its measures: one judge for each kind of truth.

A judge is made once for a set; it takes the features of one candidate, tiles to fit on before those asked,
and fits the head. `floors` are what no feature is needed for: chance and majority.
"""

from collections.abc import Mapping
from typing import Protocol

from ..retrieval.blocks import Measured
from .features import Features

Table = Mapping[str, Measured]


class Judge(Protocol):
    """Of one kind of truth."""

    metrics: tuple[str, ...]  # differences are given in these; the published measure first

    def __call__(self, views: tuple[Features, ...]) -> Table:
        """Measures of one candidate; a Features per view."""
        ...

    def floors(self, seed: int) -> dict[str, Table]:
        """Chance and majority."""
        ...
