"""The page on a table that is served elsewhere shows what it shows of the table itself."""

from pathlib import Path

import pytest

from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable

from ..make_table import small_table
from ..serve.conftest import serving
from .test_streamlit_app import CELL, page, texts


def test_a_served_table_is_shown_and_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "cache"))
    place = small_table(tmp_path / "valley").path
    fit_prototypes(EmbeddingTable.open(place), region_resolution=4)
    build_index(EmbeddingTable.open(place))
    with serving("-t", str(place)) as address:
        there = page(monkeypatch, address, like=CELL, k="7")  # type: ignore[arg-type]
        here = page(monkeypatch, place, like=CELL, k="7")
    shown = there.dataframe[0].value
    assert shown["cell"].tolist() == here.dataframe[0].value["cell"].tolist()
    assert len(shown) == 7
    assert "7 most similar" in texts(there)
