"""Change between periods and outliers, against plain loops."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError, TableError
from indexer.prototypes import assignments, region_rows
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import fit_prototypes
from indexer.search.changes import _latest, _place_numbers, _whole_places, changes, timeline
from indexer.search.filter import Filter, Region
from indexer.search.outliers import outliers
from indexer.search.words import filter_of, period_of
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable

from ...tolerance import cosine_error
from ..random_rows import MODEL
from ..reference import PREDICATES, Key, Reference, unit, varied_table
from ..small_tables import keys, lon_lat, place_table, whole


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
    both = {place: v for place, v in vectors.items() if 2022 in v and 2024 in v}
    expected = {place: 1 - unit(v[2022]) @ unit(v[2024]) for place, v in both.items()}
    scan = EmbeddingTable.scan
    monkeypatch.setattr(EmbeddingTable, "scan", lambda self, columns: scan(self, columns, batch_rows=7))
    found = changes(table, year(2022), year(2024), 1000, column=column)
    places = list(zip(found["h3_cell"].to_pylist(), found["sample_id"].to_pylist(), strict=True))
    assert sorted(places) == sorted(expected)
    np.testing.assert_allclose(
        found["change"], [expected[place] for place in places], rtol=0, atol=cosine_error(8)
    )
    assert (np.diff(found["change"].to_numpy()) <= 0).all()
    assert {start.year for start in found["before_start_datetime"].to_pylist()} == {2022}
    assert {end.year for end in found["after_end_datetime"].to_pylist()} == {2025}
    first = changes(table, year(2022), year(2024), 5, column=column)
    assert first["h3_cell"].to_pylist() == found["h3_cell"].to_pylist()[:5]
    assert first["rank"].to_pylist() == [1, 2, 3, 4, 5]


def test_a_timeline_compares_a_place_with_itself(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=30, years=(2022, 2023, 2024))
    rows = whole(table)
    for cell in set(rows["h3_cell"].to_pylist()[:40]):
        mine = [row for row in rows.to_pylist() if row["h3_cell"] == cell]
        found = timeline(table, cell).to_pylist()
        key = ("sample_id", "start_datetime")
        assert [[row[name] for name in key] for row in found] == sorted(
            [row[name] for name in key] for row in mine
        )
        for row in found:
            place = sorted(
                (other for other in mine if other["sample_id"] == row["sample_id"]),
                key=lambda other: other["start_datetime"],
            )
            vectors = [unit(np.array(other["embedding"], np.float64)) for other in place]
            at = [other["start_datetime"] for other in place].index(row["start_datetime"])
            if at == 0:
                assert row["change"] is row["since_first"] is None
                continue
            assert row["change"] == pytest.approx(1 - vectors[at] @ vectors[at - 1], abs=cosine_error(8))
            assert row["since_first"] == pytest.approx(1 - vectors[at] @ vectors[0], abs=cosine_error(8))
    with pytest.raises(QueryError, match="has no cell"):
        timeline(table, 0x891F1D4801BFFFF)
    with pytest.raises(QueryError, match="no cell of resolution 9"):
        timeline(table, 0x881F1D4801FFFFF)


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
    with pytest.raises(QueryError, match="k = 0: expected 1 or more"):
        changes(table, year(2023), year(2024), 0)
    with pytest.raises(QueryError, match="k = 0"):
        outliers(table, 0)
    with pytest.raises(TableError, match="prototypes"):
        outliers(table)


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddingTable, Reference]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignments, "SCAN_ROWS", 20)
        patch.setattr(region_rows, "SCAN_ROWS", 20)
        table = varied_table(tmp_path_factory.mktemp("varied"), seed=4)
    assert len([*assignments.scan_assignments(table)]) >= 4
    return table, Reference(table)


places = st.sampled_from(
    [
        {},
        {"bbox": (5.0, 44.0, 6.5, 48.5)},
        {"bbox": (5.0, 44.0, 6.5, 48.5), "footprint": True},
        {"near": (6.5, 46.5, 120.0), "bbox": (6.0, 44.0, 9.0, 48.5)},
    ]
)
rows_held = st.fixed_dictionaries(
    {},
    optional={
        "months": st.lists(st.integers(1, 12), min_size=3, max_size=6),
        "modalities": st.sampled_from([["s1"], ["s2", "hr"]]),
        "where": st.sampled_from([*PREDICATES]),
    },
)
conditions = st.tuples(places, rows_held).map(lambda pair: pair[0] | pair[1])
years = st.integers(2022, 2025)


@given(years, years, conditions, st.integers(1, 100), st.sampled_from(["embedding", "embedding_s1"]))
@settings(max_examples=40, deadline=None)
def test_changes_hold_their_conditions(
    varied: tuple[EmbeddingTable, Reference],
    first: int,
    second: int,
    words: dict[str, Any],
    k: int,
    column: str,
) -> None:
    table, slow = varied
    allowed = slow.matching(words)
    sides_of: dict[tuple[object, ...], list[dict[Key, Any]]] = {}
    for side, number in enumerate((first, second)):
        period = {"start": datetime(number, 1, 1), "end": datetime(number + 1, 1, 1)}
        for key in allowed & slow.matching(period):
            if column in slow.rows[key]:
                sides_of.setdefault(key[:2], [{}, {}])[side][key] = slow.rows[key][column]
    expected = {}
    for place, sides in sides_of.items():
        if all(sides):
            old, new = (max(side, key=lambda key: key[2:]) for side in sides)
            if old != new:
                expected[place] = 1 - unit(sides[0][old]) @ unit(sides[1][new])
    periods = (period_of(first), period_of(second))
    scan = EmbeddingTable.scan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingTable, "scan", lambda self, columns: scan(self, columns, batch_rows=7))
        found = changes(table, *periods, k, filter=filter_of(**words), column=column)
    got = [*zip(found["h3_cell"].to_pylist(), found["sample_id"].to_pylist(), strict=True)]
    best = sorted(expected.values(), reverse=True)[:k]
    assert len(set(got)) == len(got) == len(best)
    np.testing.assert_allclose(found["change"].to_numpy(), best, rtol=0, atol=cosine_error(8))
    np.testing.assert_allclose([expected[place] for place in got], best, rtol=0, atol=cosine_error(8))


@given(conditions, st.none() | years, st.integers(1, 150))
@settings(max_examples=30, deadline=None)
def test_outliers_hold_their_conditions(
    varied: tuple[EmbeddingTable, Reference], words: dict[str, Any], year_: int | None, k: int
) -> None:
    table, slow = varied
    if year_ is not None:
        words = words | {"start": datetime(year_, 1, 1), "end": datetime(year_ + 1, 1, 1)}
    given_ = read_assignments(table)
    fitted = dict(zip(keys(given_), given_["prototype_similarity"].to_pylist(), strict=True))
    allowed = {key: fitted[key] for key in slow.matching(words) if key in fitted}
    found = outliers(table, k, filter_of(**words))
    assert found["prototype_similarity"].to_pylist() == sorted(allowed.values())[:k]
    assert set(keys(found)) <= set(allowed)
    assert found["rank"].to_pylist() == list(range(1, len(found) + 1))


@pytest.mark.parametrize("cuts", [[], [1], [2], [3], [1, 2, 3, 4, 5], [2, 4], [0, 6]])
def test_rows_of_a_place_stay_together_however_batches_are_cut(cuts: list[int]) -> None:
    rows = pa.record_batch({
        "h3_cell": pa.array([1, 1, 1, 2, 2, 3], pa.uint64()),
        "sample_id": ["a", "a", "b", "b", "b", "b"],
    })  # fmt: skip
    ends = [0, *cuts, 6]
    pieces = [*_whole_places(rows.slice(a, b - a) for a, b in pairwise(ends))]
    assert pa.concat_tables(pieces).equals(pa.Table.from_batches([rows]))
    places = [{*zip(*piece.to_pydict().values(), strict=True)} for piece in pieces]
    assert sum(map(len, places)) == 4, "no place is in two"
    assert [*_whole_places(iter([]))] == []


def test_places_are_counted_and_their_last_usable_rows_found() -> None:
    rows = pa.table({
        "h3_cell": pa.array([1, 1, 1, 2, 2, 3], pa.uint64()),
        "sample_id": ["a", "a", "b", "b", "b", "b"],
    })  # fmt: skip
    place = _place_numbers(rows)
    assert place.tolist() == [0, 0, 1, 2, 2, 3]
    usable = np.array([True, True, False, True, False, True])
    assert _latest(place, usable).tolist() == [1, -1, 3, 5]
    assert _latest(place[:0], usable[:0]).tolist() == []


def test_conditions_hold_for_the_right_rows_however_batches_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place_table(tmp_path, n=40)
    scan = EmbeddingTable.scan
    small = filter_of(where="cloud_fraction < 0.5 OR n_s2 > 2")
    asked = year(2023), year(2024)
    want = changes(table, *asked, k=1000, filter=small)
    assert 0 < len(want) < len(changes(table, *asked, k=1000))
    monkeypatch.setattr(EmbeddingTable, "scan", lambda *a, **k: scan(*a, **{**k, "batch_rows": 3}))
    assert changes(table, *asked, k=1000, filter=small).equals(want)
