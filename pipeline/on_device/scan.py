"""The exact search by torch, in two passes over vectors that a device holds.

In the first, rows that match are multiplied with the queries, rounded to the table's numbers, and of each
GROUP of neighbours the greatest cosine is kept: what a selection of the best would read several times is read
once. Where all norms are nearly one number, it stands for each. In the second, the rows of the best groups
get cosines in float32. Both know how far their numbers may be off (a rounding for each term of a sum; a
tensor core cuts off instead, so two: Fasi et al. 2021), and no group and no row that by this may hold one of
the best is left out. Which rows those are is for float64 to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from indexer.errors import QueryError
from indexer.geo.row_ranges import RowRanges, Rows

GROUP = 64  # rows that lie together
FIRST_GROUPS = 32  # that the second pass looks into, besides one for each row asked for
COPY = 3  # times what reading a row takes: it is read, written and read again
NARROW = 2.0**-11  # spread of norms: of unit vectors whose numbers were rounded, one stands for each
COARSE = {"tf32": 2.0**-9, "bf16": 2.0**-6}  # what products of float32 may be off where someone allowed it


@dataclass(frozen=True)
class Sizes:
    """How much is worked on at a time, on one kind of device."""

    cosines: int  # of queries with rows
    numbers: int  # of rows that are copied
    kept: int  # greatest cosines of groups, or cosines of rows in the second pass
    longest_copied: int  # rows of a range that is not read where it lies


SIZES = {
    "cuda": Sizes(1 << 26, 1 << 27, 1 << 27, 1 << 16),
    "cpu": Sizes(1 << 20, 1 << 20, 1 << 24, 1 << 10),
}


@contextmanager
def enough_memory(device: str) -> Iterator[None]:
    """Raises `QueryError` where a device turns out to have too little."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise QueryError(
            f"{device} has no memory left for this search: end what else runs on it, or leave the device out"
        ) from error


class HeldVectors:
    """Vectors in the memory of a device.

    Args:
        matrix: (n, d) float16 or float32; zero in rows without a direction.
        inverse_norms: (n,) float32, 0 where a row has no direction.
    """

    def __init__(self, matrix: Tensor, inverse_norms: Tensor) -> None:
        self._matrix = matrix
        self._inverse = inverse_norms
        self._sizes = SIZES[matrix.device.type]
        directed = inverse_norms[inverse_norms > 0]
        least, greatest = (float(end) for end in directed.aminmax()) if len(directed) else (1.0, 1.0)
        self._inverse_norm, self._spread = (least + greatest) / 2, (greatest - least) / (2 * least)

    @torch.inference_mode()
    def may_be_best(
        self, rows: RowRanges, questions: NDArray[np.float64], k: int, slack: float
    ) -> list[Rows]:
        """For each question those of some rows that may be among its k best, ascending.

        Args:
            rows: where to look.
            questions: (q, m, d), vectors of norm 1; a row counts for the one that it is least like.
            k: how many, at least 1.
            slack: of cosines that differ by no more, either may be the better one.

        Raises:
            QueryError: the device has too little memory left.
        """
        if rows.count == 0:
            return [np.empty(0, np.int64)] * len(questions)
        with enough_memory(str(self._matrix.device)):
            layout = _Layout.of(rows, len(self._matrix), self._matrix.device, self._sizes)
            wanted = torch.from_numpy(questions).to(self._matrix.device)
            k = min(k, rows.count)
            together = max(self._sizes.kept // max(len(layout.first), GROUP * (k + FIRST_GROUPS)), 1)
            parts = (wanted[first : first + together] for first in range(0, len(wanted), together))
            return [named for part in parts for named in self._named(layout, part, k, slack)]

    def _named(self, layout: _Layout, wanted: Tensor, k: int, slack: float) -> list[Rows]:
        rounded = wanted.to(self._matrix.dtype)
        off = (wanted - rounded).norm(dim=2).amax(1, keepdim=True).float() + self._coarseness  # (q, 1)
        maxima = self._maxima(layout, rounded)  # (q, groups)
        first = maxima.topk(min(k + FIRST_GROUPS, maxima.shape[1]), sorted=False).indices
        question = torch.arange(len(wanted), device=wanted.device).repeat_interleave(first.shape[1])
        rows, cosines = self._second(layout, first.flatten(), question, wanted)
        kth = cosines.view(len(wanted), -1).topk(k).values[:, -1:]  # (q, 1)
        least = kth - 2 * self._error - slack
        pairs = [_pairs(question, rows, cosines, least)]
        maxima.scatter_(1, first, -torch.inf)
        question, more = ((maxima >= least - off) & (maxima > -torch.inf)).nonzero(as_tuple=True)
        for begun in range(0, len(more), self._sizes.kept // (8 * GROUP)):
            some = slice(begun, begun + self._sizes.kept // (8 * GROUP))
            rows, cosines = self._second(layout, more[some], question[some], wanted)
            pairs.append(_pairs(question[some], rows, cosines, least))
        return _by_question(np.concatenate(pairs, 1), len(wanted))

    def _maxima(self, layout: _Layout, rounded: Tensor) -> Tensor:
        """Of queries (q, m, d) the greatest cosine with a row of each group, (q, groups)."""
        count, each, _ = rounded.shape
        maxima = torch.empty(count, len(layout.first), device=rounded.device)
        begun = 0
        for start, stop in layout.blocks(self._rows_at_once(count * each)):
            cosines = products(rounded.flatten(0, 1), layout.at(self._matrix, start, stop))
            if self._spread > NARROW:
                cosines *= layout.at(self._inverse, start, stop)
            if layout.allowed is not None:
                cosines.masked_fill_(~layout.allowed[start:stop], -torch.inf)
            if each > 1:
                cosines = cosines.view(count, each, -1).amin(1)
            if (stop - start) % GROUP:
                cosines = F.pad(cosines, (0, -(stop - start) % GROUP), value=-torch.inf)
            greatest = cosines.view(count, -1, GROUP).amax(2)
            maxima[:, begun : begun + greatest.shape[1]] = greatest
            begun += greatest.shape[1]
        return maxima if self._spread > NARROW else maxima.mul_(self._inverse_norm)

    def _second(
        self, layout: _Layout, groups: Tensor, question: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rows of groups (g,) and their cosines, each group's with a question (g,): (g, GROUP) both.

        Where there is no row that matches the cosine is -inf.
        """
        rows, cosines = [], []
        queries = wanted.float()
        for begun in range(0, len(groups), self._groups_at_once):
            some = slice(begun, begun + self._groups_at_once)
            mine, matching = layout.rows_of(groups[some])
            vectors = self._matrix.index_select(0, mine.flatten()).view(*mine.shape, -1).float()
            inverse = self._inverse[mine]
            each = [(vectors * query[:, None]).sum(2) for query in queries[question[some]].unbind(1)]
            similar = torch.stack(each).amin(0) * inverse
            rows.append(mine)
            cosines.append(similar.masked_fill_(~matching | (inverse == 0), -torch.inf))
        return torch.cat(rows), torch.cat(cosines)

    def _rows_at_once(self, queries: int) -> int:
        rows = min(self._sizes.cosines // queries, self._sizes.numbers // self._matrix.shape[1])
        return max(rows // GROUP, 1) * GROUP

    @property
    def _groups_at_once(self) -> int:
        return max(self._sizes.numbers // (4 * GROUP * self._matrix.shape[1]), 1)

    @property
    def _error(self) -> float:
        """What a cosine of the second pass may be off."""
        return (self._matrix.shape[1] + 16) * 2.0**-23

    @property
    def _coarseness(self) -> float:
        """What one of the first may be off besides, if not for the rounding of queries."""
        backend = torch.backends.cuda if self._matrix.is_cuda else torch.backends.mkldnn
        norms = self._spread if self._spread <= NARROW else 0.0
        return norms + COARSE.get(backend.matmul.fp32_precision, 0.0)


def products(queries: Tensor, vectors: Tensor) -> Tensor:
    """Of queries (q, d) with rows (n, d): (q, n) float32, whatever numbers they are of."""
    if vectors.is_cuda and vectors.dtype == torch.float16:
        return torch.mm(queries, vectors.T, out_dtype=torch.float32)
    return queries.float() @ vectors.float().T


@dataclass(frozen=True)
class _Layout:
    """Rows that match, as groups of neighbours in memory.

    A position is the number of a row, or that of all rows and a place among the copied ones.
    """

    pieces: tuple[tuple[int, int], ...]  # positions [start, stop), scanned one after the other
    first: Tensor  # (groups,) position of its first row
    stop: Tensor  # (groups,) after the last of its piece
    copied: Tensor  # (c,) rows that are scattered
    allowed: Tensor | None  # (n,) of the rows that are scanned, those that match; None: all
    row_count: int

    @staticmethod
    def of(rows: RowRanges, row_count: int, device: torch.device, sizes: Sizes) -> _Layout:
        """Long ranges where they lie and the others copied, or all rows but those that do not match."""
        long, short = rows.split(sizes.longest_copied)
        allowed = None
        if COPY * short.count > row_count - long.count:
            allowed = _mask(rows, row_count, device)
            long, short = RowRanges.all_of(row_count), RowRanges.all_of(0)
        pieces = [*zip(long.starts.tolist(), long.stops.tolist(), strict=True)]
        pieces += [(row_count, row_count + short.count)] if short.count else []
        first = [torch.arange(start, stop, GROUP, device=device) for start, stop in pieces]
        stops = [torch.full_like(some, stop) for some, (_, stop) in zip(first, pieces, strict=True)]
        copied = _numbers(short, device)
        return _Layout(tuple(pieces), torch.cat(first), torch.cat(stops), copied, allowed, row_count)

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """The pieces in pieces of a size, whole groups."""
        for start, stop in self.pieces:
            for first in range(start, stop, size):
                yield first, min(first + size, stop)

    def at(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Values of rows (n, ...) at the positions of a block."""
        if start < self.row_count:
            return values[start:stop]
        return values.index_select(0, self.copied[start - self.row_count : stop - self.row_count])

    def rows_of(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of groups (g,), and whether they match: (g, GROUP) each; beyond a piece's end none does."""
        positions = self.first[groups, None] + torch.arange(GROUP, device=groups.device)
        last = self.stop[groups, None] - 1
        matching, positions = positions <= last, torch.minimum(positions, last)
        rows = positions
        if len(self.copied):
            place = (positions - self.row_count).clamp(min=0)
            rows = torch.where(positions < self.row_count, positions, self.copied[place])
        return rows, matching if self.allowed is None else matching & self.allowed[rows]


def _pairs(question: Tensor, rows: Tensor, cosines: Tensor, least: Tensor) -> NDArray[np.int64]:
    """Questions and rows (2, pairs) whose cosines (g, GROUP) are at least a question's (q, 1)."""
    near = (cosines >= least[question]) & (cosines > -torch.inf)
    return torch.stack([question[:, None].expand_as(rows)[near], rows[near]]).cpu().numpy()


def _by_question(pairs: NDArray[np.int64], questions: int) -> list[Rows]:
    """Ascending rows of each question."""
    question, rows = pairs[:, np.lexsort(pairs[::-1])]
    return np.split(rows, np.searchsorted(question, np.arange(1, questions)))


def _numbers(rows: RowRanges, device: torch.device) -> Tensor:
    """`RowRanges.rows`, made on a device."""
    starts, stops = (torch.from_numpy(ends).to(device) for ends in (rows.starts, rows.stops))
    lengths = stops - starts
    before = lengths.cumsum(0) - lengths
    each = torch.repeat_interleave(starts - before, lengths, output_size=rows.count)
    return each + torch.arange(rows.count, device=device)


def _mask(rows: RowRanges, row_count: int, device: torch.device) -> Tensor:
    """`RowRanges.mask`, made on a device: +1 where a range begins, -1 after it ends."""
    steps = torch.zeros(row_count + 1, dtype=torch.int32, device=device)
    for ends, step in ((rows.starts, 1), (rows.stops, -1)):
        places = torch.from_numpy(ends).to(device)
        steps.index_add_(0, places, torch.full_like(places, step, dtype=torch.int32))
    return steps[:-1].cumsum(0, dtype=torch.int32) > 0
