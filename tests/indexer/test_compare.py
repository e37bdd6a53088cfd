"""Change between periods and outliers, against plain loops."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.compare import changes, outliers
from indexer.errors import QueryError, TableError
from indexer.filters import Filter, Region
from indexer.prototypes import fit_prototypes, read_assignments
from indexer.schema import to_matrix
from indexer.table import EmbeddingTable

from .random_rows import MODEL
from .small_tables import lon_lat, place_table, whole


def year(number: int) -> Filter:
    return Filter(start=datetime(number, 1, 1, tzinfo=UTC), end=datetime(number + 1, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("column", ["embedding", "embedding_s1"])
def test_changes_are_those_of_a_plain_loop(
    tmp_path: Path, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place_table(tmp_path, n=80, years=(2022, 2023, 2024))
    rows = whole(table)
    vectors: dict[tuple[int, str], dict[int, np.ndarray]] = {}
    for cell, name, start, vector in zip(
        rows["h3_cell"].to_pylist(), rows["sample_id"].to_pylist(), rows["start_datetime"].to_pylist(),
        to_matrix(rows[column]).astype(np.float64), strict=True,
    ):  # fmt: skip
        if np.isfinite(vector).all():
            vectors.setdefault((cell, name), {})[start.year] = vector
    expected = {place: 1 - v[2022] @ v[2024] for place, v in vectors.items() if 2022 in v and 2024 in v}
    scan = EmbeddingTable.scan
    monkeypatch.setattr(EmbeddingTable, "scan", lambda self, columns: scan(self, columns, batch_rows=7))
    found = changes(table, year(2022), year(2024), 1000, column=column)
    places = list(zip(found["h3_cell"].to_pylist(), found["sample_id"].to_pylist(), strict=True))
    assert sorted(places) == sorted(expected)
    np.testing.assert_allclose(found["change"], [expected[place] for place in places], atol=2e-3)
    assert (np.diff(found["change"].to_numpy()) <= 0).all()
    assert {start.year for start in found["before_start_datetime"].to_pylist()} == {2022}
    assert {end.year for end in found["after_end_datetime"].to_pylist()} == {2025}
    first = changes(table, year(2022), year(2024), 5, column=column)
    assert first["h3_cell"].to_pylist() == found["h3_cell"].to_pylist()[:5]
    assert first["rank"].to_pylist() == [1, 2, 3, 4, 5]


def test_changes_in_a_region(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=80)
    west = Filter(region=Region.from_bbox(5, 45, 6.5, 48))
    found = changes(table, year(2023), year(2024), 1000, filter=west)
    lon, lat = lon_lat(whole(table))
    assert len(found) == ((lon >= 5) & (lon <= 6.5) & (lat >= 45)).sum() / 2
    assert found["lon"].to_numpy().max() <= 6.5


def test_no_change_where_there_is_one_period(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=20, years=(2024,))
    assert len(changes(table, year(2023), year(2024))) == 0
    whole_time = Filter(start=datetime(2000, 1, 1))
    assert len(changes(table, whole_time, whole_time)) == 0, "a row is not compared with itself"
    empty = EmbeddingTable.create(tmp_path / "empty", MODEL, h3_resolution=9)
    assert len(changes(empty, year(2023), year(2024))) == 0


def test_outliers_are_the_least_alike(tmp_path: Path) -> None:
    fit_prototypes(place_table(tmp_path, n=100), region_resolution=1, per_region=3)
    table = EmbeddingTable.open(tmp_path)
    similarity = np.sort(read_assignments(table)["prototype_similarity"].to_numpy())
    np.testing.assert_array_equal(outliers(table, 7)["prototype_similarity"], similarity[:7])
    inside = outliers(table, 1000, Filter(region=Region.from_bbox(5, 45, 6.5, 48)))
    assert 0 < len(inside) < len(similarity)
    assert inside["lon"].to_numpy().max() <= 6.5


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=10)
    with pytest.raises(QueryError, match="dates or months"):
        changes(table, Filter(), year(2024))
    with pytest.raises(QueryError, match="embedding_hr"):
        changes(table, year(2023), year(2024), column="embedding_hr")
    with pytest.raises(QueryError, match="k = 0"):
        outliers(table, 0)
    with pytest.raises(TableError, match="prototypes"):
        outliers(table)
