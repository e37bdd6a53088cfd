"""Regions by bit arithmetic, attention over their prototypes, zeros elsewhere."""

import h3
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoder.config import GeoContextConfig
from encoder.geo_context import GeoContext, h3_parent

PARIS, LIMA = (
    h3.str_to_int(h3.latlng_to_cell(48.85, 2.35, 9)),
    h3.str_to_int(h3.latlng_to_cell(-12.0, -77.0, 9)),
)


def parent(cell: int, resolution: int) -> int:
    return h3.str_to_int(h3.cell_to_parent(h3.int_to_str(cell), resolution))


@pytest.fixture
def geo() -> GeoContext:
    """Prototypes of Lima's region (three) and of Paris's (two), given in descending order of cells."""
    built = GeoContext(GeoContextConfig(region_resolution=4), width=8)
    cells = sorted((parent(PARIS, 4), parent(LIMA, 4)), reverse=True)
    counts = [2 if cell == parent(PARIS, 4) else 3 for cell in cells]
    vectors = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    built.hold(torch.tensor(cells), vectors, torch.tensor(counts))
    return built


@given(
    lat=st.floats(-90, 90), lon=st.floats(-180, 180), own=st.integers(0, 15), resolution=st.integers(0, 15)
)
def test_parent_is_h3s(lat: float, lon: float, own: int, resolution: int) -> None:
    cell = h3.str_to_int(h3.latlng_to_cell(lat, lon, own))
    expected = parent(cell, resolution) if resolution <= own else cell
    assert h3_parent(torch.tensor([cell]), resolution).item() == expected


def test_region_index(geo: GeoContext) -> None:
    tokyo = h3.str_to_int(h3.latlng_to_cell(35.7, 139.7, 12))
    rows = geo.region_index(torch.tensor([PARIS, tokyo, LIMA]))
    assert rows[1] == -1
    assert geo.region_cells[rows[0]] == parent(PARIS, 4)
    assert geo.region_cells[rows[2]] == parent(LIMA, 4)


def test_attention_over_the_prototypes_in_use(geo: GeoContext) -> None:
    fused = torch.randn(2, 5, 8)
    out = geo(fused, torch.tensor([PARIS, LIMA]))
    assert torch.equal(out[..., :8], fused)
    for i, (cell, count) in enumerate(((PARIS, 2), (LIMA, 3))):
        vectors = geo.prototypes[geo.region_index(torch.tensor([cell]))[0], :count]
        expected = torch.softmax(fused[i] @ vectors.T / 8**0.5, dim=-1) @ vectors
        torch.testing.assert_close(out[i, :, 8:], expected)


def test_an_unknown_region_contributes_zeros(geo: GeoContext) -> None:
    tokyo = h3.str_to_int(h3.latlng_to_cell(35.7, 139.7, 9))
    assert (geo(torch.randn(1, 5, 8), torch.tensor([tokyo]))[..., 8:] == 0).all()
    empty = GeoContext(GeoContextConfig(), width=8)
    assert (empty(torch.randn(1, 5, 8), torch.tensor([PARIS]))[..., 8:] == 0).all()
    assert empty.region_index(torch.tensor([PARIS])).tolist() == [-1]


@pytest.mark.parametrize(
    ("cells", "shape", "counts", "message"),
    [
        ([parent(PARIS, 4)], (1, 3, 7), [3], "7 wide"),
        ([parent(PARIS, 4)], (1, 3, 8), [4], "1 to 3 prototypes"),
        ([parent(PARIS, 4)], (1, 3, 8), [0], "1 to 3 prototypes"),
        ([parent(PARIS, 3)], (1, 3, 8), [3], "distinct H3 cells of resolution 4"),
        ([parent(PARIS, 4)] * 2, (2, 3, 8), [3, 3], "distinct H3 cells"),
        ([parent(PARIS, 4)] * 2, (1, 3, 8), [3], "one of each per region"),
    ],
)
def test_prototypes_that_do_not_fit(
    cells: list[int], shape: tuple[int, int, int], counts: list[int], message: str
) -> None:
    geo = GeoContext(GeoContextConfig(region_resolution=4), width=8)
    with pytest.raises(ValueError, match=message):
        geo.hold(torch.tensor(cells), torch.zeros(shape), torch.tensor(counts))
