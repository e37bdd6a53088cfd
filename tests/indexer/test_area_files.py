"""One reader of areas for `--aoi` and `--within`: every form of GeoJSON, and what GDAL reads."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.warp
import shapely

from indexer.area_files import read_area
from indexer.errors import QueryError
from indexer.geo import geojson
from indexer.geo.geojson import read_polygons, whole_area
from indexer.geo.search_area import Region
from search_app.cli.embed_command import AreaChoice

RING = [[12.4, 47.97], [12.47, 47.97], [12.47, 48.01], [12.4, 48.01], [12.4, 47.97]]
BOX = shapely.Polygon(RING)
POLYGON = {"type": "Polygon", "coordinates": [RING]}
POINT = {"type": "Point", "coordinates": [12.43, 47.99, 0]}
LINE = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}


def features(*geometries: Any) -> dict[str, Any]:
    found = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    return {"type": "FeatureCollection", "features": found}


FORMS: dict[str, Any] = {
    "polygon": POLYGON,
    "three dimensions": {"type": "Polygon", "coordinates": [[[*corner, 500.0] for corner in RING]]},
    "clockwise": {"type": "Polygon", "coordinates": [RING[::-1]]},
    "not closed": {"type": "Polygon", "coordinates": [RING[:-1]]},
    "multipolygon": {"type": "MultiPolygon", "coordinates": [[RING]]},
    "empty parts": {"type": "MultiPolygon", "coordinates": [[], [RING]]},
    "feature": {"type": "Feature", "properties": None, "geometry": POLYGON},
    "features": features(POLYGON),
    "null geometry": features(None, POLYGON, None),
    "feature without geometry": {"type": "FeatureCollection", "features": [{"type": "Feature"}, POLYGON]},
    "points and lines beside it": features(POINT, POLYGON, LINE),
    "geometry collection": {"type": "GeometryCollection", "geometries": [POINT, POLYGON]},
    "collection in a feature": features({"type": "GeometryCollection", "geometries": [POLYGON, LINE]}),
    "list of features": [features(POLYGON)["features"][0]],
    "the same twice": features(POLYGON, POLYGON),
    "crs84": {**POLYGON, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_both_options_read_every_form_as_the_same_area(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(FORMS[form]))
    area = AreaChoice(aoi=path).area()
    assert area is not None
    assert area.equals(BOX)
    lon, lat = np.array([12.43, 12.48]), np.array([47.99, 47.99])
    assert Region.from_geojson(path).shapes[0].holds(lon, lat).tolist() == [True, False]  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(json.dumps(POLYGON).encode(encoding))
    assert whole_area(path).equals(BOX)


def test_features_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.geojsonl"
    path.write_text(
        "".join(f"\x1e{json.dumps(feature)}\n" for feature in features(POLYGON, POINT)["features"])
    )
    assert whole_area(path).equals(BOX)


BAD: list[Any] = [
    7, "area", [], {}, {"type": "Topology"}, {"type": 3}, POINT, features(None), features(LINE),
    {"type": "FeatureCollection", "features": 3}, {"type": "FeatureCollection"},
    {"type": "Feature", "geometry": [[1, 2]]}, {"type": "Feature", "geometry": "POLYGON"},
    {"type": "Polygon"}, {"type": "Polygon", "coordinates": {}}, {"type": "Polygon", "coordinates": [7]},
    {"type": "Polygon", "coordinates": [[7]]}, {"type": "Polygon", "coordinates": [[[1], [2], [3]]]},
    {"type": "Polygon", "coordinates": [[["a", "b"]] * 4]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [None, 2]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [10**400, 1], [1, 2]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 1], [1, 2]]]},
    {"type": "Polygon", "coordinates": [[[5e5, 5e6], [6e5, 5e6], [6e5, 6e6]]]},
    {"type": "MultiPolygon", "coordinates": [RING]},
    {**POLYGON, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}},
]  # fmt: skip


@pytest.mark.parametrize("document", BAD, ids=lambda document: json.dumps(document)[:60])
def test_what_is_no_area_is_refused_by_our_own_error(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(document))
    with pytest.raises(QueryError):
        read_polygons(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"<kml/>", b"[" * 100_000, b"{}\n{}\n"])
def test_what_is_no_geojson_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(content)
    with pytest.raises(QueryError):
        read_polygons(path)


def test_very_many_corners_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson, "MAX_CORNERS", 9)
    with pytest.raises(QueryError, match="simplify"):
        read_polygons(features(POLYGON, POLYGON))


def test_an_area_across_the_antimeridian_is_cut() -> None:
    ring = [[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]
    area = whole_area({"type": "Polygon", "coordinates": [ring]})
    assert area.bounds == (-180, 0, 180, 10)
    assert area.area == pytest.approx(200)


def write(path: Path, driver: str, crs: str = "EPSG:4326", box: Any = BOX) -> Path:
    raw = pytest.importorskip("pyogrio").raw
    geometry = np.array([shapely.to_wkb(box)], object)
    raw.write(path, geometry, [], [], driver=driver, geometry_type="Polygon", crs=crs)
    return path


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.gpkg", "GPKG"), ("a.kml", "KML"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")],
)
def test_other_formats_are_read_by_gdal(tmp_path: Path, name: str, driver: str) -> None:
    path = write(tmp_path / name, driver)
    assert whole_area(path).equals(BOX)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for part in tmp_path.glob("a.*"):
            if part != archive:
                file.write(part, f"inner/{part.name}")
    assert whole_area(archive).equals(BOX)


def test_other_projections_are_brought_to_lonlat(tmp_path: Path) -> None:
    pytest.importorskip("pyproj")
    path = write(
        tmp_path / "a.gpkg", "GPKG", "EPSG:32633", shapely.box(300_000, 5_300_000, 310_000, 5_310_000)
    )
    xs, ys = [300_000, 300_000, 310_000, 310_000], [5_300_000, 5_310_000, 5_310_000, 5_300_000]
    corners = list(zip(*rasterio.warp.transform("EPSG:32633", "OGC:CRS84", xs, ys), strict=True))
    assert shapely.hausdorff_distance(whole_area(path), shapely.Polygon(corners)) < 1e-9


@pytest.mark.parametrize("name", ["a.gpkg", "a.kml", "a.shp", "a.fgb", "a.zip", "a.kmz"])
def test_a_file_that_is_not_what_it_is_called_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>")
    with pytest.raises(QueryError, match=r"does not begin as|cannot be read|pyogrio"):
        read_area(path)
