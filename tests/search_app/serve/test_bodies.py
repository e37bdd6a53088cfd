"""Bodies mean what the words of `skyhex.search` mean, one value or several."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from indexer.search import words
from indexer.search.query import Vector
from search_app.serve.bodies import SearchBody
from search_app.serve.embedder import Embedder

NOTHING_TO_EMBED = Embedder(None, "nano")  # type: ignore[arg-type] - no table is asked
CELL = 617547304200306687
AREA = {"type": "Polygon", "coordinates": [[[5, 45], [8, 45], [8, 48], [5, 45]]]}


@pytest.mark.parametrize(
    "condition",
    [
        {"months": 3},
        {"months": [12, 1]},
        {"cells": CELL},
        {"cells": f"{CELL:x}"},
        {"cells": [CELL, f"{CELL:x}"]},
        {"modalities": "s1"},
        {"modalities": ["s1", "hr"]},
        {"near": [5.0, 45.0, 3.0], "footprint": True},
        {"start": 2023, "end": "2024-06-01"},
        {"bbox": [179.0, -20.0, -179.0, -10.0], "where": "n_s2 > 3"},
        {"within": AREA},
    ],
)
def test_conditions(condition: dict[str, Any]) -> None:
    assert SearchBody(**condition).filter() == words.filter_of(**condition)


@pytest.mark.parametrize(
    "given",
    [
        {"cell": CELL},
        {"cell": [CELL, f"{CELL:x}"]},
        {"lonlat": [5.0, 45.0]},
        {"lonlat": [[5.0, 45.0], [6.0, 46.0]]},
        {"vector": [1.0, 2.0]},
        {"vector": [[1.0, 2.0], [3.0, 4.0]]},
    ],
)
def test_examples(given: dict[str, Any]) -> None:
    expected = words.examples_of(**given)
    body = SearchBody(**given, **{f"not_{name}": value for name, value in given.items()})
    query = body.query(NOTHING_TO_EMBED)
    for examples in (query.positives, query.negatives):
        assert list(map(repr, examples)) == list(map(repr, expected))


class Lengths(Embedder):
    """As if the length of what is given were its vector."""

    def chips(self, contents: Sequence[str], using: str) -> list[Vector]:
        return [Vector(np.array([len(chip)])) for chip in contents if using == "s2"]

    def texts(self, texts: Sequence[str]) -> list[Vector]:
        return [Vector(np.array([-len(text)])) for text in texts]


def test_chips_and_texts_become_vectors() -> None:
    body = SearchBody(chip="one", text="town", not_chip=["two", "three"], not_text=["a"], using="s2")
    query = body.query(Lengths(None, "nano"))  # type: ignore[arg-type]
    assert [example.values.tolist() for example in query.positives] == [[3], [-4]]  # type: ignore[union-attr]
    assert [example.values.tolist() for example in query.negatives] == [[3], [5], [-1]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "given",
    [
        {"k": 0},
        {"k": 10_001},
        {"k": 2.5},
        {"cell": [CELL] * 257},
        {"vector": [[1.0]] * 257},
        {"vector": [float("nan")]},
        {"lonlat": [1.0, 2.0, 3.0]},
        {"months": list(range(13))},
        {"cells": ["x" * 17]},
        {"within": "area.geojson"},
        {"unknown": 1},
    ],
)
def test_what_is_no_word_or_too_much_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SearchBody(**given)
