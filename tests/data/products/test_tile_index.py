"""Which tiles of a list are read, in every form that publishers give it."""

import csv
import sqlite3
import struct
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from data.access import Access, using
from data.products.tile_index import (
    Entry,
    _asset,
    _bounds,
    _may_meet,
    _outline_bounds,
    _tessera,
    _wkb,
    _year,
    fetch,
    read_index,
    select_tiles,
)
from data.sample import InputError

from ..servers import serving, silent

Tile = tuple[str, int, tuple[float, float, float, float]]
TILES: list[Tile] = [
    ("bavaria-2023.tiff", 2023, (11.0, 48.0, 12.0, 48.7)),
    ("bavaria-2024.tiff", 2024, (11.0, 48.0, 12.0, 48.7)),
    ("brazil-2024.tiff", 2024, (-50.0, -18.5, -49.0, -17.5)),
    ("fiji-2024.tiff", 2024, (179.2, -17.5, -179.6, -16.7)),
]
MUNICH = shapely.box(11.4, 48.1, 11.6, 48.2)
TAVEUNI = shapely.box(-179.99, -17.0, -179.8, -16.8)


def outline(bounds: tuple[float, float, float, float]) -> shapely.Geometry:
    """As the publisher writes a box across 180 degrees: around the world."""
    west, south, east, north = bounds
    return shapely.box(min(west, east), south, max(west, east), north)


def aef_parquet(folder: Path) -> Path:
    columns: dict[str, list[object]] = {"path": [], "year": [], "geometry": []}
    for side in ("west", "south", "east", "north"):
        columns[f"wgs84_{side}"] = []
    for path, year, bounds in TILES:
        columns["path"].append(path)
        columns["year"].append(year)
        columns["geometry"].append(outline(bounds).wkb)
        for side, value in zip(("west", "south", "east", "north"), bounds, strict=True):
            columns[f"wgs84_{side}"].append(value)
    pq.write_table(pa.table(columns), folder / "aef_index.parquet")
    return folder / "aef_index.parquet"


def stac_parquet(folder: Path) -> Path:
    rows = [
        {
            "id": path,
            "datetime": datetime(year, 1, 1, tzinfo=UTC),
            "assets": {"thumbnail": {"href": "t.png"}, "data": {"href": path}},
            "bbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True)),
        }
        for path, year, bounds in TILES
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "stac.parquet")
    return folder / "stac.parquet"


def csv_with_wkt(folder: Path) -> Path:
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["WKT", "path", "year"])
        writer.writerows([outline(bounds).wkt, path, year] for path, year, bounds in TILES)
    return folder / "index.csv"


def geopackage(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "index.gpkg")) as base, base:
        base.execute("CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT)")
        base.execute("CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT)")
        base.execute("CREATE TABLE aef (fid INTEGER PRIMARY KEY, geom BLOB, path TEXT, year INTEGER)")
        base.execute("INSERT INTO gpkg_contents VALUES ('aef', 'features')")
        base.execute("INSERT INTO gpkg_geometry_columns VALUES ('aef', 'geom')")
        for i, (path, year, bounds) in enumerate(TILES):
            west, south, east, north = outline(bounds).bounds
            envelope = struct.pack("<4d", west, east, south, north) if i % 2 else b""
            header = b"GP" + bytes([0, 3 if i % 2 else 1]) + struct.pack("<i", 4326) + envelope
            row = (header + outline(bounds).wkb, path, year)
            base.execute("INSERT INTO aef (geom, path, year) VALUES (?, ?, ?)", row)
    return folder / "index.gpkg"


def test_a_tile_of_a_geopackage_without_an_outline_may_be_anywhere(tmp_path: Path) -> None:
    path = geopackage(tmp_path)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE aef SET geom = NULL WHERE path LIKE '%fiji%'")
    assert f"{tmp_path}/fiji-2024.tiff" in select_tiles(str(path), 2024, MUNICH)


FORMS = [aef_parquet, stac_parquet, csv_with_wkt, geopackage]


@pytest.mark.parametrize("form", FORMS)
def test_tiles_of_a_year_that_meet_an_area(tmp_path: Path, form) -> None:  # type: ignore[no-untyped-def]
    index = str(form(tmp_path))
    found = select_tiles(index, 2024, MUNICH)
    assert [Path(href) for href in found if "fiji" not in href] == [tmp_path / "bavaria-2024.tiff"]
    assert select_tiles(index, 2023, MUNICH) == [f"{tmp_path}/bavaria-2023.tiff"]
    assert f"{tmp_path}/fiji-2024.tiff" in select_tiles(index, 2024, TAVEUNI)
    assert f"{tmp_path}/bavaria-2024.tiff" not in select_tiles(index, 2024, TAVEUNI)


@pytest.mark.parametrize("form", FORMS)
def test_a_list_on_the_web_is_the_same_list(tmp_path: Path, form) -> None:  # type: ignore[no-untyped-def]
    index = form(tmp_path)
    with serving(tmp_path) as served:
        found = [*read_index(f"{served.url}/{index.name}")]
        assert found == [
            replace(entry, href=entry.href.replace(str(tmp_path), served.url))
            for entry in read_index(str(index))
        ]
    assert len(found) == len(TILES)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_list_lacks_is_said(tmp_path: Path, form) -> None:  # type: ignore[no-untyped-def]
    index = str(form(tmp_path))
    with pytest.raises(InputError, match="lists tiles of 2023 to 2024: give one with --year"):
        select_tiles(index, None, MUNICH)
    with pytest.raises(InputError, match="lists no tile of 2019: it has 2023, 2024"):
        select_tiles(index, 2019, MUNICH)
    with pytest.raises(InputError, match="lists no tile that meets the area"):
        select_tiles(index, 2024, shapely.box(11.4, 80, 11.6, 81))


def test_addresses_stay_as_they_are_and_names_lie_beside_the_list(tmp_path: Path) -> None:
    list_ = tmp_path / "manifest.txt"
    list_.write_text(
        "gs://bucket/2024/a.tiff\n\nhttps://host/2024/b.tif\n/data/2024/c.tiff\n2024/d.tiff\nnot a tile\n"
    )
    assert [entry.href for entry in read_index(str(list_))] == [
        "gs://bucket/2024/a.tiff", "https://host/2024/b.tif", "/data/2024/c.tiff", f"{tmp_path}/2024/d.tiff",
    ]  # fmt: skip
    assert {entry.year for entry in read_index(str(list_))} == {2024}


def test_tiles_of_tesseras_manifest(tmp_path: Path) -> None:
    rows = pa.table({"year": [2024, 2024], "lon": [11.45, 20.05], "lat": [48.15, -3.95]})
    pq.write_table(rows, tmp_path / "manifest.parquet")
    assert select_tiles(f"{tmp_path}/manifest.parquet", 2024, MUNICH) == [
        f"{tmp_path}/2024/grid_11.45_48.15/grid_11.45_48.15.npy"
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("i.parquet", b"PAR1 no", "cannot be read as a list of tiles"),
        ("i.gpkg", b"no database", "cannot be read as a list of tiles"),
        ("i.csv", b"a,b\n1,2\n", "has columns a, b: expected path, or assets"),
        ("i.json", b"{}", "a list of tiles is .parquet, .gpkg, .csv or .txt"),
    ],
)
def test_what_is_no_list_is_said(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        select_tiles(str(tmp_path / name), 2024, MUNICH)


def test_lists_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such list of tiles"):
        select_tiles(str(tmp_path / "none.parquet"), 2024, MUNICH)
    with pytest.raises(InputError, match="cannot be fetched"):
        select_tiles("http://127.0.0.1:9/index.csv", 2024, MUNICH)


def test_a_list_on_a_silent_host_is_waited_for_no_longer_than_a_read(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.fault = silent
        with using(Access(wait_s=0.3, tries=2)), pytest.raises(InputError, match="cannot be fetched"):
            fetch(f"{served.url}/tiles.csv")
        assert len(served.requests) <= 2


BOX = {"xmin": 7.0, "ymin": 46.0, "xmax": 8.0, "ymax": 47.0}
SHAPE = shapely.box(9, 48, 10, 49)


@pytest.mark.parametrize(
    ("row", "bounds"),
    [
        ({"wgs84_west": "7", "wgs84_south": "46", "wgs84_east": "8", "wgs84_north": "47"}, (7, 46, 8, 47)),
        ({"bbox_west": 7, "bbox_south": 46, "bbox_east": 8, "bbox_north": 47, "bbox": {}}, (7, 46, 8, 47)),
        ({"wgs84_west": "", "bbox": BOX}, (7, 46, 8, 47)),
        ({"lon": 7.05, "lat": "46.55"}, (7.0, 46.5, 7.1, 46.6)),
        ({"lon": 7.05, "lat": None, "bbox": BOX}, (7, 46, 8, 47)),
        ({"geometry": SHAPE.wkb, "bbox": BOX}, (9, 48, 10, 49)),
        ({"WKT": SHAPE.wkt}, (9, 48, 10, 49)),
        ({"geometry": shapely.Polygon().wkb, "bbox": BOX}, (7, 46, 8, 47)),
        ({"geometry": "", "bbox": BOX}, (7, 46, 8, 47)),
        ({"geometry": None, "bbox": None}, None),
    ],
)
def test_where_a_tile_lies_is_what_its_row_says_first(
    row: dict[str, object], bounds: tuple[float, ...] | None
) -> None:
    assert _bounds(row) == (None if bounds is None else pytest.approx(bounds))


@pytest.mark.parametrize(("kind", "envelope"), [(0, 0), (1, 32), (2, 48), (3, 48), (4, 64)])
def test_a_geopackages_geometry_begins_behind_its_envelope(kind: int, envelope: int) -> None:
    """OGC 12-128, 2.1.3: flags hold the envelope's kind in bits 1 to 3."""
    for other_flags in (0, 1, 0x20):
        header = b"GP\x00" + bytes([kind << 1 | other_flags]) + b"\x00" * 4
        assert _wkb(header + b"e" * envelope + SHAPE.wkb) == SHAPE.wkb


@pytest.mark.parametrize(
    ("row", "href", "year"),
    [
        ({"year": 2023}, "a/2020/x.tif", 2023),
        ({"year": "2023"}, "x.tif", 2023),
        ({"year": "", "start_datetime": "2021-05-01T00:00:00Z"}, "x.tif", 2021),
        ({"datetime": datetime(2019, 12, 31)}, "x.tif", 2019),
        ({"year": None}, "a/2020/x.tif", 2020),
        ({}, "x.tif", None),
    ],
)
def test_the_year_of_a_tile_is_its_rows_or_its_paths(
    row: dict[str, object], href: str, year: int | None
) -> None:
    assert _year(row, href) == year


def test_the_file_of_a_row() -> None:
    assert _tessera({"lon": 7.05, "lat": -0.05, "year": 2024.0}) == "2024/grid_7.05_-0.05/grid_7.05_-0.05.npy"
    assert _tessera({"lon": 7.05, "lat": None, "year": 2024}) is None
    assets = {
        "a": {"href": "a.json"},
        "b": {"href": "B.TIFF?x=1"},
        "c": {"href": "c.tif"},
        "d": None,
        "e": {},
    }
    assert _asset({"assets": assets}) == "B.TIFF?x=1"
    assert _asset({"assets": {"a": {"href": "a.json"}}}) is None
    assert _asset({"assets": "text"}) is None


@pytest.mark.parametrize(
    ("lon", "bounds"),
    [((-179, -170, 170, 178), (170, -170)), ((-90, 90), (-90, 90)), ((-90, 91), (91, -90))],
)
def test_an_outline_wider_than_half_the_globe_goes_the_other_way(
    lon: tuple[float, ...], bounds: tuple[float, float]
) -> None:
    shape = shapely.MultiPoint([(x, y) for x in lon for y in (1, 2)])
    assert _outline_bounds(shape) == (bounds[0], 1, bounds[1], 2)


@pytest.mark.parametrize(
    ("bounds", "meets"),
    [
        (None, True),
        ((0, 0, 1, 1), True),
        ((2.1, 0, 3, 1), False),
        ((0, 2.1, 1, 3), False),
        ((170, 0, -170, 1), False),
        ((170, 0, 1, 1), True),
    ],
)
def test_a_tile_may_meet_an_area(bounds: tuple[float, ...] | None, meets: bool) -> None:
    area = shapely.box(0, 0, 2, 2)
    assert _may_meet(Entry("a.tif", 2024, bounds), area) is meets  # type: ignore[arg-type]
    across = shapely.box(-175, 0, -172, 1)
    assert _may_meet(Entry("a.tif", 2024, (170, 0, -170, 1)), across)
    assert not _may_meet(Entry("a.tif", 2024, (170, 0, -176, 1)), across)
