"""Text that a spreadsheet would take for a formula, there and back."""

import io

import pyarrow as pa
import pyarrow.csv
from hypothesis import given
from hypothesis import strategies as st

from indexer.csv_text import as_written, guarded

BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def test_what_begins_as_a_formula_is_text() -> None:
    for begin in BEGINS:
        assert guarded(f"{begin}1+1").startswith("'")
    for text in ("a=b", "", "8928308280fffff", "it's", "'quoted'", "2024-01-01", " =1"):
        assert guarded(text) == text


@given(st.lists(st.text("'=+-@\t\r\na1", max_size=6) | st.text(max_size=6), min_size=1))
def test_it_is_undone_exactly(texts: list[str]) -> None:
    rows = pa.table({guarded("=name"): [guarded(text) for text in texts], "lon": [-1.5] * len(texts)})
    assert as_written(rows).to_pydict() == {"=name": texts, "lon": [-1.5] * len(texts)}


def test_numbers_that_were_read_stay_numbers() -> None:
    read = pyarrow.csv.read_csv(io.BytesIO(b"id,lon\n'-7,-7.5\nx,2\n"))
    assert as_written(read).to_pydict() == {"id": ["-7", "x"], "lon": [-7.5, 2.0]}
