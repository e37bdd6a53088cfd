"""Which rows match a filter: the one place that decides, for every kind of search and for the map.

SQL and footprints are answered by Parquet, once for a table, as places in its parts. The area, the period and
the months are looked at in the keys of the rows at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import shapely

from ..geo.row_ranges import Mask, RowRanges, Rows
from ..geo.search_area import Region
from ..index.segment import Keys, Segment, at
from ..index.segment_files import open_segment
from ..table import parts
from ..table.columns import key_numbers
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import PartFile
from ..table.schema import KEY
from .filter import Filter

if TYPE_CHECKING:  # DuckDB is loaded by the first predicate
    from .predicate import Places

IN_ORDER = [(name, "ascending") for name in KEY]


@dataclass(frozen=True)
class Matching:
    """A filter, ready to be asked of the rows of one table."""

    table: EmbeddingTable
    filter: Filter
    places: Places | None  # the rows that SQL and footprints allow; None where neither is asked

    @staticmethod
    def of(table: EmbeddingTable, filter: Filter) -> Matching:
        """The filter's SQL and footprints are answered here.

        Raises:
            QueryError: the predicate cannot be answered.
            TableError: a part cannot be read.
        """
        return Matching(table, filter, _places(table, filter))

    def in_segment(self, segment: Segment, among: RowRanges, folder: Path | None = None) -> RowRanges:
        """Of some rows of a segment those that match; `folder`: where the segment is mapped from."""
        if self.places is not None:
            placed = segment.rows_at(self.places.rows) if folder is None else _rows_at(folder, self.places)
            among = among & placed
        return self._by_keys(segment.keys, among)

    def in_table_order(self, keys: Keys, first_row: int = 0) -> Mask:
        """Which rows (n,) match; they follow each other in the table, the first of them at a place in it."""
        count = len(keys.cells)
        among = RowRanges.all_of(count)
        if self.places is not None:
            among = among.keep(self._allowed_mask[first_row : first_row + count])
        return self._by_keys(keys, among).mask(count)

    def keyed(self, rows: pa.Table) -> pa.Table:
        """The rows that match, of any that have the table's key, in order of cell."""
        if self.places is not None and len(rows):
            cells = rows["h3_cell"].to_numpy()
            allowed = _between(self._allowed_keys, *cells[[0, -1]])
            rows = allowed.join(rows, list(KEY), join_type="inner").cast(rows.schema).sort_by(IN_ORDER)
        among = self._by_keys(Keys.of(*key_numbers(rows)), RowRanges.all_of(len(rows)))
        return rows.take(pa.array(among.rows()))

    def allowed(self, columns: Sequence[str]) -> pa.Table:
        """The rows that SQL and footprints allow, wherever and whenever, in order of key."""
        assert self.places is not None, "SQL or footprints are asked"
        rows = [self.places.rows[file.path] for file in self.table.files]
        file_ids = np.repeat(np.arange(len(rows)), np.array([len(some) for some in rows], np.int64))
        return self.table.take(file_ids, np.concatenate([np.empty(0, np.int64), *rows]), columns)

    def _by_keys(self, keys: Keys, among: RowRanges) -> RowRanges:
        area = self.filter.area_of_centres
        if area is not None:
            among = among & area.rows(keys.cells.whole())
        if self.filter.asks_time:
            periods = (at(values.whole(), among) for values in (keys.start_us, keys.end_us))
            among = among.keep(self.filter.matches_time(*periods))
        return among

    @cached_property
    def _allowed_mask(self) -> Mask:
        """By SQL and footprints: (rows of the table,)."""
        assert self.places is not None
        mask, first_row = np.zeros(self.table.row_count, bool), 0
        for file in self.table.files:
            mask[first_row + self.places.rows[file.path]] = True
            first_row += file.rows
        return mask

    @cached_property
    def _allowed_keys(self) -> pa.Table:
        """Keys of the rows that SQL and footprints allow, in order."""
        return self.allowed(KEY).combine_chunks()


def _places(table: EmbeddingTable, filter: Filter) -> Places | None:
    predicate, area = filter.predicate, filter.region if filter.footprint else None
    if predicate is None and area is None:
        return None
    from .predicate import Places, matching_rows

    allowed = None if predicate is None else matching_rows(table, predicate, filter.where_limits)
    if area is None:
        return allowed
    touching = {file.path: _touching_rows(table, file, area) for file in table.files}
    if allowed is None:
        return Places(touching)
    both = {p: np.intersect1d(rows, allowed.rows[p], assume_unique=True) for p, rows in touching.items()}
    return Places(both)


@lru_cache(maxsize=64)
def _rows_at(folder: Path, places: Places) -> RowRanges:
    """Kept, for the same predicate is often asked again."""
    return open_segment(folder).segment.rows_at(places.rows)


def _between(rows: pa.Table, first: np.uint64, last: np.uint64) -> pa.Table:
    """Rows in order of cell, from one cell to another."""
    cells = rows["h3_cell"].to_numpy()
    start, stop = cells.searchsorted(first), cells.searchsorted(last, side="right")
    return rows.slice(start, stop - start)


def _touching_rows(table: EmbeddingTable, file: PartFile, area: Region) -> Rows:
    """Rows of a part whose footprint meets an area; only row groups that its border crosses are read."""
    starts, bounds = parts.group_bounds(table.storage, file)
    inside, outside = area.box_sides(shapely.box(*bounds.T))
    rows = [np.empty(0, np.int64)]
    for group in np.flatnonzero(~outside).tolist():
        count = starts[group + 1] - starts[group]
        meets = np.ones(count, bool) if inside[group] else _touching(table, file, group, area)
        rows.append(starts[group] + np.flatnonzero(meets))
    return np.concatenate(rows)


def _touching(table: EmbeddingTable, file: PartFile, group: int, area: Region) -> Mask:
    """Which footprints of a row group meet an area; their boxes decide for most."""
    boxes = parts.read_group(table.storage, file, group, ["bbox"])["bbox"].combine_chunks().flatten()
    meets, outside = area.box_sides(shapely.box(*(side.to_numpy() for side in boxes)))
    near = np.flatnonzero(~meets & ~outside)
    if len(near):
        wkb = parts.read_group(table.storage, file, group, ["geometry"])["geometry"].take(near)
        meets[near] = area.meets(shapely.from_wkb(wkb.to_numpy()))
    return meets
