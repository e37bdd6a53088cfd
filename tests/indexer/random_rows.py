"""Random rows for tests, seeded."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.geo import cells
from indexer.table.schema import ModelInfo, make_rows

MODEL = ModelInfo("skyhex/test", "ab" * 32, 8, "Apache-2.0", trained=False, config={"depth": 1})
RESOLUTION = 9
BOX = (5.0, 45.0, 8.0, 48.0)  # west, south, east, north, degrees


def random_cells(n: int, seed: int = 0, box: tuple[float, float, float, float] = BOX) -> np.ndarray:
    """(n,) uint64 cells of points in a box."""
    rng = np.random.default_rng(seed)
    west, south, east, north = box
    return cells.cells_at(rng.uniform(west, east, n), rng.uniform(south, north, n), RESOLUTION)


def squares(h3_cell: np.ndarray, half_deg: float = 0.003) -> list[list[tuple[float, float]]]:
    """A closed counter-clockwise ring around each cell's centre."""
    return [
        [(x + dx * half_deg, y + dy * half_deg) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
        for x, y in zip(*cells.centres(h3_cell), strict=True)
    ]


def columns_for(h3_cell: np.ndarray, seed: int = 0, dimension: int = MODEL.dimension) -> dict[str, Any]:
    """Arguments of `make_rows`, one row per cell, all of 2024."""
    n = len(h3_cell)
    rng = np.random.default_rng(seed)
    return {
        "h3_cell": h3_cell,
        "sample_id": [f"s{i}" for i in range(n)],
        "start": [datetime(2024, 1, 1, tzinfo=UTC)] * n,
        "end": [datetime(2025, 1, 1, tzinfo=UTC)] * n,
        "footprint": squares(h3_cell),
        "embedding": rng.normal(size=(n, dimension)).astype(np.float32),
        "model": MODEL,
        "n_hr": rng.integers(0, 2, n),
        "n_s2": rng.integers(0, 9, n),
        "n_s1": rng.integers(0, 5, n),
        "valid_fraction": rng.uniform(size=n),
        "cloud_fraction": rng.uniform(size=n),
        "source_items": [[f"s{i}.tif"] for i in range(n)],
    }


def random_rows(n: int, seed: int = 0, h3_cell: np.ndarray | None = None, **changes: Any) -> pa.Table:
    """n checked rows; `changes` replace arguments of `make_rows`."""
    return make_rows(**columns_for(random_cells(n, seed) if h3_cell is None else h3_cell, seed) | changes)
