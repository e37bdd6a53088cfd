"""A chip that comes as its content is what it is as a file."""

import base64
import json
from pathlib import Path

import numpy as np
import urllib3

import skyhex
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows
from pipeline.rows import model_info

from ...indexer.random_rows import columns_for, random_cells
from ..cli.test_main import geotiff
from .conftest import serving


def test_a_chip_is_its_content(tmp_path: Path) -> None:
    model = model_info(skyhex.load_encoder("nano"))
    cells = np.unique(random_cells(200))
    table = EmbeddingTable.create(tmp_path / "t", model, h3_resolution=9)
    table = table.upsert(make_rows(**columns_for(cells, dimension=model.dimension) | {"model": model}))
    chip = geotiff(tmp_path / "chip.tif", crs="EPSG:32632")
    expected = skyhex.search(table, chip=chip, k=3).rows
    with serving("-t", str(table.path)) as address:
        body = {"chip": base64.b64encode(chip.read_bytes()).decode(), "k": 3}
        headers = {"content-type": "application/json"}
        pool = urllib3.PoolManager(timeout=120.0)  # the encoder is loaded first
        answer = pool.request("POST", f"{address}/search", body=json.dumps(body), headers=headers)
        found = json.loads(answer.data)["rows"]
        assert [row["h3_cell"] for row in found] == [f"{cell:x}" for cell in expected["h3_cell"].to_pylist()]
        served = skyhex.search(skyhex.open_table(address), chip=chip, k=3).rows
        assert served["h3_cell"] == expected["h3_cell"]
