"""Searches taught by marks: what they find, what they leave out, what they ask about, and their rounds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest

import skyhex
from indexer.errors import QueryError
from indexer.geo.cells import centres
from indexer.geo.great_circle import distance_km
from indexer.labels.feedback import (
    Round,
    _drawn,
    feedback,
    last_round,
    marks_of,
    rounds_of,
    taught_by,
    teach,
)
from indexer.labels.store import label_place, mark, read_labels
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, Query
from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable

CELLS = sorted(h3.str_to_int(c) for c in h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 16))
RIGHT = np.random.default_rng(5).random(len(CELLS)) < 0.3  # what a person looks for
DIMENSION = 8


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """What is right differs in one direction, amid wide noise in others that all rows share."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(CELLS), DIMENSION)) * ([0.5] * 2 + [2.0] * (DIMENSION - 2))
    vectors[:, 0] += np.where(RIGHT, 1.5, -0.5)
    vectors[:, 1] += 3
    return skyhex.write_table(tmp_path_factory.mktemp("feedback") / "t", CELLS, vectors, period=2024)


def vectors_of(table: EmbeddingTable) -> np.ndarray:
    return unit(np.concatenate([to_matrix(batch["embedding"]) for batch in table.scan(["embedding"])]))


def precision(rows: pa.Table) -> float:
    right = {cell for cell, is_right in zip(CELLS, RIGHT, strict=True) if is_right}
    return float(np.mean([cell in right for cell in rows["h3_cell"].to_pylist()]))


def test_rounds_of_marks_teach_a_linear_head_more_than_rocchio(table: EmbeddingTable) -> None:
    start = CELLS[int(np.flatnonzero(RIGHT)[0])]
    is_right = dict(zip(CELLS, RIGHT.tolist(), strict=True))
    found = {}
    for by in ("linear", "rocchio"):
        marks: dict[int, bool] = {}
        answer = feedback(table, Query((Cell(start),)), marks, k=100, by=by)
        untaught = precision(answer.hits.rows)
        for _ in range(5):
            marks |= {cell: is_right[cell] for cell in answer.ask["h3_cell"].to_pylist()}
            answer = feedback(table, Query((Cell(start),)), marks, k=100, by=by)
        assert len(marks) == 50
        found[by] = precision(answer.hits.rows)
    assert found["linear"] > found["rocchio"] > untaught
    assert found["linear"] > 0.75


def test_the_answer_is_the_exact_ranking_by_the_direction(table: EmbeddingTable) -> None:
    marks = dict(zip(CELLS[:40], RIGHT[:40].tolist(), strict=True))
    answer = feedback(table, Query((Cell(CELLS[50]),)), marks, k=30, to_ask=10)
    similarity = vectors_of(table) @ answer.taught.vector
    similarity[[*range(40), 50]] = -np.inf  # the example and what is marked are known
    order = np.argsort(-similarity)
    assert answer.hits.rows["h3_cell"].to_pylist() == [CELLS[i] for i in order[:30]]
    assert answer.hits.rows["rank"].to_pylist() == list(range(1, 31))
    assert answer.taught.border is not None
    pool = order[:200]
    asked = pool[np.argsort(abs(similarity[pool] - answer.taught.border), kind="stable")[:5]]
    ask = answer.ask["h3_cell"].to_pylist()
    assert ask[:5] == [CELLS[i] for i in asked]
    assert len(set(ask)) == 10
    assert not {CELLS[50], *marks} & set(ask)
    assert answer.ask.schema.equals(answer.hits.rows.schema)
    np.testing.assert_allclose(
        answer.ask["similarity"].to_numpy()[5:],
        [similarity[CELLS.index(cell)] for cell in ask[5:]],
        atol=1e-5,
    )


def test_half_of_what_is_asked_about_is_drawn_from_all_that_match(table: EmbeddingTable) -> None:
    lon, _ = centres(CELLS)
    east = skyhex.Filter(region=skyhex.Region.from_bbox(lon.mean(), 40, 20, 50))
    eastern = {cell for cell, degrees in zip(CELLS, lon, strict=True) if degrees >= lon.mean()}
    drawn = []
    for n in range(20):
        marks = dict.fromkeys(CELLS[:n], True)
        answer = feedback(table, Query((Cell(CELLS[50]),)), marks, k=1, to_ask=20, filter=east)
        drawn.append(set(answer.ask["h3_cell"].to_pylist()[10:]))
        assert len(drawn[-1]) == 10
        assert drawn[-1] <= eastern - {*marks}
    assert len(set.union(*drawn)) > 120  # of 200 draws of some 400 cells, 157 differ on average
    again = feedback(table, Query((Cell(CELLS[50]),)), marks, k=1, to_ask=20, filter=east)
    assert again.ask.equals(answer.ask)


def test_the_linear_head_is_a_ridge_regression_on_balanced_marks() -> None:
    rng = np.random.default_rng(1)
    right, wrong = rng.normal(np.eye(5)[0], size=(7, 5)), rng.normal(size=(20, 5))
    direction, border = taught_by(right[:1], right[1:], wrong)
    x, y = np.concatenate([right, wrong]), np.array([1.0] * 7 + [-1.0] * 20)
    weight = np.where(y > 0, 0.5 / 7, 0.5 / 20)
    centred = x - weight @ x
    covariance = (centred * weight[:, None]).T @ centred
    slopes = np.linalg.solve(covariance + 0.1 * np.trace(covariance) * np.eye(5), centred.T @ (weight * y))
    np.testing.assert_allclose(direction, slopes / np.linalg.norm(slopes), atol=1e-12)
    assert border == pytest.approx(direction @ (right.mean(axis=0) + wrong.mean(axis=0)) / 2)


def test_rocchio_is_what_a_query_of_negatives_does(table: EmbeddingTable) -> None:
    marks = {CELLS[3]: True, CELLS[9]: False, CELLS[20]: False}
    taught = teach(table, Query((Cell(CELLS[50]),)), marks, "rocchio")
    examples = (Cell(CELLS[50]), Cell(CELLS[3])), (Cell(CELLS[9]), Cell(CELLS[20]))
    same = skyhex.search(table, query=Query(*examples), k=10)
    assert same.query is not None
    np.testing.assert_allclose(taught.vector, same.query.vectors[0], atol=1e-6)


def test_what_lies_near_a_mark_is_left_out(table: EmbeddingTable) -> None:
    marks = {CELLS[100]: True, CELLS[400]: False}
    query = Query((Cell(CELLS[100]),))
    answer = feedback(table, query, marks, k=len(CELLS), apart_km=1.5)
    lon, lat = centres(CELLS)
    near = np.minimum(*(distance_km(lon, lat, lon[i], lat[i]) for i in (100, 400))) <= 1.5
    assert 20 < near.sum() < len(CELLS) - 20
    assert sorted(answer.hits.rows["h3_cell"].to_pylist()) == [
        cell for cell, out in zip(CELLS, near, strict=True) if not out
    ]
    few = feedback(table, query, marks, k=7, apart_km=1.5)
    assert few.hits.rows.equals(answer.hits.rows.slice(0, 7))
    assert len(feedback(table, query, marks, k=len(CELLS)).hits.rows) == len(CELLS) - 2
    of_a_place = feedback(table, Query((Cell(CELLS[200]),)), marks, k=len(CELLS))
    assert len(of_a_place.hits.rows) == len(CELLS) - 3


def test_before_anything_is_wrong_the_best_are_asked_about(table: EmbeddingTable) -> None:
    answer = feedback(table, Query((Cell(CELLS[100]),)), {CELLS[7]: True}, k=20, to_ask=10)
    assert answer.taught.border is None
    assert answer.ask.slice(0, 5).equals(answer.hits.rows.slice(0, 5))


def test_rounds_are_the_marks_that_were_put_in_one_go(table: EmbeddingTable, tmp_path: Path) -> None:
    place = label_place(table, tmp_path)
    a, b, c, d = CELLS[:4]
    mark(place, "f", {a: "right", b: "wrong"}, 9)
    mark(place, "f", {c: "right"}, 9)
    labels = mark(place, "f", {d: "right", b: None}, 9)
    assert rounds_of(labels) == [Round(1, 1), Round(1, 1), Round(1, 1)]
    assert marks_of(labels) == {a: True, c: True, d: True}
    assert last_round(labels) == [d]
    undone = mark(place, "f", dict.fromkeys(last_round(labels)), 9)
    assert rounds_of(undone) == [Round(1, 1), Round(1, 1)]
    assert undone.equals(read_labels(place, "f"))
    with pytest.raises(QueryError, match="labels forest: expected right and wrong alone"):
        marks_of(mark(place, "f", {a: "forest"}, 9))


def test_rounds_come_in_the_order_of_their_moments() -> None:
    then = datetime(2024, 5, 1, tzinfo=UTC)
    moments = [then + timedelta(1), then, then + timedelta(1)]
    labels = pa.table({"h3_cell": CELLS[:3], "label": ["wrong", "right", "right"], "marked": moments})
    assert rounds_of(labels) == [Round(1, 1), Round(1, 2)]
    assert last_round(labels) == [CELLS[0], CELLS[2]]
    assert last_round(labels.slice(0, 0)) == []


def test_the_facade_takes_cells_as_words(table: EmbeddingTable) -> None:
    marks = {CELLS[3]: True, CELLS[9]: False}
    found = skyhex.feedback(
        table.path, cell=CELLS[50], right=f"{CELLS[3]:x}", wrong=[CELLS[9]], k=5, apart_km=0.5
    )
    same = feedback(table, Query((Cell(CELLS[50]),)), marks, k=5, apart_km=0.5)
    assert found.hits.rows.equals(same.hits.rows)
    assert found.ask.equals(same.ask)
    for words, said in (
        ({"right": CELLS[3], "wrong": CELLS[3]}, "is marked right and wrong"),
        ({"right": 1}, "not an H3 cell"),
        ({"right": "8928308280fffff"}, "the table has no cell 8928308280fffff"),
        ({"by": "magic"}, "expected linear or rocchio"),
        ({"apart_km": -1}, "expected 0 or more"),
        ({"k": 0}, "expected 1 or more"),
    ):
        with pytest.raises(QueryError, match=said):
            skyhex.feedback(table, cell=CELLS[50], **words)


def test_what_is_drawn_matches_however_batches_are_cut(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = EmbeddingTable.scan
    monkeypatch.setattr(EmbeddingTable, "scan", lambda *a, **k: scan(*a, **{**k, "batch_rows": 7}))
    half = Filter(region=Region.from_cells([f"{cell:x}" for cell in CELLS[::2]]))
    known = np.array(CELLS[:20], np.uint64)
    drawn = _drawn(table, half, known, 0.0, 40, seed=1)
    assert len(drawn) == 40
    assert set(drawn.tolist()) <= set(CELLS[::2]) - set(CELLS[:20])
    assert (np.diff(drawn.astype(np.int64)) > 0).all()
