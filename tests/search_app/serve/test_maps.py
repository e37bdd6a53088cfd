"""Features and tiles, as GDAL reads them."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
import urllib3

from indexer.geo import cells
from indexer.table.embedding_table import EmbeddingTable
from search_app.serve import tiles
from search_app.serve.mvt import EXTENT, encode_tile

from ...indexer.small_tables import whole

POOL = urllib3.PoolManager(retries=False)


def get(address: str, path: str) -> dict[str, object]:
    answer = POOL.request("GET", f"{address}{path}")
    assert answer.status == 200, answer.data
    found: dict[str, object] = json.loads(answer.data)
    return found


def test_gdal_pages_through_all_features(table: EmbeddingTable, address: str) -> None:
    _, rows = pyogrio.raw.read_arrow(f"OAPIF:{address}", PAGE_SIZE="250")
    expected = whole(table)
    assert rows.num_rows == table.row_count
    assert rows["h3_cell"].to_pylist() == [f"{cell:x}" for cell in expected["h3_cell"].to_pylist()]
    assert len(set(rows["id"].to_pylist())) == table.row_count
    requests = POOL.request("GET", f"{address}/metrics").data.decode()
    assert 'route="/collections/{name}/items",status="200"' in requests


def test_boxes_times_and_single_features(table: EmbeddingTable, address: str) -> None:
    path = "/collections/table/items"
    rows = whole(table)
    lon, lat = cells.centres(rows["h3_cell"].to_numpy())
    inside = (lon >= 5.5) & (lon <= 7) & (lat >= 45.5) & (lat <= 47)
    found = get(address, f"{path}?bbox=5.5,45.5,7,47&limit=10000")
    assert found["numberMatched"] == found["numberReturned"] == np.count_nonzero(inside)
    year = get(address, f"{path}?datetime=2023-01-01/2023-12-31&limit=1")
    assert year["numberMatched"] == table.row_count // 2
    first = year["features"][0]  # type: ignore[index]
    assert get(address, f"{path}/{first['id']}") == first
    assert POOL.request("GET", f"{address}{path}?limit=100000").status == 400
    assert POOL.request("GET", f"{address}{path}?bbox=a,b").status == 400
    assert POOL.request("GET", f"{address}/collections/other/items").status == 404
    links = {link["rel"]: link["href"] for link in get(address, f"{path}?limit=700")["links"]}  # type: ignore
    assert "snapshot=" in links["next"]
    assert len(json.loads(POOL.request("GET", links["next"]).data)["features"]) == table.row_count - 700


@pytest.mark.parametrize("zoom", [2, 6, 11])
def test_gdal_reads_tiles(table: EmbeddingTable, tmp_path: Path, zoom: int) -> None:
    h3_cell = np.unique(whole(table)["h3_cell"].to_numpy())
    lon, lat = cells.centres(h3_cell)
    across, down = tiles.in_tile(lon[:1], lat[:1], zoom, 0, 0)
    x, y = int(across[0]), int(down[0])
    file = tmp_path / f"{y}.mvt"
    file.write_bytes(tiles.tile(table, zoom, x, y))
    read = pyogrio.raw.read(file, X=str(x), Y=str(y), Z=str(zoom), CLIP="NO")
    (meta, _, geometry, columns) = read
    resolution = tiles.resolution_at(zoom, table.h3_resolution)
    values = dict(zip(meta["fields"], columns, strict=True))
    parents = cells.parents(h3_cell, resolution)
    inside = np.all([(v >= 0) & (v < 1) for v in tiles.in_tile(*cells.centres(parents), zoom, x, y)], axis=0)
    expected = {f"{cell:x}" for cell in parents[inside].tolist()}
    assert expected <= set(values["cell"].tolist())
    rows = {f"{c:x}": 2 * int(n) for c, n in zip(*np.unique(parents, return_counts=True), strict=True)}
    assert {
        cell: int(n) for cell, n in zip(values["cell"], values["rows"], strict=True)
    }.items() <= rows.items()
    shapes = shapely.from_wkb(geometry)
    assert shapely.is_valid(shapes).all()
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    at = dict(zip(values["cell"].tolist(), centre, strict=True))
    pixel_m = tiles.EARTH_M / (tiles.TILE_PX * 2**zoom)
    for cell in expected:
        lon_deg, lat_deg = cells.centres(np.array([int(cell, 16)], np.uint64))
        there = tiles.in_tile(lon_deg, lat_deg, 0, 0, 0)
        metres = [(there[0][0] - 0.5) * tiles.EARTH_M, (0.5 - there[1][0]) * tiles.EARTH_M]
        edge_m = tiles.EDGE_M[resolution] / np.cos(np.radians(lat_deg[0]))
        assert np.abs(np.array(metres) - at[cell]).max() < pixel_m + 0.1 * edge_m


def test_hexagons_on_the_antimeridian_are_in_the_tiles_of_both_sides() -> None:
    cell = cells.cells_at(np.array([179.999]), np.array([10.0]), 5)
    lon, _ = cells.centres(cell)
    for x, side in ((2**6 - 1, 1), (0, -1)):
        corners, counts = tiles.rings(
            cell, lon, 6, x, int(tiles.in_tile(lon, np.array([10.0]), 6, 0, 0)[1][0])
        )
        assert counts.tolist() == [6]
        assert np.ptp(corners[:, 0]) < EXTENT / 4
        edge = EXTENT if side > 0 else 0
        assert np.abs(corners[:, 0] - edge).max() < EXTENT / 4


def test_numbers_of_all_sizes_are_encoded(tmp_path: Path) -> None:
    ring = np.array([[0, 0], [4096, 0], [4096, 4096], [-70_000, 4096]])
    file = tmp_path / "0.mvt"
    file.write_bytes(encode_tile("cells", ring, np.array([4]), ["a"], [2**33]))
    meta, _, (shape,), columns = pyogrio.raw.read(file, X="0", Y="0", Z="0", CLIP="NO")
    values = dict(zip(meta["fields"], columns, strict=True))
    assert (values["cell"].tolist(), values["rows"].tolist()) == (["a"], [2**33])
    assert shapely.get_num_coordinates(shapely.from_wkb(shape)) == 5
    assert encode_tile("cells", ring[:0], np.array([], np.int64), [], []) == b""
