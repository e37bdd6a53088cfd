"""Footprints are drawn where they are larger than hexagons."""

from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.geo.cells import areas_km2
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows
from search_app.page import footprints
from search_app.page.background import Extent
from search_app.page.cached import read_cells
from search_app.page.footprints import footprint_km2, pack_footprints

from ..make_table import MODEL, small_table
from .test_map_bytes import unpack

PLACES = [(10 + 0.1 * i, 47.0) for i in range(6)]
HALF_DEG = 0.003  # of a chip's side


def chip(lon: float, lat: float) -> tuple[tuple[float, float], ...]:
    west, south, east, north = lon - HALF_DEG, lat - HALF_DEG, lon + HALF_DEG, lat + HALF_DEG
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


@pytest.fixture
def chips(tmp_path: Path) -> EmbeddingTable:
    """Chips of half a kilometre in cells of 22 metres, as they are embedded."""
    n = len(PLACES)
    rows = make_rows(
        h3_cell=np.array([h3.str_to_int(h3.latlng_to_cell(lat, lon, 12)) for lon, lat in PLACES], np.uint64),
        sample_id=[f"chip {i}" for i in range(n)],
        start=[datetime(2021, 1, 1, tzinfo=UTC)] * n,
        end=[datetime(2022, 1, 1, tzinfo=UTC)] * n,
        footprint=[chip(*place) for place in PLACES],
        embedding=np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32),
        model=MODEL,
        n_hr=[1] * n,
        n_s2=[0] * n,
        n_s1=[0] * n,
        valid_fraction=[1.0] * n,
        cloud_fraction=[0.0] * n,
        source_items=[[] for _ in range(n)],
    )
    return EmbeddingTable.create(tmp_path / "chips", MODEL, h3_resolution=12).upsert(rows)


def test_chips_are_drawn_where_larger_than_their_cells(
    chips: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side_km = 2 * HALF_DEG * 111.32
    expected = side_km**2 * np.cos(np.radians(47))
    assert footprint_km2(chips, read_cells(chips)) == pytest.approx(expected, rel=1e-6)
    beside = small_table(tmp_path / "beside")  # each other, where footprints would hide each other
    assert footprint_km2(beside, read_cells(beside)) == 0
    monkeypatch.setattr(footprints, "LARGER", expected / areas_km2(read_cells(chips).cell).max() * 1.01)
    assert footprint_km2(chips, read_cells(chips)) == 0


def test_rings_come_with_their_cells(chips: EmbeddingTable) -> None:
    cells = read_cells(chips)
    _, arrays = unpack(pack_footprints(chips, cells, Extent(10.05, 46.9, 10.35, 47.1)))
    assert len(arrays["node"]) == 3
    first, lonlat = arrays["first"], arrays["lonlat"].reshape(-1, 2)
    for node, start, stop in zip(arrays["node"].tolist(), first[:-1], first[1:], strict=True):
        lat, lon = h3.cell_to_latlng(h3.int_to_str(int(cells.cell[node])))
        ring = lonlat[start:stop]
        assert len(ring) == 5
        assert ring.min(axis=0).tolist() < [lon, lat] < ring.max(axis=0).tolist()


def test_too_many_are_not_sent(chips: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprints, "MOST", 2)
    _, arrays = unpack(pack_footprints(chips, read_cells(chips), Extent(9, 46, 11, 48)))
    assert len(arrays["node"]) == 0
    assert arrays["first"].tolist() == [0]
