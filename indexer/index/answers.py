"""What questions of one or several vectors find among some rows of one segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Cosines
from .planner import Plan, run
from .vectors import Vectors

if TYPE_CHECKING:
    from .ivf import Ivf

Nearest = list[tuple[Cosines, Rows]]  # of each question, best first


def answers(
    plan: Plan,
    vectors: Vectors,
    inverted: Ivf | None,
    rows: RowRanges,
    questions: Sequence[Cosines],
    k: int,
    all_of: bool = False,
) -> Nearest:
    """For each question the k rows most like any of its vectors (m, d) of norm 1: cosines and rows.

    With `all_of` a row counts for the vector that it is least like, and every row is compared.

    Raises:
        DamagedIndexError: the files are not what was written.
    """
    if all_of:
        return [vectors.nearest_to_all(rows, question, k) for question in questions]
    each = run(plan, vectors, inverted, rows, np.concatenate(questions), k)
    return list(by_question(each, questions, k))


def by_question(each: Nearest, questions: Sequence[Cosines], k: int) -> Iterator[tuple[Cosines, Rows]]:
    """The k best of each question (m, d), a row by that of its vectors that it is most like."""
    for start, stop in pairwise(accumulate(map(len, questions), initial=0)):
        if stop - start == 1:
            yield each[start]
            continue
        similarity, rows = (np.concatenate(values) for values in zip(*each[start:stop], strict=True))
        best = np.lexsort((rows, -similarity))
        _, first = np.unique(rows[best], return_index=True)
        best = best[np.sort(first)][:k]
        yield similarity[best], rows[best]
