"""The map's bytes, read back as the browser reads them."""

import json
import struct

import h3
import numpy as np
import pytest

from indexer.geo.cells import areas_km2
from search_app.page.map_bytes import (
    NO_KIND,
    NOTHING,
    code_similarity,
    kind_codes,
    pack,
    pack_cells,
    similarity_codes,
)
from search_app.page.map_cells import group_by_cell

from ..make_table import CELLS


def unpack(content: bytes) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """What `unpack` of map/src/server.ts does."""
    (length,) = struct.unpack_from("<I", content)
    header = json.loads(content[4 : 4 + length])
    return header, {
        name: np.frombuffer(content, place["type"], place["count"], 4 + length + place["first"])
        for name, place in header["arrays"].items()
    }


def test_arrays_are_aligned_and_come_back() -> None:
    content = pack({"a": 1}, x=np.arange(3, dtype=np.uint16), y=np.array([2**63 + 1], np.uint64))
    header, arrays = unpack(content)
    assert header["a"] == 1
    assert arrays["x"].tolist() == [0, 1, 2]
    assert arrays["y"].tolist() == [2**63 + 1]
    (length,) = struct.unpack_from("<I", content)
    assert (4 + length) % 8 == 0
    assert header["arrays"]["y"]["first"] % 8 == 0  # type: ignore[index]


def test_cells_are_whole_with_their_true_areas() -> None:
    ids = np.array(CELLS, np.uint64)
    header, arrays = unpack(pack_cells(group_by_cell(np.repeat(ids, 2))))
    assert header["resolution"] == 9
    assert arrays["cell"].tolist() == CELLS
    assert arrays["rows"].tolist() == [2] * len(CELLS)
    assert "rows" not in unpack(pack_cells(group_by_cell(ids)))[1]
    expected = [h3.cell_area(h3.int_to_str(cell), "km^2") for cell in CELLS]
    assert arrays["area_km2"] == pytest.approx(expected, rel=1e-6)
    assert areas_km2(ids) == pytest.approx(expected, rel=1e-9)


def test_a_code_is_its_similarity_to_half_a_step() -> None:
    similarity = np.r_[np.linspace(-1, 1, 1001), 1.0001].astype(np.float32)
    codes = similarity_codes(similarity)
    assert codes.dtype == np.dtype("<u2")
    assert (codes != NOTHING).all()
    assert np.abs(code_similarity(codes) - np.clip(similarity, -1, 1)).max() <= 0.5 / 32_767 + 1e-7
    assert similarity_codes(np.array([np.nan, 1, -1])).tolist() == [NOTHING, 65_535, 1]


def test_kinds_take_a_byte() -> None:
    assert kind_codes(np.array([-1, 0, 8, 900])).tolist() == [NO_KIND, 0, 8, 254]
