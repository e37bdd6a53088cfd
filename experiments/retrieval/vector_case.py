"""Embeddings made by any model, as Parquet: each file one candidate, judged beside the first.

Columns: `embedding` (list of numbers), `label` (string, or list of strings), and as there are: `id`, `split`
("train", "test"), `block` or `place` (held out together), `lon` and `lat`, `ms` (that an item took).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.sample import InputError

from .blocks import hold_out
from .candidates import position_alone
from .options import Options, capped
from .pictures import Exhibit
from .problem import Problem, many_hot, split_fold
from .run import Case
from .sheet import Candidate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HELD_OUT = 0.3
BLOCK_RESOLUTION = 5  # H3, where positions are all there is


@dataclass(frozen=True)
class VectorFile:
    """One model's labelled vectors of n items."""

    name: str
    vectors: np.ndarray  # (n, d) float32
    bytes_per_item: float
    table: pa.Table  # the other columns


def read_vectors(path: Path) -> VectorFile:
    """Read one file.

    Raises:
        InputError: not a Parquet file with vectors of one length and labels, or vectors that are not finite.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected a Parquet file of embeddings."
        ) from error
    missing = {"embedding", "label"} - set(table.column_names)
    if missing or not len(table):
        raise InputError(
            f"{path} has {len(table)} rows and lacks {sorted(missing)}; expected `embedding` and `label`."
        )
    column = table["embedding"].combine_chunks()
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise InputError(
            f"{path}: embeddings of lengths {sorted(map(str, lengths))}; expected one, none null."
        )
    flat = column.flatten()
    vectors = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(table), -1)
    bad = int((~np.isfinite(vectors).all(axis=1)).sum())
    if bad:
        raise InputError(f"{path}: {bad} of {len(vectors)} embeddings are not finite; leave those rows out.")
    size = vectors.shape[1] * flat.type.bit_width / 8
    return VectorFile(path.stem, vectors, size, table.drop_columns(["embedding"]))


def vector_case(paths: Sequence[Path], options: Options) -> Case:
    """Judge several models' vectors of the same items; split, labels and places are those of the first file.

    Raises:
        InputError: the files hold other items, or nothing to compare.
    """
    return case_of([read_vectors(path) for path in paths], options)


def case_of(files: Sequence[VectorFile], options: Options) -> Case:
    """`vector_case` of what was read."""
    order = [_rows_as(files[0], other) for other in files]
    problem = vector_problem(files[0], options)
    candidates = [
        Candidate(file.name, (file.vectors[rows],), file.bytes_per_item, _ms(file))
        for file, rows in zip(files, order, strict=True)
    ]
    candidates += position_alone(problem.lon_deg, problem.lat_deg)
    exhibit = Exhibit(problem, files[0].vectors, partial(_draw_vector, files[0].vectors))
    return Case(problem, tuple(candidates), exhibit)


def _rows_as(first: VectorFile, other: VectorFile) -> np.ndarray:
    """Rows of `other` in the order of `first`, joined by `id` where both have it."""
    if {"id"} <= set(first.table.column_names) & set(other.table.column_names):
        at = {value: row for row, value in enumerate(other.table["id"].to_pylist())}
        rows = [at.get(value, -1) for value in first.table["id"].to_pylist()]
        if -1 not in rows:
            return np.array(rows)
    elif len(other.vectors) == len(first.vectors):
        return np.arange(len(first.vectors))
    raise InputError(
        f"{other.name} holds {len(other.vectors)} rows that are not the {len(first.vectors)} items of "
        f"{first.name}; expected the same `id`s, or rows in the same order."
    )


def vector_problem(file: VectorFile, options: Options) -> Problem:
    """The file's own split, else held-out blocks, else rows at random: the notes say which."""
    table, n = file.table, len(file.vectors)
    has = set(table.column_names)
    labels, classes = many_hot(table["label"].to_pylist())
    lon, lat = (
        np.array(table[name].to_pylist(), dtype=float) if {"lon", "lat"} <= has else np.full(n, np.nan)
        for name in ("lon", "lat")
    )
    block = _blocks(table, lon, lat)
    if "split" in has:
        split = np.array(table["split"].to_pylist(), dtype=str)
        query, database, how = split == "test", split == "train", "the file's own split"
    else:
        query = hold_out(block, HELD_OUT)
        database, how = ~query, f"no split given: {HELD_OUT:.0%} of the blocks held out"
    if not np.isfinite(lon).all() and not {"block", "place"} & has:
        how += "; no places: rows are blocks of their own"
    query = capped(query, options.max_queries, options.seed)
    database = capped(database, options.max_database, options.seed)
    fold, note = split_fold(query, database, lon, lat, file.name)
    return Problem(file.name, labels, classes, block, lon, lat, (fold,), (how, note))


def _blocks(table: pa.Table, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """What is held out together: `block`, `place`, a coarse H3 cell, or each row alone."""
    for name in ("block", "place"):
        if name in table.column_names:
            return np.array([str(value) for value in table[name].to_pylist()])
    if np.isfinite(lon).all():
        return np.array([h3.latlng_to_cell(y, x, BLOCK_RESOLUTION) for x, y in zip(lon, lat, strict=True)])
    return np.array([str(row) for row in range(len(lon))])


def _ms(file: VectorFile) -> float:
    return float(np.mean(file.table["ms"].to_pylist())) if "ms" in file.table.column_names else float("nan")


def _draw_vector(vectors: np.ndarray, axes: "Axes", row: int) -> None:
    axes.plot(vectors[row], lw=0.6, color="#1f6f8b")
