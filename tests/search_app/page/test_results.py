"""Rows for people."""

import io
from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.search.query import Cell, Query
from indexer.search.search import COLUMNS, search
from indexer.table.schema import KEY
from search_app.form import Format
from search_app.output import encode
from search_app.page.results import (
    dates_used,
    period,
    quicklook_folder,
    result_frame,
    rows_by_key,
    subjects,
    thumbnails,
    with_ids_as_text,
)

from ..make_table import CELLS, small_table


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ((2021, 1, 1), (2022, 1, 1), "2021"),
        ((2021, 6, 1), (2021, 7, 1), "2021-06"),
        ((2021, 12, 1), (2022, 1, 1), "2021-12"),
        ((2021, 3, 1), (2021, 10, 1), "2021-03-01 to 2021-10-01"),
        ((2021, 6, 30), (2021, 7, 1), "2021-06-30"),
        ((2020, 1, 1), (2022, 1, 1), "2020-01-01 to 2022-01-01"),
    ],
)
def test_a_period_in_few_letters(start: tuple[int, int, int], end: tuple[int, int, int], text: str) -> None:
    row = {"start_datetime": datetime(*start, tzinfo=UTC), "end_datetime": datetime(*end, tzinfo=UTC)}
    assert period(row) == text


def test_modalities_that_are_absent_are_not_named() -> None:
    assert dates_used({"n_hr": 0, "n_s2": 8, "n_s1": 4}) == "S2 8 · S1 4"


def test_rows_come_in_the_order_asked(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    year = (datetime(2021, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))
    keys = [(cell, h3.int_to_str(cell), *year) for cell in (CELLS[7], CELLS[2], CELLS[40])]
    rows = rows_by_key(table, keys, [*KEY, "n_s2"])
    assert rows["h3_cell"].to_pylist() == [CELLS[7], CELLS[2], CELLS[40]]
    assert rows_by_key(table, [], [*KEY]).num_rows == 0


def test_results_get_their_footprint_and_a_frame(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    rows = search(table, Query((Cell(CELLS[0]),)), k=5, columns=(*COLUMNS, "geometry")).rows
    centres = [shapely.from_wkb(shape).centroid for shape in rows["geometry"].to_pylist()]
    for cell, centre in zip(rows["h3_cell"].to_pylist(), centres, strict=True):
        assert h3.str_to_int(h3.latlng_to_cell(centre.y, centre.x, 9)) == cell
    pictures = thumbnails(subjects(table, rows.slice(0, 2)), quicklook_folder(table))
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    frame = result_frame(rows, pictures)
    assert frame["cell"].tolist() == [h3.int_to_str(cell) for cell in rows["h3_cell"].to_pylist()]
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5]
    assert frame["picture"].isna().tolist() == [False, False, True, True, True]
    assert "place" not in frame  # it would be the cell once more


def test_results_download_as_geoparquet(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t")
    rows = search(table, Query((Cell(CELLS[0]),)), k=5).rows
    read = pq.read_table(io.BytesIO(encode(rows, Format.geoparquet)))
    assert np.array_equal(read["h3_cell"].to_numpy(), rows["h3_cell"].to_numpy())
    assert b"geo" in read.schema.metadata


def test_downloads_name_cells_as_text_unknown_ones_too() -> None:
    cells = pa.array([617547304200306687, 617547304200568831], pa.uint64())
    rows = pa.table({"h3_cell": cells, "region_cell": pa.array([CELLS[0], None], pa.uint64()), "n": [1, 2]})
    named = with_ids_as_text(rows)
    assert named["h3_cell"].to_pylist() == [f"{cell:x}" for cell in cells.to_pylist()]
    assert named["region_cell"].to_pylist() == [f"{CELLS[0]:x}", None]
    assert named["n"] == rows["n"]
