"""Words are offered where the command line named an encoder that reads them, and nowhere else."""

from pathlib import Path

import pytest

from indexer.errors import QueryError
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import text_side
from search_app.cli import launch
from search_app.page.words import FOLDER, WEIGHTS, words_vector

from ..make_table import CELLS, MODEL, small_table
from .test_streamlit_app import link, page, texts

READS_WORDS = f'''
"""Encoder of the test's table: a word's vector is that of the row of its number."""

import numpy as np
from encoder.checkpoint import WeightsInfo
from data.sample import SampleSpec
from tests.search_app.make_table import CELLS

ROWS = np.random.default_rng(0).normal(size=(len(CELLS), 16)).astype(np.float32)


class Mine:
    info = WeightsInfo("{MODEL.name}", "{MODEL.digest}", 16, False, "Apache-2.0", {{}})
    spec = SampleSpec(80.0, 8, {{"s2": 8}}, {{"s2": 4}})

    def embed(self, samples, dense=False):
        raise AssertionError

    def embed_text(self, texts):
        return np.stack([ROWS[int(text.split()[-1])] for text in texts])


class Mute:
    info, spec, embed = Mine.info, Mine.spec, Mine.embed
'''


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reads_words.py").write_text(READS_WORDS)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return small_table(tmp_path / "t").path


def boxes(app) -> list[str]:  # type: ignore[no-untyped-def]
    return [box.label for box in app.text_input]


def test_words_find_the_row_that_they_are_like(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    monkeypatch.setenv(WEIGHTS, "python:reads_words:Mine")
    app = page(monkeypatch, table)
    app.text_input(key="words").input("number 20").run()
    assert link(app)["like"] == "words:number 20"
    [frame] = app.dataframe
    assert int(frame.value["cell"].iloc[0], 16) == CELLS[20]
    assert "“number 20”" in [text.value for text in app.markdown]


def test_without_weights_there_is_no_box_and_a_link_with_words_is_told(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    monkeypatch.delenv(WEIGHTS, raising=False)
    app = page(monkeypatch, table, like="words:a lake")
    assert "Look for words" not in boxes(app)
    assert "start the app with" in texts(app)


def test_the_encoder_is_the_tables_and_reads_words(
    monkeypatch: pytest.MonkeyPatch, table: Path, tmp_path: Path
) -> None:
    opened = EmbeddingTable.open(table)
    with pytest.raises(QueryError, match="knows no words"):
        text_side(opened, "python:reads_words:Mute", folder=tmp_path)
    with pytest.raises(QueryError, match="The table was made with"):
        text_side(opened, "statistics")
    monkeypatch.setenv(WEIGHTS, "python:reads_words:Mine")
    with pytest.raises(QueryError, match="expected words of 1 to 400"):
        words_vector(opened, "x" * 401)


def test_a_file_is_named_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.pt").write_bytes(b"")
    assert launch.encoder_of("clip:mine.pt")[WEIGHTS] == f"clip:{tmp_path / 'mine.pt'}"
    assert launch.encoder_of("mine.pt")[WEIGHTS] == str(tmp_path / "mine.pt")
    assert launch.encoder_of("plugin:clay") == {WEIGHTS: "plugin:clay", FOLDER: str(tmp_path)}
    assert launch.encoder_of("")[WEIGHTS] == ""
