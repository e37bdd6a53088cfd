"""A neighbourhood in false colours: the cells that are there, in their rows' colours, where they lie."""

from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.table.columns import key_numbers, to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.stand_in import draw_hexagons, false_colour, neighbourhood

from ...indexer.random_rows import MODEL
from ...indexer.small_tables import place_rows

CENTRE = h3.latlng_to_cell(46.9, 9.0, 9)


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Two years of the cells up to five away, every third left out."""
    cells = np.array([h3.str_to_int(cell) for cell in sorted(h3.grid_disk(CENTRE, 5))], np.uint64)
    kept = cells[(np.arange(len(cells)) % 3 > 0) | (cells == h3.str_to_int(CENTRE))]
    return EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(place_rows(kept))


@pytest.mark.parametrize("year", [0, 1])
def test_each_cell_has_the_colour_of_its_row_of_that_period(table: EmbeddingTable, year: int) -> None:
    rows = table.lookup()
    cell, start, _ = key_numbers(rows)
    wanted = np.unique(start)[year]
    colour = false_colour(table).colours(unit(to_matrix(rows["embedding"])).astype(np.float32))
    near = {h3.str_to_int(one) for one in h3.grid_disk(CENTRE, 3)}
    of_period = (start == wanted) & np.isin(cell, [*near])
    expected = dict(zip(cell[of_period].tolist(), map(tuple, colour[of_period].tolist()), strict=True))
    found = neighbourhood(table, h3.str_to_int(CENTRE), int(wanted))
    middles = [np.array(one.ring).mean(axis=0) for one in found]
    at = {
        h3.str_to_int(h3.latlng_to_cell(lat, lon, 9)): one.colour
        for (lon, lat), one in zip(middles, found, strict=True)
    }
    assert at == expected
    assert len(expected) > 20


def test_the_picture_has_its_own_cell_in_the_middle_and_north_above(table: EmbeddingTable) -> None:
    found = neighbourhood(table, h3.str_to_int(CENTRE), 0)
    shown = draw_hexagons(found, 97)
    assert shown.shape == (97, 97, 3)
    assert tuple(shown[48, 48]) == found[0].colour
    own = np.array(found[0].ring).mean(axis=0)
    north = max(found, key=lambda one: np.array(one.ring)[:, 1].mean())
    east, up = (np.array(north.ring).mean(axis=0) - own) * (np.cos(np.radians(own[1])), 1)
    scale = 97 / (2 * 7 * np.abs((np.array(found[0].ring) - own) * (np.cos(np.radians(own[1])), 1)).max())
    assert tuple(shown[round(48.5 - up * scale), round(48.5 + east * scale)]) == north.colour
