"""Files of areas as GeoJSON objects: GeoJSON in any encoding and by lines; other formats through GDAL."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import shapely

from .errors import QueryError

MAX_BYTES = 2**28
# What GDAL is asked to open, by how a file begins: what else it knows could name other files.
_HEADS = {
    ".gpkg": rb"SQLite format 3\0",
    ".kml": rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(\w+:)?kml",
    ".shp": rb"\x00\x00\x27\x0a",
    ".fgb": rb"fgb",
}
_ELSE = ", or a .gpkg, .kml, .kmz, .shp, .fgb file or a .zip of one"
_LONLAT = ("EPSG:4326", "OGC:CRS84")


def read_area(path: str | Path) -> Any:
    """A file of areas as a GeoJSON object.

    Raises:
        QueryError: it cannot be read, is too large or of no known format, or the extra `areas` is missing.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise QueryError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB: simplify the area first")
        if path.suffix.lower() in (*_HEADS, ".kmz", ".zip"):
            return {"type": "GeometryCollection", "geometries": list(_features(path))}
        return parse_geojson(path.read_bytes(), str(path), _ELSE)
    except OSError as error:
        raise QueryError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_geojson(content: bytes, name: str, else_expected: str = "") -> Any:
    """One GeoJSON text, or one in each line; an error says what else would do. Raises `QueryError`."""
    try:
        text = content.decode(json.detect_encoding(content))
        try:
            return json.loads(text)
        except ValueError:
            lines = [line for line in text.replace("\x1e", "").splitlines() if line.strip()]
            if len(lines) < 2:
                raise
            return {"type": "FeatureCollection", "features": [json.loads(line) for line in lines]}
    except (ValueError, RecursionError) as error:
        raise QueryError(
            f"{name}: cannot be read as GeoJSON ({error}); expected GeoJSON{else_expected}"
        ) from error


def _features(path: Path) -> Iterator[dict[str, Any]]:
    """The geometries of all layers of a file, in lon/lat, as GeoJSON objects."""
    if find_spec("pyogrio") is None:
        raise QueryError(f"{path} needs pyogrio: pip install 'skyhex[areas]', or convert it to GeoJSON")
    import pyogrio
    from pyogrio.errors import DataSourceError

    source = _checked(path)
    try:
        for layer, kind in pyogrio.list_layers(source):
            if kind is not None:
                meta, _, geometries, _ = pyogrio.raw.read(source, layer=layer, columns=[])
                shapes = shapely.force_2d(shapely.from_wkb(geometries))
                yield from (_mapping(shape, meta["crs"], path) for shape in shapes if shape is not None)
    except (DataSourceError, shapely.GEOSException, ValueError) as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError(f"{path}: cannot be read ({error})") from error


def _checked(path: Path) -> str:
    """What GDAL is to open: a file, or the one in an archive. Raises `QueryError` for what it is not."""
    if path.suffix.lower() not in (".zip", ".kmz"):
        with path.open("rb") as file:
            return _if_so(str(path), path.suffix, file.read(1024))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if Path(info.filename).suffix.lower() in _HEADS]
            if len(members) != 1 or sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                raise QueryError(f"{path} holds {len(members)} files of areas: expected one, of bounded size")
            with archive.open(members[0]) as file:
                inner = f"/vsizip/{{{path.absolute()}}}/{members[0].filename}"
                return _if_so(inner, Path(members[0].filename).suffix, file.read(1024))
    except zipfile.BadZipFile as error:
        raise QueryError(f"{path}: cannot be read ({error})") from error


def _if_so(source: str, suffix: str, head: bytes) -> str:
    if not re.match(_HEADS[suffix.lower()], head, re.DOTALL):
        raise QueryError(f"{source} does not begin as a {suffix} file does: it cannot be read")
    return source


def _mapping(shape: shapely.Geometry, crs: str | None, path: Path) -> dict[str, Any]:
    if crs is not None and crs not in _LONLAT:
        if find_spec("pyproj") is None:
            raise QueryError(
                f"{path} is in {crs:.60}: reproject it to lon/lat, or pip install 'skyhex[areas]'"
            )
        from pyproj import Transformer

        to_lonlat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        shape = shapely.transform(shape, lambda x, y: to_lonlat.transform(x, y), interleaved=False)
    mapping: dict[str, Any] = shapely.geometry.mapping(shape)
    return mapping
