"""Rows as features, by OGC API - Features, part 1 (OGC 17-069r4), so that GDAL and QGIS page through them.

A feature is a row: its hexagon, and what the table says of it but its vectors. Its id is its key. Pages name
the snapshot that the first of them was of, so that they fit together whatever is committed meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pyarrow as pa
import shapely

from indexer.errors import QueryError
from indexer.geo.cells import parse_cell
from indexer.geo.search_area import Region
from indexer.search.filter import Filter
from indexer.search.words import moment
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import COUNTS, KEY

from ..output import hexagon, records
from .served import Served

COLUMNS = (*KEY, *COUNTS, "valid_fraction", "cloud_fraction")
ID = ("h3_cell", "start_datetime", "end_datetime", "sample_id")
MAX_LIMIT = 10_000
CONFORMANCE = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
]
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GEOJSON, JSON = "application/geo+json", "application/json"


def link(base: str, path: str, rel: str, media: str = JSON) -> dict[str, str]:
    """To another answer of this server."""
    return {"href": f"{base}{path}", "rel": rel, "type": media}


def landing(base: str, name: str) -> dict[str, Any]:
    """What there is."""
    return {
        "title": name,
        "description": "Embeddings of satellite time series, keyed by H3 cell",
        "links": [
            link(base, "/", "self"),
            link(base, "/openapi.json", "service-desc", "application/vnd.oai.openapi+json;version=3.0"),
            link(base, "/conformance", "conformance"),
            link(base, "/collections", "data"),
        ],
    }


def collection(base: str, name: str, table: EmbeddingTable) -> dict[str, Any]:
    """The table as a collection."""
    path = f"/collections/{quote(name)}"
    about: dict[str, Any] = {
        "id": name,
        "title": name,
        "itemType": "feature",
        "crs": [CRS84],
        "links": [link(base, path, "self"), link(base, f"{path}/items", "items", GEOJSON)],
    }
    extent = table.manifest.extent
    if extent is not None:
        about["extent"] = {
            "spatial": {"bbox": [list(extent.bbox)], "crs": CRS84},
            "temporal": {"interval": [[extent.start, extent.end]]},
        }
    return about


def page(
    served: Served, base: str, snapshot: int | None, asked: Mapping[str, str], limit: int, offset: int
) -> dict[str, Any]:
    """Some features, and where the next are. Raises QueryError."""
    if not 1 <= limit <= MAX_LIMIT or offset < 0:
        raise QueryError(f"limit {limit}, offset {offset}: expected 1 to {MAX_LIMIT}, and 0 or more")
    table = served.table(snapshot)
    filter = _filter(asked)
    if filter == Filter():
        count, rows = table.row_count, np.arange(offset, min(offset + limit, table.row_count))
    else:
        matching = np.flatnonzero(served.matching(table, filter))
        count, rows = len(matching), matching[offset : offset + limit]
    features = _features(_take(table, rows))
    path = f"/collections/{quote(served.name)}/items"
    same = {**asked, "limit": limit, "snapshot": table.snapshot}
    links = [link(base, f"{path}?{urlencode({**same, 'offset': offset})}", "self", GEOJSON)]
    if offset + len(features) < count:
        links.append(link(base, f"{path}?{urlencode({**same, 'offset': offset + limit})}", "next", GEOJSON))
    return {
        "type": "FeatureCollection",
        "features": features,
        "numberMatched": count,
        "numberReturned": len(features),
        "links": links,
    }


def feature(table: EmbeddingTable, name: str) -> dict[str, Any] | None:
    """One by its id; None where there is none. Raises QueryError for what is no id."""
    parts = name.split("~", 3)
    if len(parts) != 4:
        raise QueryError(f"{name[:60]!r} is no id: expected CELL~START~END~SAMPLE")
    cell, start, end, sample_id = parse_cell(parts[0]), moment(parts[1]), moment(parts[2]), parts[3]
    rows = table.lookup(cell=cell, sample_id=sample_id, columns=COLUMNS)
    for one in _features(rows):
        properties = one["properties"]
        if (moment(properties["start_datetime"]), moment(properties["end_datetime"])) == (start, end):
            return one
    return None


def _features(rows: pa.Table) -> list[dict[str, Any]]:
    cells = rows["h3_cell"].to_pylist()
    return [
        {
            "type": "Feature",
            "id": _id(properties),
            "geometry": shapely.geometry.mapping(hexagon(cell)),
            "properties": properties,
        }
        for cell, properties in zip(cells, records(rows), strict=True)
    ]


def _id(properties: Mapping[str, Any]) -> str:
    return "~".join(str(properties[name]) for name in ID)


def _take(table: EmbeddingTable, rows: np.ndarray) -> pa.Table:
    """Rows by number in the table, ascending."""
    starts = np.cumsum([0, *(file.rows for file in table.files)])
    file_of_row = np.searchsorted(starts, rows, side="right") - 1
    return table.take(file_of_row, rows - starts[file_of_row], COLUMNS)


def _filter(asked: Mapping[str, str]) -> Filter:
    """Of `bbox` and `datetime`. Raises QueryError."""
    region = None
    if "bbox" in asked:
        try:
            sides = [float(side) for side in asked["bbox"].split(",")]
        except ValueError:
            sides = []
        if len(sides) not in (4, 6):
            raise QueryError(f"bbox {asked['bbox'][:60]!r}: expected W,S,E,N in degrees")
        west, south, east, north = sides if len(sides) == 4 else [*sides[:2], *sides[3:5]]
        region = Region.from_bbox(west, south, east, north)
    start, end = _interval(asked.get("datetime"))
    return Filter(region=region, start=start, end=end)


def _interval(text: str | None) -> tuple[datetime | None, datetime | None]:
    """`2024-01-01/2024-06-01`, open with `..`, or one moment; its last moment belongs to an interval."""
    if text is None:
        return None, None
    ends = [None if end in ("", "..") else moment(end) for end in text.split("/")]
    if len(ends) > 2:
        raise QueryError(f"datetime {text[:60]!r}: expected a moment, or START/END")
    last = ends[-1]
    return ends[0], None if last is None else last + timedelta(microseconds=1)
