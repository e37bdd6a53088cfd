"""A table written by commit 05ae2c6, from synthetic vectors, opens, is searched and grows as it was.

`old_table/table` holds two years, an optional column with nulls, prototypes and an index; `answer.json`
beside it is what that build answered.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import skyhex
from indexer.geo.cells import cells_to_text
from indexer.index.faiss_index import open_index
from indexer.search.search import Hits
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import SCHEMA_VERSION, make_rows

from .random_rows import MODEL, columns_for

OLD = Path(__file__).with_name("old_table")
ANSWER = json.loads((OLD / "answer.json").read_text())
BOX, HALF_YEAR = (5.5, 45.5, 7.5, 47.5), ("2020-06-01", "2020-07-01")


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    shutil.copytree(OLD / "table", tmp_path / "table")
    return EmbeddingTable.open(tmp_path / "table")


def found(table: EmbeddingTable) -> Hits:
    start, end = HALF_YEAR
    return skyhex.search(table, cell=ANSWER["cell"], k=8, bbox=BOX, start=start, end=end)


def test_it_opens_and_is_sound(table: EmbeddingTable) -> None:
    assert (table.snapshot, table.row_count, table.optional_columns) == (4, 240, ("embedding_s1",))
    assert [info.operation for info in table.log()] == ["create", "upsert", "upsert", "prototypes"]
    assert table.validate() == []
    assert skyhex.read_prototypes(table).vectors.shape == (19, MODEL.dimension)
    counted = "SELECT count(*) AS n, count(embedding_s1) AS n_s1 FROM embeddings"
    with_s1 = 240 - 50 - 30  # each third has none: of 150 rows, and of 90
    assert skyhex.sql(table, counted).to_pylist() == [{"n": 240, "n_s1": with_s1}]


def test_it_answers_as_it_did_with_its_index_and_without(table: EmbeddingTable) -> None:
    hits = found(table)
    assert cells_to_text(hits.rows["h3_cell"].to_numpy()) == ANSWER["hits"]
    np.testing.assert_allclose(hits.rows["similarity"], ANSWER["similarity"], atol=1e-3)  # told to 4 digits
    _, notes = open_index(table)
    assert len(notes) <= 1, "an index of an older form is left unused with one note"
    shutil.rmtree(table.path / "index")
    assert cells_to_text(found(table).rows["h3_cell"].to_numpy()) == ANSWER["hits"]


def test_it_takes_rows_and_keeps_its_version(table: EmbeddingTable) -> None:
    keys = table.lookup(cell=int(ANSWER["hits"][0], 16), columns=["h3_cell", "sample_id"]).slice(0, 1)
    columns = columns_for(keys["h3_cell"].to_numpy(), seed=9) | {
        "sample_id": keys["sample_id"].to_pylist(),
        "start": [datetime(2020, 1, 1, tzinfo=UTC)],
        "end": [datetime(2021, 1, 1, tzinfo=UTC)],
    }
    grown = table.upsert(make_rows(**columns))
    assert (grown.snapshot, grown.row_count) == (5, 240)
    assert (
        json.loads((grown.path / "manifests" / "000005.json").read_text())["schema_version"]
        == SCHEMA_VERSION
        == 1
    )
    assert grown.validate() == []
    assert ANSWER["hits"][0] not in cells_to_text(found(grown).rows["h3_cell"].to_numpy())
