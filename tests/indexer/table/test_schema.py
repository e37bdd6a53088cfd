"""`make_rows`: what it makes of arrays, and what it refuses."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import TableError
from indexer.geo import cells
from indexer.table.columns import to_matrix
from indexer.table.schema import NORM_TOLERANCE, make_rows, model_of, schema_version, table_schema

from ...tolerance import stored
from ..random_rows import MODEL, columns_for, random_cells, random_rows


def test_rows_have_the_specified_columns_in_order_of_key() -> None:
    rows = random_rows(
        50, embedding_s2=np.ones((50, 8), np.float32), embedding_geo=np.ones((50, 12), np.float32)
    )
    assert rows.schema.equals(table_schema(8, {"embedding_geo": 12, "embedding_s2": 8}))
    assert rows.schema.names[:7] == [
        "h3_cell", "sample_id", "start_datetime", "end_datetime", "geometry", "bbox", "embedding",
    ]  # fmt: skip
    cell = rows["h3_cell"].to_numpy()
    assert (cell[1:] >= cell[:-1]).all()
    assert model_of(rows.schema) == MODEL


def test_vectors_are_scaled_to_norm_one_and_keep_their_direction() -> None:
    h3_cell = np.sort(random_cells(30))
    vectors = (
        np.random.default_rng(1).normal(size=(30, 512)).astype(np.float32) * np.logspace(-9, 9, 30)[:, None]
    )
    model = MODEL.__class__(**vars(MODEL) | {"dimension": 512})
    rows = make_rows(**columns_for(h3_cell) | {"embedding": vectors, "model": model})
    kept = to_matrix(rows["embedding"]).astype(np.float64)
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(kept, expected, **stored(512))
    assert np.abs(np.linalg.norm(kept, axis=1) - 1).max() < NORM_TOLERANCE["float16"]


@pytest.mark.parametrize("length", [1e-3, 1, 300, 30_000])
def test_half_precision_vectors_of_any_length_are_scaled_to_norm_one(length: float) -> None:
    directions = np.random.default_rng(1).normal(size=(30, MODEL.dimension))
    halves = (directions * (length / np.linalg.norm(directions, axis=1, keepdims=True))).astype(np.float16)
    rows = make_rows(**columns_for(random_cells(30)) | {"embedding": halves})
    kept = to_matrix(rows["embedding"]).astype(np.float64)
    assert np.abs(np.linalg.norm(kept, axis=1) - 1).max() < NORM_TOLERANCE["float16"]


def test_nan_rows_of_an_optional_vector_are_null_and_unknown_fractions_too() -> None:
    s1 = np.ones((3, 8), np.float32)
    s1[1] = np.nan
    h3_cell = np.sort(random_cells(3))
    rows = make_rows(**columns_for(h3_cell) | {"embedding_s1": s1, "cloud_fraction": [0.5, np.nan, 0.0]})
    assert rows["embedding_s1"].is_valid().to_pylist() == [True, False, True]
    assert np.isnan(to_matrix(rows["embedding_s1"])).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(to_matrix(rows["embedding_s1"].slice(1, 2))).all(axis=1).tolist() == [True, False]
    assert rows["cloud_fraction"].to_pylist() == [0.5, None, 0.0]


def test_times_are_kept_in_utc_whatever_zone_they_came_in() -> None:
    here = timezone(timedelta(hours=5))
    rows = random_rows(1, start=[datetime(2024, 1, 1, 5, tzinfo=here)], end=np.array(["2025-01-01"], "M8[D]"))
    assert rows["start_datetime"].to_pylist() == [datetime(2024, 1, 1, tzinfo=UTC)]
    assert rows["end_datetime"].to_pylist() == [datetime(2025, 1, 1, tzinfo=UTC)]


def test_the_footer_tells_the_model() -> None:
    emb = json.loads(random_rows(1).schema.metadata[b"emb"])
    assert (emb["dimensions"], emb["data_type"], emb["weights"]) == (8, "float16", "untrained")
    assert emb["model"] == {
        "name": "skyhex/test", "digest": "ab" * 32, "dimension": 8, "licence": "Apache-2.0", "trained": False,
        "config": {"depth": 1},
    }  # fmt: skip


def vectors_with(value: float) -> np.ndarray:
    vectors = np.ones((4, 8), np.float32)
    vectors[2] = [value] * 8 if value == 0 else [1] * 7 + [value]
    return vectors


CELLS = random_cells(4)
BAD: list[tuple[dict[str, Any], str]] = [
    ({"embedding": vectors_with(np.nan)}, r"row 2 \(s2\): embedding holds NaN or infinity"),
    ({"embedding": vectors_with(np.inf)}, r"row 2 \(s2\): embedding holds NaN or infinity"),
    ({"embedding": vectors_with(0)}, r"row 2 \(s2\): embedding is all zeros"),
    ({"embedding_hr": vectors_with(np.nan)}, r"row 2 \(s2\): embedding_hr holds NaN or infinity"),
    ({"embedding": np.ones((4, 9))}, r"shape \(4, 9\): expected \(rows, 8\) of skyhex/test"),
    ({"embedding": np.ones(8)}, r"shape \(8,\): expected \(rows, 8\)"),
    ({"h3_cell": [*CELLS[:3], 7]}, r"row 3 \(s3\): 7 is not an H3 cell"),
    ({"h3_cell": [*CELLS[:3], cells.parent(CELLS[3], 8)]}, r"row 3 \(s3\): cell 88\w+ has resolution 8"),
    ({"h3_cell": CELLS[[0, 1, 2, 0]], "sample_id": ["a", "b", "c", "a"]}, "key of another, first a"),
    ({"sample_id": ["a", "", "c", "d"]}, r"row 1 \(\): sample_id is empty"),
    ({"end": [datetime(2024, 1, 1, tzinfo=UTC)] * 4}, r"row 0 \(s0\): the period ends before it starts"),
    ({"n_hr": [1, 1]}, r"4 values of sample_id, but {'n_hr': 2}"),
    ({"footprint": [[(0, 0), (1, 1)]] * 4}, r"row 0 \(s0\): footprint .* is not a closed ring"),
    ({"footprint": [[(0, 0), (1, 1), (1, np.nan), (0, 0)]] * 4}, "is not a closed ring"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_rows_are_refused_and_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        make_rows(**columns_for(CELLS) | change)


def test_one_sample_may_have_several_periods_and_cells_several_samples() -> None:
    twice = CELLS[[0, 0, 1, 1]]
    start = [datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)] * 2
    rows = make_rows(**columns_for(twice) | {"sample_id": ["a", "a", "b", "c"], "start": start})
    assert rows.num_rows == 4


def test_rows_without_a_model_are_refused() -> None:
    with pytest.raises(TableError, match="do not say which model made them: build them with make_rows"):
        model_of(pa.schema([("a", pa.int8())]))


def test_a_table_takes_the_lowest_version_that_is_right_with_it() -> None:
    assert schema_version({}, "float16", 1) == 1
    assert schema_version({"pixels": "int32"}, "float16", 1) == 2
    assert schema_version({"licence": "string"}, "float16", 1) == 3
    assert schema_version({}, "float32", 0) == 3
    assert schema_version({}, "float16", None) == 4
