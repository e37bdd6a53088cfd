"""A table brought elsewhere: all of it, once, and never over another."""

from pathlib import Path

import numpy as np
import pytest

from indexer.errors import TableError
from indexer.table.copy import Copied, copy_table
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import random_cells
from ..small_tables import place_rows, place_table, whole


def grown(path: Path) -> EmbeddingTable:
    """Two snapshots with rows after the empty one."""
    return place_table(path).upsert(place_rows(np.unique(random_cells(10, seed=9)), seed=9))


def test_a_copy_has_every_snapshot_and_a_second_one_finds_it_there(tmp_path: Path) -> None:
    table = grown(tmp_path / "t")
    told: list[tuple[int, int]] = []
    files = {file.path: file.bytes for n in (2, 3) for file in EmbeddingTable.open(table.path, n).files}
    done = copy_table(table.path, tmp_path / "copy", lambda *state: told.append(state))
    assert done == Copied(len(files), sum(files.values()), 0, 3, 0)
    assert told == [(number, len(files)) for number in range(1, len(files) + 1)]
    for number in (2, 3):
        there = EmbeddingTable.open(tmp_path / "copy", number)
        assert whole(there).equals(whole(EmbeddingTable.open(table.path, number)))
    assert copy_table(table.path, tmp_path / "copy") == Copied(0, 0, len(files), 0, 0)
    more = table.upsert(place_rows(np.unique(random_cells(5, seed=11)), seed=11))
    again = copy_table(table.path, tmp_path / "copy")
    assert (again.snapshots, again.files) == (1, len({file.path for file in more.files} - set(files)))


def test_a_snapshot_whose_manifest_is_damaged_is_left_out_and_counted(tmp_path: Path) -> None:
    table = grown(tmp_path / "t")
    (table.path / "manifests/000002.json").write_text("{")
    done = copy_table(table.path, tmp_path / "copy")
    assert (done.snapshots, done.left_out) == (2, 1)
    assert whole(EmbeddingTable.open(tmp_path / "copy")).equals(whole(table))


def test_a_copy_goes_over_no_other_table_and_of_no_damaged_file(tmp_path: Path) -> None:
    table = grown(tmp_path / "t")
    place_table(tmp_path / "other", seed=5)
    with pytest.raises(TableError, match="holds another table, or one that went its own way"):
        copy_table(table.path, tmp_path / "other")
    copy_table(table.path, tmp_path / "ahead")
    EmbeddingTable.open(tmp_path / "ahead").upsert(place_rows(np.unique(random_cells(3, seed=12))))
    with pytest.raises(TableError, match="went its own way"):
        copy_table(table.path, tmp_path / "ahead")
    with pytest.raises(TableError, match="holds no table: expected manifests"):
        copy_table(tmp_path, tmp_path / "copy")
    part = table.path / table.files[0].path
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(TableError, match="SHA-256"):
        copy_table(table.path, tmp_path / "copy")
