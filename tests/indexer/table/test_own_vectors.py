"""Vectors of one's own, written through the facade and found again."""

from pathlib import Path
from typing import Any

import h3
import numpy as np
import pytest

import skyhex
from indexer.errors import QueryError, TableError

CELLS = sorted(h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 2))
VECTORS = np.random.default_rng(0).normal(size=(len(CELLS), 12))


def test_by_cells_as_text_or_numbers(tmp_path: Path) -> None:
    mine: dict[str, Any] = {"period": 2024, "model": "mine"}
    half = ("2025-01-01", "2025-07-01")
    table = skyhex.write_table(tmp_path / "t", CELLS, VECTORS, **mine)
    assert (table.row_count, table.dimension, table.h3_resolution) == (19, 12, 9)
    assert table.validate() == []
    hits = skyhex.search(table, vector=VECTORS[5], k=3)
    assert hits.to_pandas()["h3_cell"][0] == CELLS[5]
    assert hits.rows["similarity"][0].as_py() == pytest.approx(1, abs=1e-5)
    assert hits.rows["top_share"][0].as_py() == 1 / 19  # it is indexed
    numbers = [int(cell, 16) for cell in CELLS[:4]]
    again = skyhex.write_table(tmp_path / "t", numbers, -VECTORS[:4], **mine)
    assert again.row_count == 19
    assert skyhex.search(again, vector=-VECTORS[2], k=1).to_pandas()["h3_cell"][0] == CELLS[2]
    later = skyhex.write_table(tmp_path / "t", CELLS[:2], VECTORS[:2], model="mine", period=half)
    assert later.row_count == 21
    assert len(skyhex.changes(later, 2024, 2025)) == 2


def test_by_points_of_which_several_share_a_cell(tmp_path: Path) -> None:
    points = np.array([[10.0, 47.0], [10.00001, 47.0], [-70.5, -33.25]])
    table = skyhex.write_table(tmp_path / "t", points, VECTORS[:3], h3_res=8, index=False)
    assert table.row_count == 3
    names = skyhex.sql(table, "SELECT sample_id FROM embeddings")["sample_id"].to_pylist()
    assert sorted(names) == ["-70.500000 -33.250000", "10.000000 47.000000", "10.000010 47.000000"]
    cells = {h3.latlng_to_cell(lat, lon, 8) for lon, lat in points.tolist()}
    assert set(skyhex.search(table, vector=VECTORS[0]).to_pandas()["h3_cell"]) == cells


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    def write(places: object, vectors: object, error: type[Exception], said: str, **words: object) -> None:
        with pytest.raises(error, match=said):
            skyhex.write_table(tmp_path / "t", places, vectors, **words)  # type: ignore[arg-type]

    write(CELLS, VECTORS[:5], TableError, "19 places, 5 vectors")
    write(["here"], VECTORS[:1], QueryError, "not an H3 cell")
    write(np.ones((2, 3)), VECTORS[:2], TableError, "expected H3 cells, or lon and lat")
    write([[190.0, 10.0]], VECTORS[:1], TableError, "expected H3 cells, or lon and lat")
    write(CELLS, "v.npy", TableError, "vectors came as 'v.npy'")
    write(CELLS[:2], np.zeros((2, 12)), TableError, CELLS[0])
    write(CELLS, VECTORS, QueryError, "is not a period", period="soon")
    write(CELLS, VECTORS, TableError, "19 vectors, 1 names", ids=["a"])
    assert not (tmp_path / "t").exists()
    skyhex.write_table(tmp_path / "t", CELLS, VECTORS, index=False)
    write(CELLS, VECTORS, TableError, "vectors of two models", model="another")
