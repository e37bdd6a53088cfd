"""SQL predicates as places in parts, against NumPy."""

from pathlib import Path

import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.search.predicate import matching_rows
from indexer.sql.limits import Limits
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL, random_cells, random_rows
from ..small_tables import place_rows, place_table


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    """Of several parts."""
    table = place_table(tmp_path, n=200)
    return table.upsert(place_rows(random_cells(20, box=(150, 10, 151, 11))))


def expected(table: EmbeddingTable, most: float) -> dict[str, list[int]]:
    answer = {}
    for i, file in enumerate(table.files):
        cloud = table.take([i] * file.rows, range(file.rows), ["cloud_fraction"])["cloud_fraction"].to_numpy()
        answer[file.path] = np.flatnonzero(cloud < most).tolist()
    return answer


def found(table: EmbeddingTable, predicate: str) -> dict[str, list[int]]:
    return {path: rows.tolist() for path, rows in matching_rows(table, predicate, Limits()).rows.items()}


def test_rows_of_each_part_of_each_snapshot(table: EmbeddingTable) -> None:
    assert len(table.files) > 1
    older = EmbeddingTable.open(table.path, table.snapshot - 1)
    for most in (0.3, 0.7, 0.3, 2.0, -1.0):
        for snapshot in (table, older):
            assert found(snapshot, f"cloud_fraction < {most}") == expected(snapshot, most)


def test_a_threshold_holds_the_rows_that_lie_on_it(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9, partition_resolution=0)
    table = table.upsert(random_rows(3, cloud_fraction=[0.1, 0.3, 0.5]))  # float32, which 0.3 is not
    (rows,) = found(table, "cloud_fraction <= 0.3").values()
    assert set(table.take([0] * len(rows), rows, ["sample_id"])["sample_id"].to_pylist()) == {"s0", "s1"}
    (rows,) = found(table, "cloud_fraction = 0.1").values()
    assert table.take([0], rows, ["sample_id"])["sample_id"].to_pylist() == ["s0"]


def test_a_draw_is_drawn_again(table: EmbeddingTable) -> None:
    assert found(table, "random() < 0.5") != found(table, "random() < 0.5")


def test_a_wrong_predicate_is_wrong_again(table: EmbeddingTable) -> None:
    for _ in range(2):
        with pytest.raises(QueryError, match="no_such_column"):
            matching_rows(table, "no_such_column > 1", Limits())
    assert found(table, "cloud_fraction < 0.5") == expected(table, 0.5)


def test_a_predicate_has_limits_its_check_included(table: EmbeddingTable) -> None:
    terms = " OR ".join(f"n_s2 = {number}" for number in range(20_000))
    with pytest.raises(QueryError, match=r"stopped after 0.1 s: .* --where-timeout"):
        matching_rows(table, terms, Limits(timeout_s=0.1, flags="where-"))
