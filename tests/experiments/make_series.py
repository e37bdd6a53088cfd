"""A tiny file of labelled pixel series, for tests."""

import datetime
import json
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.modality import S2

DATES = [datetime.date(2021, month, 15) for month in (4, 5, 6, 7, 8, 9)]
GREEN = (300, 600, 400, 900, 2400, 2900, 3000, 3100, 1600, 800)  # vegetation at the surface, the ten bands
BARE = (900, 1200, 1600, 1900, 2100, 2200, 2300, 2400, 3000, 2600)


def write_series(path: Path, n: int = 60, bands: tuple[str, ...] = S2.bands, **changes: Any) -> Path:
    """n places in 12 far blocks, half of them green and half bare, every third block in the test split.

    Args:
        bands: of the file.
        changes: columns to replace; None drops one.
    """
    rng = np.random.default_rng(0)
    kind, block = np.arange(n) % 2, (np.arange(n) // 2) % 12
    lon, lat = 5.0 + block + rng.uniform(0, 0.01, n), 45.0 + rng.uniform(0, 0.01, n)
    level = np.where(kind[:, None] == 0, GREEN, BARE)[:, [S2.bands.index(band) for band in bands]]
    s2 = level[:, None, :] * rng.uniform(0.8, 1.2, (n, len(DATES), 1)) + rng.normal(
        0, 20, (n, len(DATES), len(bands))
    )
    s1 = np.where(kind[:, None, None] == 0, -14, -9) + rng.normal(0, 1, (n, len(DATES), 2)) - np.array([0, 6])
    columns = {
        "id": [f"p{i}" for i in range(n)],
        "lon": lon,
        "lat": lat,
        "label": ["green" if k == 0 else "bare" for k in kind],
        "dates": [DATES] * n,
        "block": [h3.latlng_to_cell(45.005, 5.005 + b, 4) for b in block],
        "split": ["test" if b % 3 == 0 else "train" for b in block],
        "s2": s2.round().astype(np.uint16).tolist(),
        "s1": s1.astype(np.float32).tolist(),
    } | changes
    types = {
        "dates": pa.list_(pa.date32()),
        "s2": pa.list_(pa.list_(pa.uint16())),
        "s1": pa.list_(pa.list_(pa.float32())),
    }
    table = pa.table({k: pa.array(v, types.get(k)) for k, v in columns.items() if v is not None})
    meta = {"s2_bands": json.dumps(list(bands)), "s1_bands": json.dumps(["VV", "VH"])}
    pq.write_table(table.replace_schema_metadata(meta), path)
    return path
