"""A search of a column that has collapsed says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.index.faiss_index import build_index
from indexer.search.query import Cell, Query
from indexer.search.search import search
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ..random_rows import MODEL, columns_for, random_cells


@pytest.mark.parametrize(
    ("own", "said"), [({"embedding": 40.0}, True), ({"embedding": 9.0}, False), (None, False)]
)
def test_the_note_needs_a_figure_that_is_far_above(tmp_path: Path, own: object, said: bool) -> None:
    model = replace(MODEL, config={} if own is None else {"effective_rank": own})
    h3_cell = np.unique(random_cells(1_100))
    rows = make_rows(**columns_for(h3_cell) | {"model": model})  # rank 8 of 8
    table = EmbeddingTable.create(tmp_path / "t", model, h3_resolution=9).upsert(rows)
    build_index(table)
    notes = search(table, Query((Cell(int(h3_cell[0])),)), 3).notes
    assert any("few of its dimensions" in note for note in notes) is said
