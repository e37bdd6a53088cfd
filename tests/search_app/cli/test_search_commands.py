"""What people type after `skyhex search`, `changes`, `outliers`, `prototypes`, against the same in Python."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pytest

import skyhex
from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli import main as cli
from search_app.cli import search_commands
from search_app.output import records

from ...indexer.small_tables import place_rows, place_table, whole
from ..make_table import CELLS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout, and stderr on one line, of `skyhex WORDS`."""

    def run_words(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["skyhex", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr()
        return int(stop.value.code or 0), out.out, " ".join(out.err.split())

    return run_words


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """60 places in 2023 and 2024; prototypes fitted twice, of seeds 0 and 1."""
    path = tmp_path_factory.mktemp("places")
    place_table(path)
    for seed in range(2):
        fit_prototypes(EmbeddingTable.open(path), region_resolution=1, per_region=3, seed=seed)
    return EmbeddingTable.open(path)


@pytest.fixture(scope="module")
def cells(table: EmbeddingTable) -> list[str]:
    """Cells of the table, some with Sentinel-1 in both years first."""
    rows = whole(table)
    n_s1 = rows["n_s1"].to_numpy().reshape(-1, 2).min(axis=1)
    names = [h3.int_to_str(cell) for cell in rows["h3_cell"].to_pylist()[::2]]
    return [names[i] for i in np.argsort(n_s1 == 0, kind="stable")]


def the_words(cells: list[str]) -> list[tuple[list[object], dict[str, Any]]]:
    a, b, c = cells[:3]
    lat, lon = h3.cell_to_latlng(b)
    return [
        (["--cell", a, "--cell", c, "--match", "any"], {"cell": [a, c], "match": "any"}),
        (["--cell", a, "--lonlat", lon, lat], {"cell": a, "lonlat": (lon, lat)}),
        (["--cell", a, "--not-lonlat", lon, lat, "--negative-weight", 1.5],
         {"cell": a, "not_lonlat": (lon, lat), "negative_weight": 1.5}),
        (["--cell", a, "--not-cell", b, "--not-cell", c], {"cell": a, "not_cell": [b, c]}),
        (["--cell", a, "--using", "s1", "--against", "s1"], {"cell": a, "using": "s1", "against": "s1"}),
        (["--cell", a, "--near", -59.5, -19.5, 100], {"cell": a, "near": (-59.5, -19.5, 100)}),
        (["--cell", a, "--bbox", 5, 45, 7, 47, "--near", 6, 46, 60, "--footprint"],
         {"cell": a, "bbox": (5, 45, 7, 47), "near": (6, 46, 60), "footprint": True}),
        (["--cell", a, "--cells", f"{b}, {c}", "--start", "2024-02-01"],
         {"cell": a, "cells": [b, c], "start": "2024-02-01"}),
        (["--cell", a, "--months", "3, 4", "--modalities", "s1,s2", "--end", "2023-06-01"],
         {"cell": a, "months": [3, 4], "modalities": ["s1", "s2"], "end": "2023-06-01"}),
        (["--cell", a, "--where", "prototype = 0", "--include-query"],
         {"cell": a, "where": "prototype = 0", "include_query": True}),
        (["--cell", a, "--per-parent", 2, "--parent-res", 2, "--relevance", 0.5],
         {"cell": a, "per_parent": 2, "parent_res": 2, "relevance": 0.5}),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(11))
def test_words_mean_what_they_mean_in_python(
    table: EmbeddingTable, cells: list[str], number: int, run: Run
) -> None:
    words, in_python = the_words(cells)[number]
    code, out, _ = run("search", "-t", table.path, *words, "-k", 9, "--format", "json")
    assert code == 0
    expected = records(skyhex.search(table, k=9, **in_python).rows)
    assert json.loads(out) == expected
    assert expected
    plain = records(skyhex.search(table, cell=cells[0], k=9).rows)
    assert expected != plain, "the words change nothing, so this shows nothing"


def test_examples_from_files(table: EmbeddingTable, cells: list[str], tmp_path: Path, run: Run) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, table.dimension)).astype(np.float32)
    np.save(tmp_path / "a.npy", a)
    (tmp_path / "b.json").write_text(json.dumps(b.tolist()))
    at = ("search", "-t", table.path, "--format", "json")
    _, out, _ = run(*at, "--vector", tmp_path / "a.npy", "--not-vector", tmp_path / "b.json")
    assert json.loads(out) == records(skyhex.search(table, vector=a, not_vector=b).rows)
    (tmp_path / "c.json").write_text('{"a": 1}')
    code, _, err = run(*at, "--vector", tmp_path / "c.json")
    assert (code, "c.json holds no vector" in err) == (2, True)


def test_a_file_of_queries(table: EmbeddingTable, cells: list[str], tmp_path: Path, run: Run) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(
        "".join(json.dumps({"query": f"q{i}", "cell": cell}) + "\n" for i, cell in enumerate(cells[:3]))
    )
    at = ("search", "-t", table.path, "--queries", file, "-k", 4, "--start", "2024-02-01")
    code, out, err = run(*at, "--format", "json", "--explain")
    assert code == 0
    found = json.loads(out)
    assert found == records(skyhex.search_many(table, file, k=4, start="2024-02-01").rows)
    for i, cell in enumerate(cells[:3]):
        alone = records(skyhex.search(table, cell=cell, k=4, start="2024-02-01").rows)
        assert [{**row, "query": f"q{i}"} for row in alone] == found[4 * i : 4 * i + 4]
    assert "3/3" in err
    assert "plan: 3 x exact" in err
    _, out, _ = run(*at)
    assert out.splitlines()[0].split()[:3] == ["query", "rank", "similarity"]
    assert out.splitlines()[1].startswith("q0")
    code, _, err = run(*at, "--cell", cells[0])
    assert (code, "--queries FILE holds all" in err) == (2, True)
    code, _, err = run(*at, "--relevance", 0.5)
    assert (code, "--queries FILE holds all" in err) == (2, True)


def test_many_notes_are_counted(
    table: EmbeddingTable, cells: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_commands, "NOTES_SHOWN", 2)
    (tmp_path / "q.csv").write_text("cell\n" + "\n".join(cells[:4]))
    _, _, err = run("search", "-t", table.path, "--queries", tmp_path / "q.csv")
    assert err.count("has several periods") <= 2
    assert "more notes" in err


def test_changes(table: EmbeddingTable, run: Run) -> None:
    at = ("changes", "-t", table.path, "--before", 2023, "--after", "2024-01-01/2025-01-01")
    words = (
        "--bbox",
        5,
        45,
        7,
        48,
        "--where",
        "cloud_fraction < 0.8",
        "--column",
        "s1",
        "--months",
        "2,3",
        "-k",
        5,
    )
    code, out, _ = run(*at, *words, "--format", "json")
    assert code == 0
    held = {"bbox": (5, 45, 7, 48), "where": "cloud_fraction < 0.8", "months": (2, 3)}
    expected = skyhex.changes(table, 2023, "2024", column="s1", k=5, **held)
    assert json.loads(out) == records(expected)
    assert expected.num_rows == 5
    _, out, _ = run(*at)
    assert out.splitlines()[0].split() == ["rank", "change", "h3_cell", "before", "after", "lon", "lat"]
    assert out.splitlines()[1].split()[3:5] == ["2023", "2024"]
    code, out, err = run("changes", "-t", table.path, "--before", 1990, "--after", 1991)
    assert (code, "no place has a row in both periods" in err) == (0, True)


def test_outliers(table: EmbeddingTable, run: Run) -> None:
    at = ("outliers", "-t", table.path, "-k", 4)
    _, out, _ = run(*at, "--start", "2024-02-01", "--modalities", "s1", "--format", "json")
    expected = skyhex.outliers(table, k=4, start="2024-02-01", modalities="s1")
    assert json.loads(out) == records(expected)
    assert len(expected) == 4
    _, out, _ = run(*at)
    assert out.splitlines()[0].split() == ["rank", "typical", "h3_cell", "period", "region_cell", "prototype"]
    code, _, err = run(*at, "--where", "false")
    assert (code, "no row with a prototype matches" in err) == (0, True)


def test_prototypes_elsewhere_and_their_cells(table: EmbeddingTable, run: Run) -> None:
    found = skyhex.read_prototypes(table)
    region = h3.int_to_str(int(found.regions[0]))
    at = ("prototypes", "like", "-t", table.path, "--region", region, "--prototype", 1)
    _, out, _ = run(*at, "-k", 2, "--format", "json")
    assert json.loads(out) == records(found.like(int(found.regions[0]), 1, 2))
    _, out, _ = run(*at, "--format", "geojson")
    assert {f["geometry"]["type"] for f in json.loads(out)["features"]} == {"Polygon"}
    at = ("prototypes", "cells", "-t", table.path, "--region", region, "--prototype", 1, "--format", "json")
    rows = records(skyhex.cells_of_prototype(table, int(found.regions[0]), 1))
    assert json.loads(run(*at)[1]) == rows
    assert json.loads(run(*at, "-k", 3)[1]) == rows[:3]
    code, _, err = run("prototypes", "cells", "-t", table.path, "--region", region, "--prototype", 9)
    assert (code, "has no prototype 9: expected 0 to" in err) == (2, True)
    code, _, err = run("prototypes", "show", "-t", table.path, "--region", h3.int_to_str(CELLS[0]))
    assert (code, "has no prototypes" in err) == (2, True)


def test_drift_of_prototypes(table: EmbeddingTable, tmp_path: Path, run: Run) -> None:
    older = skyhex.open_table(table.path, table.snapshot - 1)
    expected = records(skyhex.drift(skyhex.read_prototypes(older), skyhex.read_prototypes(table)))
    for since in ((), ("--since", older.snapshot)):
        code, out, err = run("prototypes", "drift", "-t", table.path, *since, "--format", "json")
        assert code == 0
        assert json.loads(out) == expected
        assert (
            f"snapshot {older.snapshot} to {table.snapshot}: prototypes of {len(expected)} regions moved"
            in err
        )
    code, _, err = run("prototypes", "drift", "-t", table.path, "--snapshot", older.snapshot)
    assert (code, "keeps no earlier prototypes" in err) == (2, True)


def test_fitting_again_says_how_far_prototypes_moved(tmp_path: Path, run: Run) -> None:
    place_table(tmp_path)
    fit = ("prototypes", "fit", "-t", tmp_path, "--region-res", 1, "--per-region", 2)
    assert "since snapshot" not in run(*fit)[2]
    EmbeddingTable.open(tmp_path).upsert(
        place_rows(whole(EmbeddingTable.open(tmp_path))["h3_cell"].to_numpy()[:9:2], seed=3)
    )
    code, _, err = run(*fit)
    assert code == 0
    assert "since snapshot 4: prototypes of 2 regions moved to a mean cosine of 0.9" in err
    assert "nothing can be compared" in run(*fit[:-3], 2, "--per-region", 2)[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("search",), "Nothing to look like"),
        (("search", "--queries", "F", "--not-cell", "CELL"), "leave out other examples"),
        (("search", "--cell", "CELL", "--near", "6", "46", "0"), "a distance above zero"),
        (("search", "--cell", "CELL", "--months", "summer"), "expected whole numbers and commas"),
        (("search", "--cell", "CELL", "--months", "13"), "expected numbers 1 to 12"),
        (("search", "--cell", "CELL", "--modalities", "lidar"), "expected some of hr, s2, s1"),
        (("search", "--cell", "CELL", "--start", "soon"), "'soon' is not a date"),
        (("search", "--cell", "CELL", "--match", "each"), "each"),
        (("search", "--cell", "CELL", "--using", "radar"), "one of fused, geo, hr, s2, s1"),
        (("search", "--cell", "CELL", "--relevance", "2"), "expected 0 to 1"),
        (("search", "--cell", "CELL", "--parent-res", "4"), "how many rows"),
        (("search", "--lonlat", "6"), "LON LAT"),
        (("search", "--lonlat", "6", "-k", "3"), "the place came as '6'; expected LON LAT"),
        (("search", "--lonlat", "here", "there"), "LON LAT in degrees"),
        (("search", "--queries", "missing.csv"), "missing.csv"),
        (("changes", "--before", "2023", "--after", "later"), "'later' is not a period"),
        (("changes", "--before", "2023", "--after", "2024", "--column", "hr"), "no vectors 'embedding_hr'"),
        (("changes", "--before", "2023"), "--after"),
        (("outliers", "-k", "0"), "k = 0"),
        (("prototypes", "like", "--region", "CELL", "--prototype", "0"), "has no prototypes"),
    ],
)
def test_a_mistake_is_one_clear_line(
    table: EmbeddingTable, cells: list[str], words: tuple[str, ...], says: str, run: Run
) -> None:
    head = 2 if words[0] == "prototypes" else 1
    given = [cells[0] if word == "CELL" else word for word in words]
    code, out, err = run(*given[:head], "-t", table.path, *given[head:])
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_help_fits_a_small_terminal_and_names_every_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run("search", "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    panels = [line.strip("╭─╮ ") for line in out.splitlines() if line.startswith("╭")]
    assert panels == ["Options", "What to look like", "Where", "Which rows", "Which results"]
    for word in ("--near", "--months", "--modalities", "--match", "--queries", "--per-parent", "--footprint"):
        assert word in out


def test_planes_and_clusters_are_those_of_python(run: Run, table: EmbeddingTable) -> None:
    for words, expected in (
        (("project", "--rows", 30), skyhex.project(table, rows=30)),
        (("cluster", "--count", 3), skyhex.cluster(str(table.path), 3)),
    ):
        code, out, _ = run(*words, "-t", table.path, "--format", "json")
        assert code == 0
        assert json.loads(out) == json.loads(json.dumps(records(expected), default=str))
        code, out, _ = run(*words, "-t", table.path)
        assert code == 0
        assert ("cluster" if words[0] == "cluster" else "x") in out.splitlines()[0]
    code, _, said = run("project", "--method", "tsne", "-t", table.path)
    assert code == 2
    assert "expected one of pca, pacmap" in said
    code, _, said = run("cluster", "--count", 1, "-t", table.path)
    assert code == 2
    assert "expected 2 to as many" in said
