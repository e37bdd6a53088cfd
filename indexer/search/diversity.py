"""Results that are not all alike, or not all in one place: chosen from more than are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import QueryError
from ..geo.cells import Cells, parents, resolution_of
from ..geo.row_ranges import Rows
from ..table.columns import DECIMALS, Cosines


@dataclass(frozen=True)
class Diversity:
    """How results must differ. Raises `QueryError` when made of what cannot be."""

    per_parent: int | None = None  # at most so many rows below one cell of `parent_resolution`
    parent_resolution: int = 5
    relevance: float | None = None  # of maximal marginal relevance: 1 is similarity alone, 0 is novelty alone

    def __post_init__(self) -> None:
        for name, number in (
            ("rows a parent", self.per_parent),
            ("parent resolution", self.parent_resolution),
        ):
            if number is not None and not isinstance(number, int | np.integer):
                raise QueryError(f"{name} {number!r}: expected a whole number")
        if self.per_parent is not None and self.per_parent < 1:
            raise QueryError(f"{self.per_parent} rows a parent: expected 1 or more")
        if not 0 <= self.parent_resolution <= 15:
            raise QueryError(f"parent resolution {self.parent_resolution}: expected 0 to 15")
        if self.relevance is None:
            return
        if not isinstance(self.relevance, int | float) or not 0 <= self.relevance <= 1:
            raise QueryError(f"relevance {self.relevance!r}: expected 0 to 1")


def spread(cells: Cells, per_parent: int, resolution: int) -> Rows:
    """Positions of rows (n,), best first, that are among the first `per_parent` of their parent cell."""
    if len(cells) and resolution > resolution_of(int(cells[0])):
        raise QueryError(
            f"parent resolution {resolution} is finer than the rows' {resolution_of(int(cells[0]))}"
        )
    _, parent = np.unique(parents(cells, resolution), return_inverse=True)
    order = np.argsort(parent, kind="stable")
    starts = np.flatnonzero(np.diff(parent[order], prepend=-1))
    rank = np.arange(len(cells)) - np.repeat(starts, np.diff(starts, append=len(cells)))
    return np.sort(order[rank < per_parent])


def marginal_relevance(vectors: Cosines, similarity: Cosines, relevance: float, k: int) -> Rows:
    """Positions of k of the rows (n, d) of norm 1, chosen one by one by maximal marginal relevance.

    Each is the greatest of relevance * similarity - (1 - relevance) * (its cosine to the most alike that is
    already chosen) (Carbonell and Goldstein, SIGIR 1998).
    """
    chosen: list[int] = []
    closest = np.zeros(len(vectors))
    open_ = np.ones(len(vectors), bool)
    for _ in range(min(k, len(vectors))):
        score = np.where(open_, relevance * similarity - (1 - relevance) * closest, -np.inf)
        best = int(score.argmax())
        open_[best] = False
        cosines = (vectors @ vectors[best]).round(DECIMALS)
        closest = np.maximum(closest, cosines) if chosen else cosines
        chosen.append(best)
    return np.array(chosen, np.int64)
