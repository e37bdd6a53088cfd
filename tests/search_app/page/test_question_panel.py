"""The question panel, run without a browser: examples, how they combine, conditions, what people bring."""

from pathlib import Path

import h3
import pytest
from streamlit.testing.v1 import AppTest

from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.query_panel import with_times

from ..make_table import CELLS, small_table
from .test_streamlit_app import link, page, texts

A, B, C = (h3.int_to_str(CELLS[i]) for i in (20, 33, 5))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = small_table(tmp_path_factory.mktemp("panel") / "valley").path
    fit_prototypes(EmbeddingTable.open(path), region_resolution=4)
    return path


def cells_of(app: AppTest) -> list[str]:
    return [str(cell) for cell in app.dataframe[0].value["cell"]]


def test_times_keep_the_order() -> None:
    assert with_times(("a", "b", "a", "c"), "a", 3) == ("a", "a", "a", "b", "c")
    assert with_times(("a", "b"), "a", 0) == ("b",)
    assert with_times(("a",), "b", 2) == ("a", "b", "b")


def test_an_example_counts_more_changes_its_sign_and_goes(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    app = page(monkeypatch, table, like=[A, B])
    once = cells_of(app)
    app.selectbox(key=f"times like {A}").select(5).run()
    assert link(app)["like"] == [A] * 5 + [B]
    assert cells_of(app) != once
    app.button(key=f"sign like {B}").click().run()
    assert (link(app)["like"], link(app)["unlike"]) == ([A] * 5, B)
    app.button(key=f"drop like {A}").click().run()
    assert "like" not in link(app)
    assert "20 most similar" in texts(app)  # alone, it is an answer too
    app.button(key=f"sign unlike {B}").click().run()
    assert link(app)["like"] == B


def test_ways_to_combine_are_offered_where_they_matter(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=A)
    assert "match" not in [control.key for control in app.button_group]
    assert "negative_weight" not in [slider.key for slider in app.slider]
    app = page(monkeypatch, table, like=[A, B], unlike=C)
    mean = cells_of(app)
    app.button_group(key="match").set_value("all").run()
    assert link(app)["match"] == "all"
    each = cells_of(app)
    app.slider(key="negative_weight").set_value(1.5).run()
    assert link(app)["negative_weight"] == "1.5"
    assert len({*map(tuple, (mean, each, cells_of(app)))}) == 3
    app.toggle(key="invert").set_value(True).run()
    assert link(app)["invert"] == "1"
    assert float(app.dataframe[0].value["similarity"][0]) > 0
    assert not set(cells_of(app)) & set(each[:5])


def test_results_that_differ(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=A, k="60")
    app.number_input(key="per_parent").set_value(1).run()
    app.selectbox(key="parent_res").select(8).run()
    assert (link(app)["per_parent"], link(app)["parent_res"]) == ("1", "8")
    parents = [h3.cell_to_parent(cell, 8) for cell in cells_of(app)]
    assert len(parents) == len(set(parents)) == len({h3.cell_to_parent(h3.int_to_str(c), 8) for c in CELLS})
    app.slider(key="variety").set_value(70).run()
    assert link(app)["relevance"] == "0.3"


def test_conditions_narrow_and_are_cleared(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=A, k="60")
    everything = len(cells_of(app))
    parent = h3.cell_to_parent(A, 8)
    app.text_input(key="cells").input(parent).run()
    inside = [
        cell for cell in map(h3.int_to_str, CELLS) if h3.cell_to_parent(cell, 8) == parent and cell != A
    ]
    assert sorted(cells_of(app)) == sorted(inside)
    assert "Filters · 1 on" in texts(app)
    app.text_input(key="near").input("10 47").run()
    assert "three numbers" in texts(app)
    app.text_input(key="near").input("10, 47, 0.01").run()
    assert link(app)["near"] == "10,47,0.01"
    app.button_group(key="months").set_value([7, 6]).run()
    app.button_group(key="modalities").set_value(["s1", "hr"]).run()
    app.slider(key="cloud").set_value(40).run()
    app.slider(key="valid").set_value(90).run()
    asked = {name: link(app)[name] for name in ("months", "modalities", "cloud", "valid")}
    assert asked == {"months": "6,7", "modalities": ["hr", "s1"], "cloud": "0.4", "valid": "0.9"}
    assert "Filters · 6 on" in texts(app)
    next(button for button in app.button if button.label == "Clear filters").click().run()
    assert len(cells_of(app)) == everything


def test_sql_typed_here_is_answered_and_that_of_a_link_waits(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    statement = f"h3_cell IN (h3_id('{B}'), h3_id('{C}')) AND 77 = 77"
    app = page(monkeypatch, table, like=A, where=statement)
    assert statement in [code.value for code in app.code]
    assert not app.dataframe
    assert "nothing is searched until you agree" in app.warning[0].value
    app.text_area(key="where").input(statement.replace("77", "78")).run()
    assert sorted(cells_of(app)) == sorted([B, C])
    app = page(monkeypatch, table, like=A, where=statement)
    next(button for button in app.button if button.label == "Use this condition").click().run()
    assert sorted(cells_of(app)) == sorted([B, C])
    app = page(monkeypatch, table, like=A, where="nothing = 1")
    next(button for button in app.button if button.label == "Drop it").click().run()
    assert "where" not in link(app)
    assert len(cells_of(app)) == 20


def test_pasted_places_are_examples(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table)
    app.text_area(key="pasted").input(f"{A}\n# a note\n10.0, 47.0; {B}\nprototype:841f8d7ffffffff/0")
    take = next(button for button in app.button if button.label == "Take these")
    take.click().run()
    assert link(app)["like"] == [A, "10,47", B, "prototype:841f8d7ffffffff/0"]
    app.button_group(key="bring how").set_value("unlike")
    app.text_area(key="pasted").input(f"{C}")
    next(button for button in app.button if button.label == "Take these").click().run()
    assert link(app)["unlike"] == C
    app.text_area(key="pasted").input(f"{C}\nnonsense\n200, 5")
    next(button for button in app.button if button.label == "Take these").click().run()
    assert "line 2" in texts(app)
    assert "line 3" in texts(app)
    assert app.text_area(key="pasted").value == f"{C}\nnonsense\n200, 5"  # nothing of it is lost
    assert link(app)["unlike"] == C


def test_many_examples_are_listed_in_part(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=[h3.int_to_str(cell) for cell in CELLS[:30]])
    assert "and 18 more" in texts(app)
    next(button for button in app.button if button.label == "Drop all").click().run()
    assert "like" not in link(app)


def test_an_upload_that_is_not_here_says_what_to_do(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like="upload:0123456789abcdef/field.tif")
    assert "upload it again" in app.error[0].value
