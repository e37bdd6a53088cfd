"""What a filter asks of columns that no segment holds, answered by Parquet: places in the table's parts."""

from __future__ import annotations

import numpy as np
import shapely

from ..geo.row_ranges import Mask, Rows
from ..geo.search_area import Region
from ..table import parts
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import PartFile
from .filter import Filter
from .predicate import Places, matching_rows


def allowed_rows(table: EmbeddingTable, conditions: Filter) -> Places | None:
    """The rows that SQL and footprints allow; None where neither is asked.

    Raises:
        QueryError: the predicate cannot be answered.
        TableError: a part cannot be read.
    """
    predicate, region = conditions.predicate, conditions.region if conditions.footprint else None
    allowed = None if predicate is None else matching_rows(table, predicate)
    if region is None:
        return allowed
    touching = {file.path: _touching_rows(table, file, region) for file in table.files}
    if allowed is None:
        return Places(touching)
    both = {p: np.intersect1d(rows, allowed.rows[p], assume_unique=True) for p, rows in touching.items()}
    return Places(both)


def _touching_rows(table: EmbeddingTable, file: PartFile, region: Region) -> Rows:
    """Rows of a part whose footprint meets a region; only row groups that its border crosses are read."""
    starts, bounds = parts.group_bounds(table.storage, file)
    inside, outside = region.box_sides(shapely.box(*bounds.T))
    found = [np.empty(0, np.int64)]
    for group in np.flatnonzero(~outside).tolist():
        count = starts[group + 1] - starts[group]
        meets = np.ones(count, bool) if inside[group] else _touching(table, file, group, region)
        found.append(starts[group] + np.flatnonzero(meets))
    return np.concatenate(found)


def _touching(table: EmbeddingTable, file: PartFile, group: int, region: Region) -> Mask:
    """Which footprints of a row group meet a region; their boxes decide for most."""
    boxes = parts.read_group(table.storage, file, group, ["bbox"])["bbox"].combine_chunks().flatten()
    meets, outside = region.box_sides(shapely.box(*(side.to_numpy() for side in boxes)))
    near = np.flatnonzero(~meets & ~outside)
    if len(near):
        wkb = parts.read_group(table.storage, file, group, ["geometry"])["geometry"].take(near)
        meets[near] = region.meets(shapely.from_wkb(wkb.to_numpy()))
    return meets
