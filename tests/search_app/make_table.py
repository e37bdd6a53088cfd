"""A small seeded table for tests of the faces."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np

from indexer.geo.cells import boundary
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows

MODEL = ModelInfo("skyhex/test", "0" * 64, 16, "Apache-2.0", trained=False, config={})
CELLS = sorted(h3.str_to_int(c) for c in h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 4))


def small_table(
    path: Path,
    seed: int = 0,
    sample_ids: Mapping[int, str] | None = None,
    source_items: Mapping[int, Sequence[str]] | None = None,
    years: Sequence[int] = (2021,),
    by_sensor: Mapping[str, np.ndarray] | None = None,
) -> EmbeddingTable:
    """A table of one row per year and cell of a disk around 10 E 47 N.

    Names and rasters are those of cells that have some; vectors (n, d) by sensor those of all.
    """
    names = {cell: h3.int_to_str(cell) for cell in CELLS} | dict(sample_ids or {})
    rng = np.random.default_rng(seed)
    cells = [cell for _ in years for cell in CELLS]
    vectors = rng.normal(size=(len(cells), 16)).astype(np.float32)
    n = len(cells)
    rows = make_rows(
        h3_cell=np.array(cells, np.uint64),
        sample_id=[names[cell] for cell in cells],
        start=[datetime(year, 1, 1, tzinfo=UTC) for year in years for _ in CELLS],
        end=[datetime(year + 1, 1, 1, tzinfo=UTC) for year in years for _ in CELLS],
        footprint=[boundary(cell) for cell in cells],
        embedding=vectors,
        model=MODEL,
        n_hr=[1] * n,
        n_s2=[4] * n,
        n_s1=[2] * n,
        valid_fraction=[1.0] * n,
        cloud_fraction=[0.0] * n,
        source_items=[(source_items or {}).get(cell, ()) for cell in cells],
        **{f"embedding_{name}": vectors for name, vectors in (by_sensor or {}).items()},
    )
    return EmbeddingTable.create(path, MODEL, h3_resolution=9).upsert(rows)
