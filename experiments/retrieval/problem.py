"""What is asked of vectors: labels, positions, and who may look at whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.sample import InputError

from .blocks import EXCLUSION_KM, Scores, far_from

BALANCED_ABOVE = 0.5  # scores are balanced over classes where the majority holds more of the queries


@dataclass(frozen=True)
class Fold:
    """Queries and the database rows that they are compared with."""

    query: np.ndarray  # (q,) int, positions of rows
    database: np.ndarray  # (m,) int


@dataclass(frozen=True)
class Problem:
    """A labelled set, split by place. n rows, L labels."""

    name: str
    labels: np.ndarray  # (n, L) bool: one True in each row, or several
    classes: tuple[str, ...]  # (L,)
    block: np.ndarray  # (n,) str: the spatial block of each row, resampled whole
    lon_deg: np.ndarray  # (n,), NaN = unknown
    lat_deg: np.ndarray
    folds: tuple[Fold, ...]  # each row is a query in one fold at most
    notes: tuple[str, ...] = ()  # what a reader of the table must know

    @property
    def queries(self) -> np.ndarray:
        """Positions of all queries, in the order in which scores are given."""
        return np.concatenate([fold.query for fold in self.folds])

    @property
    def database_size(self) -> int:
        """Rows of the largest database that one query meets."""
        return max(len(fold.database) for fold in self.folds)

    @property
    def query_block(self) -> np.ndarray:
        """(q,) block of each query."""
        return np.asarray(self.block[self.queries])

    @property
    def is_multi_label(self) -> bool:
        """Whether some row has not exactly one label."""
        return bool((self.labels.sum(axis=1) != 1).any())

    @property
    def code(self) -> np.ndarray:
        """(n,) int class of each row; single-label sets alone."""
        assert not self.is_multi_label, f"{self.name} has several labels a row"
        return np.asarray(self.labels.argmax(axis=1))

    @property
    def majority_share(self) -> float:
        """Share of the queries that have the most frequent label."""
        return float(self.labels[self.queries].mean(axis=0).max())

    @property
    def is_balanced(self) -> bool:
        """Whether scores are averaged over classes."""
        return not self.is_multi_label and self.majority_share > BALANCED_ABOVE

    def scored(self, values: np.ndarray) -> Scores:
        """Scores of all queries, in order, ready to be averaged as this set asks for."""
        if self.is_balanced:
            return Scores.balanced(values, self.query_block, self.code[self.queries])
        return Scores.plain(values, self.query_block)

    def asking(self, rows: np.ndarray) -> "Problem":
        """The same with only those queries that `rows` (n,) bool allows."""
        folds = (Fold(fold.query[rows[fold.query]], fold.database) for fold in self.folds)
        return replace(self, folds=tuple(fold for fold in folds if len(fold.query)))

    def noting(self, *notes: str) -> "Problem":
        """The same with more notes."""
        return replace(self, notes=self.notes + notes)


def one_hot(names: Sequence[str] | np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class names -> ((n, L) bool, the L names in order)."""
    classes, code = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    return np.eye(len(classes), dtype=bool)[code], tuple(classes.tolist())


def many_hot(names: Sequence[str | Sequence[str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """One class name or several per row -> ((n, L) bool, the L names in order)."""
    rows = [[row] if isinstance(row, str) else list(row) for row in names]
    classes = sorted({name for row in rows for name in row})
    at = {name: i for i, name in enumerate(classes)}
    labels = np.zeros((len(rows), len(classes)), dtype=bool)
    for i, row in enumerate(rows):
        labels[i, [at[name] for name in row]] = True
    return labels, tuple(classes)


def split_fold(
    query: np.ndarray, database: np.ndarray, lon_deg: np.ndarray, lat_deg: np.ndarray, name: str
) -> tuple[Fold, str]:
    """One fold of two masks; database rows near a query are left out, and the note says how many.

    Args:
        query, database: (n,) bool.

    Raises:
        InputError: no query, or nothing left to compare with.
    """
    kept = database & far_from(lon_deg, lat_deg, query)
    if not query.any() or not kept.any():
        raise InputError(
            f"{name}: {int(query.sum())} queries, and {int(kept.sum())} of {int(database.sum())} rows "
            f"farther than {EXCLUSION_KM:g} km from them; expected some of both. Check split and positions."
        )
    left_out = int(database.sum() - kept.sum())
    note = f"{left_out} of {int(database.sum())} database rows within {EXCLUSION_KM:g} km of a query left out"
    return Fold(np.flatnonzero(query), np.flatnonzero(kept)), note


def leave_place_out(place: np.ndarray, queries: np.ndarray | None = None) -> tuple[Fold, ...]:
    """A fold per place: its rows are queries, the rows of all other places the database.

    Args:
        place: (n,) str.
        queries: (n,) bool, rows that may be queries; all if None.
    """
    asked = np.ones(len(place), dtype=bool) if queries is None else queries
    return tuple(
        Fold(np.flatnonzero((place == p) & asked), np.flatnonzero(place != p))
        for p in np.unique(place[asked])
    )
