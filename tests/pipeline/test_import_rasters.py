"""From tiles to a committed table: resumable, in any order, in several processes, each pixel once."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio.shutil
import shapely

import data.products.pooling as pooling_module
import pipeline.import_rasters as job
from data.products.alphaearth import read_tile
from data.products.raster import nominal_zone, read_raster
from data.products.sources import Reading, open_rasters
from data.products.vector_raster import Product, VectorRaster
from data.sample import InputError
from indexer.errors import TableError
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.row_stream import unpacked
from pipeline.import_rasters import Pooling, RasterImport, import_rasters, plan_rasters
from pipeline.raster_rows import combine, is_whole, model_info

from ..data.products.layouts import (
    BAVARIA,
    CellMean,
    Place,
    cell_means,
    noise_codes,
    signed_squares,
    write_alphaearth,
    write_cog,
)

CODES = noise_codes(64, 96)
CODES[:, :7, :11] = -128
AREA = Pooling(11)


def run(rasters: list[VectorRaster], into: Path, pooling: Pooling = AREA, **options: object) -> RasterImport:
    return import_rasters(plan_rasters(rasters, pooling), pooling, into, **options)  # type: ignore[arg-type]


def rows_of(table: EmbeddingTable) -> dict[int, dict[str, object]]:
    return {row["h3_cell"]: row for row in table.lookup().to_pylist()}


def halves(folder: Path) -> list[VectorRaster]:
    """The tile cut in two, each its own file."""
    east = Place(BAVARIA.crs, BAVARIA.left + 400, BAVARIA.top)
    return [
        read_tile(str(write_alphaearth(folder, CODES[:, :, :40], name="west"))),
        read_tile(str(write_alphaearth(folder, CODES[:, :, 40:], east, name="east"))),
    ]


def assert_same_rows(left: EmbeddingTable, right: EmbeddingTable) -> None:
    a, b = rows_of(left), rows_of(right)
    assert a.keys() == b.keys()
    for cell, row in a.items():
        for name in ("pixels", "valid_pixels", "partial"):
            assert row[name] == b[cell][name], (name, row["sample_id"])
        for name in ("valid_fraction", "mean_length", "pixel_length"):
            assert row[name] == pytest.approx(b[cell][name], rel=1e-6)
        assert np.allclose(row["embedding"], b[cell]["embedding"], atol=2**-11)  # a step of float16


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> VectorRaster:
    return read_tile(str(write_alphaearth(tmp_path_factory.mktemp("whole"), CODES)))


@pytest.fixture(scope="module")
def whole(tile: VectorRaster, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return run([tile], tmp_path_factory.mktemp("table")).table


def test_rows_hold_the_mean_and_what_it_was_made_of(tile: VectorRaster, whole: EmbeddingTable) -> None:
    want = cell_means(signed_squares(CODES), (CODES != -128).all(axis=0), BAVARIA, 11)
    rows = rows_of(whole)
    assert rows.keys() == {cell for cell, mean in want.items() if mean.valid}
    for cell, row in rows.items():
        mean = want[cell].mean
        assert np.abs(np.array(row["embedding"]) - mean / np.linalg.norm(mean)).max() < 1e-3
        assert (row["pixels"], row["valid_pixels"]) == (want[cell].pixels, want[cell].valid)
        assert row["valid_fraction"] == pytest.approx(want[cell].valid / want[cell].pixels)
        assert row["mean_length"] == pytest.approx(np.linalg.norm(mean), rel=1e-5)
        assert row["pixel_length"] == pytest.approx(want[cell].length, rel=1e-5)
        assert row["source_items"] == [tile.href]
        assert f"{row['start_datetime']:%Y-%m-%d} {row['end_datetime']:%Y-%m-%d}" == "2024-01-01 2025-01-01"
        assert row["partial"] == (row["parts"] is not None)
    assert 0.1 < np.mean([bool(row["partial"]) for row in rows.values()]) < 0.6
    assert whole.validate() == []


def test_the_manifest_keeps_licence_sentence_and_what_was_done(whole: EmbeddingTable) -> None:
    model = whole.model
    assert (model.name, model.licence, model.dimension) == ("alphaearth-foundations-v1", "CC-BY-4.0", 64)
    assert "produced by Google and Google DeepMind" in model.config["attribution"]
    assert model.config["pixels_normalised"] is False
    assert model.config["comparable_years"] is True
    assert (whole.storage.directory / "item.json").read_text().count("Google DeepMind") >= 1  # type: ignore[operator]
    assert b'"schema_version": 4' in whole.storage.read("manifests/000002.json")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_neighbours_make_whole_what_their_edge_cuts_in_any_order(
    tmp_path: Path, whole: EmbeddingTable, order: tuple[int, int]
) -> None:
    both = halves(tmp_path)
    one = run([both[order[0]]], tmp_path / "t")
    cut = {cell for cell, row in rows_of(one.table).items() if row["partial"]}
    two = run([both[order[1]]], tmp_path / "t")
    assert_same_rows(two.table, whole)
    assert any(not rows_of(two.table)[cell]["partial"] for cell in cut)
    assert two.table.validate() == []


def test_tiles_of_one_file_name_are_two_tiles(tmp_path: Path, whole: EmbeddingTable) -> None:
    paths = [Path(half.href) for half in halves(tmp_path)]
    named = [path.parent / path.stem / "tile.tiff" for path in paths]
    for path, copy in zip(paths, named, strict=True):
        copy.parent.mkdir()
        path.rename(copy)
    again = [read_tile(str(copy), year=2024) for copy in named]
    assert_same_rows(run(again, tmp_path / "t").table, whole)


def test_one_import_of_both_is_the_same(tmp_path: Path, whole: EmbeddingTable) -> None:
    assert_same_rows(run(halves(tmp_path), tmp_path / "t").table, whole)


def test_pieces_of_one_tile_join_at_their_seams(
    tmp_path: Path, tile: VectorRaster, whole: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling_module, "CHUNK_PX", (32, 32))
    done = run([tile], tmp_path / "t")
    assert len(plan_rasters([tile], AREA).pieces) == 6
    assert_same_rows(done.table, whole)
    north_up = write_cog(tmp_path / "2024" / Path(tile.href).name, CODES, south_up=False)
    again = run([read_tile(str(north_up))], tmp_path / "t")  # the same ground from a copy counts once
    assert_same_rows(again.table, whole)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    both = halves(tmp_path)
    run(both, tmp_path / "t")
    again = run(both, tmp_path / "t")
    assert (again.resumed, again.rows, again.pixels) == (2, 0, 0)
    assert again.table.snapshot == 3


def test_a_killed_job_goes_on_where_it_was(
    tmp_path: Path, tile: VectorRaster, whole: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling_module, "CHUNK_PX", (32, 32))
    commit, left = EmbeddingTable.upsert, [3]

    def dies(table: EmbeddingTable, *args: object, **options: object) -> EmbeddingTable:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return commit(table, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(EmbeddingTable, "upsert", dies)
    with pytest.raises(KeyboardInterrupt):
        run([tile], tmp_path / "t")
    monkeypatch.setattr(EmbeddingTable, "upsert", commit)
    done = run([tile], tmp_path / "t")
    assert done.resumed == 3
    assert_same_rows(done.table, whole)


def test_a_piece_that_two_jobs_commit_counts_once(tmp_path: Path, whole: EmbeddingTable) -> None:
    both = halves(tmp_path)
    run(both, tmp_path / "t")
    stale = EmbeddingTable.open(tmp_path / "t", snapshot=1)
    for piece in plan_rasters(both, AREA).pieces:
        model = model_info(piece.raster.product, 64, "mean")
        rows = job._piece_rows(piece, AREA, model, "float16")
        assert isinstance(rows, pa.Buffer)
        late = stale.upsert(
            unpacked(rows), input_key=job.piece_key(piece, AREA), combine=partial(combine, model=model)
        )
        assert late.snapshot == 3
    assert_same_rows(EmbeddingTable.open(tmp_path / "t"), whole)


def test_worker_processes_make_the_same_rows(
    tmp_path: Path, whole: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "SPAWNED_PX", 0)
    told: list[tuple[int, int]] = []
    done = run(halves(tmp_path), tmp_path / "t", workers=2, progress=lambda *state: told.append(state))
    assert_same_rows(done.table, whole)
    assert told == [(40 * 64, 96 * 64), (96 * 64, 96 * 64)]


def test_where_zones_overlap_each_pixel_counts_in_its_own(tmp_path: Path) -> None:
    """At 12 degrees east: the rasters are of white noise each, so a pixel of the wrong one would show."""
    places = {"EPSG:32632": Place("EPSG:32632", 723_000.0, 5_331_000.0),
              "EPSG:32633": Place("EPSG:32633", 276_200.0, 5_331_000.0)}  # fmt: skip
    rasters, expected = [], {}
    for seed, (crs, place) in enumerate(places.items()):
        codes = noise_codes(40, 90, seed)
        file = write_cog(tmp_path / f"{seed}_2024.tif", codes, place, names=False)
        raster = read_raster(str(file), product=Product("x", licence="CC0-1.0"), formula="signed-square",
                             nodata=-128, box=nominal_zone(crs))  # fmt: skip
        rasters.append(raster)
        own = east_or_west(place, codes.shape[1:])
        for cell, mean in cell_means(signed_squares(codes), own, place, 10).items():
            expected.setdefault(cell, []).append(mean)
    rows = rows_of(run(rasters, tmp_path / "t", Pooling(10)).table)
    crossing = 0
    for cell, row in rows.items():
        parts: list[CellMean] = [mean for mean in expected[cell] if mean.valid]
        total = sum(mean.valid for mean in parts)
        vector = sum(mean.mean * mean.valid for mean in parts) / total
        assert row["pixels"] == total
        assert np.abs(np.array(row["embedding"]) - vector / np.linalg.norm(vector)).max() < 1e-3
        if len(parts) == 2:
            crossing += not row["partial"]
    assert crossing >= 2  # cells across the border that the two rasters hold whole


def east_or_west(place: Place, shape: tuple[int, int]) -> np.ndarray:
    """The pixels on their own side of 12 degrees east."""
    from rasterio.warp import transform

    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    x, y = place.left + cols * 10, place.top - rows * 10
    lon = np.reshape(transform(place.crs, "EPSG:4326", x.ravel(), y.ravel())[0], shape)
    return lon < 12 if place.crs.endswith("32") else lon >= 12


def test_hexagons_across_the_antimeridian_are_cut_there(tmp_path: Path) -> None:
    codes = noise_codes(40, 60)
    place = Place("EPSG:32760", 819_200.0, 8_118_200.0)
    file = write_cog(tmp_path / "anti_2024.tif", codes, place, names=False)
    raster = read_raster(str(file), product=Product("x", licence="CC0-1.0"), formula="signed-square")
    table = run([raster], tmp_path / "t", Pooling(10)).table
    assert table.validate() == []
    shapes = shapely.from_wkb([row["geometry"] for row in rows_of(table).values()])
    assert {shape.geom_type for shape in shapes} == {"Polygon", "MultiPolygon"}
    parts = shapely.get_parts(shapes)
    assert max(np.ptp(part.bounds[::2]) for part in parts) < 0.01
    assert all(part.exterior.is_ccw for part in parts)


@pytest.mark.parametrize("crs", ["EPSG:32661", "EPSG:32761"])
def test_cells_around_a_pole(tmp_path: Path, crs: str) -> None:
    codes = noise_codes(40, 40)
    file = write_cog(tmp_path / "pole_2024.tif", codes, Place(crs, 1_999_800.0, 2_000_200.0), names=False)
    raster = read_raster(str(file), product=Product("x", licence="CC0-1.0"), formula="signed-square")
    table = run([raster], tmp_path / "t", Pooling(10)).table
    assert table.validate() == []
    assert sum(row["pixels"] for row in rows_of(table).values()) == 1600  # type: ignore[misc]
    areas = [shapely.from_wkb(row["geometry"]).bounds for row in rows_of(table).values()]
    assert [west_east for west_east in areas if west_east[2] - west_east[0] == 360]  # the one with the pole


def test_means_and_deviations(tmp_path: Path, tile: VectorRaster, whole: EmbeddingTable) -> None:
    spread = Pooling(11, "mean+std")
    single = run([tile], tmp_path / "a", spread).table
    assert single.dimension == 128
    assert single.model.digest != whole.model.digest
    assert_same_rows(run(halves(tmp_path), tmp_path / "b", spread).table, single)
    want = cell_means(signed_squares(CODES) ** 2, (CODES != -128).all(axis=0), BAVARIA, 11)
    mean = cell_means(signed_squares(CODES), (CODES != -128).all(axis=0), BAVARIA, 11)
    cell, row = next(iter(rows_of(single).items()))
    deviation = np.sqrt(want[cell].mean - mean[cell].mean ** 2)
    vector = np.concatenate([mean[cell].mean, deviation])
    assert np.abs(np.array(row["embedding"]) - vector / np.linalg.norm(vector)).max() < 1e-3


def test_the_least_share_of_valid_pixels(tmp_path: Path, tile: VectorRaster, whole: EmbeddingTable) -> None:
    strict = rows_of(run([tile], tmp_path / "t", Pooling(11, min_valid=0.9)).table)
    all_rows = rows_of(whole)
    lost = all_rows.keys() - strict.keys()
    assert lost == {c for c, r in all_rows.items() if r["parts"] is None and r["valid_fraction"] < 0.9}  # type: ignore[operator]
    assert lost


def test_only_pieces_that_meet_the_area_are_read(
    tmp_path: Path, tile: VectorRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling_module, "CHUNK_PX", (32, 32))
    west, south, east, north = tile.grid.footprint().bounds
    corner = Pooling(11, area=shapely.box(west, south, west + (east - west) / 6, south + (north - south) / 6))
    plan = plan_rasters([tile], corner)
    assert len(plan.pieces) == 1
    assert plan.requests == 4 * 64  # of blocks of 16 pixels, band by band
    assert len(rows_of(run([tile], tmp_path / "t", corner).table)) > 3
    nothing = plan_rasters([tile], Pooling(11, area=shapely.box(0, 0, 1, 1)))
    with pytest.raises(InputError, match="No raster meets the area"):
        import_rasters(nothing, AREA, tmp_path / "none")


def test_few_pixels_a_cell_are_told_and_less_than_one_refused(tile: VectorRaster) -> None:
    assert plan_rasters([tile], Pooling(11)).notes == ()
    assert "holds 3.1 pixels" in plan_rasters([tile], Pooling(12)).notes[0]
    with pytest.raises(InputError, match=r"holds 0.4\d? pixels .*: resolution 11 is the finest that holds 4"):
        plan_rasters([tile], Pooling(13))


def truncate(path: Path) -> None:
    """As a COG, of which the last third is missing: its header is whole."""
    cog = path.with_suffix(".cog")
    rasterio.shutil.copy(path, cog, driver="COG", overviews="NONE", blocksize=128, interleave="BAND")
    path.write_bytes(cog.read_bytes()[: cog.stat().st_size * 2 // 3])


def test_tiles_that_cannot_be_used_are_named_and_the_others_imported(tmp_path: Path) -> None:
    good, broken = (write_alphaearth(tmp_path, CODES, name=name) for name in ("good", "broken"))
    truncate(broken)
    older = write_alphaearth(tmp_path, CODES, name="older", year=2023)
    other = write_cog(tmp_path / "2024" / "other.tif", CODES[:10], names=False)
    version2 = write_cog(tmp_path / "v2" / "annual" / "2024" / "v2.tiff", CODES)
    files = [str(file) for file in (good, broken, older, other, version2, tmp_path / "none.tif")]
    rasters, skipped = open_rasters(files, Reading("alphaearth", year=2024))
    done = import_rasters(plan_rasters(rasters, AREA, skipped), AREA, tmp_path / "t")
    reasons = {Path(skip.sample_id).stem.split("-")[0]: skip.reason for skip in done.skipped}
    assert reasons.keys() == {"broken", "older", "other", "v2", "none"}
    assert "truncated or corrupt" in reasons["broken"]
    assert "is of 2023, asked for was 2024" in reasons["older"]
    assert "has 10 bands of int8: AlphaEarth has 64" in reasons["other"]
    assert "holds alphaearth-foundations-v2" in reasons["v2"]
    assert "no such raster" in reasons["none"]
    assert len(rows_of(done.table)) > 100
    write_alphaearth(tmp_path, CODES, name="broken")  # mended: the same command takes it up
    again = import_rasters(
        plan_rasters(open_rasters(files[:2], Reading("alphaearth"))[0], AREA), AREA, tmp_path / "t"
    )
    assert (again.resumed, again.skipped) == (1, ())


def test_a_table_takes_one_model_and_names_each_licence(tmp_path: Path, tile: VectorRaster) -> None:
    run([tile], tmp_path / "t")
    version2 = write_cog(tmp_path / "v2" / "annual" / "2024" / "x.tiff", CODES)
    with pytest.raises(TableError, match="made by alphaearth-foundations-v2"):
        run([read_tile(str(version2))], tmp_path / "t")
    with pytest.raises(TableError, match="H3 resolution 10"):
        run([tile], tmp_path / "t", Pooling(10))
    freer = Product("alphaearth-foundations", "v1", licence="CC0-1.0")
    file = write_cog(tmp_path / "x_2024.tif", CODES, names=False)
    before = rows_of(EmbeddingTable.open(tmp_path / "t"))
    mixed = run([read_raster(str(file), product=freer)], tmp_path / "t").table
    assert [one.licence for one in mixed.manifest.terms] == ["CC-BY-4.0", "CC0-1.0"]
    said = {(row["licence"], row["partial"]) for row in rows_of(mixed).values()}
    whole_cells, cut = ("CC0-1.0", False), ("CC-BY-4.0 AND CC0-1.0", True)  # of what both rasters have
    assert said == {whole_cells, cut}
    assert set(rows_of(mixed)) == set(before)
    assert mixed.validate() == []


def test_a_nameless_raster_of_another_range_is_not_what_it_is_said_to_be(tmp_path: Path) -> None:
    plain = {"names": False}
    other = np.random.default_rng(0).integers(-127, 128, CODES.shape).astype(np.int8)
    folder = tmp_path / "v1" / "annual" / "2024"
    files = [
        write_cog(folder / "ours.tiff", CODES, **plain),
        write_cog(folder / "other.tiff", other, **plain),
    ]
    done = run([read_tile(str(file)) for file in files], tmp_path / "t", AREA)
    assert [(Path(skip.sample_id).name, skip.reason) for skip in done.skipped] == [
        ("other.tiff", "its vectors have a length of 3.6, those of alphaearth-foundations of 1")
    ]
    assert done.rows > 100


def test_when_pieces_make_a_whole_cell() -> None:
    def part(grid: str, pixels: int, cell_pixels: int, elsewhere: bool = False) -> dict[str, object]:
        return {"grid": grid, "pixels": pixels, "cell_pixels": cell_pixels, "elsewhere": elsewhere}

    assert not is_whole([part("a", 9, 20)])
    assert is_whole([part("a", 9, 20), part("a", 11, 20)])
    assert not is_whole([part("a", 9, 9, elsewhere=True)])
    assert is_whole([part("a", 9, 9, elsewhere=True), part("b", 12, 12, elsewhere=True)])
    assert not is_whole([part("a", 9, 9, elsewhere=True), part("b", 4, 12, elsewhere=True)])
