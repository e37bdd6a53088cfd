"""What the map in the browser is sent: cells, similarities, a closer look, an export.

All of it is read, nothing is changed, and each request names the snapshot and the question, so that an answer
never depends on what another window of the page shows.
"""

from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from indexer.errors import QueryError
from indexer.geo.cells import areas_km2, cell_to_text, cells_to_text, centres, parse_cell
from indexer.index.vectors import Vectors
from indexer.search.words import period_of
from indexer.table.columns import key_numbers
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from ..form import ENDINGS, Format
from ..output import encode
from .background import Extent
from .cached import BY_SNAPSHOT, keys_of, read_cells, read_keys, read_kinds, read_vectors, similarities
from .changed import change_codes
from .class_map import Lesson, class_codes, confidence_codes, label_codes
from .clustered import cluster_codes
from .finding import Answer, find
from .footprints import footprint_km2, pack_footprints
from .kinds import kind_name
from .map_bytes import code_similarity, kind_codes, pack_cells, similarity_codes
from .plane import pack_plane
from .question import to_filter
from .quicklook import modalities
from .results import (
    MEDIA_TYPES,
    PICTURE_PX,
    PICTURED,
    dates_used,
    period,
    picture,
    quicklook_folder,
    row_keys,
    rows_by_key,
    subjects,
)
from .url_state import View, parse_bbox, read_view

BYTES = "application/octet-stream"
# The bytes never leave this machine: to compress them would cost more than to send them.
AS_IT_IS = {"Content-Encoding": "identity", "Cache-Control": "private, max-age=3600"}
MOST_PRODUCTS = 2**32  # of a number of a row and one of the question: some seconds
EXPORTS = (Format.csv, Format.geojson, Format.geoparquet)


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def codes_of(table: EmbeddingTable, question: View) -> bytes:
    """The code of the best similarity of each cell's rows that the question's filters keep."""
    keys = read_keys(table)
    kept = keys.matching(table, to_filter(question))
    answer = find(table, question)
    value = np.full(len(kept), np.nan, np.float32)
    if answer is None:
        value[kept] = 0
    elif (vectors := vectors_to_colour(table, answer)) is not None:
        value = np.where(kept, similarities(vectors, answer.vectors, answer.all_of), np.nan)
    else:
        first = np.searchsorted(keys.cells, answer.rows["h3_cell"].to_numpy())
        np.fmax.at(value, first, answer.rows["similarity"].to_numpy())
    return similarity_codes(read_cells(table).best(value)).tobytes()


def vectors_to_colour(table: EmbeddingTable, answer: Answer) -> Vectors | None:
    """What every cell is compared by; None where that takes too long: the rows found alone have colours."""
    if len(answer.vectors) > 1 and table.row_count * answer.vectors.size > MOST_PRODUCTS:
        return None
    return read_vectors(table, answer.column)


def send_cells(request: Request, table: EmbeddingTable) -> Response:
    """See `pack_cells`."""
    cells = read_cells(table)
    return _numbers(pack_cells(cells, footprint_km2(table, cells)))


def send_plane(request: Request, table: EmbeddingTable) -> Response:
    """See `pack_plane`."""
    return _numbers(pack_plane(table, request.query_params.get("method", "")))


def send_footprints(request: Request, table: EmbeddingTable) -> Response:
    """See `pack_footprints`."""
    try:
        extent = Extent(*parse_bbox(request.query_params.get("bbox", "")))
    except ValueError as error:
        raise QueryError(f"bbox: {error}") from None
    return _numbers(pack_footprints(table, read_cells(table), extent))


def send_similarity(request: Request, table: EmbeddingTable) -> Response:
    """Two bytes a cell, in the order of the cells."""
    return _numbers(codes_of(table, _view(request).question))


def send_change(request: Request, table: EmbeddingTable) -> Response:
    """Two bytes a cell, in the order of the cells: see `change_codes`."""
    return _numbers(change_codes(table, _view(request).comparison))


def send_confidence(request: Request, table: EmbeddingTable) -> Response:
    """Two bytes a cell, in the order of the cells: how sure a classifier is."""
    return _numbers(confidence_codes(table, Lesson.read(request.query_params, "confidence")))


def send_kinds(request: Request, table: EmbeddingTable) -> Response:
    """One byte a cell: its class, by labels or a classifier, its cluster, or its commonest prototype's kind.

    Of one period, one region or one prototype alone if asked.
    """
    params = request.query_params
    if "labels" in params:
        return _numbers(label_codes(table, params["labels"]))
    if "clusters" in params:
        return _numbers(cluster_codes(table, params["clusters"]))
    if "classes" in params:
        return _numbers(class_codes(table, Lesson.read(params, "classes")))
    keys, kinds = read_keys(table), read_kinds(table)
    kind = np.full(len(keys.cells), -1) if kinds is None else kinds.of_rows(keys)
    region, _, number = params.get("prototype", "").partition("/")
    if region:
        kind = np.where(keys.region == np.uint64(parse_cell(region)), kind, -1)
    if number:
        kind = np.where(keys.prototype == _whole("prototype", number), kind, -1)
    if period := params.get("period"):
        kind = np.where(period_of(period).matches_time(keys.start_us, keys.end_us), kind, -1)
    return _numbers(kind_codes(read_cells(table).commonest(kind)).tobytes())


def send_card(request: Request, table: EmbeddingTable) -> Response:
    """What is known of one cell: a line for each of its rows, the latest first.

    `row` is the number of the first of a period, where one is asked and the cell has it.
    """
    cell = parse_cell(request.query_params.get("cell", ""))
    lon, lat = (float(degrees[0]) for degrees in centres([cell]))
    rows = _rows_of(table, cell)
    lines = [
        _card_line(row) | like | {"pictures": modalities(subject)}
        for row, like, subject in zip(
            rows.to_pylist(), _prototypes_of(table, rows), subjects(table, rows), strict=True
        )
    ]
    row = 0
    if period := request.query_params.get("period"):
        row = int(np.argmax(period_of(period).matches_time(*key_numbers(rows)[1:])))
    return JSONResponse({"cell": cell_to_text(cell), "lon": lon, "lat": lat, "row": row, "rows": lines})


def send_picture(request: Request, table: EmbeddingTable) -> Response:
    """The picture of one row of a cell, its caption in a header."""
    rows = _rows_of(table, parse_cell(request.query_params.get("cell", "")))
    number = _number(request, "row")
    if number >= rows.num_rows:
        raise QueryError(f"row={number}: the cell has {rows.num_rows} rows, counted from 0")
    subject = subjects(table, rows.slice(number, 1))[0]
    shown = picture(subject, quicklook_folder(table), request.query_params.get("sensor", ""), PICTURE_PX)
    return Response(shown.png, media_type="image/png", headers={"X-Caption": quote(shown.caption)})


def send_export(request: Request, table: EmbeddingTable) -> Response:
    """The cells whose code is at least `least`, with areas, as a file; of the similarity, or of `measure`."""
    name = request.query_params.get("form", "")
    if name not in EXPORTS:
        raise QueryError(f"form={name!r}: expected one of {', '.join(EXPORTS)}")
    form = Format(name)
    measure = request.query_params.get("measure", "similarity")
    rows = cells_above(table, _view(request), _number(request, "least"), measure)
    headers = {"Content-Disposition": f'attachment; filename="cells{ENDINGS[form][0]}"'}
    return Response(encode(rows, form), media_type=MEDIA_TYPES[form], headers=headers)


def cells_above(table: EmbeddingTable, view: View, least: int, measure: str = "similarity") -> pa.Table:
    """Cells (n,), ids as text, with at least a code, as the browser counts them. Raises `QueryError`."""
    if measure == "similarity":
        codes, zero = np.frombuffer(codes_of(table, view.question), "<u2"), 0
    elif measure == "change":
        codes, zero = np.frombuffer(change_codes(table, view.comparison), "<u2"), 1
    else:
        raise QueryError(f"measure={measure!r}: expected similarity or change")
    above = np.flatnonzero(codes >= max(least, 1))
    cells = read_cells(table)
    lon, lat = centres(cells.cell[above])
    return pa.table(
        {
            "h3_cell": cells_to_text(cells.cell[above]),
            measure: np.round(zero + code_similarity(codes[above]), 5),
            "area_km2": areas_km2(cells.cell[above]),
            "rows": cells.rows[above],
            "lon": lon,
            "lat": lat,
        }
    )


def _numbers(body: bytes) -> Response:
    return Response(body, media_type=BYTES, headers=AS_IT_IS)


def _rows_of(table: EmbeddingTable, cell: int) -> pa.Table:
    """A cell's rows, the latest first. Raises `QueryError`."""
    rows = table.lookup(cell=cell, columns=[*KEY])
    if not rows.num_rows:
        raise QueryError(f"the table has no cell {cell_to_text(cell)}")
    keys = sorted(row_keys(rows), key=lambda key: (key[3], key[2], key[1]), reverse=True)
    return rows_by_key(table, keys, [*PICTURED, "valid_fraction", "cloud_fraction"])


def _card_line(row: dict[str, Any]) -> dict[str, Any]:
    line = {"sample": row["sample_id"], "period": period(row), "dates": dates_used(row)}
    for name in ("valid_fraction", "cloud_fraction"):
        if row[name] is not None and row[name] == row[name]:
            line[name] = round(row[name], 3)
    return line


def _prototypes_of(table: EmbeddingTable, rows: pa.Table) -> list[dict[str, str]]:
    """The prototype of each row (n,) and its kind; nothing of a row that has none."""
    kinds, keys = read_kinds(table), keys_of(table, rows)
    if kinds is None:
        return [{}] * len(rows)
    told = zip(cells_to_text(keys.region), keys.prototype.tolist(), kinds.of_rows(keys).tolist(), strict=True)
    return [
        {"prototype": f"{region}/{number}", "kind": kind_name(kind)} if number >= 0 else {}
        for region, number, kind in told
    ]


def _view(request: Request) -> View:
    """What an address asks, read as the page reads its own."""
    params = request.query_params
    view, problems = read_view({name: params.getlist(name) for name in params})
    if problems:
        raise QueryError(problems[0])
    return view


def _number(request: Request, name: str) -> int:
    """A whole number of an address. Raises `QueryError`."""
    return _whole(name, request.query_params.get(name, ""))


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise QueryError(f"{name}={text!r}: expected a whole number")
    return int(text)


ANSWERS = {
    "cells": send_cells,
    "similarity": send_similarity,
    "change": send_change,
    "confidence": send_confidence,
    "plane": send_plane,
    "footprints": send_footprints,
    "kinds": send_kinds,
    "card": send_card,
    "picture": send_picture,
    "export": send_export,
}
