"""Small tables to search, and the slow answers to compare with."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from indexer.geo import cells
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, make_rows

from .random_rows import MODEL, columns_for, random_cells


def place_rows(
    places: np.ndarray, years: Sequence[int] = (2023, 2024), seed: int = 0, without_s1: float = 0.3
) -> pa.Table:
    """One row for each place and year; some have no Sentinel-1."""
    h3_cell = np.repeat(places, len(years))
    rng = np.random.default_rng(seed)
    columns = columns_for(h3_cell, seed)
    absent = rng.random(len(h3_cell)) < without_s1
    s1 = columns["embedding"] + rng.normal(scale=0.5, size=columns["embedding"].shape)
    year = np.tile(years, len(places)).tolist()
    return make_rows(
        **columns
        | {
            "sample_id": [f"{cell:x}" for cell in h3_cell.tolist()],
            "start": [datetime(y, 1, 1, tzinfo=UTC) for y in year],
            "end": [datetime(y + 1, 1, 1, tzinfo=UTC) for y in year],
            "embedding_s1": np.where(absent[:, None], np.nan, s1),
            "n_s1": np.where(absent, 0, 2),
        }
    )


def place_table(
    path: Path, n: int = 60, seed: int = 0, years: Sequence[int] = (2023, 2024)
) -> EmbeddingTable:
    """A table of n places in two partitions and one row a year."""
    near = np.unique(random_cells(n - n // 3, seed))
    far = np.unique(random_cells(n // 3, seed, box=(-60, -20, -58, -18)))
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9, partition_resolution=1)
    return table.upsert(place_rows(np.concatenate([near, far]), years, seed))


def whole(table: EmbeddingTable) -> pa.Table:
    """All rows, in order of key."""
    return pa.Table.from_batches(table.scan(), table.schema)


def lon_lat(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the rows' cells, degrees."""
    return cells.centres(rows["h3_cell"].to_numpy())


def similarities(rows: pa.Table, query: np.ndarray, column: str = "embedding") -> np.ndarray:
    """Cosines (n,), NaN where the row has no such vector."""
    matrix = to_matrix(rows[column]).astype(np.float64)
    return np.asarray(matrix @ (query / np.linalg.norm(query)) / np.linalg.norm(matrix, axis=1))


def keys(rows: pa.Table) -> list[tuple[object, ...]]:
    return list(zip(*(rows[name].to_pylist() for name in KEY), strict=True))
