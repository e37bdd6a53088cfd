"""Rows for people: few columns, periods in few letters."""

from datetime import UTC, datetime

import h3
import pyarrow as pa
import pytest

from search_app.cli.readable import CHANGES, HITS, MEMBERS, OUTLIERS, readable
from search_app.form import Format
from search_app.output import encode

CELL = h3.str_to_int("891f1d48a2bffff")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hits(sample_id: str = "891f1d48a2bffff", start: str = "2021-01-01", end: str = "2022-01-01") -> pa.Table:
    row = {
        "rank": 1, "similarity": 0.98765, "top_share": 0.00312, "change": 1.25, "prototype_similarity": -0.5,
        "sample_id": sample_id,
        "start_datetime": moment(start), "end_datetime": moment(end), "lon": 8.123456, "lat": 47.0,
        "before_start_datetime": moment(start), "before_end_datetime": moment(end), "prototype": 3,
        "after_start_datetime": moment("2023-03-01"), "after_end_datetime": moment("2023-06-01"),
    }  # fmt: skip
    rows = pa.Table.from_pylist([row])
    for name in ("h3_cell", "region_cell"):
        rows = rows.append_column(name, pa.array([CELL], pa.uint64()))
    return rows


def test_each_answer_has_its_columns() -> None:
    assert readable(hits(), HITS).column_names == [
        "rank",
        "similarity",
        "top",
        "h3_cell",
        "period",
        "lon",
        "lat",
    ]
    assert readable(hits("chip 7")).column_names == [
        "rank",
        "similarity",
        "top",
        "h3_cell",
        "place",
        "period",
        "lon",
        "lat",
    ]
    of_batch = readable(hits().append_column("query", [["q"]]))
    assert of_batch.column_names[0] == "query"
    assert readable(hits(), CHANGES).select(["change", "before", "after"]).to_pylist() == [
        {"change": "1.250", "before": "2021", "after": "2023-03..2023-05"}
    ]
    assert readable(hits(), OUTLIERS).column_names[-2:] == ["region_cell", "prototype"]
    assert readable(hits(), MEMBERS)["typical"].to_pylist() == ["-0.500"]


@pytest.mark.parametrize("columns", [HITS, CHANGES, OUTLIERS, MEMBERS])
def test_a_row_fits_a_terminal_of_80_characters(columns: tuple[str, ...]) -> None:
    text = encode(readable(hits(), columns), Format.table).decode()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("2021-01-01", "2022-01-01", "2021"),
        ("2021-01-01", "2023-01-01", "2021-01..2022-12"),
        ("2021-12-01", "2022-01-01", "2021-12"),
        ("2021-03-01", "2021-10-01", "2021-03..2021-09"),
        ("2021-03-05", "2021-03-20", "2021-03"),
        ("2021-06-30", "2021-07-01", "2021-06-30"),
    ],
)
def test_periods_in_few_letters(start: str, end: str, shown: str) -> None:
    assert readable(hits(start=start, end=end))["period"].to_pylist() == [shown]
