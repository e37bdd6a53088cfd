"""From a catalog to a table: nothing lost when killed, nothing done twice, every place accounted for."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h3
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from data.sample import InputError
from data.simulate import Area, simulate
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from pipeline import embed_job
from pipeline.embed_job import CHUNK_MAX, Share, chunks_of
from search_app.cli.embed_command import Dates, run_embed
from search_app.cli.engine_choice import EngineChoice

from ..tolerance import stored_length_error

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated square of 2.6 km: some thirty whole cells."""
    folder = tmp_path_factory.mktemp("imagery")
    return simulate(folder, areas=(Area("here", 10.0, 47.0, 2600),), s2_dates=2, s1_dates=1)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_job, "CHUNK_MIN", 4)
    monkeypatch.setattr(embed_job, "CHUNK_MAX", 8)


def area_of(catalog: Path) -> shapely.Geometry:
    items = [json.loads(path.read_text()) for path in catalog.parent.rglob("*.json")]
    return shapely.union_all(
        [shapely.geometry.shape(i["geometry"]) for i in items if i.get("type") == "Feature"]
    )


def embed(catalog: Path, table: Path, **options: Any) -> embed_job.EmbedReport:
    report = run_embed(
        str(catalog), table, area_of(catalog), Dates(), engine=EngineChoice(workers=0), **options
    )
    assert report is not None
    return report


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=700))
def test_chunks_hold_every_task_once_in_order(names: list[str]) -> None:
    tasks: Any = [SimpleNamespace(sample_id=name) for name in names]
    chunks = list(chunks_of(tasks))
    assert [task for chunk in chunks for task in chunk] == tasks
    assert all(len(chunk) <= CHUNK_MAX for chunk in chunks)


def test_a_chunk_ends_at_the_first_place_to_end_at_after_64_and_after_256_at_the_latest() -> None:
    ends, others = [], []
    for name in map(str, range(20_000)):
        (ends if int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) % 64 == 0 else others).append(name)
    for names, sizes in ((ends[:200], [64, 64, 64, 8]), (others[:600], [256, 256, 88])):
        tasks: Any = [SimpleNamespace(sample_id=name) for name in names]
        assert [len(chunk) for chunk in chunks_of(tasks)] == sizes


def test_a_new_place_changes_few_chunks() -> None:
    tasks: Any = [SimpleNamespace(sample_id=str(i)) for i in range(4000)]
    before, after = named(tasks), named([SimpleNamespace(sample_id="new"), *tasks])
    assert len(before) > 15
    assert len(before - after) <= 4


def named(tasks: Any) -> set[tuple[str, ...]]:
    return {tuple(task.sample_id for task in chunk) for chunk in chunks_of(tasks)}


def test_a_second_run_does_nothing(catalog: Path, tmp_path: Path, small_chunks: None) -> None:
    first = embed(catalog, tmp_path)
    second = embed(catalog, tmp_path)
    assert first.embedded == first.table.row_count > 10
    assert 0 < first.seconds_waited < first.seconds
    assert (second.embedded, second.already) == (0, first.embedded)
    assert second.table.snapshot == first.table.snapshot


def test_a_stopped_job_goes_on(
    catalog: Path, tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embed(catalog, tmp_path / "whole").table
    real, calls = embed_job.rows_of, iter(range(1000))

    def stop_at_the_third(*args: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(embed_job, "rows_of", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        embed(catalog, tmp_path / "cut")
    monkeypatch.setattr(embed_job, "rows_of", real)
    held = EmbeddingTable.open(tmp_path / "cut").row_count
    report = embed(catalog, tmp_path / "cut")
    assert 0 < held == report.already < whole.row_count
    assert vectors(report.table).tobytes() == vectors(whole).tobytes()


def test_killed_at_any_moment_the_table_is_readable(catalog: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "search_app.cli.main",
        "embed",
        str(catalog),
        "--aoi",
        str(aoi(catalog, tmp_path)),
    ]
    command += ["-t", str(tmp_path / "t"), "--workers", "0", "--quiet"]
    job = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    for _ in range(600):
        if job.poll() is not None or list((tmp_path / "t").rglob("part-*")):
            break
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert EmbeddingTable.open(tmp_path / "t").validate() == []
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    table = EmbeddingTable.open(tmp_path / "t")
    assert table.validate() == []
    assert table.row_count > 10


def aoi(catalog: Path, folder: Path) -> Path:
    path = folder / "area.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(area_of(catalog))))
    return path


def test_shares_make_together_what_one_job_makes(catalog: Path, tmp_path: Path, small_chunks: None) -> None:
    whole = embed(catalog, tmp_path / "whole").table
    for number in (3, 1, 2):
        share = embed(catalog, tmp_path / "shares", share=Share(number, 3), index=False)
        assert share.embedded > 0
    parts = share.table
    assert parts.row_count == whole.row_count
    assert cells_of(parts) == cells_of(whole)
    assert np.array_equal(vectors(parts), vectors(whole))
    assert parts.input_keys == whole.input_keys
    assert share.skipped == ()
    rest = embed(catalog, tmp_path / "shares")
    assert (rest.embedded, rest.already) == (0, whole.row_count)


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "-1/2", "1/0", "1/2/3"])
def test_a_share_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected I/N, such as 3/16"):
        Share.parse(text)


def test_rows_say_what_they_are(catalog: Path, tmp_path: Path) -> None:
    table = embed(catalog, tmp_path).table
    assert table.simulated
    rows = [row for batch in table.scan() for row in batch.to_pylist()]
    for row in rows:
        assert (row["n_hr"], row["n_s2"], row["n_s1"]) == (1, 2, 1)
        assert row["sample_id"] == h3.int_to_str(row["h3_cell"])
        assert all(Path(href).exists() for href in row["source_items"])
    found = vectors(table)
    length = np.linalg.norm(found.astype(np.float64), axis=1)
    assert np.allclose(length, 1, rtol=0, atol=stored_length_error(found.shape[1]))


def test_finer_cells_are_a_table_of_their_own(catalog: Path, tmp_path: Path) -> None:
    report = embed(catalog, tmp_path / "t", granularity=10)
    finer = EmbeddingTable.open(tmp_path / "t-r10")
    assert finer.h3_resolution == 10
    assert finer.validate() == []
    parents = {
        h3.cell_to_parent(h3.int_to_str(c), 9)
        for b in finer.scan(["h3_cell"])
        for c in b["h3_cell"].to_pylist()
    }
    cells = {h3.int_to_str(c) for b in report.table.scan(["h3_cell"]) for c in b["h3_cell"].to_pylist()}
    assert parents == cells
    assert finer.row_count > 6 * report.table.row_count * 0.9
    again = embed(catalog, tmp_path / "t", granularity=10)
    assert (again.embedded, again.already) == (0, report.embedded)
    with pytest.raises(InputError, match="finest resolution possible is 10"):
        embed(catalog, tmp_path / "t", granularity=11)


def cells_of(table: EmbeddingTable) -> set[str]:
    return {h3.int_to_str(c) for batch in table.scan(["h3_cell"]) for c in batch["h3_cell"].to_pylist()}


def vectors(table: EmbeddingTable) -> np.ndarray:
    return np.concatenate([to_matrix(batch["embedding"]) for batch in table.scan(["embedding"])])


@pytest.fixture(scope="module")
def real_table(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples")
    run_embed(str(shared / "samples" / "catalog.json"), path, None, Dates(), engine=EngineChoice(workers=1))
    return path


def test_every_real_place_is_embedded_or_named(shared: Path, real_table: Path) -> None:
    places = {
        json.loads(path.read_text())["properties"]["place"]
        for path in (shared / "samples").glob("*/*/*.json")
    }
    table = EmbeddingTable.open(real_table)
    ids = {i.split("#")[0] for b in table.scan(["sample_id"]) for i in b["sample_id"].to_pylist()}
    skipped = {entry["sample_id"] for entry in json.loads((real_table / "skipped.json").read_text())}
    assert ids.isdisjoint(skipped)
    assert ids | skipped == places
    assert len(places) == 94


def test_the_real_table_is_sound(real_table: Path) -> None:
    table = EmbeddingTable.open(real_table)
    assert table.validate() == []
    assert not table.simulated
    for batch in table.scan(["h3_cell", "geometry", "embedding"]):
        centres = shapely.centroid(shapely.from_wkb(batch["geometry"].to_numpy(zero_copy_only=False)))
        cells = [h3.str_to_int(h3.latlng_to_cell(point.y, point.x, 12)) for point in centres]
        assert batch["h3_cell"].to_pylist() == cells
        assert np.isfinite(to_matrix(batch["embedding"])).all()


def test_terms_and_decisions_of_the_imagery_are_kept_in_the_table(catalog: Path, tmp_path: Path) -> None:
    embed(catalog, tmp_path / "t", index=False)
    found = {s.collection: s for s in EmbeddingTable.open(tmp_path / "t").manifest.imagery}
    assert {source.licence for source in found.values()} == {"CC0-1.0"}
    assert any(text.startswith("offset 0") for text in found["sentinel-2-l2a"].decided)
