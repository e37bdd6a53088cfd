"""What is lost is counted as it is said to be."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from benchmarks import storage

from ..indexer.close_clouds import close_cloud


def published(path: Path, vectors: np.ndarray) -> Path:
    """A file in Clay's layout."""
    n = len(vectors)
    columns = {
        "embeddings": list(vectors.astype(np.float32)),
        "geometry": [shapely.box(x, 45, x + 0.01, 45.01).wkb for x in np.linspace(150, -20, n)],
        "source_url": [f"s3://a/{i}.tif" for i in range(n)],
        "date": pa.array([18_000] * n, pa.date32()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_float16_loses_neighbours_of_a_close_cloud_and_float32_none(tmp_path: Path) -> None:
    file = published(tmp_path / "a.parquet", close_cloud(200))
    out = tmp_path / "out.json"
    storage.main([f"clay:{file}", "-o", str(out)])
    half, single, products = json.loads(out.read_text())["results"]
    assert [one["kept_as"] for one in (half, single, products)] == [
        "float16",
        "float32",
        "float16, inner products",
    ]
    assert (half["rows"], half["dimensions"]) == (200, 96)
    assert products["first"] < half["first"] < 1
    assert products["recall_at_10"] < half["recall_at_10"] < 1
    assert single["largest_error"] < 96 * 2.0**-24 < half["largest_error"] < products["largest_error"]
    assert single["first"] == 1


def test_shares_by_hand() -> None:
    truth = np.array([[1, 0.9, 0.5, 0.1], [0.9, 1, 0.2, 0.2], [0.5, 0.2, 1, 0], [0.1, 0.2, 0, 1]])
    swapped = truth.copy()
    swapped[0, 1], swapped[0, 2] = 0.4, 0.6
    first, recall = storage._shares(truth, swapped)
    assert first == pytest.approx(3 / 4)
    assert recall == 1, "of three others all are among ten"
    tied = truth.copy()
    tied[1, 2], tied[1, 3] = 0.3, 0.1
    assert storage._shares(truth, tied)[0] == 1
