"""Columns as NumPy arrays, against Arrow's own conversions and float64."""

import numpy as np
import pyarrow as pa
import pytest

from indexer.table import columns
from indexer.table.columns import (
    cosines,
    has_direction,
    inverse_norms,
    key_numbers,
    to_array,
    to_matrix,
    to_numbers,
    unit,
)

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(50, 6)).astype(np.float32)
VECTORS[[4, 17]] = 0
VECTORS[9, 2] = np.inf
VECTORS[11] = np.nan
DIRECTED = np.setdiff1d(np.arange(50), [4, 9, 11, 17])


def vector_column(rows: list[list[float] | None], d: int = 3) -> pa.Array:
    return pa.array(rows, pa.list_(pa.float32(), d))


def test_vectors_that_are_null_come_as_nan_and_slices_keep_their_place() -> None:
    column = vector_column([[1, 2, 3], None, [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(to_matrix(column), [[1, 2, 3], [np.nan] * 3, [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(to_matrix(column.slice(1, 2)), [[np.nan] * 3, [4, 5, 6]])
    chunks = pa.chunked_array([column.slice(2), column.slice(0, 2)])
    np.testing.assert_array_equal(to_matrix(chunks), [[4, 5, 6], [7, 8, 9], [1, 2, 3], [np.nan] * 3])
    assert column.to_pylist()[1] is None, "the column itself is as it was"


@pytest.mark.parametrize(
    "values",
    [np.arange(11), np.linspace(0, 1, 11), np.arange(11) % 3 == 0, np.arange(22, dtype=np.int16)[::2]],
)
@pytest.mark.parametrize("null", [None, np.zeros(11, bool), np.arange(11) % 4 == 1])
def test_arrays_are_those_of_arrow(values: np.ndarray, null: np.ndarray | None) -> None:
    made = to_array(values, null=null)
    assert made.equals(pa.array(values, mask=null))
    assert made.null_count == (0 if null is None else int(null.sum()))


def test_numbers_may_be_read_as_another_type_of_their_width() -> None:
    moments = np.array([0, 10**15])
    kind = pa.timestamp("us", tz="UTC")
    made = to_array(moments, kind)
    assert made.type == kind
    assert to_numbers(made).tolist() == to_numbers(pa.chunked_array([made])).tolist() == moments.tolist()
    assert to_numbers(pa.array([1.5, 2.5])).tolist() == [1.5, 2.5]


@pytest.mark.parametrize("at_once", [1, 7, 50, 8192])
def test_pieces_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", at_once)
    query = unit(RNG.normal(size=6))
    norms = np.linalg.norm(VECTORS[DIRECTED].astype(np.float64), axis=1)
    want = VECTORS[DIRECTED].astype(np.float64) @ query / norms
    found = cosines(VECTORS, query)
    assert found.shape == (50,)
    np.testing.assert_allclose(found[DIRECTED], want, rtol=0, atol=0.5001e-7)
    assert np.isnan(np.delete(found, DIRECTED)).all()
    inverse = inverse_norms(VECTORS)
    np.testing.assert_allclose(inverse[DIRECTED], 1 / norms, rtol=1e-6)
    assert np.delete(inverse, DIRECTED).tolist() == [0, 0, 0, 0]
    assert np.flatnonzero(has_direction(VECTORS)).tolist() == DIRECTED.tolist()


def test_a_cosine_has_seven_decimals() -> None:
    query = np.array([1.0, 0, 0])
    found = cosines(np.array([[1, 1, 0], [3, 1, 1]], np.float32), query)
    assert found.tolist() == [round(2**-0.5, 7), round(3 / 11**0.5, 7)]


def test_unit_vectors_of_any_shape_have_the_norm_one_or_none() -> None:
    made = unit(np.array([[[3, 4], [0, 0]], [[0, -2], [np.inf, 1]]]))
    np.testing.assert_array_equal(made[:, 0], [[0.6, 0.8], [0, -1]])
    assert np.isnan(made[0, 1]).all()
    assert np.isnan(made[1, 1, 0])


def test_key_numbers_are_cells_and_microseconds() -> None:
    kind = pa.timestamp("us", tz="UTC")
    rows = pa.table({
        "end_datetime": pa.array([30, 40], kind),
        "h3_cell": pa.array([2**63, 5], pa.uint64()),
        "start_datetime": pa.array([10, 20], kind),
    })  # fmt: skip
    found = key_numbers(rows)
    assert [numbers.tolist() for numbers in found] == [[2**63, 5], [10, 20], [30, 40]]
    assert [str(numbers.dtype) for numbers in found] == ["uint64", "int64", "int64"]
