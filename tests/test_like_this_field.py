"""The notebook in docs/ runs as it stands, on a tile of its name."""

import json
from pathlib import Path

import pytest
import rasterio

from indexer.table.embedding_table import EmbeddingTable

from .data.products.layouts import Place, noise_codes, write_cog

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "like_this_field.ipynb"


def test_from_a_tile_to_a_map_in_five_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    write_cog(Path("tile.tiff"), noise_codes(48, 48), Place("EPSG:32632", 504_920.0, 5_305_320.0))
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code[1].splitlines()) == 5
    names: dict[str, object] = {}
    for one in code:
        exec(compile(one, NOTEBOOK.name, "exec"), names)
    assert EmbeddingTable.open("fields").row_count == len(names["table"].lookup())  # type: ignore[attr-defined]
    assert names["like"].rows["similarity"][0].as_py() < 1  # type: ignore[attr-defined]
    with rasterio.open("similar.tif") as file:
        assert (file.count, file.shape) == (1, (48, 48))
    matplotlib.pyplot.close("all")
