"""What a row without imagery is shown by: its neighbourhood in false colours of the vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import h3
import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from indexer.geo.cells import cell_to_text
from indexer.overview.drawn_rows import draw_rows, drawn_numbers
from indexer.overview.false_colour import FalseColour
from indexer.table.columns import has_direction, unit
from indexer.table.embedding_table import EmbeddingTable

from .cached import BY_SNAPSHOT, read_cells, read_keys, read_vectors

FITTED_ROWS = 5_000  # that the colours are fitted to
RINGS = 3  # of cells around the row's own
EMPTY, MARK = (226, 232, 240), (255, 255, 255)


@dataclass(frozen=True)
class Hexagon:
    """A cell in the colour of its vector."""

    ring: tuple[tuple[float, float], ...]  # lon, lat in degrees
    colour: tuple[int, int, int]


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def false_colour(table: EmbeddingTable) -> FalseColour:
    """Fitted to rows drawn from the table."""
    vectors = read_vectors(table)
    if vectors is None:
        return FalseColour.of(draw_rows(table, FITTED_ROWS).vectors)
    numbers = drawn_numbers(table.row_count, FITTED_ROWS)
    rows = vectors.matrix.whole()[numbers]
    return FalseColour.of(unit(rows[has_direction(rows)]).astype(np.float32))


def neighbourhood(table: EmbeddingTable, cell: int, start_us: int) -> tuple[Hexagon, ...]:
    """The cells near a row, its own first; of each the row of the same period, or its first.

    Nothing where the page does not keep the vectors, or the row has no direction.
    """
    vectors, cells, keys = read_vectors(table), read_cells(table), read_keys(table)
    if vectors is None:
        return ()
    near = np.array([h3.str_to_int(one) for one in h3.grid_disk(cell_to_text(cell), RINGS)], np.uint64)
    at = np.searchsorted(cells.cell, near).clip(max=len(cells.cell) - 1)
    at = at[cells.cell[at] == near]
    rows = np.array([_row_of(cells.first[i], cells.rows[i], keys.start_us, start_us) for i in at])
    matrix = vectors.matrix.whole()[rows]
    usable = has_direction(matrix)
    if not usable[0]:
        return ()
    colours = false_colour(table).colours(unit(matrix[usable]).astype(np.float32))
    return tuple(
        Hexagon(tuple((lon, lat) for lat, lon in h3.cell_to_boundary(cell_to_text(one))), tuple(colour))
        for one, colour in zip(cells.cell[at[usable]].tolist(), colours.tolist(), strict=True)
    )


def draw_hexagons(hexagons: Sequence[Hexagon], size_px: int) -> np.ndarray:
    """A picture (size, size, 3) uint8 of cells, north up, the first of them marked."""
    lon, lat = np.array(hexagons[0].ring).mean(axis=0)
    squeeze = np.cos(np.radians(lat))

    def placed(hexagon: Hexagon) -> np.ndarray:
        ring = np.array(hexagon.ring)
        east = (ring[:, 0] - lon + 180) % 360 - 180
        return np.stack([east * squeeze, lat - ring[:, 1]], axis=1)

    own = placed(hexagons[0])
    scale = size_px / (2 * (2 * RINGS + 1) * np.abs(own).max())
    image = Image.new("RGB", (size_px, size_px), EMPTY)
    pen = ImageDraw.Draw(image)

    def points(hexagon: Hexagon) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in placed(hexagon) * scale + size_px / 2]

    for hexagon in hexagons:
        pen.polygon(points(hexagon), fill=hexagon.colour)
    pen.polygon(points(hexagons[0]), outline=MARK, width=max(1, size_px // 48))
    return np.asarray(image)


def _row_of(first: int, count: int, start_us: np.ndarray, wanted_us: int) -> int:
    """The row of a cell's that begins at a moment, or its first."""
    return int(first + np.argmax(start_us[first : first + count] == wanted_us))
