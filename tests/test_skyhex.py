"""The facade: three lines to a result in a notebook."""

import re
from pathlib import Path

import h3
import numpy as np
import pytest

import skyhex
from indexer.errors import QueryError, TableError
from indexer.table.embedding_table import EmbeddingTable
from pipeline.rows import model_info

from .search_app.cli.test_main import geotiff
from .search_app.make_table import CELLS, small_table

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return small_table(tmp_path_factory.mktemp("table"))


def test_a_cell_a_place_and_a_vector_find_the_same(table: EmbeddingTable) -> None:
    cell = h3.int_to_str(CELLS[7])
    lat, lon = h3.cell_to_latlng(cell)
    by_cell = skyhex.search(table.path, cell=cell, k=5).rows
    by_place = skyhex.search(table, lonlat=(lon, lat), k=5).rows
    assert by_cell.num_rows == 5
    assert by_cell["h3_cell"].to_pylist() == by_place["h3_cell"].to_pylist()
    vector = np.asarray(table.lookup(cell=CELLS[7])["embedding"][0].as_py(), np.float32)
    by_vector = skyhex.search(table, vector=vector, k=6).rows
    assert by_vector["h3_cell"].to_pylist() == [CELLS[7], *by_cell["h3_cell"].to_pylist()]


def test_a_box_is_searched_not_cut_afterwards(table: EmbeddingTable) -> None:
    lat, lon = h3.cell_to_latlng(h3.int_to_str(CELLS[0]))
    box = (lon - 0.02, lat - 0.02, lon + 0.02, lat + 0.02)
    inside = [
        c for c in CELLS[1:]
        if abs(h3.cell_to_latlng(h3.int_to_str(c))[0] - lat) <= 0.02
        and abs(h3.cell_to_latlng(h3.int_to_str(c))[1] - lon) <= 0.02
    ]  # fmt: skip
    hits = skyhex.search(table, cell=CELLS[0], bbox=box, k=100)
    assert sorted(hits.rows["h3_cell"].to_pylist()) == inside


def test_nothing_or_too_much_to_look_like_is_an_error(table: EmbeddingTable) -> None:
    for words in ({}, {"cell": CELLS[0], "query": skyhex.Query(())}):
        with pytest.raises(QueryError, match="expected something to look like"):
            skyhex.search(table, **words)


def test_several_examples_make_one_query(table: EmbeddingTable) -> None:
    a, b, c = CELLS[0], CELLS[5], CELLS[9]
    lat, lon = h3.cell_to_latlng(h3.int_to_str(b))
    by_words = skyhex.search(table, cell=[a, b], not_lonlat=(lon, lat), negative_weight=0.2, match="any", k=7)
    positives = (skyhex.Cell(a), skyhex.Cell(b))
    query = skyhex.Query(positives, (skyhex.LonLat(lon, lat),), match="any", negative_weight=0.2)
    assert by_words.rows.equals(skyhex.search(table, query=query, k=7).rows)
    assert not by_words.rows.equals(skyhex.search(table, cell=[a, b], k=7).rows)
    kept = skyhex.search(table, cell=c, include_query=True, k=1)
    assert kept.rows["h3_cell"].to_pylist() == [c]


def test_conditions_are_a_filter(table: EmbeddingTable) -> None:
    lat, lon = h3.cell_to_latlng(h3.int_to_str(CELLS[0]))
    by_words = skyhex.search(table, cell=CELLS[0], near=(lon, lat, 0.5), months=[3], k=99)
    disc = skyhex.Region.from_point(lon, lat, 500)
    by_filter = skyhex.search(table, cell=CELLS[0], filter=skyhex.Filter(region=disc, months=(3,)), k=99)
    assert by_words.rows.equals(by_filter.rows)
    assert 0 < by_words.rows.num_rows < len(CELLS) - 1
    with pytest.raises(QueryError, match="both a filter and near"):
        skyhex.search(table, cell=CELLS[0], filter=skyhex.Filter(), near=(lon, lat, 1))
    with pytest.raises(TypeError, match="no condition nearby"):
        skyhex.search(table, cell=CELLS[0], nearby=(lon, lat, 1))


def test_many_queries_are_their_singles(table: EmbeddingTable) -> None:
    queries = [skyhex.Query((skyhex.Cell(cell),)) for cell in CELLS[:3]]
    found = skyhex.search_many(table.path, queries, k=4, where="n_s1 = 2").rows
    assert found["query"].to_pylist() == [name for name in "123" for _ in range(4)]
    for i, query in enumerate(queries):
        alone = skyhex.search(table, query=query, k=4).rows
        assert found.slice(4 * i, 4).drop_columns("query").equals(alone)


def test_a_chip_needs_the_tables_own_weights(table: EmbeddingTable, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="name the table's weights"):
        skyhex.search(table, chip=geotiff(tmp_path / "chip.tif", crs="EPSG:32632"))


def test_a_table_of_shipped_weights_says_their_word(tmp_path: Path) -> None:
    old = model_info(skyhex.load_encoder("nano-1"))
    made = EmbeddingTable.create(tmp_path / "old", old, h3_resolution=9)
    chip = geotiff(tmp_path / "chip.tif", crs="EPSG:32632")
    with pytest.raises(
        QueryError, match=r"made with skyhex/nano-1 .* with skyhex/nano-3 .*--weights nano-1$"
    ):
        skyhex.search(made, chip=chip)
    with pytest.raises(TableError, match=r"made by skyhex/nano-3 .* holds skyhex/nano-1 .*--weights"):
        made.require(model_info(skyhex.load_encoder("nano")), 9)


def test_sql_counts_the_rows(table: EmbeddingTable) -> None:
    assert skyhex.sql(table, "SELECT count(*) AS n FROM embeddings")["n"].to_pylist() == [len(CELLS)]


def test_every_name_it_promises_is_there() -> None:
    for name in skyhex.__all__:
        assert getattr(skyhex, name).__doc__, name


def test_the_notebook_lines_of_the_readme_run(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    code = block[1].replace("CELL", h3.int_to_str(CELLS[0])).replace("skyhex-data", str(table.path))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    hits = names["hits"]
    assert isinstance(hits, skyhex._import("indexer.search.search").Hits)
    assert hits.rows.num_rows == 10
