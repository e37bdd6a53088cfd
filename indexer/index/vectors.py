"""Vectors in rows, compared exactly: a matrix, in memory or mapped from a file.

Similarity is the cosine. Rounding moves the norm of a stored row by up to 2**-11, more than what tells near
rows of a close cloud apart, so a product is not yet a cosine. A scan names some more rows than are asked for,
by products in float32; their cosines are taken in float64. Where a row that was not named may still be among
the best, a second scan names all that may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..geo.row_ranges import Mask, RowRanges, Rows
from ..table.columns import DECIMALS, Cosines, Matrix, Norms, Similarities, cosines, inverse_norms
from . import scan
from .mapped import CheckedArray
from .scan import Block

FEWEST_TOGETHER = 4  # queries, and rows: for fewer, one after the other is as fast
MOST_QUERIES = 256  # at a time
MOST_TOGETHER = 1_000  # hits: sorting more out costs more than scanning
FEW = 128  # rows: for no more, all cosines are taken at once
GATHERED_ROWS = 2_048  # of several queries, compared at a time
MARGIN = 6  # rows named beyond those asked for, besides a quarter of these
HALF_A_STEP = 0.5 * 10.0**-DECIMALS  # what rounding moves a cosine by, at most


@dataclass(frozen=True)
class NormRange:
    """What is known of the norms of some rows without reading them."""

    count: int  # rows with a direction
    least: float  # 1 / norm, of these
    greatest: float

    @staticmethod
    def of(inverse: Norms) -> NormRange:
        """Of inverse norms (n,)."""
        some = inverse[inverse > 0]
        return NormRange(len(some), float(some.min()), float(some.max())) if len(some) else NormRange(0, 1, 1)


@dataclass(frozen=True)
class Vectors:
    """One vector column of a segment."""

    matrix: CheckedArray  # (n, d) as the table keeps them
    inverse_norms: CheckedArray  # (n,) float32, 0 where a row has no direction
    norm_range: NormRange

    @staticmethod
    def of(matrix: Matrix) -> Vectors:
        """Vectors (n, d) in memory."""
        inverse = inverse_norms(matrix)
        return Vectors(CheckedArray(matrix), CheckedArray(inverse), NormRange.of(inverse))

    @property
    def count(self) -> int:
        """Rows that have such a vector."""
        return self.norm_range.count

    @cached_property
    def valid(self) -> Mask | None:
        """Which rows have such a vector, (n,); None: all have one. Raises `DamagedIndexError`."""
        return None if self.count == len(self.matrix) else self.inverse_norms.whole() > 0

    @cached_property
    def _all(self) -> RowRanges:
        return RowRanges.all_of(len(self.matrix))

    def nearest(self, rows: RowRanges, query: Cosines, k: int) -> tuple[Cosines, Rows]:
        """The k rows of a set most like a query (d,) of norm 1: cosines and rows, (min(k, count),) each.

        Best first. Cosines are rounded to DECIMALS; of equal ones the first row comes first. Rows without a
        direction are never returned. One thread, one pass over the memory of those rows, or two.

        Raises:
            DamagedIndexError: the files are not what was written.
        """
        self._check(rows.starts, rows.stops)
        if rows.count <= FEW:
            return self._best_of_few(rows.rows(), query, k)
        return self._best(lambda: scan.blocks(self.matrix.unchecked, rows), rows.count, query, k)

    def nearest_of(self, rows: Rows, query: Cosines, k: int) -> tuple[Cosines, Rows]:
        """`nearest` among distinct rows (m,), in any order."""
        self._check(rows, rows + 1)
        if len(rows) <= FEW:
            return self._best_of_few(rows, query, k)
        ascending = np.sort(rows)
        return self._best(lambda: scan.gathered(self.matrix.unchecked, ascending), len(rows), query, k)

    def nearest_of_each(self, rows: Rows, queries: Cosines, k: int) -> Iterable[tuple[Cosines, Rows]]:
        """`nearest_of` for each query (q, d) among rows (q, m) of its own."""
        if len(queries) < FEWEST_TOGETHER or rows.shape[1] > FEW:
            return (self.nearest_of(some, query, k) for some, query in zip(rows, queries, strict=True))
        self._check(rows.ravel(), rows.ravel() + 1)
        step = GATHERED_ROWS // rows.shape[1]
        pieces = (slice(first, first + step) for first in range(0, len(queries), step))
        return (answer for some in pieces for answer in self._best_of_each(rows[some], queries[some], k))

    def nearest_many(self, rows: RowRanges, queries: Cosines, k: int) -> list[tuple[Cosines, Rows]]:
        """`nearest` for each query (q, d): one pass and a product of matrices, on all threads."""
        if min(len(queries), rows.count) < FEWEST_TOGETHER or k > MOST_TOGETHER:
            return [self.nearest(rows, query, k) for query in queries]
        self._check(rows.starts, rows.stops)
        parts = (queries[first : first + MOST_QUERIES] for first in range(0, len(queries), MOST_QUERIES))
        return [answer for part in parts for answer in self._best_of_many(rows, part, k)]

    def nearest_to_all(self, rows: RowRanges, queries: Cosines, k: int) -> tuple[Cosines, Rows]:
        """`nearest` by the least cosine of a row with any of queries (q, d).

        One pass: a row is kept while by float32 it may be among the k best, then cosines are taken.
        """
        self._check(rows.starts, rows.stops)
        wanted, slack = queries.astype(np.float32), 2 * self.error + 2 * HALF_A_STEP
        least, kept = np.empty(0, np.float32), np.empty(0, np.int64)
        for block, block_rows in scan.blocks(self.matrix.unchecked, rows):
            inverse = self.inverse_norms.unchecked[block_rows]
            usable = inverse > 0
            products = block[usable].astype(np.float32) @ wanted.T
            least = np.r_[least, products.min(axis=1) * inverse[usable]]
            kept = np.r_[kept, block_rows[usable]]
            if len(least) > k:
                may = least >= np.partition(least, -k)[-k] - slack
                least, kept = least[may], kept[may]
        similarity = np.min([cosines(self.matrix.unchecked[kept], query) for query in queries], axis=0)
        order = np.lexsort((kept, -similarity))[:k]
        return similarity[order], kept[order]

    def similarity_of_each(self, query: Cosines) -> Similarities:
        """The cosine (n,) of every row with a query (d,) of norm 1; NaN where a row has no direction.

        One thread, one pass over the memory. Raises `DamagedIndexError`.
        """
        similarity = np.full(len(self.matrix), np.nan, np.float32)
        inverse = self.inverse_norms.whole()
        pieces = scan.blocks(self.matrix.whole(), self._all)
        for products, rows in scan.above(pieces, query.astype(np.float32), -np.inf):
            similarity[rows] = products * inverse[rows]
        similarity[inverse == 0] = np.nan
        return similarity

    def _check(self, starts: Rows, stops: Rows) -> None:
        self.matrix.check(starts, stops)
        self.inverse_norms.check(starts, stops)

    def _best_of_few(self, rows: Rows, query: Cosines, k: int) -> tuple[Cosines, Rows]:
        similarity, best = self._in_order(rows, query)
        return similarity[:k], best[:k]

    def _best_of_each(self, rows: Rows, queries: Cosines, k: int) -> Iterator[tuple[Cosines, Rows]]:
        """The best of few rows (q, m) for each query (q, d): all cosines are taken."""
        similarity = cosines(self.matrix.unchecked.take(rows, axis=0), queries)
        order = np.lexsort((rows, -similarity))[:, :k]
        lines = np.arange(len(rows))[:, None]
        for similar, best in zip(similarity[lines, order], rows[lines, order], strict=True):
            directed = slice(len(similar) - np.count_nonzero(np.isnan(similar)))  # the others are the last
            yield similar[directed], best[directed]

    def _best(
        self, blocks: Callable[[], Iterable[Block]], count: int, query: Cosines, k: int
    ) -> tuple[Cosines, Rows]:
        k = min(k, count)
        scaled = query.astype(np.float32)
        products, named = scan.largest(blocks(), scaled, min(_with_margin(k), count))
        all_named = len(named) == count
        if named.min() < 0:  # there are fewer that can be compared
            named, all_named = named[named >= 0], True
        similarity, best = self._in_order(named, query)
        if not (all_named or self._surely(similarity, k, self._most_similar(float(products.min())))):
            least = similarity[k - 1] if len(similarity) >= k else -np.inf
            similarity, best = self._in_order(self._reaching(blocks(), scaled, least)[1], query)
        return similarity[:k], best[:k]

    def _best_of_many(self, rows: RowRanges, queries: Cosines, k: int) -> Iterator[tuple[Cosines, Rows]]:
        k = min(k, rows.count)
        count = min(_with_margin(k), rows.count)
        similar, named = self._largest_of_many(scan.blocks(self.matrix.unchecked, rows), queries, count)
        for query, limit, mine in zip(queries, similar.min(axis=1).tolist(), named, strict=True):
            some = mine[mine >= 0]
            similarity, best = self._in_order(some, query)
            sure = count == rows.count or len(some) < count or self._surely(similarity, k, limit)
            yield (similarity[:k], best[:k]) if sure else self.nearest(rows, query, k)

    def _largest_of_many(
        self, blocks: Iterable[Block], queries: Cosines, k: int
    ) -> tuple[Similarities, Rows]:
        """Cosines in float32, and rows, -1 where there are fewer: (q, k) each, in any order."""
        best = np.full((len(queries), k), -np.inf, np.float32)
        best_rows = np.full((len(queries), k), -1)
        wanted = queries.astype(np.float32)
        for block, block_rows in blocks:
            similarity = wanted @ block.astype(np.float32).T
            similarity *= self.inverse_norms.unchecked[block_rows]
            similarity[np.isnan(similarity)] = -np.inf
            both = np.concatenate([best, similarity], axis=1)
            top = np.argpartition(both, -k, axis=1)[:, -k:]
            best = np.take_along_axis(both, top, axis=1)
            rows = np.r_[np.full(k, -1), block_rows][top]
            best_rows = np.where(top < k, np.take_along_axis(best_rows, np.minimum(top, k - 1), axis=1), rows)
        best_rows[np.isneginf(best)] = -1
        return best, best_rows

    def _in_order(self, named: Rows, query: Cosines) -> tuple[Cosines, Rows]:
        """Of rows that a scan named cosines and rows in order; those without a direction go."""
        similarity = cosines(self.matrix.unchecked.take(named, axis=0), query)
        order = np.lexsort((named, -similarity))
        if len(order) and np.isnan(similarity[order[-1]]):  # they are the last
            order = order[: len(order) - np.count_nonzero(np.isnan(similarity))]
        return similarity[order], named[order]

    def _surely(self, similarity: Cosines, k: int, most_similar: float) -> bool:
        """Whether no row that was not named is among the k best, as none is more similar than this."""
        return len(similarity) >= k and most_similar + self.error < similarity[k - 1] - HALF_A_STEP

    def _most_similar(self, product: float) -> float:
        """The greatest cosine that a row with such a product has."""
        return product * (self.norm_range.greatest if product > 0 else self.norm_range.least)

    def _reaching(
        self, blocks: Iterable[Block], query: Similarities, least: float
    ) -> tuple[Similarities, Rows]:
        """The rows that may have at least such a cosine, and theirs in float32."""
        floor = float(least) - HALF_A_STEP - self.error
        product = floor / (self.norm_range.greatest if floor > 0 else self.norm_range.least)
        similar, named = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
        with np.errstate(invalid="ignore"):  # an infinite row has no direction, and its inverse norm is 0
            for products, rows in scan.above(blocks, query, np.nextafter(product, -np.inf)):
                inverse = self.inverse_norms.unchecked[rows]
                products *= inverse
                kept = (products >= floor) & (inverse > 0)
                similar.append(products[kept])
                named.append(rows[kept])
        return np.concatenate(similar), np.concatenate(named)

    @property
    def error(self) -> float:
        """Of a cosine in float32."""
        return float32_error(self.matrix.unchecked.shape[1])


def float32_error(dimension: int) -> float:
    """Of a cosine in float32, at most: one rounding for each term of the sum, and a few for the norms."""
    return (dimension + 8) * 2.0**-24


def _with_margin(k: int) -> int:
    return k + k // 4 + MARGIN
