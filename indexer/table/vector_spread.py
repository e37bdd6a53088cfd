"""How much of its dimensions a column of vectors uses: a column that has collapsed finds everything alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import to_matrix, unit
from .drawn import drawn_batches
from .embedding_table import EmbeddingTable

LEAST_ROWS = 1_000  # that a figure is given of
MOST_ROWS = 4_000
SCANNED = 100_000  # rows that they are drawn from, in whole parts
FAR_BELOW = 0.5  # of the weights' own figure
FIGURES = "effective_rank"  # of a model's configuration: by column, on the weights' validation sets


@dataclass(frozen=True)
class Spread:
    """Of n unit vectors of dimension d."""

    rows: int
    effective_rank: float  # 1 to d
    random_cosine: float  # mean of random pairs

    def __str__(self) -> str:
        return f"effective rank {self.effective_rank:.1f}, cosine of random pairs {self.random_cosine:.2f}"


def spread(vectors: NDArray[np.floating]) -> Spread | None:
    """Of those vectors (n, d) that have a direction; None of fewer than LEAST_ROWS."""
    exact = unit(vectors)
    exact = exact[np.isfinite(exact).all(axis=1)]
    if len(exact) < LEAST_ROWS:
        return None
    return Spread(len(exact), effective_rank(exact), random_cosine(exact))


def effective_rank(vectors: NDArray[np.floating]) -> float:
    """exp of the entropy of the centred covariance's eigenvalues, vectors (n, d) (Roy & Vetterli 2007)."""
    values = np.linalg.eigvalsh(np.cov(vectors.astype(np.float64).T))
    total = values.clip(min=0).sum()
    if total <= 0:
        return 1.0  # one point
    share = values.clip(min=0) / total
    return float(np.exp(-(share * np.log(share, where=share > 0, out=np.zeros_like(share))).sum()))


def random_cosine(vectors: NDArray[np.floating]) -> float:
    """Mean cosine of two different vectors of norm 1 (n, d): all pairs at once."""
    n, total = len(vectors), vectors.sum(axis=0)
    return float((total @ total - n) / (n * (n - 1)))


def spread_of(table: EmbeddingTable, column: str, seed: int = 0) -> Spread | None:
    """Of rows drawn from a column of the table; None of too few. Raises TableError."""
    rng = np.random.default_rng(seed)
    batches = drawn_batches(table, [column], rng, SCANNED)
    pieces = [to_matrix(batch[column]).astype(np.float32) for batch in batches]
    matrix = np.concatenate(pieces) if pieces else np.empty((0, 1), np.float32)
    return spread(matrix[rng.permutation(len(matrix))[:MOST_ROWS]])


def collapsed(table: EmbeddingTable, column: str, spread: Spread) -> str | None:
    """What a reader should know where a column lies far below what its weights reach elsewhere.

    Nothing of a simulated landscape, whose few materials are no fault of its vectors.
    """
    if table.simulated:
        return None
    usual = table.model.config.get(FIGURES)
    own = usual.get(column) if isinstance(usual, dict) else None
    if not isinstance(own, int | float) or spread.effective_rank >= FAR_BELOW * own:
        return None
    return (
        f"{column} uses few of its dimensions: effective rank {spread.effective_rank:.1f} here, {own:.1f} on"
        " its weights' validation. Similarities tell rows apart poorly: a uniform area looks like this, and"
        " so does input that the weights do not read well"
    )
