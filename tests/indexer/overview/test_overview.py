"""Rows drawn, laid out and grouped, against plain loops and groups that are known."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import QueryError
from indexer.overview import projection
from indexer.overview.clusters import NONE, Clusters, cluster_table, fit_clusters, sizes_of, typical_of
from indexer.overview.drawn_rows import DrawnRows, draw_rows, drawn_numbers
from indexer.overview.projection import project, project_table
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from ...tolerance import cosine_error
from ..random_rows import MODEL
from ..reference import unit
from ..small_tables import place_table, whole


def groups(n: int = 60, d: int = 12, count: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (count * n, d) of norm 1 around orthogonal centres, and the group of each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(count), n)
    vectors = np.eye(d)[group] + 0.1 * rng.normal(size=(count * n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


@pytest.mark.parametrize("most", [1000, 23])
def test_rows_drawn_are_rows_of_the_table(tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = place_table(tmp_path, n=40)
    scan = EmbeddingTable.scan
    monkeypatch.setattr(EmbeddingTable, "scan", lambda self, columns: scan(self, columns, batch_rows=7))
    drawn, numbers = draw_rows(table, most), drawn_numbers(table.row_count, most)
    monkeypatch.undo()
    rows = whole(table)
    assert drawn.of_rows == len(rows)
    assert len(numbers) == min(most, len(rows))
    matrix = to_matrix(rows["embedding"]).astype(np.float64)[numbers]
    usable = np.isfinite(matrix).all(axis=1) & (np.abs(matrix).sum(axis=1) > 0)
    assert drawn.keys.equals(rows.select(list(KEY)).take(numbers[usable]))
    expected = np.stack([unit(vector) for vector in matrix[usable]])
    np.testing.assert_allclose(drawn.vectors, expected, rtol=0, atol=cosine_error(matrix.shape[1]))
    assert draw_rows(table, most).keys.equals(drawn.keys), "one seed draws the same"


def test_an_empty_table_has_none(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    drawn = draw_rows(table)
    assert (len(drawn.keys), len(drawn.vectors), drawn.of_rows) == (0, 0, 0)
    assert project(drawn.vectors).shape == (0, 2)
    assert Clusters(np.eye(2, MODEL.dimension, dtype=np.float32)).of_table(table).shape == (0,)


def test_every_row_is_as_likely_as_any_other() -> None:
    drawn = np.concatenate([drawn_numbers(50, 10, seed) for seed in range(400)])
    times = np.bincount(drawn, minlength=50)
    assert times.sum() == 4000
    assert times.min() > 80 - 6 * 8, "six standard deviations, about 8, of a binomial"
    assert times.max() < 80 + 6 * 8


def test_pca_is_that_of_the_singular_values() -> None:
    vectors, _ = groups()
    x = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    for axis in (0, 1):
        expected = left[:, axis] * values[axis] / np.abs(left[:, :2] * values[:2]).max()
        found = project(vectors)[:, axis].astype(np.float64)
        sign = np.sign(expected @ found)
        np.testing.assert_allclose(found, sign * expected, rtol=0, atol=1e-5)
    mirrored = project(np.concatenate([vectors[::-1]]))
    np.testing.assert_allclose(mirrored[::-1], project(vectors), rtol=0, atol=1e-5)


def test_pacmap_keeps_groups_apart_and_is_repeated_by_its_seed() -> None:
    pytest.importorskip("pacmap")
    vectors, group = groups()
    places = project(vectors, "pacmap", seed=3)
    assert places.shape == (len(vectors), 2)
    middles = np.stack([places[group == number].mean(axis=0) for number in range(3)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == group).all()
    np.testing.assert_array_equal(places, project(vectors, "pacmap", seed=3))


def test_what_cannot_be_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = groups()
    with pytest.raises(QueryError, match="'tsne' is unknown: expected one of pca, pacmap"):
        project(vectors, "tsne")
    with pytest.raises(QueryError, match="here are 49: use PCA"):
        project(vectors[: projection.LEAST_ROWS - 1], "pacmap")
    monkeypatch.setitem(sys.modules, "pacmap", None)
    with pytest.raises(QueryError, match=r"pip install skyhex\[projection\]"):
        project(vectors, "pacmap")


def test_clusters_are_the_groups_that_are_there() -> None:
    vectors, group = groups()
    order = np.random.default_rng(1).permutation(len(vectors))[30:]  # groups of different sizes
    vectors, group = vectors[order], group[order]
    clusters = fit_clusters(vectors, 3)
    found = clusters.of(vectors)
    assert len({(a, b) for a, b in zip(found.tolist(), group.tolist(), strict=True)}) == 3
    sizes = sizes_of(found, 3)
    assert sizes.tolist() == sorted(np.bincount(group).tolist(), reverse=True)
    np.testing.assert_allclose(np.linalg.norm(clusters.centres, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fit_clusters(vectors, 3).centres, clusters.centres)
    typical = typical_of(pa.table({"number": np.arange(len(vectors))}), vectors, clusters)[
        "number"
    ].to_pylist()
    assert found[typical].tolist() == [0, 1, 2]
    for number, row in enumerate(typical):
        likeness = vectors.astype(np.float64) @ clusters.centres[number].astype(np.float64)
        assert likeness[row] == pytest.approx(likeness.max(), abs=cosine_error(12))


def test_clusters_of_a_table_are_those_of_its_rows(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=40)
    drawn: DrawnRows = draw_rows(table)
    clusters = fit_clusters(drawn.vectors, 4)
    found, matrix = clusters.of_table(table), to_matrix(whole(table)["embedding"])
    for vector, number in zip(matrix.astype(np.float64), found.tolist(), strict=True):
        likeness = clusters.centres.astype(np.float64) @ vector / np.linalg.norm(vector)
        assert likeness[number] == pytest.approx(likeness.max(), abs=cosine_error(matrix.shape[1]))
    assert Clusters(clusters.centres).of(np.full((2, matrix.shape[1]), np.nan)).tolist() == [NONE, NONE]
    assert sizes_of(np.array([0, NONE, 2, 2]), 4).tolist() == [1, 0, 2, 0]
    for count in (1, len(drawn.vectors) + 1):
        with pytest.raises(QueryError, match="expected 2 to as many"):
            fit_clusters(drawn.vectors, count)


def test_a_table_is_laid_out_and_grouped_row_by_row(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=40)
    drawn = draw_rows(table, 30)
    rows = project_table(table, "pca", 30)
    assert rows.column_names == [*KEY, "lon", "lat", "x", "y"]
    assert rows.select(list(KEY)).equals(drawn.keys)
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"]], axis=1), project(drawn.vectors))
    assert np.abs(project(drawn.vectors)).max() == pytest.approx(1)
    grouped = cluster_table(table, 3)
    assert grouped.select(list(KEY)).equals(whole(table).select(list(KEY)))
    expected = fit_clusters(draw_rows(table).vectors, 3).of_table(table)
    assert grouped["cluster"].fill_null(NONE).to_pylist() == expected.tolist()
