"""Assignments are read where they are asked for, and say the same as all of them read at once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import TableError
from indexer.geo.cells import cell_ranges
from indexer.prototypes import assignments, region_rows
from indexer.prototypes.assignments import assigned, read_assignments
from indexer.prototypes.regional import cells_of_prototype, fit_prototypes, read_prototypes
from indexer.search.query import Cell, Query
from indexer.search.search import search
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from ..small_tables import keys, place_table, whole

RESOLUTION = 3


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    """With assignments in many row groups, some of which begin inside a place."""
    for module in (assignments, region_rows):
        monkeypatch.setattr(module, "SCAN_ROWS", 15)
    fit_prototypes(place_table(tmp_path, n=400), region_resolution=RESOLUTION, per_region=6)
    return EmbeddingTable.open(tmp_path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Row groups read from disk."""
    groups: list[int] = []
    read = assignments._Groups._read
    assignments._kept.clear()
    monkeypatch.setattr(assignments._Groups, "_read", lambda self, g: groups.append(g) or read(self, g))
    return groups


def groups_of(table: EmbeddingTable) -> int:
    (path,) = table.path.glob("sidecars/prototypes/assignments-*.parquet")
    return int(pq.read_metadata(path).num_row_groups)


def test_a_search_opens_the_row_groups_of_its_hits(table: EmbeddingTable, opened: list[int]) -> None:
    assert groups_of(table) > 20
    cell = int(whole(table)["h3_cell"][100].as_py())
    hits = search(table, Query((Cell(cell),)), 3).rows
    assert 1 <= len(set(opened)) <= 6 < groups_of(table)
    given = dict(zip(*_rows(read_assignments(table)), strict=True))
    assert [given[key] for key in keys(hits)] == _rows(hits)[1]
    opened.clear()
    search(table, Query((Cell(cell),)), 3)
    assert opened == [], "kept"


def _rows(rows: pa.Table) -> tuple[list[tuple[object, ...]], list[dict[str, object]]]:
    return keys(rows), rows.select(assignments.SCHEMA.names[len(KEY) :]).to_pylist()


def test_every_row_finds_its_own_whatever_the_order(table: EmbeddingTable) -> None:
    rows, given = whole(table).select(KEY), read_assignments(table)
    assert given["h3_cell"].to_pylist() == sorted(given["h3_cell"].to_pylist())
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(rows))))
    found = assigned(table, shuffled)
    assert keys(found) == keys(shuffled)
    known = dict(zip(*_rows(given), strict=True))
    nothing = dict.fromkeys(assignments.SCHEMA.names[len(KEY) :])
    assert _rows(found)[1] == [known.get(key, nothing) for key in keys(shuffled)]
    assert 0 < len(known) < len(rows), "some rows lie in regions too small for prototypes"


def test_ranges_of_cells_are_found_across_row_groups(table: EmbeddingTable, opened: list[int]) -> None:
    everything = read_assignments(table)
    cells = everything["h3_cell"].to_numpy()
    assert sorted(opened) == list(range(groups_of(table)))
    for region in read_prototypes(table).regions.tolist():
        some = read_assignments(table, cell_ranges([region], table.h3_resolution))
        assert some == everything.filter(pa.array(everything["region_cell"].to_numpy() == region))
    for first, last in ((0, cells[0] - 1), (cells[-1] + 1, 2**64 - 1), (cells[14], cells[14])):
        some = read_assignments(table, np.array([[first, last]], np.uint64))
        assert some["h3_cell"].to_pylist() == cells[(cells >= first) & (cells <= last)].tolist()


def test_a_prototype_reads_its_own_region(table: EmbeddingTable, opened: list[int]) -> None:
    region = int(read_prototypes(table).regions[0])
    found = cells_of_prototype(table, region, 0)
    assert len(found) > 0
    assert len(set(opened)) < groups_of(table) / 2


def test_damage_after_the_file_was_opened_is_an_error(table: EmbeddingTable) -> None:
    (path,) = table.path.glob("sidecars/prototypes/assignments-*.parquet")
    whole_file, expected = path.read_bytes(), read_assignments(table)
    footer = int.from_bytes(whole_file[-8:-4], "little") + 8  # known since it was opened
    path.chmod(0o644)
    for at in range(4, len(whole_file) - footer, 97):
        content = bytearray(whole_file)
        content[at] ^= 0xFF
        path.write_bytes(content)
        assignments._kept.clear()
        try:
            assert read_assignments(table) == expected
        except TableError as error:
            assert "is missing or damaged" in str(error)  # noqa: PT017 - some bytes mean nothing
    path.write_bytes(whole_file[: len(whole_file) // 2])
    assignments._kept.clear()
    with pytest.raises(TableError, match="is missing or damaged"):
        read_assignments(table)


def test_damage_is_an_error(table: EmbeddingTable) -> None:
    (path,) = table.path.glob("sidecars/prototypes/assignments-*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"is missing or damaged \(its SHA-256 is not"):
        search(table, Query((Cell(int(whole(table)["h3_cell"][0].as_py())),)), 3)
