"""How rows enter a table's part files: copy on write, in order of cell, files never overlapping.

A small table has no partitions: its rows are one run of files wherever on the globe they lie. The upsert
that outgrows SMALL_TABLE_BYTES lays all of them out in coarse partitions.

A file that shares a range of cells with new rows is rewritten with them. New rows between files become a file
of their own, joined with neighbours no larger than they are, so that appending in order rewrites a row
log2(n) times and leaves log2(n) files, as in a binary counter.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from ..errors import TableError
from ..geo import cells
from . import parts
from .manifest import Manifest, PartFile
from .schema import KEY, LICENCE, extra_columns, optional_columns, sort_by_key, table_schema
from .storage import Storage

Combine = Callable[[pa.Table, pa.Table], pa.Table]  # old and new rows of the same keys -> what is kept

MAX_FILE_BYTES = 128 << 20
SMALL_TABLE_BYTES, GROWN_PARTITION = 32 << 20, 0
JOINED_BYTES = 32 << 20  # an upsert joins neighbours up to here; `compact` goes on to MAX_FILE_BYTES


@dataclass(frozen=True)
class Rewrite:
    """Parts to replace by the union of their rows and new ones; new rows win."""

    parts: tuple[PartFile, ...]
    fresh: pa.Table | None

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts) + (len(self.fresh) if self.fresh else 0)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts) + (self.fresh.nbytes if self.fresh else 0)


@dataclass(frozen=True)
class Merged:
    """The parts of the next snapshot."""

    files: tuple[PartFile, ...]
    rows_replaced: int
    partition_resolution: int | None
    optional: dict[str, int]
    extra: dict[str, str]


@dataclass
class Merger:
    """Puts one set of rows into whatever snapshot is the newest; what a lost attempt wrote is used again."""

    storage: Storage
    rows: pa.Table  # of one model, in order of key
    combine: Combine | None = None  # of old rows with new ones of the same key; None: new ones replace them
    _written: dict[object, tuple[list[PartFile], int]] = field(default_factory=dict)

    def merge(self, base: Manifest) -> Merged:
        """Write the parts that follow from `base`."""
        optional, extra = _joined_columns(base, self.rows)
        licence = base.model.licence
        changed = (optional, extra) != (base.optional, base.extra)
        fresh = with_columns(
            self.rows, table_schema(base.model.dimension, optional, extra, base.values), licence
        )
        files: list[PartFile] = []
        replaced = 0
        if base.partition_resolution is None and base.stored_bytes + fresh.nbytes > SMALL_TABLE_BYTES:
            base, fresh, replaced = self._grown(base, fresh)
        for step in plan(base, fresh):
            if isinstance(step, PartFile) and changed:  # all parts have the same columns
                step = Rewrite((step,), None)
            if isinstance(step, PartFile):
                files.append(step)
            else:
                written, count = self._rewrite(base, step, fresh.schema)
                files += written
                replaced += count
        return Merged(tuple(files), replaced, base.partition_resolution, optional, extra)

    def _grown(self, base: Manifest, fresh: pa.Table) -> tuple[Manifest, pa.Table, int]:
        """A table without rows that has partitions, and all rows that it is to hold."""
        merged, replaced = union(self.storage, base, Rewrite(base.files, fresh), fresh.schema, self.combine)
        self._written.clear()  # of an attempt with other old rows
        return replace(base, files=(), partition_resolution=GROWN_PARTITION), merged, replaced

    def _rewrite(self, base: Manifest, step: Rewrite, schema: pa.Schema) -> tuple[list[PartFile], int]:
        name = (step.parts, schema, step.fresh and (step.fresh["h3_cell"][0], step.fresh["h3_cell"][-1]))
        if name not in self._written:
            self._written[name] = rewrite(self.storage, base, step, schema, self.combine)
        return self._written[name]


def rewrite(
    storage: Storage, base: Manifest, step: Rewrite, schema: pa.Schema, combine: Combine | None = None
) -> tuple[list[PartFile], int]:
    """Write the union of a step's parts and rows; the new parts, and how many rows were replaced."""
    merged, replaced = union(storage, base, step, schema, combine)
    written = [parts.write_part(storage, piece, base) for piece in split(merged, step.bytes)]
    return written, replaced


def union(
    storage: Storage, base: Manifest, step: Rewrite, schema: pa.Schema, combine: Combine | None
) -> tuple[pa.Table, int]:
    """The rows of a step's parts with its new ones, sorted, and how many were replaced."""
    old = [with_columns(parts.read_part(storage, part), schema, base.model.licence) for part in step.parts]
    if step.fresh is None:
        return pa.concat_tables(old), 0
    return replace_rows(pa.concat_tables(old), step.fresh, combine) if old else (step.fresh, 0)


def plan(base: Manifest, rows: pa.Table) -> list[PartFile | Rewrite]:
    """What becomes of each part, given new rows, partition by partition; all in order of cell."""
    resolution = base.partition_resolution
    if resolution is None:
        return plan_partition(base.files, rows)
    partition_of_part = cells.parents([part.min_h3 for part in base.files], resolution)
    partition_of_row = cells.parents(rows["h3_cell"].to_numpy(), resolution)
    steps: list[PartFile | Rewrite] = []
    for partition in np.union1d(partition_of_part, partition_of_row):
        first, last = (np.searchsorted(partition_of_part, partition, side=side) for side in ("left", "right"))
        start, stop = (
            int(np.searchsorted(partition_of_row, partition, side=side)) for side in ("left", "right")
        )
        steps += plan_partition(base.files[first:last], rows.slice(start, stop - start))
    return steps


def plan_partition(files: Sequence[PartFile], rows: pa.Table) -> list[PartFile | Rewrite]:
    """What becomes of one partition's parts, given new rows of it: both in order of cell."""
    cell = rows["h3_cell"].to_numpy()
    ends = np.searchsorted(cell, [file.max_h3 for file in files], side="right")
    bounds = [0, *ends.tolist(), len(cell)]
    steps: list[PartFile | Rewrite] = []
    for i, file in enumerate(files):
        fresh = rows.slice(bounds[i], bounds[i + 1] - bounds[i])
        if fresh.num_rows == 0:
            steps.append(file)
        elif cell[bounds[i + 1] - 1] >= file.min_h3:
            steps.append(Rewrite((file,), fresh))
        else:  # all of them lie in the gap before the file
            steps += [Rewrite((), fresh), file]
    tail = rows.slice(bounds[-2])
    if tail.num_rows:
        steps.append(Rewrite((), tail))
    return _absorb_small(steps)


def _absorb_small(steps: list[PartFile | Rewrite]) -> list[PartFile | Rewrite]:
    """Neighbours that are no larger than a rewrite join it."""
    done: list[PartFile | Rewrite] = []
    for step in steps:
        current = step
        while done and (joined := _join(done[-1], current)) is not None:
            done.pop()
            current = joined
        done.append(current)
    return done


def _join(left: PartFile | Rewrite, right: PartFile | Rewrite) -> Rewrite | None:
    """One rewrite of both, where that is worth it."""
    if isinstance(left, PartFile) and isinstance(right, PartFile):
        return None
    kept = sum(step.rows for step in (left, right) if isinstance(step, PartFile))
    if left.bytes + right.bytes > JOINED_BYTES or 2 * kept > left.rows + right.rows:  # a larger part stays
        return None
    a, b = (Rewrite((step,), None) if isinstance(step, PartFile) else step for step in (left, right))
    fresh = [rows for rows in (a.fresh, b.fresh) if rows is not None]
    return Rewrite(a.parts + b.parts, pa.concat_tables(fresh))


def replace_rows(old: pa.Table, fresh: pa.Table, combine: Combine | None = None) -> tuple[pa.Table, int]:
    """`old` with the rows of `fresh` put in, sorted; and how many were replaced. Same columns in both."""
    key = list(KEY)
    candidates = np.flatnonzero(np.isin(old["h3_cell"].to_numpy(), fresh["h3_cell"].to_numpy()))
    keys = old.select(key).take(pa.array(candidates)).append_column("row", pa.array(candidates))
    replaced = keys.join(fresh.select(key), key, join_type="left semi", use_threads=False)["row"].to_numpy()
    kept = old if len(replaced) == 0 else old.take(pa.array(np.delete(np.arange(len(old)), replaced)))
    if combine is not None and len(replaced):
        fresh = _combined(old.take(pa.array(np.sort(replaced))), fresh, combine)
    return sort_by_key(pa.concat_tables([kept, fresh])), len(replaced)


def _combined(old: pa.Table, fresh: pa.Table, combine: Combine) -> pa.Table:
    """New rows, those whose key an old row has combined with it. `old` in order of key."""
    key = list(KEY)
    keys = fresh.select(key).append_column("row", pa.array(np.arange(len(fresh))))
    again = keys.join(old.select(key), key, join_type="left semi", use_threads=False)["row"].to_numpy()
    again = np.sort(again)  # `fresh` is in order of key too
    both = combine(sort_by_key(old), fresh.take(pa.array(again)))
    return pa.concat_tables([fresh.take(pa.array(np.delete(np.arange(len(fresh)), again))), both])


def split(rows: pa.Table, stored_bytes: int) -> list[pa.Table]:
    """Rows that take so many bytes in a file, as tables of MAX_FILE_BYTES at most, cut between cells."""
    pieces = -(-stored_bytes // MAX_FILE_BYTES)
    cell = rows["h3_cell"].to_numpy()
    wanted = cell[np.linspace(0, len(cell), pieces + 1).astype(int)[1:-1]]
    cuts = np.unique(np.r_[0, np.searchsorted(cell, wanted), len(cell)])
    return [rows.slice(start, stop - start) for start, stop in itertools.pairwise(cuts.tolist())]


def with_columns(rows: pa.Table, schema: pa.Schema, licence: str) -> pa.Table:
    """Rows with the schema's columns, null where they have none; `licence` is theirs where they say none."""
    columns = {
        column.name: rows[column.name]
        if column.name in rows.schema.names
        else pa.nulls(len(rows), column.type)
        for column in schema
    }
    if LICENCE in columns:
        columns[LICENCE] = columns[LICENCE].fill_null(licence)
    return pa.table(list(columns.values()), schema)


def _joined_columns(base: Manifest, rows: pa.Table) -> tuple[dict[str, int], dict[str, str]]:
    """The optional columns of both, with their dimensions, and the further ones, with their types."""
    new = optional_columns(rows.schema)
    for name in new.keys() & base.optional.keys():
        if new[name] != base.optional[name]:
            raise TableError(f"{name} has {new[name]} dimensions, in the table {base.optional[name]}")
    extra = extra_columns(rows.schema)
    for column in extra.keys() & base.extra.keys():
        if extra[column] != base.extra[column]:
            raise TableError(f"column {column} is {extra[column]}, in the table {base.extra[column]}")
    return {**base.optional, **new}, {**base.extra, **extra}
