"""Imports of tiny files in the published layouts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.errors import TableError
from indexer.geo.great_circle import METRES_PER_DEGREE
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.table import importers, merge
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.importers import (
    LAYOUTS,
    Columns,
    _geometry,
    _licence,
    _quantisation,
    _ring,
    _vectors,
    import_file,
)

from ...tolerance import gamma, stored

YEAR = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
NAMED = {"model": "somebody/model-1", "licence": "CC-BY-4.0"}
LON, LAT = np.linspace(10, 11, 6), np.linspace(46, 47, 6)


def vectors(n: int = 6, d: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


def boxes(half_deg: float = 0.01) -> list[bytes]:
    return [
        shapely.box(x - half_deg, y - half_deg, x + half_deg, y + half_deg).wkb
        for x, y in zip(LON, LAT, strict=True)
    ]


def points() -> list[bytes]:
    return [shapely.Point(x, y).wkb for x, y in zip(LON, LAT, strict=True)]


def written(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=4)
    return path


def earth_index(path: Path, **changes: Any) -> Path:
    columns = {"id": [f"t{i}" for i in range(6)], "embedding": list(vectors()), "geometry": points()}
    return written(path, columns | changes)


def rows_of(table: EmbeddingTable) -> pa.Table:
    return pa.Table.from_batches(table.scan()).sort_by("sample_id")


def test_earth_index(tmp_path: Path) -> None:
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    done = import_file(earth_index(tmp_path / "a.parquet"), layout, tmp_path / "t", period=YEAR)
    assert (done.rows, done.skipped, done.resumed) == (6, 0, 0)
    rows = rows_of(done.table)
    assert rows["sample_id"].to_pylist() == [f"t{i}" for i in range(6)]
    assert rows["start_datetime"].to_pylist() == [YEAR[0]] * 6
    assert rows["end_datetime"].to_pylist() == [YEAR[1]] * 6
    expected = [h3.str_to_int(h3.latlng_to_cell(y, x, 10)) for x, y in zip(LON, LAT, strict=True)]
    assert rows["h3_cell"].to_pylist() == expected
    unit = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    np.testing.assert_allclose(to_matrix(rows["embedding"]), unit, **stored(unit.shape[1]))
    assert (done.table.model.name, done.table.model.licence) == ("somebody/model-1", "CC-BY-4.0")
    width_deg, height_deg = np.ptp(
        shapely.get_coordinates(shapely.from_wkb(rows["geometry"][0].as_py())), axis=0
    )
    assert height_deg * 111_195 == pytest.approx(320, rel=1e-6)
    assert width_deg * 111_195 * np.cos(np.radians(46)) == pytest.approx(320, rel=1e-3)
    assert done.table.validate() == []
    assert search(done.table, Query((Vector(vectors()[3]),)), k=1).rows["sample_id"].to_pylist() == ["t3"]


SAID = {  # as in the publisher's sample, github.com/cloudnativegeo/geo-embeddings-survey
    "version": "0.0.1",
    "model": {"id": "dinov2_vits14_softcon", "version": "2.0.0", "family": "DinoV2", "name": "SoftCon"},
    "license": "CC-BY-4.0",
    "start_datetime": "2023-01-01T00:00:00Z",
    "end_datetime": "2024-01-01T00:00:00Z",
}


def test_what_earth_index_says_of_itself_need_not_be_said_again(tmp_path: Path) -> None:
    plain = {"id": [f"t{i}" for i in range(6)], "embedding": list(vectors()), "geometry": points()}
    path = written(tmp_path / "a.parquet", plain, {"emb": json.dumps(SAID)})
    table = import_file(path, LAYOUTS["earth-index"], tmp_path / "t").table
    assert (table.model.name, table.model.licence) == ("SoftCon", "CC-BY-4.0")
    rows = rows_of(table)
    assert rows["start_datetime"][0].as_py() == datetime(2023, 1, 1, tzinfo=UTC)
    assert rows["end_datetime"][0].as_py() == datetime(2024, 1, 1, tzinfo=UTC)
    mine = import_file(path, replace(LAYOUTS["earth-index"], **NAMED), tmp_path / "u", period=YEAR).table
    assert mine.model.name == NAMED["model"], "what is given counts more"
    assert rows_of(mine)["start_datetime"][0].as_py() == YEAR[0]


@pytest.mark.parametrize("emb", ["[1]", "no JSON", '{"model": "a name", "license": null}'])
def test_other_emb_metadata_says_nothing(tmp_path: Path, emb: str) -> None:
    plain = {"id": [f"t{i}" for i in range(6)], "embedding": list(vectors()), "geometry": points()}
    path = written(tmp_path / "a.parquet", plain, {"emb": emb})
    with pytest.raises(TableError, match="does not say its model and licence"):
        import_file(path, LAYOUTS["earth-index"], tmp_path / "t", period=YEAR)


def test_clay_1_5(tmp_path: Path) -> None:
    moments = [datetime(2024, 5, 1 + i, 10, 30) for i in range(6)]
    columns = {
        "chips_id": [f"chip-{i}" for i in range(6)],
        "datetime": moments,
        "embedding": list(vectors()),
        "geometry": boxes(),
    }
    path = written(tmp_path / "clay.parquet", columns)
    table = import_file(path, replace(LAYOUTS["clay-1.5"], licence="CC-BY-4.0"), tmp_path / "t").table
    rows = rows_of(table)
    assert table.model.name == "clay-v1.5"
    assert rows["sample_id"].to_pylist() == columns["chips_id"]
    assert rows["start_datetime"].to_pylist() == [
        moment.replace(hour=0, minute=0, tzinfo=UTC) for moment in moments
    ]


def test_memory_is_that_of_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chunk and of a part: the file is several times larger."""
    n, d = 24_000, 64
    monkeypatch.setattr(importers, "CHUNK_ROWS", 500)
    for limit in ("JOINED_BYTES", "MAX_FILE_BYTES"):
        monkeypatch.setattr(merge, limit, 1 << 18)
    lat = np.linspace(-60, 60, n)
    columns = {
        "id": [f"t{i}" for i in range(n)],
        "embedding": list(np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)),
        "geometry": list(shapely.to_wkb(shapely.points(np.full(n, 10.0), lat))),
    }
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=500)
    del columns
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        layout = replace(LAYOUTS["earth-index"], **NAMED)
        done = import_file(path, layout, tmp_path / "t", period=YEAR)
    finally:
        pa.set_memory_pool(usual)
    assert done.rows == n
    assert pool.max_memory() < 4 * n * d * 2 / 3


def test_clay(tmp_path: Path) -> None:
    days = [date(2021, 1, 1 + i) for i in range(6)]
    columns = {
        "source_url": [f"s3://clay-tiles-02/02/32VLM/claytile_{i:04}.tif" for i in range(6)],
        "date": pa.array(days, pa.date32()),
        "embeddings": list(vectors()),
        "geometry": boxes(),
    }
    path = written(tmp_path / "clay.parquet", columns)
    table = import_file(path, LAYOUTS["clay"], tmp_path / "t").table
    assert (table.model.name, table.model.licence) == ("clay-model-v0", "ODC-By-1.0")
    rows = rows_of(table)
    assert rows["sample_id"].to_pylist() == [f"claytile_{i:04}" for i in range(6)]
    assert rows["source_items"][2].as_py() == ["s3://clay-tiles-02/02/32VLM/claytile_0002.tif"]
    assert [moment.date() for moment in rows["start_datetime"].to_pylist()] == days
    assert rows["end_datetime"][0].as_py() == datetime(2021, 1, 2, tzinfo=UTC)
    footprint = shapely.from_wkb(rows["geometry"][0].as_py())
    assert footprint.equals(shapely.from_wkb(boxes()[0]))


def test_major_tom(tmp_path: Path) -> None:
    columns = {
        "unique_id": [f"{i:064x}" for i in range(6)],
        "embedding": list(vectors().astype(np.float64)),
        "timestamp": ["20230119T161811"] * 6,
        "product_id": [f"S2A_{i}" for i in range(6)],
        "grid_cell": ["922D_249L"] * 6,
        "geometry": boxes(),
    }
    path = written(tmp_path / "tom.parquet", columns)
    layout = replace(LAYOUTS["major-tom"], model="DeCUR")
    table = import_file(path, layout, tmp_path / "t").table
    rows = rows_of(table)
    assert table.model.licence == "CC-BY-SA-4.0"
    assert rows["start_datetime"][0].as_py() == datetime(2023, 1, 19, tzinfo=UTC)
    assert rows["source_items"][5].as_py() == ["S2A_5"]


def test_alphaearth_with_columns_of_ones_own(tmp_path: Path) -> None:
    matrix = vectors(d=64)
    columns = {f"A{i:02}": matrix[:, i] for i in range(64)} | {"lon": LON, "lat": LAT, "year": [2019] * 6}
    path = written(tmp_path / "aef.parquet", columns)
    layout = replace(LAYOUTS["alphaearth"], geometry=("lon", "lat"))
    table = import_file(path, layout, tmp_path / "t", h3_resolution=9).table
    rows = rows_of(table)
    assert (table.dimension, table.h3_resolution) == (64, 9)
    places = [f"{x:.6f} {y:.6f}" for x, y in zip(LON, LAT, strict=True)]
    assert rows["sample_id"].to_pylist() == places, "named by place, whatever the order of the file"
    assert (rows["start_datetime"][0].as_py().year, rows["end_datetime"][0].as_py().year) == (2019, 2020)


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "CHUNK_ROWS", 2)
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    path, seen = earth_index(tmp_path / "a.parquet"), []

    def stop_after_two(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(path, layout, tmp_path / "t", period=YEAR, progress=stop_after_two)
    assert seen == [(2, 6), (4, 6)]
    assert EmbeddingTable.open(tmp_path / "t").row_count == 4
    done = import_file(path, layout, tmp_path / "t", period=YEAR)
    assert (done.rows, done.resumed, done.table.row_count) == (2, 4, 6)
    again = import_file(path, layout, tmp_path / "t", period=YEAR)
    assert (again.rows, again.resumed, again.table.snapshot) == (0, 6, done.table.snapshot)


def test_rows_without_a_direction_or_a_place_are_left_out(tmp_path: Path) -> None:
    spoilt = list(vectors())
    spoilt[0], spoilt[1], spoilt[2] = None, np.zeros(5, np.float32), np.full(5, np.nan, np.float32)
    path = earth_index(tmp_path / "a.parquet", embedding=spoilt, geometry=[*points()[:5], None])
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    done = import_file(path, layout, tmp_path / "t", period=YEAR)
    assert (done.rows, done.skipped) == (2, 4)
    assert rows_of(done.table)["sample_id"].to_pylist() == ["t3", "t4"]


def test_a_place_across_the_antimeridian(tmp_path: Path) -> None:
    halves = shapely.MultiPolygon([shapely.box(179.9, 0, 180, 0.1), shapely.box(-180, 0, -179.9, 0.1)])
    path = earth_index(tmp_path / "a.parquet", geometry=[halves.wkb] * 6)
    rows = rows_of(
        import_file(path, replace(LAYOUTS["earth-index"], **NAMED), tmp_path / "t", period=YEAR).table
    )
    lat, lon = h3.cell_to_latlng(h3.int_to_str(rows["h3_cell"][0].as_py()))
    assert abs(lon) == pytest.approx(180, abs=0.01)
    assert lat == pytest.approx(0.05, abs=0.01)
    assert shapely.from_wkb(rows["geometry"][0].as_py()).area == pytest.approx(0.02)


CRS_IN_METRES = {"name": "UTM 32N", "id": {"authority": "EPSG", "code": 32632}}


@pytest.mark.parametrize(
    ("columns", "metadata", "changes", "says"),
    [
        ({}, None, {"vector": ("vector",)}, "has no column vector"),
        ({}, None, {"id": "name"}, "has no column name"),
        ({}, None, {"model": None}, "does not say its model"),
        ({}, None, {"licence": None}, "does not say its licence"),
        ({}, {"geo": json.dumps({"columns": {"geometry": {"crs": CRS_IN_METRES}}})}, {}, "UTM 32N"),
        ({"geometry": [shapely.Point(5e5, 5e6).wkb] * 6}, None, {}, "is not lon/lat degrees"),
        ({"geometry": [1.5] * 6}, None, {}, "expected geometries as WKB"),
        ({"embedding": [np.ones(5, np.int8)] * 6}, None, {}, "floating-point"),
        ({"embedding": [np.ones(5)] * 5 + [np.ones(4)]}, None, {}, "row 5 has a vector of 4"),
        ({"when": ["yesterday"] * 6}, None, {"time": "when"}, "'yesterday'"),
    ],
)
def test_what_cannot_be_imported_is_named(
    tmp_path: Path,
    columns: dict[str, Sequence[Any]],
    metadata: dict[str, str] | None,
    changes: dict[str, Any],
    says: str,
) -> None:
    plain = {"id": [f"t{i}" for i in range(6)], "embedding": list(vectors()), "geometry": points()}
    path = written(tmp_path / "a.parquet", plain | columns, metadata)
    layout = replace(LAYOUTS["earth-index"], **(NAMED | changes))
    with pytest.raises(TableError, match=says):
        import_file(path, layout, tmp_path / "t", period=None if "time" in changes else YEAR)
    assert not EmbeddingTable.exists(tmp_path / "t")


def test_a_period_must_come_from_somewhere(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no column says when"):
        import_file(
            earth_index(tmp_path / "a.parquet"), replace(LAYOUTS["earth-index"], **NAMED), tmp_path / "t"
        )


def test_a_table_holds_one_model(tmp_path: Path) -> None:
    path, layout = earth_index(tmp_path / "a.parquet"), replace(LAYOUTS["earth-index"], **NAMED)
    import_file(path, layout, tmp_path / "t", period=YEAR)
    with pytest.raises(TableError, match="vectors of two models cannot be compared"):
        import_file(path, replace(layout, model="another"), tmp_path / "t", period=YEAR)


def test_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        import_file(path, replace(LAYOUTS["earth-index"], **NAMED), tmp_path / "t", period=YEAR)


def test_points_at_a_pole_and_at_the_antimeridian_have_a_place_and_those_of_nan_none(tmp_path: Path) -> None:
    spots = [(0, 90), (10, -90), (180, 0), (-180, 1), (float("nan"), 0), (0, float("inf"))]
    places = [shapely.to_wkb(shapely.Point(*spot)) for spot in spots]
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    path = earth_index(tmp_path / "a.parquet", geometry=places)
    done = import_file(path, layout, tmp_path / "t", period=YEAR)
    assert (done.rows, done.skipped) == (4, 2)
    assert done.table.validate() == []
    boxes = rows_of(done.table)["bbox"].to_pylist()
    assert (boxes[0]["ymax"], boxes[1]["ymin"]) == (90, -90)


@pytest.mark.parametrize(
    ("said", "scale", "offset"),
    [
        ({}, None, 0.0),
        ({"quantization": "none"}, None, 0.0),
        ({"quantization": {"offset": 3}}, None, 0.0),
        ({"quantization": {"scale": 0.5, "offset": 3}}, 0.5, 3.0),
        ({"emb:quantization": {"scale": [0.5, 0.5]}}, 0.5, 0.0),
        ({"embedding": {"quantization": {"scale": 0.25}}}, 0.25, 0.0),
        ({"embedding": "none"}, None, 0.0),
    ],
)
def test_one_scale_and_offset_of_all_axes(
    said: dict[str, object], scale: float | None, offset: float
) -> None:
    assert _quantisation(said) == (scale, offset)


@pytest.mark.parametrize("told", [{"scale": [0.5, 0.6]}, {"scale": 0.5, "offset": [0, 1]}])
def test_a_scale_for_each_axis_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(TableError, match="a scale for each axis"):
        _quantisation({"quantization": told})


def test_signed_squares_go_both_ways_from_zero_and_a_masked_row_is_none() -> None:
    codes = np.arange(-127, 128).reshape(-1, 3)
    rows = pa.array([*codes.tolist(), [-128, 5, 5]], pa.list_(pa.int8(), 3))
    layout = replace(LAYOUTS["alphaearth"], vector=("embedding",))
    vectors = _vectors(pa.record_batch({"embedding": rows}), layout, 3, 0)
    want = np.sign(codes) * (codes / 127.5) ** 2
    np.testing.assert_allclose(vectors[:-1], want, rtol=gamma(4))  # a division, a square, a product
    assert np.isnan(vectors[-1]).all()


def test_what_is_known_of_each_published_layout() -> None:
    """Sides in metres and resolutions: as docs/embedding_table.md tells them."""
    known = {
        name: (len(layout.vector), layout.patch_m, layout.h3_resolution, layout.model, layout.licence)
        for name, layout in LAYOUTS.items()
    }
    assert known == {
        "earth-index": (1, 320, 10, None, None),
        "clay": (1, 5120, 8, "clay-model-v0", "ODC-By-1.0"),
        "clay-1.5": (1, 2560, 8, "clay-v1.5", None),
        "major-tom": (1, 2240, 8, None, "CC-BY-SA-4.0"),
        "alphaearth": (64, 10, 13, "alphaearth-foundations-v1", "CC-BY-4.0"),
    }
    assert LAYOUTS["alphaearth"].vector[::63] == ("A00", "A63")
    assert [name for name, layout in LAYOUTS.items() if layout.signed_squares] == ["alphaearth"]


@pytest.mark.parametrize(("lat", "stretch"), [(0.0, 1.0), (60.0, 2.0), (90.0, 100.0), (89.9, 100.0)])
def test_a_point_stands_for_a_square_of_metres(lat: float, stretch: float) -> None:
    west, south, east, north = shapely.Polygon(_ring(shapely.Point(10, lat), 111_195.0)).bounds
    half = 0.5 * 111_195.0 / METRES_PER_DEGREE
    assert (east + west) / 2 == pytest.approx(10)
    assert (east - west) / 2 == pytest.approx(half * stretch)
    assert (south, north) == pytest.approx((lat - half, min(lat + half, 90)))


def test_several_parts_are_their_hull_and_a_line_its_middle() -> None:
    parts = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(3, 0, 4, 1)])
    assert shapely.Polygon(_ring(parts, 10.0)).equals(shapely.box(0, 0, 4, 1))
    line = shapely.LineString([(0, 0), (2, 0)])
    assert shapely.Polygon(_ring(line, 10.0)).centroid.coords[0] == pytest.approx((1, 0), abs=1e-9)


@pytest.mark.parametrize(
    ("given", "of_file", "kept"),
    [
        (None, None, None),
        (None, "MIT", "MIT"),
        ("MIT", "", "MIT"),
        ("MIT", 7, "MIT"),
        ("CC-BY-4.0", "MIT", "MIT"),  # what a layout knows of old is the file's to say
        ("Apache-2.0", "MIT", "Apache-2.0 AND MIT"),
    ],
)
def test_of_two_licences_that_people_say_both_hold(
    given: str | None, of_file: object, kept: str | None
) -> None:
    assert _licence(given, of_file) == kept


@pytest.mark.parametrize(
    ("asked", "names", "read"),
    [
        (("geometry",), ["id", "geometry", "lon", "lat"], ("geometry",)),
        (("geometry",), ["id", "lon", "lat"], ("lon", "lat")),
        (("geometry",), ["id", "lon", ".geo"], (".geo",)),
        (("geometry",), ["longitude", "latitude"], ("longitude", "latitude")),
        (("geometry",), ["centre_lat", "centre_lon"], ("centre_lon", "centre_lat")),
        (("geometry",), ["lat"], ("geometry",)),
        (("mine",), ["lon", "lat"], ("mine",)),
    ],
)
def test_where_the_places_of_an_export_are(asked: Columns, names: list[str], read: Columns) -> None:
    assert _geometry(asked, names) == read


def test_patches_a_metre_apart_are_one_and_further_ones_are_not(tmp_path: Path) -> None:
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    near, far = shapely.Point(10 + 0.4e-5, 46), shapely.Point(10 + 1.2e-5, 46)
    there = {"id": ["a"], "embedding": list(vectors(1)), "geometry": [shapely.Point(10, 46).wkb]}
    import_file(written(tmp_path / "a.parquet", there), layout, tmp_path / "t", period=YEAR)
    more = {"id": ["b", "c"], "embedding": list(vectors(2)), "geometry": [near.wkb, far.wkb]}
    done = import_file(written(tmp_path / "b.parquet", more), layout, tmp_path / "t", period=YEAR)
    assert (done.rows, done.repeated) == (1, 1)
    assert rows_of(done.table)["sample_id"].to_pylist() == ["a", "c"]


def test_rows_that_cannot_be_found_are_counted_beside_those_that_are_there(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    nothing = vectors()
    nothing[2] = 0
    path = earth_index(tmp_path / "a.parquet", embedding=list(nothing))
    layout = replace(LAYOUTS["earth-index"], **NAMED)
    done = import_file(
        path, layout, tmp_path / "t", period=YEAR, progress=lambda rows, of: calls.append((rows, of))
    )
    assert (done.rows, done.skipped, done.resumed, done.repeated) == (5, 1, 0, 0)
    assert calls[-1] == (6, 6)
    assert done.table.model.trained
    assert done.table.values == "float16"
    made = rows_of(done.table)
    assert set(made["n_hr"].to_pylist() + made["n_s2"].to_pylist() + made["n_s1"].to_pylist()) == {0}
    again = import_file(path, layout, tmp_path / "t", period=YEAR)
    assert (again.rows, again.skipped, again.resumed) == (0, 0, 6)
