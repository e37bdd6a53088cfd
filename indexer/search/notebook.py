"""Answers as people read them in a notebook: few columns, cells as hex, a small map; and as data frames."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from ..geo.cells import boundary

READ = ("query", "rank", "similarity", "top_share", "h3_cell", "sample_id", "start_datetime", "end_datetime")
SHOWN_ROWS = 10
WIDTH, HEIGHT = 260, 150  # of the map, in pixels
MAP_ROWS = 2_000


def with_hex(rows: pa.Table) -> pa.Table:
    """Rows whose columns of cells are text: a number of 64 bits is nothing that people read."""
    for place, name in enumerate(rows.column_names):
        if name.endswith("_cell") and pa.types.is_integer(rows.schema.field(name).type):
            cells = rows[name].to_pylist()
            text = [None if cell is None else f"{cell:x}" for cell in cells]
            rows = rows.set_column(place, name, pa.array(text, pa.string()))
    return rows


def as_text(rows: pa.Table) -> str:
    """A line for each of the first rows."""
    some = _few(rows)
    lines = [[*some.column_names], *([_short(value) for value in row.values()] for row in some.to_pylist())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[value.ljust(width) for value, width in zip(line, widths, strict=True)] for line in lines]
    text = ["  ".join(line).rstrip() for line in padded]
    more = rows.num_rows - some.num_rows
    return "\n".join([*text, *([f"... {more:,} more"] if more > 0 else [])])


def as_html(rows: pa.Table, said: str) -> str:
    """The same as HTML, beside a map of where the rows lie; all text of rows means itself."""
    some = _few(rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in some.column_names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_short(value))}</td>" for value in row.values()) + "</tr>"
        for row in some.to_pylist()
    )
    picture = small_map(rows["lon"].to_numpy(), rows["lat"].to_numpy(), rows["similarity"].to_numpy())
    return (
        f'<div style="display:flex;gap:1em;align-items:flex-start">{picture}'
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{rows.num_rows:,} rows. {html.escape(said)}</p></div></div>"
    )


def small_map(lon_deg: Any, lat_deg: Any, value: Any) -> str:
    """An SVG of places (n,), darker where a value (n,) is greater."""
    lon, lat, value = (np.asarray(x, np.float64)[:MAP_ROWS] for x in (lon_deg, lat_deg, value))
    if not len(lon):
        return ""
    scale = np.cos(np.radians(lat.mean()))
    x, y = (lon - lon.min()) * scale, lat.max() - lat
    size = max(x.max() / (WIDTH - 12), y.max() / (HEIGHT - 12), 1e-9)
    shade = (value - value.min()) / max(np.ptp(value), 1e-12)
    order = np.argsort(value, kind="stable")
    dots = "".join(
        f'<circle cx="{6 + x[i] / size:.1f}" cy="{6 + y[i] / size:.1f}" r="3" '
        f'fill="hsl(210,80%,{80 - 55 * shade[i]:.0f}%)"/>'
        for i in order.tolist()
    )
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="where the rows lie">{dots}</svg>'


def geo_frame(rows: pa.Table) -> Any:
    """A GeoDataFrame of rows in lon/lat: the hexagon of each as its geometry, cells as hex.

    Raises:
        ImportError: geopandas is not installed.
    """
    try:
        import geopandas
    except ImportError as error:
        raise ImportError("to_geopandas() needs geopandas: `pip install geopandas`") from error
    columns = [name for name in rows.column_names if name != "geometry"]
    frame = with_hex(rows.select(columns)).to_pandas()
    hexagons = [shapely.Polygon(boundary(cell)) for cell in rows["h3_cell"].to_pylist()]
    return geopandas.GeoDataFrame(frame, geometry=hexagons, crs="EPSG:4326")


def _few(rows: pa.Table) -> pa.Table:
    """What is read of rows in a notebook."""
    return with_hex(rows.select([name for name in READ if name in rows.column_names]).slice(0, SHOWN_ROWS))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if hasattr(value, "isoformat"):
        return f"{value:%Y-%m-%d}"
    return "-" if value is None else str(value)[:40]
