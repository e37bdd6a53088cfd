"""A large table's index as shards: ranges of cells, each a segment that opens alone, with common centroids.

    <table>/index/centroids/<parts>-<column>.faiss    an inverted file without rows: each shard's begins so

Centroids of its own in every shard would make a search of all look into many times as many codes for the same
recall, so they are fitted once, to a sample that is spread over the whole table. Shards are written one by
one, or by several workers. One that is there whole is not written again: a build that was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from ..errors import TableError
from ..geo.row_ranges import Rows
from ..progress import Progress
from ..table.columns import Matrix, to_matrix
from ..table.embedding_table import EmbeddingTable
from ..workers import Workers, here, whole
from . import segment_files
from .mapped import DamagedIndexError, name_of
from .segment import Part, scan_part
from .segment_files import SegmentFiles, open_segment, write_segment
from .shown import kinds_of

MOST_SHARDS = segment_files.MOST_OPEN // 2
CENTROIDS = "centroids"

Shard = tuple[Part, ...]


def write_shards(
    root: Path, table: EmbeddingTable, count: int, workers: Workers = here, progress: Progress | None = None
) -> tuple[SegmentFiles, ...]:
    """Write the segments of so many shards below a folder, those that are not there yet, and open all.

    Memory is that of one segment, see `ivf.train`, for each worker.

    Raises:
        TableError: the table cannot be cut into so many, a part cannot be read, or a worker was ended, or
            writes where this process does not see it.
    """
    shards = cut(table, count)
    rows = [sum(part.rows for part in shard) for shard in shards]
    centroids = fit_centroids(root, table) if max(rows) >= segment_files.EXACT_ROWS else {}
    wanted = {column: _digest(path) for column, path in centroids.items()}
    done = {i: folder for i, shard in enumerate(shards) if (folder := _folder_of(root, table, shard, wanted))}
    missing = [(i, shard) for i, shard in enumerate(shards) if i not in done]
    write = partial(_write, root, table, centroids, count)
    for (i, _), folder in whole(workers(write, missing), lambda shard: f"shard {shard[0] + 1} of {count}"):
        if not folder.is_dir():
            raise TableError(
                f"a worker wrote {folder}, and it is not here: all machines must see the table's folder, of "
                "a table in a bucket that of SKYHEX_CACHE"
            )
        done[i] = folder
        if progress is not None:
            progress(sum(rows[i] for i in done), sum(rows))
    return tuple(open_segment(done[i]) for i in range(count))


def cut(table: EmbeddingTable, count: int) -> list[Shard]:
    """The rows in order of cell as so many shards, about equally large; all rows of a cell are in one.

    Raises:
        TableError: too few cells, or one holds more rows than a shard.
    """
    ends = [0, *accumulate(file.rows for file in table.files)]
    at = [_cell_start(table, ends, table.row_count * i // count) for i in range(count)] + [table.row_count]
    if not 0 < count <= MOST_SHARDS or any(stop <= start for start, stop in pairwise(at)):
        raise TableError(
            f"{table.row_count:,} rows cannot be cut between cells into {count} shards: ask for 1 to "
            f"{MOST_SHARDS}, and fewer where single cells hold much"
        )
    return [tuple(_between(table, ends, start, stop)) for start, stop in pairwise(at)]


def _cell_start(table: EmbeddingTable, ends: Sequence[int], row: int) -> int:
    """The first row of the cell that a row of the table is in."""
    file_id = int(np.searchsorted(ends, row, side="right")) - 1
    if row in (0, ends[file_id]):
        return row
    part = Part.whole(table.files[file_id])
    cells = np.concatenate([batch["h3_cell"].to_numpy() for batch in scan_part(table, part, ())])
    return ends[file_id] + int(np.searchsorted(cells, cells[row - ends[file_id]]))


def _between(table: EmbeddingTable, ends: Sequence[int], start: int, stop: int) -> Iterator[Part]:
    """The parts, or pieces of them, that hold some rows of the table."""
    for file, (first, last) in zip(table.files, pairwise(ends), strict=True):
        if first < stop and start < last:
            yield Part.whole(file).with_rows(max(start - first, 0), min(stop, last) - first)


def fit_centroids(root: Path, table: EmbeddingTable) -> dict[str, Path]:
    """By column the centroids of all shards; those that were fitted to the same rows are found again."""
    from . import ivf

    folder, parts = root / CENTROIDS, name_of(json.dumps([file.path for file in table.files]).encode())
    folder.mkdir(exist_ok=True)
    files = {column: folder / f"{parts}-{column}.faiss" for column in ("embedding", *table.optional_columns)}
    for path in folder.iterdir():
        if path not in files.values():
            path.unlink()
    for column, path in files.items():
        if not path.exists():
            dimension = to_matrix(table.schema_of([column]).empty_table()[column]).shape[1]
            sample = _sample(table, column, ivf.sample_rows(table.row_count, dimension))
            scratch = path.with_suffix(".part")
            ivf.write(ivf.fit(sample, ivf.list_count(table.row_count, dimension)), scratch)
            scratch.replace(path)
    return files


def _sample(table: EmbeddingTable, column: str, rows: Rows) -> Matrix:
    """Vectors of ascending rows of the table, read in one pass."""
    some, row = list[Matrix](), 0
    for batch in table.scan([column]):
        first, last = np.searchsorted(rows, (row, row + len(batch)))
        some.append(to_matrix(batch[column])[rows[first:last] - row])
        row += len(batch)
    return np.concatenate(some)  # type: ignore[return-value] # of the table's one kind of numbers


def _folder_of(root: Path, table: EmbeddingTable, shard: Shard, centroids: Mapping[str, str]) -> Path | None:
    """The folder of a shard's segment that was written before, by a build that was stopped or is mended.

    Args:
        centroids: by column the digest of those that it must have.
    """
    for folder in root.iterdir():
        if not (folder / segment_files.DESCRIPTION).is_file():
            continue
        try:
            files = open_segment(folder)
            same = files.segment.parts == shard and {*files.segment.vectors} == {
                "embedding",
                *table.optional_columns,
            }
            if not same or files.segment.shown is None or files.segment.shown.kinds != kinds_of(table.schema):
                continue
            if all(file.centroids == centroids.get(column) for column, file in files.inverted_files.items()):
                files.check()
                return folder
        except DamagedIndexError:
            continue
    return None


def _digest(path: Path) -> str:
    from . import ivf

    return ivf.digest(path)


def _write(
    root: Path, table: EmbeddingTable, centroids: Mapping[str, Path], count: int, shard: tuple[int, Shard]
) -> Path:
    """A shard with its number, of so many; the folder of its segment."""
    return write_segment(root, table, shard[1], centroids=centroids, shards=count).folder
