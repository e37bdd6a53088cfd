"""Effective rank and cosine of random pairs, on vectors whose figures are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows
from indexer.table.vector_spread import (
    LEAST_ROWS,
    collapsed,
    effective_rank,
    random_cosine,
    spread,
    spread_of,
)

from ..random_rows import MODEL, columns_for, random_cells


def axes(d: int) -> np.ndarray:
    """(2 d, d): each axis forth and back, as even as vectors can be."""
    return np.concatenate([np.eye(d), -np.eye(d)])


@pytest.mark.parametrize("d", [1, 3, 8])
def test_the_rank_of_even_vectors_is_their_dimension(d: int) -> None:
    wide = np.pad(axes(d), ((0, 0), (0, 8 - d)))
    assert effective_rank(wide) == pytest.approx(d)
    assert effective_rank(wide + 5) == pytest.approx(d)  # centred


def test_one_point_has_rank_one() -> None:
    assert effective_rank(np.ones((10, 4))) == 1


def test_unequal_axes_count_by_their_entropy() -> None:
    uneven = axes(2) * [3, 1]  # variances 9 : 1
    assert effective_rank(uneven) == pytest.approx(np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1))))


def test_random_pairs_leave_out_a_vector_with_itself() -> None:
    assert random_cosine(axes(2)) == pytest.approx(-1 / 3)  # of 3 others, one is opposite and two are apart
    assert random_cosine(np.tile([0.6, 0.8], (5, 1))) == pytest.approx(1)


def test_too_few_vectors_have_no_figure() -> None:
    vectors = np.random.default_rng(0).normal(size=(LEAST_ROWS, 8))
    assert spread(vectors) is not None
    vectors[0] = np.nan
    assert spread(vectors) is None


def test_a_column_far_below_its_weights_is_named(tmp_path: Path) -> None:
    model = replace(MODEL, config={"effective_rank": {"embedding": 6.0}})
    h3_cell = np.unique(random_cells(1_100))
    even = columns_for(h3_cell) | {"model": model}
    narrow = np.random.default_rng(1).normal(size=(len(h3_cell), 8)) * 0.01
    narrow[:, 0] = 1
    narrow[:, 1] += np.random.default_rng(2).normal(size=len(h3_cell))
    notes = []
    collapse = even | {"embedding": narrow.astype(np.float32)}
    for name, columns, simulated in (
        ("even", even, False),
        ("far", collapse, False),
        ("sim", collapse, True),
    ):
        empty = EmbeddingTable.create(tmp_path / name, model, h3_resolution=9, simulated=simulated)
        table = empty.upsert(make_rows(**columns))
        found = spread_of(table, "embedding")
        assert found is not None
        notes.append(collapsed(table, "embedding", found))
    assert notes[0] is notes[2] is None
    assert notes[1] is not None
    assert "uniform area" in notes[1]
    assert "6.0" in notes[1]
