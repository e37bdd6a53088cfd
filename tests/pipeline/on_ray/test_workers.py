"""Index, prototypes and imports whose pieces are Ray's tasks: what this process would make of them."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.products.sources import Reading, open_rasters
from indexer.errors import QueryError, TableError
from indexer.index.faiss_index import build_index, open_index
from indexer.prototypes import region_rows
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.table.embedding_table import EmbeddingTable
from indexer.workers import Lost
from pipeline.import_rasters import Pooling, import_rasters, plan_rasters

from ...data.products.layouts import noise_codes, write_alphaearth
from ...indexer.random_rows import MODEL, random_cells
from ...indexer.small_tables import place_rows
from . import deadly
from .conftest import rows

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def workers(engine: Any) -> Any:
    """Of the Ray that these tests share."""
    from pipeline.on_ray.workers import RayWorkers

    return RayWorkers(3)


def tables(folder: Path) -> list[EmbeddingTable]:
    """Two of the same rows, in some thirty parts."""
    cells = np.unique(random_cells(600, 3, box=(0, 42, 9, 48)))
    made = [
        EmbeddingTable.create(folder / name, MODEL, h3_resolution=9, partition_resolution=3)
        for name in ("here", "there")
    ]
    return [table.upsert(place_rows(cells)) for table in made]


def test_shards_are_those_of_the_local_build(workers: Any, tmp_path: Path) -> None:
    here, there = tables(tmp_path)
    infos = build_index(here, shards=4), build_index(there, shards=4, workers=workers)
    assert str(infos[0]) == str(infos[1])
    index, expected = open_index(there)[0], open_index(here)[0]
    assert index is not None
    assert expected is not None
    names = [[files.folder.name for files in one.segments] for one in (index, expected)]
    assert names[0] == names[1]


def test_prototypes_are_those_of_the_local_fit(
    workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_rows, "STRETCH_ROWS", 60)
    here, there = tables(tmp_path)
    fit = partial(fit_prototypes, region_resolution=2, per_region=5, seed=1)
    assert fit(here) == fit(there, workers=workers)
    made, expected = (EmbeddingTable.open(table.path) for table in (there, here))
    found, wanted = read_prototypes(made), read_prototypes(expected)
    assert (found.region_cell == wanted.region_cell).all()
    assert (found.n_rows == wanted.n_rows).all()
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=1e-5)
    names = ["h3_cell", "sample_id", "region_cell", "prototype"]
    assert read_assignments(made).select(names) == read_assignments(expected).select(names)


def test_imported_rows_are_those_of_the_local_import(
    workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data.products import pooling

    monkeypatch.setattr(pooling, "CHUNK_PX", (32, 32))
    tile = write_alphaearth(tmp_path, noise_codes(64, 96))
    rasters, _ = open_rasters([str(tile)], Reading("alphaearth"))
    how = Pooling(11)
    plan = plan_rasters(rasters, how)
    assert len(plan.pieces) > 3
    expected = import_rasters(plan, how, tmp_path / "here", workers=0)
    made = import_rasters(plan, how, tmp_path / "there", workers=workers)
    assert made.rows == expected.rows > 20
    assert rows(made.table).equals(rows(expected.table), check_metadata=True)
    assert made.table.input_keys == expected.table.input_keys


def test_a_piece_that_kills_is_tried_three_times_and_named(workers: Any, tmp_path: Path) -> None:
    done = dict(workers(partial(deadly.counted, tmp_path, 2), range(6)))
    assert done.pop(2) == Lost("each process that worked on it died, 3 of them")
    assert done == {number: number**2 for number in (0, 1, 3, 4, 5)}
    assert len(list(tmp_path.glob("2-*"))) == 3


def test_a_shard_that_kills_is_named_and_the_others_are_kept(
    workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.index import shards

    here, there = tables(tmp_path)
    monkeypatch.setattr(shards, "_write", deadly.but_the_second)
    with pytest.raises(TableError, match="shard 2 of 4: each process that worked on it died, 3 of them"):
        build_index(there, shards=4, workers=workers)
    assert open_index(there)[0] is None
    kept = {path.name for path in (there.path / "index").iterdir() if (path / "segment.json").exists()}
    assert len(kept) == 3
    monkeypatch.undo()
    build_index(here, shards=4)
    assert build_index(there, shards=4).shards == 4
    index = open_index(there)[0]
    assert index is not None
    assert kept < {files.folder.name for files in index.segments}


def test_errors_come_as_they_are(workers: Any) -> None:
    with pytest.raises(QueryError, match="no such piece"):
        list(workers(deadly.refusing, range(3)))


def said(table: Path, *words: str, **options: Any) -> str:
    """What a command says that exits with 2 in one line."""
    code = "from search_app.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "-t", str(table)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )
    assert done.returncode == 2, done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.ray
def test_commands_say_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    here, _ = tables(tmp_path)
    nobody = ("--engine", "ray", "--address", "127.0.0.1:9")
    assert "each of Ray's tasks builds a shard" in said(here.path, "index", "--engine", "ray")
    assert "no Ray head answers at 127.0.0.1:9" in said(here.path, "index", "--shards", "2", *nobody)
    assert "no Ray head answers at 127.0.0.1:9" in said(here.path, "prototypes", "fit", *nobody)
    assert "expected --engine ray with it" in said(here.path, "prototypes", "fit", "--address", "auto")
    assert "leave one out" in said(here.path, "index", "--shards", "2", *nobody, "--workers", "2")
    assert here.snapshot == EmbeddingTable.open(here.path).snapshot
    assert open_index(here)[0] is None


def test_without_ray_what_to_install_is_said(tmp_path: Path) -> None:
    here, _ = tables(tmp_path)
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['ray'] = None\n")
    for words in (["index", "--shards", "2"], ["prototypes", "fit"], ["serve", "--port", "0"]):
        found = said(here.path, *words, "--engine", "ray", env=os.environ | {"PYTHONPATH": str(tmp_path)})
        assert "pip install 'skyhex[ray]'" in found


@pytest.mark.ray
def test_commands_on_a_ray_of_their_own(tmp_path: Path) -> None:
    here, _ = tables(tmp_path)
    code = "from search_app.cli.main import run; run()"
    for words in (["index", "--shards", "3"], ["prototypes", "fit", "--region-res", "2"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--engine", "ray", "--workers", "2", "-t", str(here.path)],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        assert "Ray: 2 CPUs" in done.stderr
    table = EmbeddingTable.open(here.path)
    index = open_index(table)[0]
    assert index is not None
    assert index.shards == 3
    assert len(read_prototypes(table).regions) > 3
