"""The command line and the Python that the page shows find the rows that it shows."""

import json
import shlex
import sys
from datetime import date
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from indexer.index.faiss_index import build_index
from indexer.labels.store import mark
from indexer.prototypes.regional import fit_prototypes
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli import main as cli
from search_app.page.agreed import agree
from search_app.page.as_code import code_of, feedback_words, search_words, words_of, zipped
from search_app.page.brought import Brought, bring
from search_app.page.finding import find
from search_app.page.url_state import View

from ..make_table import CELLS, small_table
from .test_streamlit_app import page, texts

A, B, C = (h3.int_to_str(CELLS[i]) for i in (20, 33, 5))
REGION = h3.cell_to_parent(A, 4)
RING = "9.995 46.996,10.006 46.996,10.002 47.004"
HOSTILE = "$(touch 'x'); `y` \"z\".npy"
WHERE = 'n_s2 >= 4 -- it\'s "all"'
VIEWS = {
    "a cell": View(like=(A,)),
    "a place": View(like=("10,47",)),
    "weights": View(like=(A, A, B), unlike=(C, "9.999,47.001"), negative_weight=0.9, k=7),
    "any": View(like=(A, B), match="any"),
    "each": View(like=(A, B), match="all"),
    "inverted": View(like=(A, B), match="any", invert=True),
    "unlike alone": View(unlike=(A, B)),
    "another sensor": View(like=(A,), using="s2", against="s1"),
    "a shape": View(like=(f"within:{RING}",)),
    "a shape in a shape": View(like=(f"within:{RING}",), within="9.98 46.98,10.02 46.98,10 47.02"),
    "a prototype": View(like=(f"prototype:{REGION}/1", A)),
    "an upload": View(like=(bring(Brought(HOSTILE, np.arange(1, 17, dtype=np.float32))), A)),
    "an area of one's own": View(like=(A,), within=bring(Brought("a", area=shapely.box(9.99, 46, 11, 48)))),
    "conditions": View(
        like=(A,),
        bbox=(9.98, 46.98, 10.01, 47.02),
        near=(10.0, 47.0, 1.5),
        cells=(REGION, h3.cell_to_parent(A, 7)),
        footprint=True,
        start=date(2021, 3, 1),
        end=date(2022, 3, 1),
        months=(6, 7),
        modalities=("hr", "s1"),
        cloud=0.5,
        valid=0.25,
        where=WHERE,
    ),
    "one in a place": View(like=(A,), per_parent=1, parent_res=8, k=5),
    "variety": View(like=(A,), relevance=0.4, k=9),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    rng = np.random.default_rng(5)
    sensors = {name: rng.normal(size=(len(CELLS), 16)).astype(np.float32) for name in ("s1", "s2")}
    path = tmp_path_factory.mktemp("it's a folder") / "t"
    fit_prototypes(small_table(path, by_sensor=sensors), region_resolution=4, per_region=3)
    build_index(EmbeddingTable.open(path))
    return EmbeddingTable.open(path)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_all_three_find_the_same_rows(
    table: EmbeddingTable,
    view: View,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agree(view.where)
    shown = find(table, view.question)
    assert shown is not None
    expected = [(f"{row['h3_cell']:x}", row["similarity"]) for row in shown.rows.to_pylist()]
    assert expected
    code = code_of("search", table, search_words(shown.query, view))
    monkeypatch.chdir(tmp_path)
    for name, content in code.files.items():
        Path(name).write_bytes(content)
    monkeypatch.setattr(sys, "argv", [*shlex.split(code.command), "--format", "json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    typed = json.loads(capsys.readouterr().out)
    assert [(row["h3_cell"], row["similarity"]) for row in typed] == expected
    names: dict[str, object] = {}
    exec(code.python, names)  # what a person would run
    rows = names["found"].rows.to_pylist()  # type: ignore[attr-defined]
    assert [(f"{row['h3_cell']:x}", row["similarity"]) for row in rows] == expected


def test_what_is_usual_is_not_spelled(table: EmbeddingTable) -> None:
    code = code_of("search", table, search_words(Query((Cell(CELLS[0]),)), View(k=20)))
    cell = h3.int_to_str(CELLS[0])
    root = table.storage.root
    assert code.command == shlex.join(["skyhex", "search", "-t", root, "--cell", cell, "-k", "20"])
    assert code.python == (
        f"import skyhex\n\nfound = skyhex.search(\n    {root!r},\n    cell=['{cell}'],\n    k=20,\n)"
    )
    assert code.files == {}


def test_words_of_a_query_are_those_that_it_was_made_of() -> None:
    vector = np.ones(3, np.float32)
    query = Query((Cell(CELLS[0]), LonLat(1.0, -2.0)), (Vector(vector),), against="embedding_s1", invert=True)
    words = words_of(query)
    assert words.pop("not_vector")[0] is not None
    assert words == {
        "cell": [h3.int_to_str(CELLS[0])],
        "lonlat": [(1.0, -2.0)],
        "against": "s1",
        "invert": True,
    }


def test_marks_are_spelled_and_what_feedback_does_not_take_is_named() -> None:
    a, b = Cell(CELLS[20]), Cell(CELLS[33])
    marks = {CELLS[1]: True, CELLS[2]: False}
    words, left = feedback_words(Query([a]), marks, View(rule="rocchio", k=7))
    right, wrong = (h3.int_to_str(cell) for cell in marks)
    assert words == {"cell": [A], "right": [right], "wrong": [wrong], "by": "rocchio", "k": 7}
    assert left == []
    words, left = feedback_words(Query([a], [b], invert=True), marks, View(per_parent=2))
    assert words == {"cell": [A], "right": [right], "wrong": [wrong], "k": 20}
    assert left == ["not_cell", "invert", "per_parent"]
    assert feedback_words(Query([], [b]), marks, View()) == ({}, ["not_cell"])


def test_taught_questions_are_code_and_say_what_it_lacks(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(table.storage, "feedback-1", {CELLS[1]: "right", CELLS[2]: "wrong"}, 9)
    app = page(monkeypatch, Path(table.storage.root), like=A, unlike=B, marks="feedback-1/1")
    assert app.code[0].value.startswith("skyhex feedback")
    assert "`skyhex feedback` takes no `--not-cell`, and finds other rows." in texts(app)
    app = page(monkeypatch, Path(table.storage.root), unlike=B, marks="feedback-1/1")
    assert not app.code
    assert "takes no `--not-cell`, and has nothing else to look for" in texts(app)


def test_the_same_files_are_the_same_archive() -> None:
    assert zipped({"a.npy": b"x"}) == zipped({"a.npy": b"x"}) != zipped({"a.npy": b"y"})
