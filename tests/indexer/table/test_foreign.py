"""Forms in which others publish vectors, places, times and ids; each as a tiny file."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import skyhex
from indexer.errors import TableError
from indexer.geo import cells
from indexer.table import foreign
from indexer.table.columns import to_matrix
from indexer.table.importers import LAYOUTS, Imported, Layout, import_file

from ...tolerance import stored

N, D = 6, 8
VECTORS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LON = 10.0 + np.arange(N)
POINTS = [shapely.Point(x, 45).wkb for x in LON]
YEAR = (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
LAYOUT = replace(LAYOUTS["earth-index"], model="m", licence="MIT")
WGS84 = {  # PROJJSON without an identifier, as GeoPandas writes a CRS that was made by hand
    "type": "GeographicCRS",
    "name": "WGS 84 (CRS84)",
    "datum": {"name": "World Geodetic System 1984"},
    "coordinate_system": {"subtype": "ellipsoidal", "axis": []},
}


def lists(vectors: np.ndarray) -> pa.Array:
    return pa.array(vectors.tolist(), pa.list_(pa.float32()))


def columns(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": [f"p{i}" for i in range(N)],
        "embedding": pa.array(VECTORS.tolist(), pa.list_(pa.float32())),
    }
    return {**plain, "geometry": POINTS, **changes}


def geo(crs: Any = None, encoding: str = "WKB") -> dict[str, str]:
    column = {"encoding": encoding, "geometry_types": [], **({} if crs is None else {"crs": crs})}
    return {
        "geo": json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})
    }


def imported(
    folder: Path,
    given: dict[str, Any],
    metadata: dict[str, str] | None = None,
    layout: Layout = LAYOUT,
    period: Any = YEAR,
) -> Imported:
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table(given).replace_schema_metadata(metadata), path)
    return import_file(path, layout, folder / "table", period=period)


def rows_of(done: Imported) -> pa.Table:
    return pa.Table.from_batches(done.table.scan()).sort_by("sample_id")


def test_a_tensor_of_a_fixed_shape(tmp_path: Path) -> None:
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS)
    matrix = to_matrix(rows_of(imported(tmp_path, columns(embedding=tensor)))["embedding"])
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    np.testing.assert_allclose(matrix, unit, **stored(D))


@pytest.mark.parametrize(
    "crs",
    ["EPSG:4326", "OGC:CRS84", WGS84, {**WGS84, "id": {"code": 4326}}, {**WGS84, "id": {"code": None}}],
    ids=str,
)
def test_longitude_and_latitude_in_other_words(tmp_path: Path, crs: Any) -> None:
    assert imported(tmp_path, columns(), geo(crs)).rows == N


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:3857",
        {"type": "ProjectedCRS", "name": "WGS 84 / UTM zone 32N"},
        {**WGS84, "id": {"code": 4269}},  # the code decides, not the name
    ],
    ids=str,
)
def test_metres_are_refused_unless_the_file_is_known_to_be_wrong(tmp_path: Path, crs: Any) -> None:
    with pytest.raises(TableError, match="expected lon/lat"):
        imported(tmp_path, columns(), geo(crs))
    right = replace(LAYOUT, crs="EPSG:4326")
    assert imported(tmp_path, columns(), geo(crs), right).rows == N


def test_a_geometry_column_says_its_crs_in_its_type(tmp_path: Path) -> None:
    """A UTM grid in a native GEOMETRY column without `geo` was read as degrees."""
    path = tmp_path / "native.parquet"
    utm = '{"type":"ProjectedCRS","name":"WGS 84 / UTM zone 32N","id":{"authority":"EPSG","code":32632}}'
    for crs, kept in (("OGC:CRS84", True), (utm, False)):
        row = (
            f"SELECT 'a' AS id, [1.0, 2.5]::FLOAT[] AS embedding, 'POINT(8 9)'::GEOMETRY('{crs}') AS geometry"
        )
        duckdb.sql(f"COPY ({row}) TO '{path}' (FORMAT parquet, GEOPARQUET_VERSION 'NONE')")
        assert b"geo" not in (pq.ParquetFile(path).schema_arrow.metadata or {})
        if kept:
            assert import_file(path, LAYOUT, tmp_path / "t", period=YEAR).rows == 1
        else:
            with pytest.raises(TableError, match="UTM zone 32N"):
                import_file(path, LAYOUT, tmp_path / "t", period=YEAR)


def test_places_in_every_form_are_the_same_places(tmp_path: Path) -> None:
    squares = [shapely.box(x, 45, x + 0.01, 45.01) for x in LON]
    rings = [[[list(corner) for corner in square.exterior.coords]] for square in squares]
    pairs = pa.list_(pa.list_(pa.list_(pa.float64(), 2)))
    xy = pa.list_(pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())])))
    structs = [[[{"x": x, "y": y} for x, y in ring] for ring in one] for one in rings]
    forms: dict[str, Any] = {
        "wkb": [square.wkb for square in squares],
        "geojson": [shapely.to_geojson(square) for square in squares],
        "wkt": [square.wkt for square in squares],
        "geoarrow pairs": pa.array(rings, pairs),
        "geoarrow structs": pa.array(structs, xy),
        "multipolygons": pa.array([[one] for one in rings], pa.list_(pairs)),
    }
    for form, places in forms.items():
        batch = pa.record_batch({"place": places})
        found = foreign.places_of(batch, ["place"])
        assert shapely.equals(found, squares).all(), form
    points = pa.array([{"x": x, "y": 45.0} for x in LON])
    assert imported(tmp_path, columns(geometry=points), geo(encoding="point")).rows == N
    assert (
        rows_of(imported(tmp_path, columns(geometry=POINTS)))["h3_cell"].to_pylist()
        == cells.cells_at(LON, [45.0] * N, 10).tolist()
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_cells_instead_of_places(tmp_path: Path, as_text: bool) -> None:
    ids = cells.cells_at(LON, [45.0] * N, 9)
    given = cells.cells_to_text(ids) if as_text else pa.array(ids)
    layout = replace(LAYOUT, geometry=("hexagon",), h3_resolution=9)
    plain = columns(hexagon=given)
    del plain["geometry"]
    rows = rows_of(imported(tmp_path, plain, layout=layout))
    assert rows["h3_cell"].to_pylist() == ids.tolist()
    hexagons = shapely.from_wkb(rows["geometry"].to_pylist())
    assert (shapely.get_num_coordinates(hexagons) == 7).all()


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        (1_674_145_091, (2023, 1, 19), (2023, 1, 20)),
        (1_674_145_091_000, (2023, 1, 19), (2023, 1, 20)),
        (1_674_145_091_000_000_000, (2023, 1, 19), (2023, 1, 20)),
        (2023, (2023, 1, 1), (2024, 1, 1)),
        ("2023", (2023, 1, 1), (2024, 1, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        (202402, (2024, 2, 1), (2024, 3, 1)),
        (20240229, (2024, 2, 29), (2024, 3, 1)),
        ("20230119T161811", (2023, 1, 19), (2023, 1, 20)),
        ("2023-01-19T23:30:00-02:00", (2023, 1, 20), (2023, 1, 21)),
    ],
)
def test_times_in_every_spelling(
    value: object, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    assert foreign.period_of(value, "t") == (datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))


@pytest.mark.parametrize("value", [7, "soon", None, 1.5, True, "2024-13"])
def test_what_is_no_time_is_named(value: object) -> None:
    with pytest.raises(TableError, match=r"t is .*expected a year"):
        foreign.period_of(value, "t")


def test_zero_is_an_id_and_null_is_named_by_place(tmp_path: Path) -> None:
    ids = pa.array([0, 1, 2, 3, 4, None])
    assert rows_of(imported(tmp_path, columns(id=ids)))["sample_id"].to_pylist() == [
        "0", "1", "15.000000 45.000000", "2", "3", "4",
    ]  # fmt: skip


def test_names_by_place_do_not_depend_on_order(tmp_path: Path) -> None:
    layout, back = replace(LAYOUT, id=None), slice(None, None, -1)
    given = {"embedding": lists(VECTORS), "geometry": POINTS}
    turned = {"embedding": lists(VECTORS[back]), "geometry": POINTS[back]}
    first = rows_of(imported(tmp_path, given, layout=layout))
    assert rows_of(imported(tmp_path, turned, layout=layout)).equals(first)


def test_codes_are_told_from_vectors(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 256, (60, D)).astype(np.float32)
    places = [shapely.Point(x, 45).wkb for x in np.linspace(0, 50, 60)]
    given = {"id": [f"c{i}" for i in range(60)], "embedding": list(codes), "geometry": places}
    with pytest.raises(TableError, match="codes of quantised values"):
        imported(tmp_path, given)
    values = (codes - 128) / 100
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    said = {"emb": json.dumps({"quantization": {"method": "linear", "scale": [0.01], "offset": [-1.28]}})}
    for layout, metadata in ((replace(LAYOUT, scale=0.01, offset=-1.28), None), (LAYOUT, said)):
        matrix = to_matrix(rows_of(imported(tmp_path, given, metadata, layout))["embedding"])
        order = sorted(range(60), key=lambda i: f"c{i}")
        np.testing.assert_allclose(matrix, unit[order], **stored(D))


def test_a_version_is_another_model(tmp_path: Path) -> None:
    def said(version: str) -> dict[str, str]:
        return {"emb": json.dumps({"model": {"name": "m", "id": "m-b", "version": version}})}

    layout = replace(LAYOUT, model=None)
    assert imported(tmp_path, columns(), said("1.0"), layout).table.model.config["version"] == "1.0"
    with pytest.raises(TableError, match="two models cannot be compared"):
        imported(tmp_path, columns(), said("1.5"), layout)


def test_one_patch_of_two_tiles_is_one_row(tmp_path: Path) -> None:
    assert imported(tmp_path, columns()).repeated == 0
    again = imported(tmp_path, columns(id=[f"other {i}" for i in range(N)]))
    assert (again.rows, again.repeated, again.table.row_count) == (0, N, N)
    later = imported(tmp_path, columns(), period=(YEAR[1], datetime(2025, 1, 1, tzinfo=UTC)))
    assert later.table.row_count == 2 * N


def test_the_last_import_has_the_last_word(tmp_path: Path) -> None:
    mine = rows_of(imported(tmp_path, columns()))
    assert not rows_of(imported(tmp_path, columns(embedding=lists(-VECTORS)))).equals(mine)
    assert rows_of(imported(tmp_path, columns())).equals(mine)
    again = imported(tmp_path, columns())
    assert (again.rows, again.resumed) == (0, N), "nothing came between"


def test_columns_that_nobody_knows_are_searched_by_where(tmp_path: Path) -> None:
    more = {
        "crop": pa.array(["rye", "oat"] * 3).dictionary_encode(),
        "height": np.arange(N, dtype=np.float32),
    }
    done = imported(tmp_path, columns(**more, nested=[[1]] * N))
    hits = skyhex.search(done.table, vector=VECTORS[0], where="crop = 'rye' AND height > 1").rows
    assert sorted(hits["sample_id"].to_pylist()) == ["p2", "p4"]


def test_a_place_in_a_patch_finds_the_patch(tmp_path: Path) -> None:
    squares = [shapely.box(x, 45, x + 0.05, 45.05).wkb for x in (10.0, 10.04)]  # they overlap
    given = {"id": ["west", "east"], "embedding": list(VECTORS[:2]), "geometry": squares}
    table = imported(tmp_path, given).table
    rng = np.random.default_rng(2)
    for lon, lat in zip(rng.uniform(10, 10.09, 60), rng.uniform(45, 45.05, 60), strict=True):
        best = "west" if lon < 10.045 else "east"
        (hit,) = (
            skyhex.search(table, lonlat=(lon, lat), k=1, include_query=True).rows["sample_id"].to_pylist()
        )
        assert hit == best, (lon, lat)


def test_whole_numbers_of_eight_bits_that_fill_a_vector_are_codes() -> None:
    eight = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    assert foreign.are_codes(eight)
    assert not foreign.are_codes(eight[:7])  # too few to tell
    assert not foreign.are_codes(np.minimum(eight, 6))
    nothing = np.full((1, 8), np.nan, np.float32)
    assert foreign.are_codes(np.concatenate([eight, nothing]))
    for value, are in ((-128, True), (255, True), (-129, False), (256, False), (0.5, False)):
        other = eight.copy()
        other[3, 3] = value
        assert foreign.are_codes(other) is are


def test_a_vector_of_another_length_is_named_by_its_row() -> None:
    rows = pa.array([[1.0, 2.0], None, [3.0, None], [4.0]], pa.list_(pa.float32()))
    read = foreign.matrix_of(rows.slice(0, 3), 2, 100)
    np.testing.assert_array_equal(read, [[1, 2], [np.nan, np.nan], [3, np.nan]])
    with pytest.raises(TableError, match="row 103 has a vector of 1, those before it 2"):
        foreign.matrix_of(rows, 2, 100)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (10**8, datetime(1973, 3, 3, tzinfo=UTC)),
        (10**11 - 1, datetime(5138, 11, 16, tzinfo=UTC)),
        (10**11, datetime(1973, 3, 3, tzinfo=UTC)),
        (10**14, datetime(1973, 3, 3, tzinfo=UTC)),
        (10**17, datetime(1973, 3, 3, tzinfo=UTC)),
        (-(10**17), datetime(1966, 10, 31, tzinfo=UTC)),
        (10**17 - 1, datetime(5138, 11, 16, tzinfo=UTC)),
    ],
)
def test_a_numbers_size_says_in_which_unit_it_counts_since_1970(number: int, moment: datetime) -> None:
    assert foreign.period_of(number, "t")[0] == moment


@pytest.mark.parametrize(("year", "is_one"), [(1899, False), (1900, True), (2199, True), (2200, False)])
def test_four_digits_are_a_year_of_three_centuries(year: int, is_one: bool) -> None:
    if is_one:
        want = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        assert foreign.period_of(year, "t") == foreign.period_of(str(year), "t") == want
    else:
        with pytest.raises(TableError, match="expected a year"):
            foreign.period_of(year, "t")


def test_dates_and_moments_of_any_zone_are_days_of_utc() -> None:
    west = timezone(-timedelta(hours=2))
    assert foreign.period_of(date(2023, 1, 19), "t") == (
        datetime(2023, 1, 19, tzinfo=UTC),
        datetime(2023, 1, 20, tzinfo=UTC),
    )
    assert foreign.period_of(datetime(2023, 1, 19, 23, tzinfo=west), "t")[0] == datetime(
        2023, 1, 20, tzinfo=UTC
    )
    assert foreign.period_of(datetime(2023, 1, 19, 23), "t")[0] == datetime(2023, 1, 19, tzinfo=UTC)


def test_periods_of_a_column_are_those_of_its_rows() -> None:
    starts, ends = foreign.periods_of(pa.array(["2023", "2024-02"]), "t")
    assert [moment.date().isoformat() for moment in starts] == ["2023-01-01", "2024-02-01"]
    assert [moment.date().isoformat() for moment in ends] == ["2024-01-01", "2024-03-01"]


@pytest.mark.parametrize(
    ("crs", "are"),
    [
        (None, True),
        ("OGC:CRS84", True),
        ("epsg:4326", True),
        ("EPSG:4979", True),
        ("wgs 84 / world", True),
        ('GEOGCRS["WGS 84", 1]', True),
        ("EPSG:3857", False),
        ('PROJCRS["WGS 84"]', False),
        (4326, False),
        ({"id": {"authority": "EPSG", "code": 4326}}, True),
        ({"id": {"authority": "EPSG", "code": 3857}, "type": "GeographicCRS", "name": "WGS 84"}, False),
        ({"id": {"authority": "EPSG"}, "type": "GeographicCRS", "name": "WGS 84"}, True),
        ({"type": "GeographicCRS", "name": "ETRS89", "datum": {"name": "Other"}}, False),
        (
            {"type": "GeographicCRS", "name": "x", "datum_ensemble": {"name": "World Geodetic System 1984"}},
            True,
        ),
        ({"type": "ProjectedCRS", "name": "WGS 84"}, False),
        ({"type": "GeographicCRS", "name": "WGS 84", "datum": "none"}, True),
    ],
)
def test_which_coordinates_are_longitude_and_latitude(crs: Any, are: bool) -> None:
    assert foreign.is_lon_lat(crs) is are


def test_an_errors_name_of_a_projection_is_short() -> None:
    assert foreign.crs_name({"name": "x" * 99}) == "x" * 80
    assert foreign.crs_name("y" * 99) == "y" * 80
    assert foreign.crs_name({"id": 1}) == "{'id': 1}"


@pytest.mark.parametrize(
    ("kind", "can"),
    [
        (pa.binary(), True),
        (pa.large_binary(), True),
        (pa.string(), True),
        (pa.large_string(), True),
        (pa.int64(), True),
        (pa.float64(), False),
        (pa.struct({"x": pa.float64(), "y": pa.float64()}), True),
        (pa.struct({"x": pa.float64(), "z": pa.float64()}), False),
        (pa.list_(pa.float64(), 2), True),
        (pa.list_(pa.float64(), 4), True),
        (pa.list_(pa.float64(), 5), False),
        (pa.list_(pa.float64(), 1), False),
        (pa.list_(pa.int64(), 2), False),
        (pa.list_(pa.list_(pa.list_(pa.float64(), 2))), True),
        (pa.list_(pa.float64()), False),
    ],
)
def test_columns_that_can_hold_a_place(kind: pa.DataType, can: bool) -> None:
    assert foreign.is_place(kind) is can


def test_places_by_two_columns_of_which_one_may_be_unknown() -> None:
    batch = pa.record_batch(
        {"lon": pa.array([1.0, None, 3.0, np.nan]), "lat": pa.array([5.0, 6.0, None, 8.0])}
    )
    places = foreign.places_of(batch, ["lon", "lat"])
    assert [None if place is None else (place.x, place.y) for place in places] == [
        (1.0, 5.0),
        None,
        None,
        None,
    ]


def test_cells_among_numbers_and_texts_that_are_none() -> None:
    cell = h3.latlng_to_cell(48, 11, 10)
    numbers = pa.record_batch({"c": pa.array([h3.str_to_int(cell), 7, None], pa.int64())})
    texts = pa.record_batch({"c": [None, cell, cell.upper(), "", "none"]})
    for batch, there in ((numbers, [True, False, False]), (texts, [False, True, True, False, False])):
        shapes = foreign.places_of(batch, ["c"])
        assert [shape is not None for shape in shapes] == there
        for shape in shapes[there]:
            lat, lon = h3.cell_to_latlng(cell)
            assert shape.contains(shapely.Point(lon, lat))


def test_a_column_that_nobody_asked_for_is_kept_in_a_kind_of_ours() -> None:
    given = {
        "flag": pa.array([True]),
        "small": pa.array([1], pa.int16()),
        "int32": pa.array([1], pa.int32()),
        "half": pa.array([1.5], pa.float32()),
        "double": pa.array([1.5], pa.float64()),
        "text": pa.array(["a"], pa.large_string()),
        "coded": pa.array(["a"]).dictionary_encode(),
        "day": pa.array([date(2024, 1, 2)]),
        "moment": pa.array([datetime(2024, 1, 2)], pa.timestamp("ms")),
        "nested": pa.array([[1]]),
        "asked": pa.array([1]),
        "licence": pa.array([3]),
    }
    kept = foreign.extra_of(pa.record_batch(given), {"asked": None})
    assert {name: str(column.type) for name, column in kept.items()} == {
        "flag": "bool",
        "small": "int64",
        "int32": "int32",
        "half": "float",
        "double": "double",
        "text": "string",
        "coded": "string",
        "day": "timestamp[us, tz=UTC]",
        "moment": "timestamp[us, tz=UTC]",
    }
    assert "licence" in foreign.extra_of(pa.record_batch({"licence": pa.array(["MIT"])}), {})


@pytest.mark.parametrize(
    ("text", "said"), [(None, {}), (b"", {}), (b"[1]", {}), (b"no", {}), (b'{"a": 1}', {"a": 1})]
)
def test_json_of_a_footer_is_an_object_or_nothing(text: bytes | None, said: dict[str, int]) -> None:
    assert foreign.json_object(text) == said
