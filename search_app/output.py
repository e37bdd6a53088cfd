"""One result, five forms: terminal table, JSON, CSV, GeoJSON, GeoParquet."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import h3
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from rich.console import Console
from rich.table import Table
from rich.text import Text

from indexer.csv_text import guarded
from indexer.errors import QueryError
from indexer.geo.cells import boundary, parse_cell

from .form import Format, form_of
from .terminal_text import shown, visible

TERMINAL_ROWS = 200  # a terminal table stops here and says so; the other forms never stop
COLUMNS_ACROSS = 8  # a table of more that does not fit the terminal is written down it, a line a value
CUT = 60  # characters of a value in a terminal; the other forms have all of it


def emit(
    rows: pa.Table,
    form: Format | None,
    out: Path | None,
    readable: Callable[[pa.Table], pa.Table] | None = None,
) -> None:
    """Write `rows` to stdout, or to `out`, in a form or in that of its name.

    Args:
        rows: to be written.
        form: see `form_of`.
        out: a file.
        readable: makes of rows what people read in a terminal.

    Raises:
        QueryError: see `form_of`; GeoJSON or GeoParquet of rows without a column of cells, or GeoParquet to a
            terminal.
    """
    form = form_of(form, out)
    rows = readable(rows) if readable is not None and form is Format.table else rows
    if out is not None:
        out.write_bytes(encode(rows, form))
    elif form is Format.geoparquet:
        raise QueryError("GeoParquet is binary and came without a file: add -o FILE.parquet")
    elif form is Format.table:
        _print_table(Console(), rows)
    else:
        text = _TEXT[form](rows)
        sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def encode(rows: pa.Table, form: Format) -> bytes:
    """The content of a file of `rows`.

    Raises:
        QueryError: GeoJSON or GeoParquet of rows without a column of cells.
    """
    if form is not Format.geoparquet:
        return _TEXT[form](rows).encode()
    file = io.BytesIO()
    pq.write_table(_with_geometry(rows), file)
    return file.getvalue()


def records(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values: cells as hex strings (they do not fit a JavaScript number), times as ISO 8601."""
    return [{name: _plain(name, value) for name, value in row.items()} for row in rows.to_pylist()]


def is_cell_column(name: str) -> bool:
    """Whether a column of this name holds H3 cells."""
    return name.endswith("_cell")


def hexagon(cell: int) -> shapely.Polygon:
    """The cell's boundary in lon/lat; a cell across the antimeridian reaches beyond 180."""
    return shapely.Polygon(boundary(cell))


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, int) and is_cell_column(name):
        return h3.int_to_str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if value == value else None  # JSON knows no NaN
    return value


def _to_json(rows: pa.Table) -> str:
    return json.dumps(records(rows), indent=1, default=str) + "\n"


def _to_csv(rows: pa.Table) -> str:
    lines = [map(guarded, rows.column_names), *(map(_csv_value, row.values()) for row in records(rows))]
    return "".join(map(_csv_line, lines))


def _csv_line(values: Iterable[Any]) -> str:
    """Python's writer quotes what holds a character of its line's end, and both may stand in text."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _csv_value(value: Any) -> Any:
    """Numbers as they are; text that no spreadsheet takes for a formula."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    return guarded(json.dumps(value, default=str) if isinstance(value, list | dict) else str(value))


def _to_geojson(rows: pa.Table) -> str:
    cells = _cells_of(rows)
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(hexagon(cell)), "properties": properties}
        for cell, properties in zip(cells, records(rows), strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, default=str) + "\n"


def _with_geometry(rows: pa.Table) -> pa.Table:
    """Rows with their hexagon as a GeoParquet 1.1 geometry column."""
    geometry = pa.array([shapely.to_wkb(hexagon(cell)) for cell in _cells_of(rows)], pa.binary())
    if "geometry" in rows.column_names:
        rows = rows.drop_columns(["geometry"])
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}},
    }
    table = rows.append_column("geometry", geometry)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), b"geo": json.dumps(geo).encode()})


def _cells_of(rows: pa.Table) -> list[int]:
    """The cell that each row is drawn as: `h3_cell`, or else the first column of cells, such as a region."""
    columns = [name for name in ("h3_cell", *rows.column_names) if is_cell_column(name)]
    column = next((name for name in columns if name in rows.column_names), None)
    if column is None:
        raise QueryError(
            f"A map form needs the column h3_cell; these rows have {', '.join(rows.column_names)}. "
            "Select h3_cell too, or choose --format csv"
        )
    return [parse_cell(cell) for cell in rows[column].to_pylist()]


def _to_text(rows: pa.Table) -> str:
    text = io.StringIO()
    _print_table(Console(file=text, width=160), rows)
    return text.getvalue()


def _print_table(console: Console, rows: pa.Table) -> None:
    table = _terminal_table(rows)
    width = console.measure(table, options=console.options.update(max_width=10_000)).maximum
    if width <= console.width or len(table.columns) <= COLUMNS_ACROSS:
        console.print(table)
    else:
        for record in _down(rows):
            console.print(record, soft_wrap=True)
    if rows.num_rows > TERMINAL_ROWS:
        console.print(f"{TERMINAL_ROWS} of {rows.num_rows:,} rows; --format csv -o FILE writes them all.")


def _terminal_table(rows: pa.Table) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name, kind in zip(rows.column_names, rows.schema.types, strict=True):
        right = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        cell = is_cell_column(name)
        table.add_column(shown(name), justify="right" if right and not cell else "left", no_wrap=cell)
    for row in _first(rows):
        table.add_row(*(shown(_short(value)) for value in row.values()))
    return table


def _down(rows: pa.Table) -> Iterator[Text]:
    """Each row as lines, a name and a value each; rows apart by an empty line."""
    widest = max((len(name) for name in rows.column_names), default=0)
    for row in _first(rows):
        lines = [shown(f"{name:<{widest}}  ", "bold") + shown(_short(value)) for name, value in row.items()]
        yield Text("\n").join([*lines, Text()])


def _first(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows that a terminal shows, as plain values; of shapes their size alone."""
    some = rows.slice(0, TERMINAL_ROWS)
    binary = [name for name in some.column_names if pa.types.is_binary(some.schema.field(name).type)]
    for name in binary:
        sizes = [None if value is None else f"<{len(value)} bytes>" for value in some[name].to_pylist()]
        some = some.set_column(some.schema.get_field_index(name), name, pa.array(sizes, pa.string()))
    return records(some)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, str) and value.endswith("T00:00:00Z"):
        return value[:10]
    if isinstance(value, list):
        return f"[{len(value)}]" if len(value) > 4 else ", ".join(_short(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(v)}" for name, v in value.items())
    text = str(value)
    return text if len(text) <= CUT else f"{text[: CUT - 1]}…"


_TEXT = {
    Format.table: _to_text,
    Format.json: _to_json,
    Format.csv: _to_csv,
    Format.geojson: _to_geojson,
}
