"""Parquet files of embeddings made elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sample import InputError
from experiments.retrieval.options import Options
from experiments.retrieval.vector_case import read_vectors, vector_case

OPTIONS = Options()


def write(path: Path, noise: float, order: int = 1, **changes: Any) -> Path:
    """60 vectors of two classes in 12 blocks."""
    code = np.arange(60) % 2
    vectors = np.eye(4)[code] + noise * np.random.default_rng(0).standard_normal((60, 4))
    columns = {
        "id": [f"i{i}" for i in range(60)],
        "embedding": list(vectors.astype(np.float16)),
        "label": ["ab"[c] for c in code],
        "block": [f"b{i // 5}" for i in range(60)],
    } | changes
    pq.write_table(pa.table({k: list(v)[::order] for k, v in columns.items() if v is not None}), path)
    return path


def test_files_are_joined_by_id(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.parquet", 0.1), write(tmp_path / "b.parquet", 0.1, order=-1)]
    case = vector_case(paths, OPTIONS)
    first, second = (candidate.vectors[0] for candidate in case.candidates)
    assert (first == second).all()
    assert case.candidates[0].bytes_per_item == 8
    assert case.problem.notes[0] == "no split given: 30% of the blocks held out"


def test_the_files_own_split_and_positions_are_used(tmp_path: Path) -> None:
    split = ["test"] * 20 + ["train"] * 40
    lon = np.arange(60.0)
    path = write(tmp_path / "a.parquet", 0.1, split=split, lon=lon, lat=np.zeros(60))
    case = vector_case([path], OPTIONS)
    assert case.problem.folds[0].query.tolist() == list(range(20))
    assert [c.name for c in case.candidates] == ["a", "lon/lat alone"]


def test_items_without_places_are_said_to_be(tmp_path: Path) -> None:
    case = vector_case([write(tmp_path / "a.parquet", 0.1, block=None)], OPTIONS)
    assert "no places: rows are blocks of their own" in case.problem.notes[0]


def test_several_labels_a_row(tmp_path: Path) -> None:
    case = vector_case([write(tmp_path / "a.parquet", 0.1, label=[["a", "b"], ["b"]] * 30)], OPTIONS)
    assert case.problem.is_multi_label


def test_other_items_are_refused(tmp_path: Path) -> None:
    other = write(tmp_path / "b.parquet", 0.1, id=[f"x{i}" for i in range(60)])
    with pytest.raises(InputError, match="not the 60 items of a"):
        vector_case([write(tmp_path / "a.parquet", 0.1), other], OPTIONS)


def test_vectors_must_be_finite_and_of_one_length(tmp_path: Path) -> None:
    bad = np.ones((60, 4))
    bad[7, 2] = np.nan
    with pytest.raises(InputError, match="1 of 60 embeddings are not finite"):
        read_vectors(write(tmp_path / "a.parquet", 0, embedding=bad.tolist()))
    with pytest.raises(InputError, match="expected one, none null"):
        read_vectors(write(tmp_path / "a.parquet", 0, embedding=[[1.0]] * 59 + [[1.0, 2.0]]))
    with pytest.raises(InputError, match="label"):
        read_vectors(write(tmp_path / "a.parquet", 0, label=None))
