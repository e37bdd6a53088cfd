"""A project file goes on elsewhere: the question, what was saved, uploads and marks, and nothing is run."""

import json
from dataclasses import replace
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from indexer.errors import QueryError
from indexer.labels.store import mark, read_labels
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import brought
from search_app.page.agreed import HeldError
from search_app.page.brought import Brought, bring
from search_app.page.finding import find
from search_app.page.project import open_project, read_project, write_project
from search_app.page.question import to_filter
from search_app.page.saved_panel import save, saved_of
from search_app.page.url_state import View

from .. import make_table
from ..make_table import CELLS, small_table
from .test_streamlit_app import link, page, run_typed, texts

A, B = (h3.int_to_str(CELLS[i]) for i in (20, 33))


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return small_table(tmp_path / "mine")


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another machine: nothing was brought there."""
    monkeypatch.setattr(brought, "_kept", brought.Recent(1 << 20, lambda one: len(one.content)))


def test_a_project_opens_on_another_machine(
    table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = np.random.default_rng(3).normal(size=16).astype(np.float32)
    hole = shapely.box(9.9, 46.9, 10.1, 47.1) - shapely.box(9.995, 46.995, 10.005, 47.005)
    labels = {CELLS[0]: "right", CELLS[1]: "wrong", CELLS[2]: "right"}
    mark(table.storage, "feedback-1", labels, 9)
    view = View(
        like=(bring(Brought("a <b>.npy", vector, ("s2",))), A, A),
        within=bring(Brought("hole", area=hole)),
        k=7,
        months=(1, 2),
    )
    saved = {"fields": View(like=(A,), marks="feedback-1/1"), "sums": View(tab="sql", sql="SELECT 42")}
    shown = find(table, view.question)
    assert shown is not None
    content = write_project(table, view, saved)
    elsewhere(monkeypatch)
    other = small_table(tmp_path / "theirs")
    with pytest.raises(QueryError, match="upload it again"):
        to_filter(view)
    opened = open_project(other, read_project("p.json", content))
    assert (replace(opened.view, within=view.within), opened.saved, opened.notes) == (view, saved, [])
    found = find(other, opened.view.question)
    assert found is not None
    assert found.rows.equals(shown.rows)
    kept = read_labels(other.storage, "feedback-1")
    assert dict(zip(kept["h3_cell"].to_pylist(), kept["label"].to_pylist(), strict=True)) == labels
    again = open_project(other, read_project("p.json", content))
    assert again.saved == saved  # the same marks are not kept twice


def test_marks_of_a_name_that_is_taken_have_one_of_their_own(table: EmbeddingTable, tmp_path: Path) -> None:
    mark(table.storage, "mine", {CELLS[0]: "right"}, 9)
    content = write_project(table, View(like=(A,), marks="mine/1"), {})
    other = small_table(tmp_path / "theirs")
    mark(other.storage, "mine", {CELLS[5]: "wrong"}, 9)
    opened = open_project(other, read_project("p.json", content))
    assert opened.view.marks == "mine-opened-1/1"
    assert read_labels(other.storage, "mine-opened-1")["h3_cell"].to_pylist() == [CELLS[0]]
    assert read_labels(other.storage, "mine")["h3_cell"].to_pylist() == [CELLS[5]]


def test_an_sql_condition_of_a_project_waits(table: EmbeddingTable) -> None:
    content = write_project(table, View(like=(A,), where="n_s2 = 4 AND 31 = 31"), {})
    opened = open_project(table, read_project("p.json", content))
    with pytest.raises(HeldError):
        find(table, opened.view.question)


def test_another_snapshot_is_said_and_another_model_refused(
    table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = read_project("p.json", write_project(table, View(like=(A,)), {}))
    [note] = open_project(table, replace(project, snapshot=1)).notes
    assert "made on snapshot 1, this is snapshot 2" in note
    monkeypatch.setattr(make_table, "MODEL", replace(make_table.MODEL, digest="1" * 64))
    with pytest.raises(QueryError, match="another model"):
        open_project(small_table(tmp_path / "other"), project)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no project file"),
        (b"[" * 100_000, "no project file"),
        (b'{"skyhex_project": 2}', "skyhex_project"),
        (b'{"type": "Polygon"}', "no field skyhex_project"),
        (b'{"skyhex_project": 1, "table": "t", "model": 3}', "the project.model is 3"),
    ],
)
def test_what_is_no_project_is_explained(content: bytes, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        read_project("p.json", content)


def test_links_of_a_project_are_read_as_the_pages_own(table: EmbeddingTable) -> None:
    document = json.loads(write_project(table, View(like=(A,)), {"x": View(k=3)}))
    document["question"] |= {"k": ["lots"], "no_such": ["1"]}
    document["saved"][0]["link"]["months"] = ["13"]
    document["uploads"] = [{"place": "upload:0/x", "name": "nothing"}]
    with pytest.raises(QueryError, match="neither a vector nor an area"):
        open_project(table, read_project("p.json", json.dumps(document).encode()))
    document["uploads"] = []
    opened = open_project(table, read_project("p.json", json.dumps(document).encode()))
    assert opened.view == View(like=(A,))
    assert opened.saved == {"x": View(k=3)}
    assert ["k=lots" in opened.notes[0], "months=13" in opened.notes[1]] == [True, True]


def test_questions_are_saved_shown_again_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, table: EmbeddingTable
) -> None:
    app = page(monkeypatch, table.path, like=A, k="5")
    app.text_input(key="save as").input("five *like* it").run()
    assert saved_of(table) == {"five *like* it": View(like=(A,), k=5, area="all")}
    app.text_input(key="place").input(B).run()
    assert link(app)["like"] == B
    app.button(key="open five *like* it").click().run()
    assert link(app)["like"] == A
    assert "5 most similar" in texts(app)
    app.button(key="forget five *like* it").click().run()
    assert saved_of(table) == {}


def test_a_saved_statement_fills_the_editor_and_waits(
    monkeypatch: pytest.MonkeyPatch, table: EmbeddingTable
) -> None:
    save(table, "sums", View(tab="sql", sql="SELECT 6 * 7 AS answer"))
    app = page(monkeypatch, table.path, tab="sql")
    app = run_typed(app, "SELECT 1 AS one")
    app.button(key="open sums").click().run()
    assert app.text_area(key="sql text").value == "SELECT 6 * 7 AS answer"
    assert "was not run here" in texts(app)
