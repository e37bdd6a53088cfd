"""Lists of tiles that publishers give: which lie in an area, of which year, and where their files are.

Read are Parquet (AlphaEarth's, stac-geoparquet, TESSERA's manifest), GeoPackage, CSV with WKT, and text with
an address a line.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from ..access import current
from ..bucket import patience
from ..sample import InputError
from .raster import year_in_path

REMOTE = re.compile(r"^[a-z][a-z0-9]*://|^/vsi")
SIDES = ("west", "south", "east", "north")
PATHS = ("path", "href", "location", "url")
TIFF = (".tif", ".tiff")
GPKG_ENVELOPE_BYTES = (0, 32, 48, 48, 64)  # by the envelope's kind, before the WKB (OGC 12-128, 2.1.3)


@dataclass(frozen=True)
class Entry:
    """One file of a list."""

    href: str
    year: int | None
    bounds: tuple[float, float, float, float] | None  # W, S, E, N; W > E across 180 degrees


def select_tiles(index: str, year: int | None, area: shapely.Geometry | None) -> list[str]:
    """Addresses of the tiles of a year that may meet an area, in the list's order, each once.

    Raises:
        InputError: a list that cannot be read, that has several years while none was asked for, or that has
            none of this year or area.
    """
    entries = list(read_index(index))
    years = sorted({entry.year for entry in entries if entry.year is not None})
    if year is None and len(years) > 1:
        raise InputError(f"{index} lists tiles of {years[0]} to {years[-1]}: give one with --year")
    of_year = [entry for entry in entries if year is None or entry.year in (year, None)]
    if not of_year:
        raise InputError(f"{index} lists no tile of {year}: it has {', '.join(map(str, years)) or 'no tile'}")
    hrefs = [entry.href for entry in of_year if area is None or _may_meet(entry, area)]
    if not hrefs:
        raise InputError(f"{index} lists no tile that meets the area ({len(of_year)} lie elsewhere)")
    return list(dict.fromkeys(hrefs))


def read_index(index: str) -> Iterator[Entry]:
    """Every tile of a list. Raises InputError."""
    suffix = Path(index.split("?")[0]).suffix.lower()
    folder = index.rsplit("/", 1)[0] if "/" in index else "."
    try:
        if suffix in (".parquet", ".geoparquet", ".pq"):
            rows = _parquet_rows(pq.read_table(_open(index)))
        elif suffix == ".gpkg":
            rows = _geopackage_rows(index)
        elif suffix == ".csv":
            rows = csv.DictReader(io.TextIOWrapper(_open(index), encoding="utf-8"))
        elif suffix == ".txt":
            lines = io.TextIOWrapper(_open(index), encoding="utf-8")
            rows = ({"path": line.strip()} for line in lines if line.strip().lower().endswith(TIFF))
        else:
            raise InputError(f"{index}: a list of tiles is .parquet, .gpkg, .csv or .txt")
        for row in rows:
            yield _entry(row, folder, index)
    except (pa.ArrowException, sqlite3.Error, UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{index} cannot be read as a list of tiles: {error}") from error


def _entry(row: Mapping[str, Any], folder: str, index: str) -> Entry:
    href = next((str(row[name]) for name in PATHS if row.get(name)), None) or _asset(row) or _tessera(row)
    if href is None:
        raise InputError(
            f"{index} has columns {', '.join(list(row)[:12])}: expected path, or assets, or lon, lat and year"
        )
    if not REMOTE.match(href) and not Path(href).is_absolute():
        href = f"{folder}/{href}"
    return Entry(href, _year(row, href), _bounds(row))


def _asset(row: Mapping[str, Any]) -> str | None:
    """The GeoTIFF among a STAC item's assets."""
    assets = row.get("assets")
    if not isinstance(assets, Mapping):
        return None
    hrefs = [
        str(asset["href"]) for asset in assets.values() if isinstance(asset, Mapping) and asset.get("href")
    ]
    return next((href for href in hrefs if href.split("?")[0].lower().endswith(TIFF)), None)


def _tessera(row: Mapping[str, Any]) -> str | None:
    """A tile of TESSERA's manifest, which lies beside it in folders of years."""
    if not all(row.get(name) is not None for name in ("lon", "lat", "year")):
        return None
    name = f"grid_{float(row['lon']):.2f}_{float(row['lat']):.2f}"
    return f"{int(row['year'])}/{name}/{name}.npy"


def _year(row: Mapping[str, Any], href: str) -> int | None:
    for name in ("year", "start_datetime", "datetime"):
        value = row.get(name)
        if value is not None and value != "":
            return int(getattr(value, "year", None) or str(value)[:4])
    return year_in_path(href)


def _bounds(row: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """By numbers of its own, by the box of a covering, or by its outline; None where nothing says."""
    named = [row.get(f"wgs84_{side}", row.get(f"bbox_{side}")) for side in SIDES]
    if all(value not in (None, "") for value in named):
        west, south, east, north = (float(str(value)) for value in named)
        return west, south, east, north
    if all(row.get(name) is not None for name in ("lon", "lat")):
        lon, lat = float(row["lon"]), float(row["lat"])
        return lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05
    outline = row.get("geometry", row.get("geom", row.get("WKT")))
    if outline is not None and outline != "":
        shape = shapely.from_wkb(outline) if isinstance(outline, bytes) else shapely.from_wkt(outline)
        if shape is not None and not shape.is_empty:
            return _outline_bounds(shape)
    box = row.get("bbox")
    if isinstance(box, Mapping):
        return box["xmin"], box["ymin"], box["xmax"], box["ymax"]
    return None


def _outline_bounds(shape: shapely.Geometry) -> tuple[float, float, float, float]:
    """One wider than half the globe is of a tile across the antimeridian, cut there or drawn around."""
    west, south, east, north = shape.bounds
    if east - west > 180:
        lon = shapely.get_coordinates(shape)[:, 0]
        west, east = float(lon[lon > 0].min()), float(lon[lon < 0].max())
    return west, south, east, north


def _may_meet(entry: Entry, area: shapely.Geometry) -> bool:
    if entry.bounds is None:
        return True
    west, south, east, north = entry.bounds
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return any(area.intersects(shapely.box(left, south, right, north)) for left, right in spans)


def _parquet_rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    wanted = {"year", "datetime", "start_datetime", "geometry", "bbox", "assets", "lon", "lat", *PATHS,
              *(f"{start}_{side}" for start in ("wgs84", "bbox") for side in SIDES)}  # fmt: skip
    kept = table.select([name for name in table.column_names if name in wanted] or table.column_names)
    for batch in kept.to_batches(max_chunksize=8192):
        yield from batch.to_pylist()


def _geopackage_rows(index: str) -> Iterator[Mapping[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(index)
        if "://" in index:
            file = Path(folder, "index.gpkg")
            file.write_bytes(_open(index).read())
        elif not file.is_file():
            raise InputError(f"no such list of tiles: {index}")
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as base:
            base.row_factory = sqlite3.Row
            layers = base.execute(
                "SELECT table_name FROM gpkg_contents WHERE data_type = 'features'"
            ).fetchall()
            for (layer,) in layers:
                shape = base.execute(
                    "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
                ).fetchone()
                for row in base.execute(f'SELECT * FROM "{layer.replace(chr(34), chr(34) * 2)}"'):
                    values = dict(row)
                    if shape is not None and values.get(shape[0]):
                        values["geometry"] = _wkb(values.pop(shape[0]))
                    yield values


def _wkb(blob: bytes) -> bytes:
    """The WKB in a GeoPackage geometry, after its header of 8 bytes and an envelope."""
    kind = min(blob[3] >> 1 & 7, len(GPKG_ENVELOPE_BYTES) - 1)
    return blob[8 + GPKG_ENVELOPE_BYTES[kind] :]


def _open(index: str) -> io.BufferedReader | io.BytesIO:
    if "://" not in index:
        if not Path(index).is_file():
            raise InputError(f"no such list of tiles: {index}")
        return Path(index).open("rb")
    return io.BytesIO(fetch(index))


def fetch(href: str) -> bytes:
    """A remote file whole. Raises InputError."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    folder, name = href.rsplit("/", 1)
    options = patience(current())
    options["client_options"]["allow_http"] = href.startswith("http://")
    if href.startswith(("s3://", "gs://")):
        options["skip_signature"] = True
    try:
        return bytes(obstore.get(from_url(folder, **options), name).bytes())
    except (BaseError, OSError) as error:
        raise InputError(f"{href} cannot be fetched: {str(error).splitlines()[0]}") from error
