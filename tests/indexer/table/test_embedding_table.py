"""The table: round trips against a plain dict, reading by cell, place and sample, refusals."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError, TableError
from indexer.geo import cells
from indexer.table import merge, parts
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, ModelInfo, make_rows
from indexer.table.storage import Storage

from ..random_rows import MODEL, columns_for, random_cells, random_rows
from ..small_tables import place_table


def new_table(path: Path, partition_resolution: int = 1) -> EmbeddingTable:
    return EmbeddingTable.create(path, MODEL, h3_resolution=9, partition_resolution=partition_resolution)


def whole(table: EmbeddingTable) -> pa.Table:
    return pa.Table.from_batches(table.scan(), table.schema)


def by_key(rows: pa.Table) -> dict[tuple[object, ...], dict[str, object]]:
    return {tuple(row[name] for name in KEY): row for row in rows.to_pylist()}


PLACES = np.concatenate([random_cells(12), random_cells(12, box=(-60, -20, 120, 60))])
commits = st.lists(
    st.lists(
        st.tuples(st.integers(0, 23), st.integers(0, 2), st.integers(2020, 2021)), max_size=12, unique=True
    ),
    min_size=1,
    max_size=6,
)


def rows_at(places: list[tuple[int, int, int]], seed: int) -> pa.Table:
    return make_rows(
        **columns_for(PLACES[[place for place, _, _ in places]], seed)
        | {
            "sample_id": [f"s{sample}" for _, sample, _ in places],
            "start": [datetime(year, 1, 1, tzinfo=UTC) for _, _, year in places],
            "end": [datetime(year + 1, 1, 1, tzinfo=UTC) for _, _, year in places],
        }
    )


@contextmanager
def tiny_files() -> Iterator[None]:
    """Row groups and files of a few rows, so that small tables have many; no waiting for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "_flush", lambda self, path: None)
        patch.setattr(parts, "ROW_GROUP_ROWS", 3)
        patch.setattr(merge, "MAX_FILE_BYTES", 4_000)
        patch.setattr(merge, "JOINED_BYTES", 2_000)
        yield


@settings(max_examples=20, deadline=None)
@given(commits=commits, partition=st.integers(0, 3), region=st.integers(0, 23), coarse=st.integers(0, 9))
def test_any_upserts_leave_what_a_dict_would(
    commits: list[list[tuple[int, int, int]]],
    partition: int,
    region: int,
    coarse: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder, tiny_files():
        table = new_table(Path(folder), partition)
        model: dict[tuple[object, ...], dict[str, object]] = {}
        for seed, places in enumerate(commits):
            if places:
                rows = rows_at(places, seed)
                replaced = len(by_key(rows).keys() & model.keys())
                model |= by_key(rows)
                table = table.upsert(rows)
                assert table.manifest.summary == {
                    "rows_added": len(places) - replaced, "rows_replaced": replaced,
                }  # fmt: skip
        assert by_key(whole(table)) == model
        assert table.row_count == len(model)
        assert list(by_key(whole(table))) == sorted(model)
        ancestor = cells.parent(int(PLACES[region]), coarse)
        inside = {key for key in model if cells.parent(key[0], coarse) == ancestor}  # type: ignore[arg-type]
        assert by_key(table.lookup(cell=ancestor)).keys() == inside
        assert table.validate() == []
        assert by_key(whole(table.compact())) == model


def test_a_table_opens_as_it_was_made(tmp_path: Path) -> None:
    table = EmbeddingTable.create(tmp_path / "new" / "t", MODEL, h3_resolution=9, simulated=True).upsert(
        random_rows(20)
    )
    again = EmbeddingTable.open(tmp_path / "new" / "t")
    assert again.manifest == table.manifest
    assert (again.model, again.dimension, again.h3_resolution, again.simulated) == (MODEL, 8, 9, True)
    assert (again.snapshot, again.row_count, again.path) == (2, 20, tmp_path / "new" / "t")
    assert whole(again) == whole(table)
    assert EmbeddingTable.exists(tmp_path / "new" / "t")
    assert not EmbeddingTable.exists(tmp_path / "elsewhere")


def test_old_snapshots_stay_as_they_were(tmp_path: Path) -> None:
    first = new_table(tmp_path).upsert(random_rows(30, seed=1))
    before = whole(first)
    second = first.upsert(random_rows(30, seed=2)).upsert(random_rows(10, seed=1))
    assert whole(EmbeddingTable.open(tmp_path, snapshot=2)) == before == whole(first)
    assert [(entry.snapshot, entry.operation, entry.row_count) for entry in second.log()] == [
        (1, "create", 0), (2, "upsert", 30), (3, "upsert", 60), (4, "upsert", 70),
    ]  # fmt: skip
    with pytest.raises(TableError, match="has no snapshot 9: it keeps 1 to 4"):
        EmbeddingTable.open(tmp_path, snapshot=9)


def test_appending_in_order_leaves_few_files(tmp_path: Path) -> None:
    h3_cell = np.sort(random_cells(640))
    table = new_table(tmp_path, partition_resolution=0)
    written = 0
    for start in range(0, 640, 10):
        known = {file.path for file in table.files}
        table = table.upsert(make_rows(**columns_for(h3_cell[start : start + 10])))
        written += sum(file.rows for file in table.files if file.path not in known)
    assert len(table.files) <= 7
    assert written <= 640 * 8  # each row log2(64) times and once more


def test_untouched_parts_are_kept(tmp_path: Path) -> None:
    europe, chile = (
        random_rows(20),
        random_rows(20, seed=1, h3_cell=random_cells(20, box=(-72, -40, -70, -38))),
    )
    table = new_table(tmp_path).upsert(europe)
    after = table.upsert(chile)
    assert set(table.files) < set(after.files)


def test_scan_prunes_files_and_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 50)
    table = new_table(tmp_path, 3).upsert(random_rows(3_000))
    cell = int(random_cells(3_000)[0])
    groups_of = parts._groups_in
    read: list[int] = []
    monkeypatch.setattr(
        parts, "_groups_in", lambda *args: read.append(len(groups_of(*args))) or groups_of(*args)
    )
    rows = table.lookup(cell=cell, columns=["sample_id"])
    assert rows.to_pylist() == [{"sample_id": "s0"}]
    assert len(table.files) > 10
    assert read == [1]


def test_scan_takes_ranges_and_columns_in_batches(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert(random_rows(500))
    all_cells = whole(table)["h3_cell"].to_numpy()
    ranges = np.array([[all_cells[10], all_cells[19]], [all_cells[100], all_cells[100]]])
    batches = list(table.scan(["n_s2", "h3_cell"], ranges=ranges, batch_rows=64))
    assert list(batches[0].schema.names) == ["n_s2", "h3_cell"]
    assert np.concatenate([b["h3_cell"].to_numpy() for b in batches]).tolist() == [
        *all_cells[10:20],
        all_cells[100],
    ]
    assert max(len(batch) for batch in table.scan(["h3_cell"], batch_rows=64)) == 64
    assert list(table.scan(cells=[])) == []


def test_a_scan_holds_a_row_group_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 200)
    model = ModelInfo("wide", "ef" * 32, 512, "Apache-2.0", trained=False)
    vectors = np.random.default_rng(0).normal(size=(4_000, 512))
    table = EmbeddingTable.create(tmp_path, model, h3_resolution=9, partition_resolution=0)
    table = table.upsert(random_rows(4_000, model=model, embedding=vectors))
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() - before for _ in table.scan(["embedding"], batch_rows=100))
    assert len(table.files) == 1
    assert held < table.files[0].bytes / 4


def test_take_gives_whole_rows_with_null_vectors(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=100)
    for file_id, file in enumerate(table.files):
        backwards = np.arange(file.rows)[::-1]
        taken = table.take(np.full(file.rows, file_id), backwards)
        assert taken.equals(
            pa.Table.from_batches(parts.scan_part(table.storage, file, table.schema.names, None, 1000)).take(
                pa.array(backwards)
            )
        )
        assert taken["embedding_s1"].null_count


def test_take_gives_rows_in_the_order_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 7)
    table = new_table(tmp_path, 3).upsert(random_rows(300))
    rows = whole(table)
    offsets = np.r_[0, np.cumsum([file.rows for file in table.files])]
    asked = np.random.default_rng(0).integers(0, 300, 60)  # with repetitions
    file_ids = np.searchsorted(offsets, asked, side="right") - 1
    taken = table.take(file_ids, asked - offsets[file_ids], ["sample_id", "embedding"])
    expected = rows.select(["sample_id", "embedding"]).take(asked)
    assert taken["sample_id"].to_pylist() == expected["sample_id"].to_pylist()
    np.testing.assert_array_equal(to_matrix(taken["embedding"]), to_matrix(expected["embedding"]))
    narrow = [name for name in table.schema.names if name not in parts.WIDE]
    assert table.take(file_ids, asked - offsets[file_ids], narrow).equals(rows.select(narrow).take(asked))
    assert table.take([], [], ["sample_id"]).num_rows == 0


def test_lookup_by_sample_and_by_both(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert(random_rows(100))
    row = table.lookup(sample_id="s42").to_pylist()[0]
    assert row["sample_id"] == "s42"
    assert table.lookup(cell=row["h3_cell"], sample_id="s42", columns=["n_hr"]).to_pylist() == [
        {"n_hr": row["n_hr"]}
    ]
    assert table.lookup(cell=row["h3_cell"], sample_id="other").num_rows == 0
    assert table.lookup(sample_id="other").num_rows == 0
    finer = h3.str_to_int(h3.cell_to_center_child(h3.int_to_str(row["h3_cell"]), 11))
    with pytest.raises(QueryError, match="finer than the table's 9"):
        table.lookup(cell=finer)


def test_a_new_optional_column_is_null_in_older_rows(tmp_path: Path) -> None:
    table = new_table(tmp_path, 3).upsert(random_rows(50, seed=1))
    assert table.optional_columns == ()
    table = table.upsert(random_rows(5, seed=2, embedding_geo=np.ones((5, 12), np.float32)))
    table = table.upsert(random_rows(5, seed=3))
    assert table.optional_columns == ("embedding_geo",)
    assert whole(table)["embedding_geo"].null_count == 55
    assert table.validate() == []
    with pytest.raises(TableError, match="embedding_geo has 10 dimensions, in the table 12"):
        table.upsert(random_rows(5, seed=4, embedding_geo=np.ones((5, 10), np.float32)))


def test_input_keys_are_remembered_without_rows_too(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert([random_rows(5, seed=1), random_rows(5, seed=2)], input_key="a")
    rows_snapshot = table.manifest.rows_snapshot
    table = table.upsert([], input_key="b").upsert([], input_key="b")
    assert EmbeddingTable.open(tmp_path).input_keys == {"a", "b"}
    assert (table.row_count, table.manifest.rows_snapshot) == (10, rows_snapshot)


def test_rows_of_another_model_or_resolution_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert(random_rows(5))
    other = ModelInfo("skyhex/other", "cd" * 32, 8, "Apache-2.0", True)
    with pytest.raises(TableError, match=r"made by skyhex/other \(cdcd.*holds skyhex/test \(abab"):
        table.upsert(random_rows(5, seed=1, model=other))
    coarse = cells.parents(random_cells(5), 7)
    with pytest.raises(TableError, match=r"H3 resolution 7, the table .* has 9"):
        table.upsert(random_rows(5, h3_cell=coarse))
    with pytest.raises(TableError, match="repeat the key"):
        table.upsert([random_rows(5), random_rows(5)])
    with pytest.raises(TableError, match="not those of make_rows"):
        table.upsert(random_rows(5).drop_columns(["n_hr"]))
    assert EmbeddingTable.open(tmp_path).snapshot == table.snapshot


def test_a_second_table_in_the_same_place_is_refused(tmp_path: Path) -> None:
    new_table(tmp_path)
    with pytest.raises(TableError, match="holds a table already"):
        new_table(tmp_path)
    with pytest.raises(TableError, match="partition_resolution 4: expected"):
        new_table(tmp_path / "other", 4)


def test_what_is_not_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"is not there: expected a directory"):
        EmbeddingTable.open(tmp_path / "missing")
    with pytest.raises(TableError, match=r"holds no table: expected manifests/000001.json in it"):
        EmbeddingTable.open(tmp_path)
    table = new_table(tmp_path / "t")
    with pytest.raises(TableError, match="no column colour: the table has h3_cell"):
        list(table.scan(["colour"]))


def test_sidecars_belong_to_the_rows_they_were_made_from(tmp_path: Path) -> None:
    table = new_table(tmp_path).upsert(random_rows(5))
    file = tmp_path / "b.bin"
    file.write_bytes(b"from a file")
    table = table.commit_sidecar("prototypes", {"a.parquet": b"bytes", "b.bin": file}, {"regions": 2})
    sidecar = table.sidecar("prototypes")
    assert sidecar is not None
    assert (table.snapshot, sidecar.snapshot, dict(sidecar.info)) == (3, 2, {"regions": 2})
    assert table.is_current(sidecar)
    assert table.files == EmbeddingTable.open(tmp_path, snapshot=2).files
    assert table.read_sidecar("prototypes", "a.parquet") == b"bytes"
    assert table.read_sidecar("prototypes", "b.bin") == b"from a file"
    later = table.upsert(random_rows(5, seed=2))
    assert later.sidecar("prototypes") == sidecar
    assert not later.is_current(sidecar)
    with pytest.raises(TableError, match="has no prototypes file c in this snapshot"):
        later.read_sidecar("prototypes", "c")
    assert table.sidecar("index") is None
