"""Two tables beside each other, where what they share is known."""

from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data.sample import InputError
from experiments.retrieval.agreement import (
    _drawn,
    agreement,
    agreement_rows,
    agreement_table,
    draw_agreement,
)
from experiments.retrieval.cell_labels import read_labels
from experiments.retrieval.evaluations import evaluate_tables
from experiments.retrieval.neighbours import by_cosine
from experiments.retrieval.options import COMPARE_PROTOCOLS, Options
from experiments.retrieval.table_pair import TablePair, read_pair
from indexer.geo.cells import parents, resolutions
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo
from tests.indexer.random_rows import columns_for, make_rows

OPTIONS = Options(split="test", protocols=COMPARE_PROTOCOLS)
D = 8


def disk(radius: int, lon: float = 6.0, lat: float = 46.0) -> np.ndarray:
    """(n,) cells of resolution 9 around a place, in order of number."""
    cells = h3.grid_disk(h3.latlng_to_cell(lat, lon, 9), radius)
    return np.sort(np.array([h3.str_to_int(cell) for cell in cells], np.uint64))


def put(path: Path, cells: np.ndarray, vectors: np.ndarray, year: int = 2024) -> EmbeddingTable:
    """A table, or more rows of it."""
    model = ModelInfo(
        f"of/{path.name}", f"{vectors.shape[1]:064x}", vectors.shape[1], "CC0-1.0", trained=True
    )
    period = {
        side: [datetime(year + i, 1, 1, tzinfo=UTC)] * len(cells) for i, side in enumerate(("start", "end"))
    }
    rows = make_rows(**columns_for(cells) | period | {"embedding": vectors, "model": model})
    if EmbeddingTable.exists(path):
        return EmbeddingTable.open(path).upsert(rows)
    return EmbeddingTable.create(path, model, h3_resolution=9).upsert(rows)


def pair_of(first: EmbeddingTable, second: EmbeddingTable, max_cells: int = 10_000) -> TablePair:
    return read_pair(first, second, max_cells=max_cells)


def turned(vectors: np.ndarray) -> np.ndarray:
    """The same vectors on other axes, with two more: every cosine stays."""
    return np.pad(-vectors[:, ::-1], ((0, 0), (0, 2)))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[TablePair, np.ndarray]:
    """Tables that agree but in an area, whose rows are like each other alone and shuffled in one."""
    cells = disk(14)
    inside = np.isin(cells, disk(5))
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(cells), 2 * D)).astype(np.float32)
    vectors[inside, :D] = 0
    vectors[~inside, D:] = 0
    other = vectors.copy()
    other[inside] = rng.permutation(vectors[inside])
    folder = tmp_path_factory.mktemp("planted")
    return pair_of(put(folder / "a", cells, vectors), put(folder / "b", cells, turned(other))), inside


def test_they_agree_but_in_the_planted_area(planted: tuple[TablePair, np.ndarray]) -> None:
    pair, inside = planted
    found = agreement(pair, beyond_km=0, max_queries=10_000)
    assert (found.query == np.arange(len(inside))).all()
    assert found.shared[~inside].mean() > 0.999
    assert found.shared[inside].mean() == pytest.approx(10 / (inside.sum() - 1), abs=0.08)
    assert (found.shared_beyond == found.shared).all()
    rows = agreement_rows(found)
    worst = rows["h3_cell"].to_numpy()[: inside.sum() * 9 // 10]
    assert np.isin(worst, pair.cell[inside]).all()  # the map begins with where they disagree


def test_the_picture_shows_the_planted_area(planted: tuple[TablePair, np.ndarray], tmp_path: Path) -> None:
    pair, _ = planted
    draw_agreement(agreement(pair, beyond_km=0, max_queries=10_000), tmp_path / "map.png")
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).astype(int)
    red = (pixels[..., 0] > pixels[..., 2] + 80).sum()
    blue = (pixels[..., 2] > pixels[..., 0] + 60).sum()
    assert 0.05 < red / (red + blue) < 0.4  # 91 of 631 cells, and the colour bar


def test_the_picture_of_few_asked_cells_draws_coarser_ones(planted: tuple[TablePair, np.ndarray]) -> None:
    cells = planted[0].cell
    drawn, member = _drawn(cells, was_thinned=False)
    assert (drawn[member] == cells).all()
    drawn, member = _drawn(cells[::4], was_thinned=True)  # two of the seven in each cell of resolution 8
    assert resolutions(drawn).tolist() == [7] * len(drawn)
    assert (drawn[member] == parents(cells[::4], 7)).all()


def test_shuffled_rows_agree_at_chance(tmp_path: Path) -> None:
    cells = disk(14)
    vectors = np.random.default_rng(1).normal(size=(len(cells), D)).astype(np.float32)
    shuffled = np.random.default_rng(2).permutation(vectors)
    found = agreement(
        pair_of(put(tmp_path / "a", cells, vectors), put(tmp_path / "b", cells, shuffled)),
        beyond_km=1, max_queries=10_000,
    )  # fmt: skip
    expected = 10 / (len(cells) - 1)
    assert found.chance == pytest.approx(np.full(len(cells), expected))
    error = np.sqrt(10 * expected) / 10 / np.sqrt(len(cells))  # of a mean of counts of rare hits
    assert found.shared.mean() == pytest.approx(expected, abs=5 * error)
    assert found.shared_beyond.mean() == pytest.approx(found.chance_beyond.mean(), abs=5 * error)


def test_beyond_a_distance_the_cells_around_do_not_count(tmp_path: Path) -> None:
    """Clusters of seven cells that both tables know, and nothing else that they share."""
    places = [disk(1, 6 + 0.2 * i, 46 + 0.2 * j) for i in range(8) for j in range(8)]
    cells, cluster = np.concatenate(places), np.repeat(np.arange(64), 7)
    order = np.argsort(cells)
    tables = []
    for seed, name in enumerate("ab"):
        noise = np.random.default_rng(seed).normal(size=(len(cells), 16))
        vectors = np.concatenate([6 * np.eye(64)[cluster], noise], axis=1).astype(np.float32)
        tables.append(put(tmp_path / name, cells[order], vectors[order]))
    found = agreement(pair_of(*tables), beyond_km=5, max_queries=10_000)
    assert found.shared.min() >= 0.6  # the six beside a cell
    assert found.shared_beyond.mean() < 0.05
    table = agreement_table(found, seed=0)
    assert [row[0] for row in table.rows] == ["all", "beyond 5 km"]
    assert table.rows[0][1] == 448


def test_where_no_cell_is_so_far_nothing_is_said(
    planted: tuple[TablePair, np.ndarray], tmp_path: Path
) -> None:
    found = agreement(planted[0], beyond_km=1000, max_queries=50)
    assert np.isnan(found.shared_beyond).all()
    assert agreement_table(found, seed=0).rows[1][1] == 0
    assert agreement_rows(found)["recall_at_10_beyond"].null_count == 50
    draw_agreement(found, tmp_path / "map.png")


def test_hidden_rows_are_never_found() -> None:
    vectors = np.eye(4)
    found = by_cosine(vectors, vectors, 4, lambda some: np.eye(4, dtype=bool)[some])
    for query, (hits, similarity) in enumerate(zip(found.index, found.similarity, strict=True)):
        assert query not in hits[:3]
        assert similarity.tolist() == [0, 0, 0, -np.inf]


def test_of_several_periods_the_last_is_taken_or_the_one_asked_for(tmp_path: Path) -> None:
    cells = disk(3)
    first, second = (
        np.eye(D, dtype=np.float32)[[0] * len(cells)],
        np.eye(D, dtype=np.float32)[[1] * len(cells)],
    )
    put(tmp_path / "a", cells, second, 2024)
    table = put(tmp_path / "a", cells[5:], first[5:], 2020)
    other = put(tmp_path / "b", cells[::2], second[::2], 2024)
    pair = pair_of(table, other)
    assert (pair.cell == cells[::2]).all()
    assert (pair.vectors[0] == second[::2]).all()
    assert pair.notes[-1] == "b: of/b (000000000000, 8 dimensions), 2024-01-01 to 2025-01-01"
    assert f"{len(cells) - 5} further rows of a (another period or sample) not asked" in pair.notes
    old = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    with pytest.raises(InputError, match="none in common"):
        read_pair(table, other, period=old, max_cells=100)
    both = read_pair(table, table, period=old, max_cells=10)
    assert len(both.cell) == 10
    assert np.isin(both.cell, cells[5:]).all()
    assert (both.vectors[0] == first[:10]).all()
    assert "10 of them drawn" in both.notes
    assert both.names[0] != both.names[1]


def test_other_resolutions_are_refused(tmp_path: Path) -> None:
    fine = put(tmp_path / "a", disk(1), np.ones((7, D), np.float32))
    coarse = EmbeddingTable.create(tmp_path / "b", fine.model, h3_resolution=8)
    with pytest.raises(InputError, match=r"resolution 9.* of 8"):
        pair_of(fine, coarse)


def test_labels_tell_the_better_table(tmp_path: Path) -> None:
    places = [disk(2, 6 + 0.4 * i, 46 + 0.4 * j) for i in range(5) for j in range(5)]
    cells = np.sort(np.concatenate(places))
    rng = np.random.default_rng(0)
    code = rng.integers(0, 3, len(cells))
    knows = np.eye(D)[code] + 0.2 * rng.normal(size=(len(cells), D))
    tables = (
        put(tmp_path / "knows", cells, knows),
        put(tmp_path / "guesses", cells, rng.normal(size=(len(cells), D))),
    )
    labels = tmp_path / "land.csv"
    lines = [f"{h3.int_to_str(int(cell))},{'abc'[c]}" for cell, c in zip(cells[:-9], code, strict=False)]
    labels.write_text("\n".join(["h3_cell,label", *lines]) + "\n")
    report, _ = evaluate_tables(pair_of(*tables), labels, OPTIONS, beyond_km=5)
    zero_shot, probes = report.sheets
    assert (zero_shot.family, probes.family) == ("zero-shot", "probes")
    scores = {row.name: row.scores["mAP@20"].mean for row in zero_shot.rows}
    assert {"knows", "guesses", "lon/lat alone", "chance", "majority"} == set(scores)
    assert scores["knows"] > 0.95
    assert scores["guesses"] < 0.6
    assert zero_shot.problem.name == "land"
    assert report.tables[0].title == "Neighbours"
    assert "Compression" not in [table.title for table in report.tables]


def test_labels_of_points_and_what_is_refused(tmp_path: Path) -> None:
    cell = h3.str_to_int(h3.latlng_to_cell(46, 6, 9))
    points = tmp_path / "a.parquet"
    rows = {
        "lon": [6.0, 6.0, 6.0, 7.0],
        "lat": [46.0] * 4,
        "label": ["a", "b", "b", None],
        "split": ["test"] * 4,
    }
    pq.write_table(pa.table(rows), points)
    assert read_labels(points, 9) == {cell: {"label": "b", "split": "test"}}
    pq.write_table(pa.table({"h3_cell": [cell], "label": ["a"]}), points)
    with pytest.raises(InputError, match=r"resolution \[9\]; expected 8"):
        read_labels(points, 8)
    pq.write_table(pa.table({"label": ["a"]}), points)
    with pytest.raises(InputError, match="expected `label`, and `h3_cell` or"):
        read_labels(points, 9)
    points.write_bytes(b"no Parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(points, 9)
