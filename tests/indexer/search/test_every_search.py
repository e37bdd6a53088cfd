"""Every kind of query and every condition, alone and together, against a search written out row by row."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.geo import cells
from indexer.index.faiss_index import build_index
from indexer.search.diversity import Diversity
from indexer.search.query import Vector
from indexer.search.search import POOL, search, search_many
from indexer.search.words import examples_of, filter_of, query_of
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL
from ..reference import PREDICATES, Reference, check, unit, varied_rows, varied_table
from ..small_tables import keys

Case = tuple[EmbeddingTable, Reference]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Without an index, with one, and with one that lacks the newest rows."""
    plain, indexed, stale = (varied_table(tmp_path_factory.mktemp(f"table{seed}"), seed) for seed in range(3))
    build_index(indexed)
    build_index(stale)
    stale = stale.upsert(varied_rows(7, places=10))
    return [(table, Reference(table)) for table in (plain, indexed, stale)]


vectors = st.integers(0, 999).map(lambda seed: np.random.default_rng(seed).normal(size=MODEL.dimension))
which = st.integers(0, 2)
ks = st.integers(1, 200)  # a table has some 130 rows
some_day = st.integers(0, 1200).map(lambda n: datetime(2022, 1, 1) + timedelta(days=n))
hole = {
    "type": "Polygon",
    "coordinates": [
        [[5, 45], [8, 45], [8, 48], [5, 48], [5, 45]],
        [[6, 46], [7, 46], [7, 47], [6, 47], [6, 46]],
    ],
}


def place_conditions(case: Case) -> dict[str, st.SearchStrategy[Any]]:
    """Words for where; cells are ancestors of some of the table's own."""
    own = [key[0] for key in case[1].rows]
    coarse = st.tuples(st.sampled_from(own), st.integers(0, 9)).map(lambda pair: cells.parent(*pair))
    corner = st.tuples(st.floats(4.5, 7.5), st.floats(44.5, 47.5), st.floats(0.3, 3), st.floats(0.3, 3))
    return {
        "bbox": corner.map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
        "within": st.just(hole),
        "near": st.tuples(st.floats(5, 8), st.floats(45, 48), st.floats(1, 300)),
        "cells": st.lists(coarse, min_size=1, max_size=3),
    }


ROW_CONDITIONS = {
    "start": some_day,
    "end": some_day.map(lambda day: day + timedelta(days=1300)),
    "months": st.lists(st.integers(1, 12), min_size=1, max_size=4),
    "modalities": st.lists(st.sampled_from(["hr", "s2", "s1"]), max_size=3),
    "where": st.sampled_from([*PREDICATES]),
}


@pytest.mark.parametrize("word", ["bbox", "within", "near", "cells", *ROW_CONDITIONS])
@given(which, ks, vectors, st.data())
@settings(max_examples=15, deadline=None)
def test_each_condition_alone(
    cases: list[Case], word: str, number: int, k: int, vector: np.ndarray, data: st.DataObject
) -> None:
    table, slow = cases[number]
    words = {word: data.draw((place_conditions(cases[number]) | ROW_CONDITIONS)[word])}
    found = search(table, query_of([Vector(vector)]), k, filter_of(**words)).rows
    check(found, slow.similarity([vector], "embedding"), slow.matching(words), k)


@given(which, ks, vectors, st.data())
@QUICK
def test_any_conditions_together(
    cases: list[Case], number: int, k: int, vector: np.ndarray, data: st.DataObject
) -> None:
    table, slow = cases[number]
    words = data.draw(
        st.fixed_dictionaries({}, optional=place_conditions(cases[number]) | ROW_CONDITIONS), label="words"
    )
    found = search(table, query_of([Vector(vector)]), k, filter_of(**words)).rows
    check(found, slow.similarity([vector], "embedding"), slow.matching(words), k)


@given(which, ks, vectors, st.data())
@settings(max_examples=15, deadline=None)
def test_footprints_with_other_conditions(
    cases: list[Case], number: int, k: int, vector: np.ndarray, data: st.DataObject
) -> None:
    table, slow = cases[number]
    where = place_conditions(cases[number])
    regions = {name: where[name] for name in ("bbox", "within")}
    words = data.draw(st.fixed_dictionaries({"footprint": st.just(True)}, optional=regions | ROW_CONDITIONS))
    found = search(table, query_of([Vector(vector)]), k, filter_of(**words)).rows
    check(found, slow.similarity([vector], "embedding"), slow.matching(words), k)


@given(
    which,
    ks,
    st.lists(st.integers(0, 10**6) | vectors, min_size=1, max_size=4),
    st.lists(st.integers(0, 10**6) | vectors, max_size=2),
    st.sampled_from(["mean", "any"]),
    st.floats(0, 2),
    st.sampled_from(["embedding", "embedding_s2", "embedding_s1"]),
    st.sampled_from(["embedding", "embedding_s2", "embedding_s1"]),
    st.booleans(),
    st.fixed_dictionaries({}, optional={"months": ROW_CONDITIONS["months"], "start": some_day}),
)
@QUICK
def test_examples_their_weights_and_their_vectors(
    cases: list[Case], number: int, k: int, like: list[Any], unlike: list[Any], match: Any, weight: float,
    using: str, against: str, include_query: bool, words: dict[str, Any],
) -> None:  # fmt: skip
    """Cells by id and by place, vectors; mean and any; Rocchio's weights; one modality against another."""
    table, slow = cases[number]
    with_vector = sorted({key[0] for key, row in slow.rows.items() if using in row})
    examples, wanted, own = [], [], set()
    for one in (*like, *unlike):
        if isinstance(one, int):
            cell = with_vector[one % len(with_vector)]
            vector, keys_of_cell = slow.example(cell, using, words)
            own |= keys_of_cell
            place = tuple(float(side[0]) for side in cells.centres([cell]))
            examples += examples_of(cell=cell) if one % 2 else examples_of(lonlat=place)
        else:
            vector = unit(one)
            examples += examples_of(vector=one)
        wanted.append(vector)
    positives, negatives = wanted[: len(like)], wanted[len(like) :]
    positives = [np.mean(positives, axis=0)] if match == "mean" else positives
    if negatives:
        positives = [vector - weight * np.mean(negatives, axis=0) for vector in positives]
    if min(np.linalg.norm(vector) for vector in positives) < 0.05:
        return  # examples that nearly cancel: refused, or too short for float16
    query = query_of(
        examples[: len(like)], examples[len(like) :], using=using, against=against, match=match,
        negative_weight=weight,
    )  # fmt: skip
    found = search(table, query, k, filter_of(**words), include_query).rows
    allowed = slow.matching(words) - (set() if include_query else own)
    check(found, slow.similarity(positives, against), allowed, k)


@given(which, ks, st.integers(1, 3), st.integers(0, 9), vectors)
@settings(max_examples=20, deadline=None)
def test_at_most_so_many_below_a_parent(
    cases: list[Case], number: int, k: int, per_parent: int, resolution: int, vector: np.ndarray
) -> None:
    table, _ = cases[number]
    query, diversity = query_of([Vector(vector)]), Diversity(per_parent, resolution)
    kept: list[tuple[object, ...]] = []
    below: dict[int, int] = {}
    for key in keys(search(table, query, 1000).rows):
        above = cells.parent(int(str(key[0])), resolution)
        below[above] = below.get(above, 0) + 1
        if below[above] <= per_parent:
            kept.append(key)
    assert keys(search(table, query, k, diversity=diversity).rows) == kept[:k]


@given(which, st.integers(1, 40), st.floats(0, 1), vectors)
@settings(max_examples=20, deadline=None)
def test_marginal_relevance_of_a_search_is_its_formula(
    cases: list[Case], number: int, k: int, relevance: float, vector: np.ndarray
) -> None:
    table, slow = cases[number]
    query, similarity = query_of([Vector(vector)]), slow.similarity([vector], "embedding")
    pool = keys(search(table, query, POOL * k).rows)
    found = keys(search(table, query, k, diversity=Diversity(relevance=relevance)).rows)
    assert len(found) == len(set(found)) == min(k, len(pool))
    vector_of = {key: unit(slow.rows[key]["embedding"]) for key in pool}
    chosen: list[tuple[object, ...]] = []
    for key in found:  # each is as good as the best that was left, to rounding
        score = {
            one: relevance * similarity[one]
            - (1 - relevance) * max((vector_of[one] @ vector_of[c] for c in chosen), default=0)
            for one in pool
            if one not in chosen
        }
        assert score[key] >= max(score.values()) - 4e-7  # four roundings to seven decimals
        chosen.append(key)


@given(which, st.integers(1, 60), st.lists(vectors, min_size=1, max_size=3), st.data())
@settings(max_examples=10, deadline=None)
def test_a_batch_is_its_singles(
    cases: list[Case], number: int, k: int, several: list[np.ndarray], data: st.DataObject
) -> None:
    table, slow = cases[number]
    words = data.draw(st.fixed_dictionaries({}, optional=place_conditions(cases[number]) | ROW_CONDITIONS))
    cell = next(iter(slow.rows))[0]
    queries = [query_of([Vector(vector)]) for vector in several] + [query_of(examples_of(cell=cell))]
    many = search_many(table, queries, k=k, filter=filter_of(**words), include_query=False)
    for query, hits in zip(queries, many, strict=True):
        assert hits.rows.drop_columns("similarity").equals(
            search(table, query, k, filter_of(**words)).rows.drop_columns("similarity")
        )
    for vector, hits in zip(several, many, strict=False):
        check(hits.rows, slow.similarity([vector], "embedding"), slow.matching(words), k)
