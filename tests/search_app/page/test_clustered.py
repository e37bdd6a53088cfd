"""Clusters as the page shows them and its map colours them."""

from pathlib import Path

import numpy as np
import pytest

from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import cached, clustered
from search_app.page.cluster_panel import cluster_frame
from search_app.page.clustered import read_clusters

from ..make_table import CELLS, small_table
from .test_map_answers import ask


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    table = small_table(tmp_path / "t", years=(2021, 2022, 2023))
    monkeypatch.setenv("SKYHEX_TABLE", str(table.path))
    return table


def test_each_row_has_the_cluster_whose_rows_it_is_most_like(table: EmbeddingTable) -> None:
    found = read_clusters(table, 4)
    (batch,) = table.scan(["h3_cell", "embedding"])
    vectors = unit(to_matrix(batch["embedding"]))
    means = unit(np.stack([vectors[found.cluster == number].mean(axis=0) for number in range(4)]))
    likeness = vectors @ means.T
    agree = (likeness.argmax(axis=1) == found.cluster).mean()
    assert agree > 0.97, "k-means has come to rest, but for a row or two between two centres"
    assert found.sizes.tolist() == np.bincount(found.cluster, minlength=4).tolist()
    assert found.sizes.sum() == 3 * len(CELLS)
    for number, cell in enumerate(found.typical["h3_cell"].to_pylist()):
        mine = batch["h3_cell"].to_numpy() == cell
        assert likeness[mine, number].max() == pytest.approx(likeness[:, number].max(), abs=0.02)
    frame = cluster_frame(found, ["data:"] * 4)
    assert frame["cluster"].tolist() == ["⬢ A", "⬢ B", "⬢ C", "⬢ D"]
    assert frame["share"].sum() == pytest.approx(1)


def test_a_table_whose_vectors_are_not_kept_is_read_through(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_clusters(table, 3).cluster
    read_clusters.clear()
    monkeypatch.setattr(clustered, "read_vectors", lambda table: None)
    np.testing.assert_array_equal(read_clusters(table, 3).cluster, expected)


def test_a_cell_has_the_commonest_cluster_of_its_rows(table: EmbeddingTable) -> None:
    sent = np.frombuffer(ask(table, "kinds", clusters=5).body, np.uint8)
    cluster, keys = read_clusters(table, 5).cluster, cached.read_keys(table)
    for cell, code in zip(CELLS, sent.tolist(), strict=True):
        votes = np.bincount(cluster[keys.cells == cell], minlength=5)
        assert votes[code] == votes.max()


@pytest.mark.parametrize("count", ["1", "10", "many", ""])
def test_a_number_that_cannot_be_is_refused(table: EmbeddingTable, count: str) -> None:
    answer = ask(table, "kinds", clusters=count)
    assert answer.status_code == 422
    assert "expected a number from 2 to 9" in bytes(answer.body).decode()
