"""How prototypes moved: cosines by hand, and which fit is the earlier one."""

from pathlib import Path

import numpy as np
import pytest

from indexer.errors import TableError
from indexer.prototypes.drift import drift, drift_of, earlier_fit
from indexer.prototypes.regional import Prototypes, fit_prototypes, read_prototypes
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error
from ..random_rows import random_cells
from ..small_tables import place_rows, place_table


def prototypes(regions: list[int], vectors: list[list[float]]) -> Prototypes:
    n = len(regions)
    return Prototypes(
        np.array(regions, np.uint64),
        np.arange(n, dtype=np.int32),
        np.array(vectors, np.float32),
        np.ones(n, np.int64),
        3,
    )


def test_each_later_prototype_is_compared_with_the_earlier_one_most_like_it() -> None:
    before = prototypes([1, 1, 2, 3], [[1, 0], [0, 1], [1, 0], [1, 0]])
    after = prototypes([1, 1, 1, 2, 4], [[1, 0], [0.6, 0.8], [0, -1], [-1, 0], [1, 0]])
    assert drift(before, after).to_pylist() == [
        {"region_cell": 2, "prototypes": 1, "mean_cosine": -1.0, "least_cosine": -1.0},
        {"region_cell": 1, "prototypes": 3, "mean_cosine": pytest.approx(0.6), "least_cosine": 0.0},
    ]
    assert drift(before, prototypes([9], [[1, 0]])).num_rows == 0


def test_drift_is_none_to_itself_and_some_to_another_fit(tmp_path: Path) -> None:
    found = []
    for seed in (0, 5):
        fit_prototypes(place_table(tmp_path / str(seed), n=400, seed=seed), region_resolution=3, per_region=6)
        found.append(read_prototypes(EmbeddingTable.open(tmp_path / str(seed))))
    np.testing.assert_allclose(
        drift(found[0], found[0])["mean_cosine"].to_numpy(), 1, rtol=0, atol=cosine_error(8)
    )
    moved = drift(*found)
    assert len(moved) > 0
    assert (moved["mean_cosine"].to_numpy() < 0.999).all()


def test_the_earlier_fit_is_the_newest_kept_one_that_differs(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=100)  # snapshots 1 and 2
    assert earlier_fit(table) is None
    first = fit_prototypes(table, region_resolution=2, per_region=3).snapshot
    opened = EmbeddingTable.open(tmp_path)
    assert earlier_fit(opened) is None
    opened = opened.upsert(place_rows(random_cells(5, seed=8)))
    assert earlier_fit(opened) is None, "rows that came do not make another fit"
    second = fit_prototypes(opened, region_resolution=2, per_region=3, seed=1).snapshot
    opened = EmbeddingTable.open(tmp_path)
    older = earlier_fit(opened)
    assert older is not None
    assert (first, older.snapshot, second) == (3, 4, 5)
    moved = drift_of(older, opened)
    assert moved.equals(drift(read_prototypes(EmbeddingTable.open(tmp_path, first)), read_prototypes(opened)))
    assert len(moved) > 0
    with pytest.raises(TableError, match="no prototypes yet"):
        drift_of(EmbeddingTable.open(tmp_path, 2), opened)
