"""A small seeded table for tests of the faces."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np

from indexer.geo.cells import boundary, parent, resolution_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows

MODEL = ModelInfo("skyhex/test", "0" * 64, 16, "Apache-2.0", trained=False, config={})
OTHER_MODEL = ModelInfo("skyhex/other", "1" * 64, 8, "Apache-2.0", trained=False, config={})
CELLS = sorted(h3.str_to_int(c) for c in h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 4))


def small_table(
    path: Path,
    seed: int = 0,
    sample_ids: Mapping[int, str] | None = None,
    source_items: Mapping[int, Sequence[str]] | None = None,
    years: Sequence[int] = (2021,),
    by_sensor: Mapping[str, np.ndarray] | None = None,
    cells: Sequence[int] = CELLS,
    model: ModelInfo | None = None,
) -> EmbeddingTable:
    """A table of one row per year and cell, of one resolution: a disk around 10 E 47 N.

    Names and rasters are those of cells that have some; vectors (n, d) by sensor those of all.
    """
    model = model or MODEL
    names = {cell: h3.int_to_str(cell) for cell in cells} | dict(sample_ids or {})
    rng = np.random.default_rng(seed)
    place = [cell for _ in years for cell in cells]
    vectors = rng.normal(size=(len(place), model.dimension)).astype(np.float32)
    n = len(place)
    rows = make_rows(
        h3_cell=np.array(place, np.uint64),
        sample_id=[names[cell] for cell in place],
        start=[datetime(year, 1, 1, tzinfo=UTC) for year in years for _ in cells],
        end=[datetime(year + 1, 1, 1, tzinfo=UTC) for year in years for _ in cells],
        footprint=[boundary(cell) for cell in place],
        embedding=vectors,
        model=model,
        n_hr=[1] * n,
        n_s2=[4] * n,
        n_s1=[2] * n,
        valid_fraction=[1.0] * n,
        cloud_fraction=[0.0] * n,
        source_items=[(source_items or {}).get(cell, ()) for cell in place],
        **{f"embedding_{name}": vectors for name, vectors in (by_sensor or {}).items()},
    )
    return EmbeddingTable.create(path, model, h3_resolution=resolution_of(cells[0])).upsert(rows)


def coarse_table(path: Path) -> EmbeddingTable:
    """The same ground in coarser cells, by another model."""
    coarse = sorted({parent(cell, 8) for cell in CELLS})
    return small_table(path, seed=1, cells=coarse, model=OTHER_MODEL)
