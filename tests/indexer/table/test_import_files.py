"""Several files and folders in one import: order, what is done again, what is left out, months of a hive."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from indexer.errors import TableError
from indexer.table import importers
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.import_files import ImportedFiles, hive_period, import_files, parquet_files
from indexer.table.importers import LAYOUTS, import_file

YEAR = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
LAYOUT = replace(LAYOUTS["earth-index"], model="m", licence="CC0-1.0")
CLAY = replace(LAYOUTS["clay-1.5"], licence="CC-BY-4.0")


def written(path: Path, ids: range, seed: int = 0, **columns: pa.Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(seed).normal(size=(len(ids), 8)).astype(np.float32)
    places = [shapely.to_wkb(shapely.Point(10 + i, 45)) for i in ids]
    names = {} if "chips_id" in columns else {"id": [f"p{i}" for i in ids]}
    pq.write_table(pa.table({**names, "embedding": list(vectors), "geometry": places, **columns}), path)
    return path


def counts(done: ImportedFiles) -> list[tuple[int, int]]:
    return [(one.rows, one.resumed) for _, one in done.files]


def held(table: EmbeddingTable) -> dict[str, bytes]:
    rows = pa.Table.from_batches(table.scan(["sample_id", "embedding"]))
    return dict(zip(rows["sample_id"].to_pylist(), map(bytes, to_matrix(rows["embedding"])), strict=True))


def test_what_is_done_is_not_done_again_and_new_files_are(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.parquet", range(4))
    written(tmp_path / "in" / "sub" / "b.gpq", range(4, 6))
    first = import_files([tmp_path / "in"], LAYOUT, tmp_path / "t", period=YEAR)
    assert counts(first) == [(4, 0), (2, 0)]
    again = import_files([tmp_path / "in"], LAYOUT, tmp_path / "t", period=YEAR)
    assert counts(again) == [(0, 4), (0, 2)]
    assert again.table.snapshot == first.table.snapshot
    written(tmp_path / "in" / "sub" / "c.parquet", range(6, 9))
    more = import_files([tmp_path / "in"], LAYOUT, tmp_path / "t", period=YEAR)
    assert counts(more) == [(0, 4), (0, 2), (3, 0)]
    assert more.table.row_count == 9


def test_a_stopped_import_goes_on_in_the_file_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importers, "CHUNK_ROWS", 2)
    files = [written(tmp_path / "a.parquet", range(4)), written(tmp_path / "b.parquet", range(4, 9))]
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_files(files, LAYOUT, tmp_path / "t", period=YEAR, progress=stop)
    assert seen == [(2, 9), (4, 9), (6, 9)]
    assert counts(import_files(files, LAYOUT, tmp_path / "t", period=YEAR)) == [(0, 4), (3, 2)]


def test_the_last_has_the_last_word_within_and_between_imports(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.parquet", range(4)), written(tmp_path / "b.parquet", range(4), seed=1)
    only = {file: held(import_file(file, LAYOUT, tmp_path / file.stem, period=YEAR).table) for file in (a, b)}
    assert only[a] != only[b]
    for files in ([a, b], [a, b], [b, a], [a], [a, b]):
        done = import_files(files, LAYOUT, tmp_path / "t", period=YEAR)
        assert held(done.table) == only[files[-1]], [file.name for file in files]


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    good, cut = (
        written(tmp_path / "in/good.parquet", range(3)),
        written(tmp_path / "in/cut.parquet", range(9)),
    )
    cut.write_bytes(cut.read_bytes()[:-30])
    other = written(tmp_path / "in/wide.parquet", range(3))
    pq.write_table(pq.read_table(other).set_column(1, "embedding", [[[1.0, 2.0]] * 3]), other)
    done = import_files([tmp_path / "in", tmp_path / "none.parquet"], LAYOUT, tmp_path / "t", period=YEAR)
    assert [path for path, _ in done.files] == [good]
    reasons = {skip.path.name: skip.reason for skip in done.skipped}
    assert "cannot be read as Parquet" in reasons["cut.parquet"]
    assert "cannot be read as Parquet" in reasons["none.parquet"]
    assert "vectors of two models cannot be compared" in reasons["wide.parquet"]
    with pytest.raises(TableError, match=r"cut.parquet cannot be read.*and 1 more file"):
        import_files([cut, tmp_path / "none.parquet"], LAYOUT, tmp_path / "u", period=YEAR)
    written(cut, range(9))  # mended: the same call takes it up
    again = import_files([tmp_path / "in"], LAYOUT, tmp_path / "t", period=YEAR)
    assert {path.name: one.rows for path, one in again.files}["cut.parquet"] == 9


def test_aggregates_of_a_hive_stand_for_their_month(tmp_path: Path) -> None:
    said = {"chips_id": pa.array(["x"]), "datetime": pa.array([datetime(2024, 6, 3, 10, tzinfo=UTC)])}
    for month in (6, 12):
        written(
            tmp_path / f"d/aggregated/geohash_l2=u0/year=2024/month={month}/part-0.parquet", range(1), **said
        )
    table = import_files([tmp_path / "d"], CLAY, tmp_path / "t").table
    rows = pa.Table.from_batches(table.scan(["start_datetime", "end_datetime"])).to_pylist()
    assert [(row["start_datetime"].month, row["end_datetime"].month) for row in rows] == [(6, 7), (12, 1)]
    assert table.manifest.terms[0].sources[0] == "geohash_l2=u0/year=2024/month=12/part-0.parquet"
    written(tmp_path / "d/scene/gzd=32T/year=2024/month=6/part-0.parquet", range(1), **said)
    with pytest.raises(TableError, match="give one of the two"):
        import_files([tmp_path / "d"], CLAY, tmp_path / "u")
    scene = import_files([tmp_path / "d/scene"], CLAY, tmp_path / "u").table
    (row,) = pa.Table.from_batches(scene.scan(["start_datetime", "end_datetime"])).to_pylist()
    assert (row["start_datetime"].day, row["end_datetime"].day) == (3, 4)


def test_hive_periods_and_folders(tmp_path: Path) -> None:
    assert hive_period(Path("aggregated/year=2024/x.parquet")) == YEAR
    assert hive_period(Path("scene/year=2024/x.parquet")) is None
    assert hive_period(Path("aggregated/x.parquet")) is None
    with pytest.raises(TableError, match=r"holds no file that ends in .parquet"):
        parquet_files(tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        {".geo": ['{"type": "Point", "coordinates": [9.0, 45.0]}']},
        {"longitude": [9.0], "latitude": [45.0]},
        {"geometry": [shapely.to_wkb(shapely.Point(9, 45))]},
    ],
)
def test_tables_of_earth_engine_need_no_words(tmp_path: Path, place: dict[str, list[object]]) -> None:
    bands = {f"A{axis:02}": [float(axis + 1)] for axis in range(64)}
    pq.write_table(
        pa.table({"system:index": ["0"], **bands, "year": [2024], **place}), tmp_path / "a.parquet"
    )
    table = import_files([tmp_path / "a.parquet"], LAYOUTS["alphaearth"], tmp_path / "t").table
    (row,) = pa.Table.from_batches(table.scan()).to_pylist()
    assert row["sample_id"] == "9.000000 45.000000"
    assert (row["start_datetime"], row["end_datetime"], row["system:index"]) == (*YEAR, "0")
