"""The commands around a table: its history can be read by all of them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli import main as cli
from tests.indexer.random_rows import MODEL, random_cells, random_rows


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots 2 (30 rows), 3 (prototypes), 4 (30 rows more) and 5 (prototypes of all)."""
    path = tmp_path_factory.mktemp("table")
    box = (5.0, 45.0, 5.1, 45.1)
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9)
    table = table.upsert(random_rows(30, h3_cell=random_cells(30, box=box)))
    fit_prototypes(table, region_resolution=1, per_region=2)
    more = random_rows(30, 1, h3_cell=random_cells(30, 1, box=box), sample_id=[f"t{i}" for i in range(30)])
    fit_prototypes(table.upsert(more), region_resolution=1, per_region=3)
    return path


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """Stdout and stderr of `skyhex WORDS`, which goes well."""
    monkeypatch.setattr(sys, "argv", ["skyhex", *words])
    try:
        cli.main()
    except SystemExit as stop:
        if stop.code:
            raise
    out = capsys.readouterr()
    return out.out, " ".join(out.err.split())


@pytest.mark.parametrize(("snapshot", "rows", "prototypes"), [("2", 30, 0), ("3", 30, 2), ("5", 60, 3)])
def test_every_reading_command_reads_an_old_snapshot(
    table: Path,
    snapshot: str,
    rows: int,
    prototypes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ("-t", str(table), "--snapshot", snapshot)

    def read(*words: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(
            run(monkeypatch, capsys, *words, *where, "--format", "json")[0]
        )
        return found

    np.save(tmp_path / "query.npy", np.ones(MODEL.dimension, np.float32))
    assert read("sql", "SELECT count(*) AS n FROM embeddings") == [{"n": rows}]
    assert len(read("search", "--vector", str(tmp_path / "query.npy"), "-k", "100")) == rows
    regions = read("prototypes", "list")
    assert sum(int(str(region["prototypes"])) for region in regions) <= prototypes
    assert bool(regions) == bool(prototypes)
    for region in regions:
        shown = read("prototypes", "show", "--region", str(region["region_cell"]))
        assert sum(int(str(row["n_rows"])) for row in shown) == rows
    assert f"{rows} of" in run(monkeypatch, capsys, "info", *where)[0]
    assert f"{rows} rows in" in run(monkeypatch, capsys, "validate", *where)[1]


def test_the_log_tells_what_each_snapshot_did(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads(run(monkeypatch, capsys, "log", "-t", str(table), "--format", "json")[0])
    assert [(entry["snapshot"], entry["operation"], entry["rows"]) for entry in entries] == [
        (1, "create", 0),
        (2, "upsert", 30),
        (3, "prototypes", 30),
        (4, "upsert", 60),
        (5, "prototypes", 60),
    ]
    assert entries[3]["done"] == "rows_added 30, rows_replaced 0"


def test_a_damaged_newest_manifest_is_in_the_log_and_is_set_aside_by_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(5))
    (tmp_path / "manifests/000002.json").write_text("{")
    where = ("-t", str(tmp_path))
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "validate", *where)
    assert "validate --repair" in capsys.readouterr().err
    entries = json.loads(run(monkeypatch, capsys, "log", *where, "--format", "json")[0])
    assert [(entry["operation"], entry["committed"] is None) for entry in entries] == [
        ("create", False),
        ("damaged", True),
    ]
    said = run(monkeypatch, capsys, "validate", *where, "--repair")[1]
    assert "000002.json is damaged, and is now manifests/000002.json.damaged" in said
    assert EmbeddingTable.open(tmp_path).snapshot == 1


def test_compact_and_vacuum_say_what_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(5))
    assert "1 files before, 1 now; snapshot 2" in run(monkeypatch, capsys, "compact", "-t", str(tmp_path))[1]
    said = run(monkeypatch, capsys, "vacuum", "-t", str(tmp_path))[1]
    assert "0 files deleted; the newest 1 snapshots and all of the last hour are kept" in said
    assert EmbeddingTable.open(tmp_path).validate() == []


def test_an_index_is_cut_into_shards_and_searched_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9).upsert(random_rows(300))
    where = ("-t", str(tmp_path / "t"))
    assert "built: 300 rows" in run(monkeypatch, capsys, "index", *where)[1]
    assert "5 shards" in run(monkeypatch, capsys, "index", *where, "--shards", "5")[1]
    assert "nothing to do" in run(monkeypatch, capsys, "index", *where)[1]
    np.save(tmp_path / "query.npy", np.ones(MODEL.dimension, np.float32))
    like = ("search", "--vector", str(tmp_path / "query.npy"), *where, "--explain", "--format", "json")
    here, said = run(monkeypatch, capsys, *like)
    assert "5 of 5 shards" in said
    by_others = ("--shard-workers", "2", "--shard-limit", "60")
    assert run(monkeypatch, capsys, *like, *by_others) == (here, said)
    for odd, reason in (((by_others[2:]), "say how many"), (("--shard-workers", "0"), "above zero")):
        monkeypatch.setattr(sys, "argv", ["skyhex", *like, *odd])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 2
        assert reason in " ".join(capsys.readouterr().err.split())
