"""What people bring is read by its content, and explained where it cannot be."""

import json
from io import BytesIO
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

import skyhex
from indexer.errors import QueryError
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows
from pipeline.rows import model_info
from search_app.page.brought import Brought, bring, find_brought, shape_of_upload, vector_of
from search_app.page.finding import find
from search_app.page.question import to_filter
from search_app.page.shapes import region_of
from search_app.page.uploads import MOST_PLACES, read_places, read_upload
from search_app.page.url_state import View

from ...indexer.random_rows import columns_for, random_cells
from ..cli.test_main import geotiff
from ..make_table import CELLS, small_table

IDS = np.array(CELLS, np.uint64)
A = h3.int_to_str(CELLS[20])
SQUARE = {"type": "Polygon", "coordinates": [[[9.99, 46.99], [10.01, 46.99], [10, 47.01], [9.99, 46.99]]]}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return small_table(tmp_path_factory.mktemp("uploads") / "t")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """A table of the shipped weights."""
    model = model_info(skyhex.load_encoder("nano"))
    table = EmbeddingTable.create(tmp_path_factory.mktemp("shipped") / "t", model, h3_resolution=9)
    rows = columns_for(np.unique(random_cells(60)), dimension=model.dimension) | {"model": model}
    return table.upsert(make_rows(**rows))


def npy(values: np.ndarray) -> bytes:
    content = BytesIO()
    np.save(content, values)
    return content.getvalue()


def test_an_image_finds_what_the_command_line_finds(shipped: EmbeddingTable, tmp_path: Path) -> None:
    chip = geotiff(tmp_path / "chip.tif", crs="EPSG:32632")
    taken = read_upload(shipped, "my field.tif", chip.read_bytes())
    assert taken.note == "my field.tif: read as Sentinel-2 (S2)."
    found = find(shipped, View(like=tuple(taken.examples), k=5))
    assert found is not None
    expected = skyhex.search(shipped, chip=chip, k=5)
    assert found.rows["h3_cell"].to_pylist() == expected.rows["h3_cell"].to_pylist()
    np.testing.assert_array_equal(found.rows["similarity"], expected.rows["similarity"])
    assert vector_of(taken.examples[0]).sensors == ("s2",)


def test_an_image_of_a_sensor_that_the_rows_lack_warns(tmp_path: Path) -> None:
    model = model_info(skyhex.load_encoder("nano"))
    table = EmbeddingTable.create(tmp_path / "t", model, h3_resolution=9)
    cells = np.unique(random_cells(30))
    of_radar = {"n_hr": [0] * len(cells), "n_s2": [0] * len(cells), "n_s1": [3] * len(cells)}
    rows = columns_for(cells, dimension=model.dimension) | {"model": model} | of_radar
    table = table.upsert(make_rows(**rows))
    taken = read_upload(table, "c.tif", geotiff(tmp_path / "c.tif", crs="EPSG:32632").read_bytes())
    found = find(table, View(like=tuple(taken.examples), k=5))
    assert found is not None
    assert (
        "5 of 5 results share no sensor with the question: it was made from S2, they from S1"
        in found.notes[0]
    )


def test_vectors_come_as_arrays_or_lists(small: EmbeddingTable) -> None:
    values = np.arange(1, 17, dtype=np.float32)
    for name, content in (
        ("v.npy", npy(values)),
        ("v", npy(values)),
        ("v.json", json.dumps(values.tolist()).encode()),
    ):
        [place] = read_upload(small, name, content).examples
        np.testing.assert_array_equal(vector_of(place).values, values)
    two = read_upload(small, "both.npy", npy(np.eye(16)[:2])).examples
    assert [find_brought(place).name for place in two] == ["both.npy 1", "both.npy 2"]
    assert place.startswith("upload:")


def test_an_area_limits_and_is_drawn(small: EmbeddingTable) -> None:
    document = {"type": "Feature", "properties": {"name": "../../etc"}, "geometry": SQUARE}
    place = read_upload(small, "area.geojson", json.dumps(document).encode()).within
    region = to_filter(View(within=place)).region
    assert region is not None
    drawn = region_of(shape_of_upload(place))
    assert region.rows(IDS).count == drawn.rows(IDS).count > 3
    assert shape_of_upload("upload:0123456789abcdef/a") == ""
    wheel = shapely.Point(10, 47).buffer(0.01, quad_segs=5000)
    assert shape_of_upload(bring(Brought("w", area=wheel))).count(",") < 1000


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tif", b"<VRTDataset/>", "is no GeoTIFF, no vector"),
        ("a.npy", b"junk", "is no GeoTIFF, no vector"),
        ("a.npy", npy(np.ones(7)), "expected vectors of 16 numbers"),
        ("a.npy", npy(np.full(16, np.nan)), "not finite"),
        ("a.npy", npy(np.ones((MOST_PLACES + 1, 16))), "256 are taken"),
        ("a.json", b"{nonsense", "cannot be read as GeoJSON"),
        ("a.json", b'["a", "b"]', "holds no vector"),
        ("a.json", b"{}", "^a.json: the area is a None: expected a Polygon"),
        ("a.geojson", b'{"type": "Point", "coordinates": [1, 2]}', "holds no polygon, but Point"),
        ("a.txt", b"/etc/passwd", "by its content"),
        ("a.tif", b"II*\0" + b"0" * (65 << 20), "MB: expected 67 at most"),
    ],
)
def test_what_fits_nothing_is_explained(small: EmbeddingTable, name: str, content: bytes, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        read_upload(small, name, content)


def test_a_broken_image_and_weights_that_are_not_here_are_explained(
    small: EmbeddingTable, shipped: EmbeddingTable
) -> None:
    with pytest.raises(QueryError, match=r"^a\.tif") as error:
        read_upload(shipped, "a.tif", b"II*\0" + b"0" * 100)
    assert "/tmp" not in str(error.value)
    with pytest.raises(QueryError, match="whose weights are not here: start the app with --weights"):
        read_upload(small, "a.tif", b"II*\0")


def test_an_area_of_very_many_corners_is_to_be_simplified(small: EmbeddingTable) -> None:
    turn = np.linspace(0, 2 * np.pi, 120_000, endpoint=False)
    wheel = shapely.Polygon(np.stack([10 + np.cos(turn), 47 + np.sin(turn)], axis=1))
    with pytest.raises(QueryError, match=r"corners: simplify it to 100,000"):
        read_upload(small, "wheel.geojson", shapely.to_geojson(wheel).encode())


def test_places_are_read_line_by_line() -> None:
    text = f"{A}\n\n# home\n 9.99, 47 ; 47.0 N 10.0 E\nprototype:841f8d7ffffffff/2"
    assert read_places(text, IDS) == [A, "9.99,47", "10,47", "prototype:841f8d7ffffffff/2"]
    for wrong, says in (
        (" \n# nothing\n", "one a line"),
        (f"{A}\nno cell\nBern", "line 2: .*line 3: 'Bern' is a town"),
        ("x\n" * 5, "and 2 more"),
        (f"{A}\n" * 257, "257 places came, 256 are taken at most"),
    ):
        with pytest.raises(QueryError, match=says):
            read_places(wrong, IDS)
