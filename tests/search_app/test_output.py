"""Results in five forms."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h3
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.csv_text import as_written
from indexer.errors import QueryError
from search_app.form import Format, check_ending, form_of
from search_app.output import emit, encode, hexagon, records

LINES = pyarrow.csv.ParseOptions(newlines_in_values=True)
CELL = h3.str_to_int("891f1d48a2bffff")
ROWS = pa.table(
    {
        "rank": pa.array([1, 2], pa.int32()),
        "h3_cell": pa.array([CELL, CELL], pa.uint64()),
        "similarity": pa.array([0.5, float("nan")], pa.float32()),
        "start_datetime": pa.array([datetime(2021, 3, 1, tzinfo=UTC)] * 2, pa.timestamp("us", tz="UTC")),
        "source_items": [["a.tif", "b.tif"], []],
    }
)


def test_cells_leave_as_hex_and_times_as_iso() -> None:
    first, second = records(ROWS)
    assert first["h3_cell"] == "891f1d48a2bffff"
    assert first["start_datetime"] == "2021-03-01T00:00:00Z"
    assert second["similarity"] is None


def test_json_and_csv_hold_the_same_values(tmp_path: Path) -> None:
    emit(ROWS, Format.json, tmp_path / "r.json")
    emit(ROWS, Format.csv, tmp_path / "r.csv")
    as_json = json.loads((tmp_path / "r.json").read_text())
    as_csv = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert [row["h3_cell"] for row in as_csv] == [row["h3_cell"] for row in as_json]
    assert json.loads(as_csv[0]["source_items"]) == ["a.tif", "b.tif"] == as_json[0]["source_items"]


def test_csv_begins_no_formula_and_comes_back_as_it_was(tmp_path: Path) -> None:
    hostile = ['=HYPERLINK("http://x")', "+1", "-5", "@SUM(A1)", "\t=1", "\r=1", "'=1", "plain"]
    rows = pa.table(
        {
            "=id": hostile,
            "lon": [-1.5 - i for i in range(len(hostile))],
            "tags": [["=1"]] * len(hostile),
            "spent": pa.array([-timedelta(days=1)] * len(hostile)),
        }
    )
    emit(rows, Format.csv, tmp_path / "r.csv")
    raw = list(csv.reader((tmp_path / "r.csv").open(newline="")))
    assert not [text for row in raw for text in (row[0], *row[2:]) if text.startswith(tuple("=+-@\t\r"))]
    assert [float(row[1]) for row in raw[1:]] == rows["lon"].to_pylist()
    back = as_written(pyarrow.csv.read_csv(tmp_path / "r.csv", parse_options=LINES))
    assert back["=id"].to_pylist() == hostile
    assert back["lon"].to_pylist() == rows["lon"].to_pylist()


def test_geojson_features_are_the_hexagons(tmp_path: Path) -> None:
    emit(ROWS, Format.geojson, tmp_path / "r.geojson")
    feature = json.loads((tmp_path / "r.geojson").read_text())["features"][0]
    shape = shapely.geometry.shape(feature["geometry"])
    lat, lon = h3.cell_to_latlng("891f1d48a2bffff")
    assert shape.contains(shapely.Point(lon, lat))
    assert feature["properties"]["rank"] == 1


def test_geoparquet_names_its_geometry(tmp_path: Path) -> None:
    emit(ROWS, Format.geoparquet, tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    assert json.loads(table.schema.metadata[b"geo"])["primary_column"] == "geometry"
    assert shapely.from_wkb(table["geometry"][0].as_py()).equals(hexagon(CELL))


def test_rows_without_a_cell_are_drawn_as_their_region(tmp_path: Path) -> None:
    region = h3.str_to_int(h3.cell_to_parent(h3.int_to_str(CELL), 4))
    rows = pa.table({"prototype": [3], "region_cell": pa.array([region], pa.uint64())})
    emit(rows, Format.geojson, tmp_path / "r.geojson")
    feature = json.loads((tmp_path / "r.geojson").read_text())["features"][0]
    assert shapely.geometry.shape(feature["geometry"]).equals(hexagon(region))
    emit(ROWS.append_column("region_cell", [[region, region]]), Format.geojson, tmp_path / "r.geojson")
    feature = json.loads((tmp_path / "r.geojson").read_text())["features"][0]
    assert shapely.geometry.shape(feature["geometry"]).equals(hexagon(CELL))
    with pytest.raises(QueryError, match="None is not an H3 cell"):
        emit(pa.table({"region_cell": pa.array([None], pa.uint64())}), Format.geojson, tmp_path / "n.geojson")


def test_a_map_form_without_cells_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="Select h3_cell too"):
        emit(pa.table({"n": [1]}), Format.geojson, tmp_path / "r.geojson")


def test_geoparquet_to_a_terminal_is_refused() -> None:
    with pytest.raises(QueryError, match="-o FILE"):
        emit(ROWS, Format.geoparquet, None)


def test_the_terminal_table_says_when_it_stops(capsys: pytest.CaptureFixture[str]) -> None:
    emit(pa.table({"n": list(range(250))}), Format.table, None)
    out = capsys.readouterr().out
    assert "200 of 250 rows" in out


def test_a_hexagon_across_the_antimeridian_stays_in_one_piece() -> None:
    cell = h3.str_to_int(h3.latlng_to_cell(-16.8, 180.0, 5))
    assert hexagon(cell).area < 0.1


def test_a_file_is_written_in_the_form_of_its_name(tmp_path: Path) -> None:
    for name in ("r.geojson", "r.GEOJSON", "r.csv", "r.json", "r.parquet"):
        emit(ROWS, None, tmp_path / name)
        form = form_of(None, tmp_path / name)
        assert (tmp_path / name).read_bytes() == encode(ROWS, form)
    assert form_of(Format.csv, tmp_path / "hits") is Format.csv
    assert form_of(None, None) is Format.table
    for form, name, said in (
        (None, "s.shp", "ends in .txt, .json"),
        (None, "s", "says no form"),
        (Format.json, "s.geojson", "named as geojson and --format asks for json"),
    ):
        with pytest.raises(QueryError, match=said):
            emit(ROWS, form, tmp_path / name)
        assert not (tmp_path / name).exists()
    check_ending(tmp_path / "a.TIF", (".tif",), "a GeoTIFF")
    with pytest.raises(QueryError, match="will hold a GeoTIFF"):
        check_ending(tmp_path / "a.png", (".tif",), "a GeoTIFF")


def test_wide_rows_are_written_down_the_terminal() -> None:
    wide = pa.table({f"column_{i}": [f"value {i}", "x" * 300] for i in range(12)})
    wide = wide.append_column("geometry", pa.array([b"12345", None], pa.binary()))
    wide = wide.append_column("bbox", [[{"west": 1.5, "east": 2.0}] * 2])
    lines = encode(wide, Format.table).decode().splitlines()
    first, second = "\n".join(lines).split("\n\n")[:2]
    assert first.splitlines()[1].split() == ["column_1", "value", "1"]
    assert first.splitlines()[12:] == ["geometry   <5 bytes>", "bbox       west 1.5000, east 2.0000"]
    assert second.splitlines()[3] == "column_3   " + "x" * 59 + "…"
    few = encode(wide.select(["column_1", "geometry"]), Format.table).decode().splitlines()
    assert few[0].split() == ["column_1", "geometry"]
