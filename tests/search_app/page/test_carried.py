"""Another table is asked what it can be asked; what stays behind is said."""

from pathlib import Path

import h3
import numpy as np
import pytest

from indexer.geo.cells import parents
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.brought import Brought, bring
from search_app.page.carried import carry
from search_app.page.url_state import View

from ..make_table import CELLS, MODEL, coarse_table, small_table

A, B = (h3.int_to_str(CELLS[i]) for i in (20, 33))
NOWHERE = h3.latlng_to_cell(0, 0, 9)


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return small_table(tmp_path_factory.mktemp("carried") / "fine")


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return coarse_table(tmp_path_factory.mktemp("carried") / "coarse")


def test_places_areas_and_times_go_along(fine: EmbeddingTable) -> None:
    shape = "within:9.99 46.99,10.01 46.99,10 47.01"
    view = View(
        like=(A, A, "10,47", shape), unlike=(B,), negative_weight=1.5, match="any", k=7,
        bbox=(9.0, 46.0, 11.0, 48.0), months=(6, 7), where="n_s2 > 1", tab="sql", sql="SELECT 1",
        area="821f97fffffffff", prototype="841f97fffffffff/2", labels="mine", picked=shape, seen=A,
    )  # fmt: skip
    carried, note = carry(view, "fine", fine, MODEL.digest)
    assert note == ""
    assert carried == View(
        like=(A, A, "10,47", shape), unlike=(B,), negative_weight=1.5, match="any", k=7,
        bbox=(9.0, 46.0, 11.0, 48.0), months=(6, 7), where="n_s2 > 1", tab="sql", sql="SELECT 1",
        table="fine",
    )  # fmt: skip


def test_cells_are_called_as_the_other_table_has_them(fine: EmbeddingTable, coarse: EmbeddingTable) -> None:
    parent = h3.cell_to_parent(A, 8)
    sibling = next(cell for cell in h3.cell_to_children(parent, 9) if cell != A)
    carried, note = carry(View(like=(A,), cells=(A, sibling)), "coarse", coarse, "")
    assert (carried.like, carried.cells, note) == ((parent,), (parent,), "")
    back, note = carry(carried, "fine", fine, "")
    lat, lon = h3.cell_to_latlng(parent)
    assert note == ""
    assert [float(degrees) for degrees in back.like[0].split(",")] == pytest.approx([lon, lat], abs=1e-6)
    assert back.cells == (parent,)  # a coarse one stands for all below it


def test_what_stays_behind_is_said_in_one_line(coarse: EmbeddingTable) -> None:
    mine = bring(Brought("mine.npy", np.ones(16, np.float32)))
    view = View(
        like=(A, NOWHERE, mine, "prototype:841f97fffffffff/2", "plane:pca:0 0,1 0,1 1"),
        unlike=("within:0 0,1 0,1 1",), using="s2", marks="feedback-1/2",
    )  # fmt: skip
    carried, note = carry(view, "coarse", coarse, MODEL.digest)
    assert carried.like == (h3.cell_to_parent(A, 8),)
    assert (carried.unlike, carried.using, carried.marks) == ((), "fused", "")
    assert note == (
        "Not taken along to coarse: 2 examples (there is no cell of it there); "
        "1 example (vectors of another model cannot be compared); "
        "2 examples (prototypes and shapes on a plane belong to their table); "
        "vectors of one sensor (it has none); the marks (they are labels of the other table)."
    )


def test_vectors_go_along_to_tables_of_their_model(fine: EmbeddingTable) -> None:
    mine = bring(Brought("mine.npy", np.ones(16, np.float32)))
    carried, note = carry(View(like=(mine,)), "fine", fine, MODEL.digest)
    assert (carried.like, note) == ((mine,), "")


def test_what_to_keep_away_from_is_not_asked_alone(fine: EmbeddingTable) -> None:
    carried, note = carry(View(like=(NOWHERE,), unlike=(A,)), "fine", fine, MODEL.digest)
    assert (carried.like, carried.unlike) == ((), ())
    assert "nothing is left to look for beside it" in note


def test_the_coarse_table_holds_the_fine_ones_cells(coarse: EmbeddingTable, tmp_path: Path) -> None:
    held = np.concatenate([batch["h3_cell"].to_numpy() for batch in coarse.scan(["h3_cell"])])
    assert set(parents(np.array(CELLS, np.uint64), 8)) == set(held)
