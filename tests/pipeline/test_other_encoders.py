"""The road carries other encoders: from a catalog to rows, to finer cells, to search."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import skyhex
from data.sample import InputError
from data.simulate import HILLS, PLAIN, Area, simulate
from indexer.errors import TableError
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from pipeline.embed_job import finer_path
from search_app.cli.embed_command import Dates, run_embed
from search_app.cli.engine_choice import EngineChoice

MINE = """
import numpy as np
import torch
from encoder.single_image import SingleImageEncoder

def encoder(device="cpu"):
    def of_images(s2, shown):  # a map of bands
        return torch.nn.functional.avg_pool2d(s2, 8) / 1000
    return SingleImageEncoder("mine/bands", of_images, dimension=10, licence="MIT", window_px=64, cells=8)

def flat(device="cpu"):
    made = encoder()
    whole = made.embed
    made.embed = lambda samples, dense=False: whole(samples, False)
    return made
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    areas = (Area("hills", 10.0, 47.0, 640, HILLS), Area("plain", 12.0, 48.0, 640, PLAIN))
    return simulate(tmp_path_factory.mktemp("imagery"), areas=areas, s2_dates=2, s1_dates=1)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine_for_tests.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return "python:mine_for_tests:encoder"


def embed(catalog: Path, table: Path, weights: str, **options: object) -> EmbeddingTable:
    report = run_embed(
        str(catalog),
        table,
        None,
        Dates(),
        weights=weights,
        engine=EngineChoice(workers=0),
        index=False,
        **options,
    )
    assert report is not None
    return EmbeddingTable.open(table)


@pytest.mark.parametrize(("weights", "d"), [("statistics", 60), ("rcf", 384)])
def test_a_table_without_weights_is_made_and_searched(
    weights: str, d: int, catalog: Path, tmp_path: Path
) -> None:
    table = embed(catalog, tmp_path / "table", weights, granularity=10)
    assert (table.model.name, table.model.dimension, table.row_count) == (f"skyhex/{weights}", d, 2)
    finer = EmbeddingTable.open(finer_path(tmp_path / "table", 10))
    assert finer.row_count > 2
    rows = pa.Table.from_batches(table.scan(["sample_id", "embedding"]))
    vectors = to_matrix(rows["embedding"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    found = skyhex.search(table, vector=vectors[0], k=1, include_query=True)
    assert found.rows["sample_id"].to_pylist() == [rows["sample_id"][0].as_py()]


def test_a_table_refuses_another_encoders_rows(catalog: Path, tmp_path: Path) -> None:
    embed(catalog, tmp_path / "table", "statistics")
    with pytest.raises(TableError, match="skyhex/statistics"):
        embed(catalog, tmp_path / "table", "rcf")


def test_an_encoder_of_ones_own_sees_its_sensor_alone(catalog: Path, tmp_path: Path, mine: str) -> None:
    table = embed(catalog, tmp_path / "table", mine)
    assert table.model.name == "mine/bands"
    rows = pa.Table.from_batches(table.scan(["n_hr", "n_s2", "embedding_s2", "embedding_hr"]))
    assert (rows["n_hr"].to_pylist(), rows["n_s2"].to_pylist()) == ([0, 0], [2, 2])
    assert rows["embedding_hr"].null_count == 2
    assert rows["embedding_s2"].null_count == 0


def test_cells_of_an_encoder_without_a_map_are_refused(catalog: Path, tmp_path: Path, mine: str) -> None:
    with pytest.raises(InputError, match="has no dense map: leave --granularity out"):
        embed(catalog, tmp_path / "table", mine.replace("encoder", "flat"), granularity=10)


def test_what_stirs_no_filter_is_left_out_with_its_reason(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoder.baseline.BIAS", 1e9)
    with pytest.raises(InputError, match="Nothing could be embedded"):
        embed(catalog, tmp_path / "table", "rcf", granularity=10)
    skips = json.loads((tmp_path / "table" / "skipped.json").read_text())
    assert {skip["sample_id"] for skip in skips} == {"hills", "plain"}
    assert all("sees nothing" in skip["reason"] for skip in skips)
