"""Rows of a table laid out in a plane, and those of them in a shape that was drawn there or on the map.

A shape on the plane is written `plane:METHOD:X Y,X Y,...`, with places as the plane has them: from -1 to 1.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import shapely
import streamlit as st

from indexer.errors import QueryError
from indexer.overview.drawn_rows import DrawnRows, draw_rows, with_columns
from indexer.overview.projection import project
from indexer.table.embedding_table import EmbeddingTable

from .cached import BY_SNAPSHOT, read_cells
from .map_bytes import pack
from .results import period
from .shapes import PLANE, is_plane, is_shape, polygon_of, region_of


@st.cache_resource(max_entries=2, show_spinner="Drawing rows from the table", hash_funcs=BY_SNAPSHOT)
def read_drawn(table: EmbeddingTable) -> DrawnRows:
    """The rows of the plane: all, or as many as can be looked at. Raises `TableError`."""
    return draw_rows(table)


@st.cache_data(max_entries=4, show_spinner="Laying the rows out", hash_funcs=BY_SNAPSHOT)
def places_of(table: EmbeddingTable, method: str) -> np.ndarray:
    """Where each row that was drawn lies: (n, 2) float32, -1 to 1. Raises `QueryError`."""
    return project(read_drawn(table).vectors, method)


def pack_plane(table: EmbeddingTable, method: str) -> bytes:
    """Places, cells and periods of the rows, as the browser reads them. Raises `QueryError`."""
    drawn, places, cells = read_drawn(table), places_of(table, method), read_cells(table).cell
    words = [period(row) for row in drawn.keys.select(["start_datetime", "end_datetime"]).to_pylist()]
    periods, number = np.unique(words, return_inverse=True) if words else (np.zeros(0, str), np.zeros(0))
    meta: dict[str, Any] = {"cells": len(cells), "periods": periods.tolist()}
    return pack(
        meta,
        x=places[:, 0],
        y=places[:, 1],
        node=np.searchsorted(cells, drawn.keys["h3_cell"].to_numpy()).astype(np.uint32),
        period=number.astype(np.uint16),
    )


def inside(table: EmbeddingTable, shape: str) -> np.ndarray:
    """Which of the rows that were drawn (n,) lie in a shape of a plane or of the map. Raises `QueryError`."""
    if is_plane(shape):
        method, _, drawn = shape.removeprefix(PLANE).partition(":")
        x, y = places_of(table, method).T.astype(np.float64)
        return np.asarray(shapely.contains_xy(polygon_of(drawn), x, y))
    if is_shape(shape):
        cells = read_drawn(table).keys["h3_cell"].to_numpy()
        holds = np.zeros(len(cells), bool)
        holds[region_of(shape).rows(cells).rows()] = True
        return holds
    raise QueryError(f"{shape[:60]!r} is no shape: expected plane:METHOD:X Y,... or within:LON LAT,...")


def picked_rows(table: EmbeddingTable, shape: str, method: str) -> pa.Table:
    """The keys of the rows in a shape (n,), with lon, lat and their place x, y in a plane.

    Raises:
        QueryError: the shape or the method cannot be read.
    """
    holds = inside(table, shape)
    rows = read_drawn(table).keys.filter(pa.array(holds))
    x, y = places_of(table, method)[holds].T
    return with_columns(rows, x=x, y=y)


def mean_inside(table: EmbeddingTable, shape: str) -> np.ndarray:
    """The mean vector (d,) of the rows in a shape. Raises `QueryError`."""
    holds = inside(table, shape)
    if not holds.any():
        raise QueryError("the shape holds no row: draw it around some")
    return np.asarray(read_drawn(table).vectors[holds].mean(axis=0))


def typical_first(table: EmbeddingTable, shape: str) -> np.ndarray:
    """The numbers (n,) of the rows in a shape, most like their mean first. Raises `QueryError`."""
    numbers = np.flatnonzero(inside(table, shape))
    vectors = read_drawn(table).vectors[numbers]
    return numbers[np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")]
