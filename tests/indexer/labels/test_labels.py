"""Labels kept, read from files, taught with, applied elsewhere; areas against the published example."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import skyhex
from indexer.errors import QueryError, TableError
from indexer.geo.cells import boundary, centres
from indexer.labels.area import _estimated, check_sample, estimate_areas
from indexer.labels.classifier import (
    Classifier,
    Fit,
    _folds,
    _taught,
    apply_classifier,
    confusion_rows,
    fit_classifier,
)
from indexer.labels.label_files import _at_points, read_label_file
from indexer.labels.store import _check, label_place, label_sets, mark, read_labels
from indexer.search.filter import Filter
from indexer.table.copy import copy_table
from indexer.table.embedding_table import EmbeddingTable

CELLS = np.array(
    sorted(h3.str_to_int(c) for c in h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 24)), np.uint64
)
EAST = centres(CELLS)[0] > centres(CELLS)[0].mean()  # what is to be told apart
DIMENSION = 6


def written(path: Path, year: int, seed: int = 0, model: str = "m") -> EmbeddingTable:
    """Vectors of two kinds of ground, east and west, with noise."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(scale=0.4, size=(len(CELLS), DIMENSION))
    vectors[:, 0] += np.where(EAST, 1, -1)
    return skyhex.write_table(path, CELLS.tolist(), vectors, period=year, model=model, index=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    path = tmp_path_factory.mktemp("labels") / "t"
    written(path, 2023)
    return written(path, 2024, seed=1)


def test_versions_are_kept_and_a_later_mark_wins(table: EmbeddingTable, tmp_path: Path) -> None:
    place = label_place(table, tmp_path / "mine")
    a, b, c = CELLS[:3].tolist()
    mark(place, "set", {a: "east", b: "west"}, 9)
    made = mark(place, "set", {b: "east", c: "west", a: None}, 9)
    assert made.select(["h3_cell", "label"]).to_pylist() == [
        {"h3_cell": b, "label": "east"},
        {"h3_cell": c, "label": "west"},
    ]
    assert read_labels(place, "set").equals(made)
    assert read_labels(place, "set", 1)["label"].to_pylist() == ["east", "west"]
    assert label_sets(place) == ["set"]
    for name, marks, said in (
        ("../x", {a: "y"}, "letters, digits"),
        ("set", {a: "  "}, "expected text"),
        ("set", {a: "\x1b[2J"}, "expected text"),
        ("set", {h3.str_to_int("871f1d48affffff"): "y"}, "resolution 9"),
        ("set", {a: "y", a | 1 << 63: "y"}, "resolution 9"),  # its resolution is 9, but it is no cell
    ):
        with pytest.raises(QueryError, match=said):
            mark(place, name, marks, 9)
    with pytest.raises(QueryError, match="no labels 'other' in version newest: there are set"):
        read_labels(place, "other")
    (tmp_path / "mine" / "labels" / "set" / "000003.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match=r"000003.parquet is damaged"):
        read_labels(place, "set")


def test_of_two_at_once_neither_loses_a_mark(table: EmbeddingTable, tmp_path: Path) -> None:
    def label(cells: list[int]) -> None:
        for cell in cells:
            mark(label_place(table, tmp_path), "both", {cell: "x"}, 9)

    threads = [threading.Thread(target=label, args=(CELLS[i : i + 6].tolist(),)) for i in (0, 6, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_labels(label_place(table, tmp_path), "both")["h3_cell"].to_pylist() == CELLS[:18].tolist()


def test_vacuum_leaves_them_and_a_copy_carries_them(tmp_path: Path) -> None:
    table = written(tmp_path / "t", 2023)
    mark(label_place(table), "kept", {int(CELLS[0]): "x"}, 9)
    table.vacuum(grace=timedelta(0))
    copy_table(tmp_path / "t", tmp_path / "copy")
    for path in (tmp_path / "t", tmp_path / "copy"):
        assert skyhex.labels(path, "kept")["label"].to_pylist() == ["x"]
    assert skyhex.open_table(tmp_path / "copy").validate() == []


def test_polygons_points_and_cells_of_files(table: EmbeddingTable, tmp_path: Path) -> None:
    lon, lat = centres(CELLS)
    west, south, east, north = lon.min(), lat.min(), lon.mean(), lat.max()
    box = shapely.box(west, south, east, north)
    inside = CELLS[(lon <= east) & (lon >= west) & (lat >= south) & (lat <= north)].tolist()
    point = {"type": "Point", "coordinates": [lon[EAST][0], lat[EAST][0]]}
    far = {"type": "Point", "coordinates": [100.0, 10.0]}
    features = [
        {"type": "Feature", "properties": {"class": name}, "geometry": shape}
        for name, shape in (("w", shapely.geometry.mapping(box)), ("e", point), ("e", far))
    ]
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    read = read_label_file(file, table)
    assert read.marks == {**dict.fromkeys(inside, "w"), int(CELLS[EAST][0]): "e"}
    assert (read.outside, read.contradicted) == (1, 0)

    csv = tmp_path / "a.csv"
    csv.write_text(f"lon,lat,kind\n{lon[3]},{lat[3]},q\n{lon[4]},{lat[4]},r\n{lon[4]},{lat[4]},s\n")
    read = read_label_file(csv, table, column="kind")
    assert (read.marks, read.contradicted) == ({int(CELLS[3]): "q", int(CELLS[4]): "s"}, 1)
    finer = h3.cell_to_center_child(h3.int_to_str(int(CELLS[5])), 11)
    csv.write_text(f"h3_cell,label\n{CELLS[3]:x},q\n{finer},r\n")
    assert read_label_file(csv, table).marks == {int(CELLS[3]): "q", int(CELLS[5]): "r"}

    wkb = shapely.to_wkb(shapely.Polygon(boundary(int(CELLS[9]))))
    pq.write_table(pa.table({"geometry": [wkb], "name": ["z"]}), tmp_path / "a.parquet")
    assert read_label_file(tmp_path / "a.parquet", table).marks == {int(CELLS[9]): "z"}


def test_a_table_without_rows_has_no_cell_of_any_label(table: EmbeddingTable, tmp_path: Path) -> None:
    empty = EmbeddingTable.create(tmp_path / "t", table.model, h3_resolution=9)
    csv = tmp_path / "a.csv"
    csv.write_text("lon,lat,label\n10,47,q\n")
    read = read_label_file(csv, empty)
    assert (read.marks, read.outside) == ({}, 1)


def test_where_polygons_overlap_the_last_is_taken_and_told(table: EmbeddingTable, tmp_path: Path) -> None:
    lon, lat = centres(CELLS)
    halves = [
        shapely.box(lon.min(), lat.min(), east, lat.max()) for east in (lon.max(), lon.mean(), lon.max())
    ]
    features = [
        {"type": "Feature", "properties": {"label": name}, "geometry": shapely.geometry.mapping(half)}
        for name, half in zip("aba", halves, strict=True)
    ]
    file = tmp_path / "a.geojson"
    for most, west in ((2, "b"), (3, "a")):
        file.write_text(json.dumps({"type": "FeatureCollection", "features": features[:most]}))
        read = read_label_file(file, table)
        assert read.marks == dict(
            zip(CELLS.tolist(), np.where(lon <= lon.mean(), west, "a").tolist(), strict=True)
        )
        assert read.contradicted == (most - 1) * (lon <= lon.mean()).sum()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.geojson", "{", "cannot be read as GeoJSON"),
        ("a.geojson", "[" * 100_000, "cannot be read as GeoJSON"),
        ("a.geojson", '{"type": "Point"}', "holds no features"),
        (
            "a.geojson",
            '{"features": [{"properties": {"label": "x"}, "geometry": {"type": "Q"}}]}',
            "no shape",
        ),
        ("a.geojson", '{"features": [{"properties": {}, "geometry": null}]}', "number 1 has no class"),
        ("a.csv", "x,label\n1,y\n", "expected h3_cell, or lon and lat"),
        ("a.csv", "h3_cell,label\nhere,y\n", "not an H3 cell"),
        ("a.csv", "h3_cell,label\n871f1d48affffff,y\n", "coarser than the table"),
        ("a.csv", "lon,lat,label\n500,0,y\n", "is no place"),
        ("a.txt", "", "labels come in"),
        ("a.parquet", "PAR1", "cannot be read"),
    ],
)
def test_files_that_hold_no_labels(
    table: EmbeddingTable, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(QueryError, match=said):
        read_label_file(tmp_path / name, table)


def test_a_shape_that_is_none_is_told(table: EmbeddingTable, tmp_path: Path) -> None:
    pq.write_table(pa.table({"geometry": [b"no shape"], "name": ["z"]}), tmp_path / "a.parquet")
    with pytest.raises(QueryError, match=r"a\.parquet: cannot be read as labels"):
        read_label_file(tmp_path / "a.parquet", table)


def labelled(every: int = 5) -> pa.Table:
    some = np.arange(0, len(CELLS), every)
    return pa.table({"h3_cell": CELLS[some], "label": np.where(EAST[some], "east", "west").tolist()})


def test_a_classifier_is_tested_on_blocks_and_applies_to_another_year(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    of_2023 = Filter(end=datetime(2024, 1, 1, tzinfo=UTC))
    made = fit_classifier(table, labelled(), filter=of_2023, block_resolution=7)
    assert made.cells == len(labelled()) == made.confusion.sum()
    assert made.folds == 5 < made.blocks == len({h3.cell_to_parent(f"{c:x}", 7) for c in CELLS[::5].tolist()})
    assert made.accuracy > 0.9
    assert made.without_vector == 0
    elsewhere = pa.table({"h3_cell": [h3.str_to_int(h3.latlng_to_cell(-40, 20, 9))], "label": ["west"]})
    with_one_more = pa.concat_tables([labelled(), elsewhere.cast(labelled().schema)])
    assert fit_classifier(table, with_one_more, filter=of_2023, block_resolution=7).without_vector == 1
    assert made.classifier.classes == ("east", "west")
    path = tmp_path / "c.json"
    path.write_text(made.classifier.to_json())
    later = Filter(start=datetime(2024, 1, 1, tzinfo=UTC))
    found = pa.concat_tables(apply_classifier(Classifier.read(path), table, later))
    np.testing.assert_array_equal(found["h3_cell"].to_numpy(), CELLS)
    right = np.array(found["label"].to_pylist()) == np.where(EAST, "east", "west")
    assert right.mean() > 0.9
    confidence = found["confidence"].to_numpy()
    assert ((confidence >= 0.5) & (confidence <= 1)).all()
    assert confidence[right].mean() > confidence[~right].mean()
    other = written(tmp_path / "other", 2024, model="another")
    with pytest.raises(QueryError, match=r"takes vectors of m .* the table holds those of another"):
        next(apply_classifier(made.classifier, other))


def test_a_confusion_has_a_row_for_each_class_and_the_share_that_is_right() -> None:
    said = Classifier(("a", "b", "c"), np.zeros((3, 1)), np.zeros(3), "m", "d", "embedding")
    made = Fit(said, np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]), 12, 5, 5, 0)
    assert confusion_rows(made) == [
        {"label": "a", "a": 6, "b": 2, "c": 0, "right": 0.75},
        {"label": "b", "a": 1, "b": 3, "c": 0, "right": 0.75},
        {"label": "c", "a": 0, "b": 0, "c": 0, "right": 0},
    ]
    assert made.accuracy == 0.75


def test_labels_without_a_meaning_are_no_better_than_chance(table: EmbeddingTable) -> None:
    drawn = np.random.default_rng(3).choice(["a", "b"], len(labelled(2)))
    made = fit_classifier(
        table, labelled(2).set_column(1, "label", pa.array(drawn.tolist())), block_resolution=7
    )
    assert abs(made.accuracy - 0.5) < 4 * 0.5 / np.sqrt(made.cells)  # four standard deviations


def test_what_cannot_be_taught_or_read(table: EmbeddingTable, tmp_path: Path) -> None:
    one = labelled().filter(pa.array([label == "east" for label in labelled()["label"].to_pylist()]))
    with pytest.raises(QueryError, match="labels of 1 class"):
        fit_classifier(table, one)
    with pytest.raises(QueryError, match="lie in one block"):
        fit_classifier(table, labelled(), block_resolution=1)
    for content, said in (("{}", "holds no classifier"), ('{"format": "x"}', "has format 'x'")):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(QueryError, match=said):
            Classifier.read(tmp_path / "c.json")


def test_areas_are_those_of_the_published_example() -> None:
    """Olofsson and others (2014), tables 8 and 9: 30 m pixels of four classes, 640 of them checked."""
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]], np.float64)
    found = _estimated(("deforestation", "gain", "forest", "other"), pixels * 0.09, counts)
    np.testing.assert_allclose(found.area_ha, [21_158, 11_686, 285_770, 581_386], atol=1)
    np.testing.assert_allclose(found.half_width_ha, [6_158, 3_756, 15_510, 16_282], rtol=1e-3)
    np.testing.assert_allclose(found.users_accuracy, [0.88, 0.73, 0.93, 0.96], atol=0.005)
    np.testing.assert_allclose(found.producers_accuracy, [0.75, 0.85, 0.93, 0.96], atol=0.005)
    assert found.overall_accuracy == pytest.approx(0.95, abs=0.005)


def test_a_class_that_the_map_lacks_is_only_what_the_sample_found_of_it() -> None:
    """Half of 10 checked cells of the map's only class are of another, which has no cell of its own."""
    found = _estimated(("mapped", "unmapped"), np.array([100.0, 0.0]), np.array([[5.0, 5], [0, 0]]))
    assert found.area_ha.tolist() == [50, 50]
    np.testing.assert_allclose(found.half_width_ha, 1.96 * 100 * np.sqrt(0.25 / 9), rtol=1e-3)
    np.testing.assert_array_equal(found.users_accuracy, [0.5, np.nan])
    assert found.producers_accuracy.tolist() == [1, 0]
    assert found.overall_accuracy == 0.5


def test_the_interval_holds_the_true_area_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.where(EAST, "east", "west")
    wrong = rng.random(len(CELLS)) < 0.15
    said = np.where(wrong, np.where(EAST, "west", "east"), truth)
    mapped = pa.table({"h3_cell": CELLS, "label": said.tolist()})
    km2 = np.array([h3.cell_area(f"{cell:x}", "km^2") for cell in CELLS.tolist()])
    true_ha, held = 100 * km2[EAST].sum(), 0
    for seed in range(60):
        drawn = check_sample(mapped, 60, seed)
        at = np.searchsorted(CELLS, drawn["h3_cell"].to_numpy())
        drawn = drawn.set_column(3, "reference", pa.array(truth[at].tolist()))
        row = estimate_areas(mapped, drawn).rows().to_pylist()[0]
        held += row["low_ha"] <= true_ha <= row["high_ha"]
    assert held >= 50  # of 60: 57 are expected, and 50 is four standard deviations below
    assert row["mapped_ha"] == pytest.approx(100 * km2[said == "east"].sum(), rel=1e-9)
    assert abs(row["mapped_ha"] - true_ha) > 0


def test_a_sample_is_even_blind_and_of_the_map() -> None:
    mapped = pa.table({"h3_cell": CELLS, "label": np.where(EAST, "east", "west").tolist()})
    drawn = check_sample(mapped, 20, seed=1)
    assert drawn.column_names == ["h3_cell", "lon", "lat", "reference"]
    east = np.isin(drawn["h3_cell"].to_numpy(), CELLS[EAST])
    assert (east.sum(), (~east).sum()) == (20, 20)
    assert not east[:20].all()
    assert not drawn.equals(check_sample(mapped, 20, seed=2))
    with pytest.raises(QueryError, match="draw it from this map"):
        estimate_areas(mapped, drawn)
    for beyond in (CELLS.max() + 1, CELLS.min() - 1):
        other = pa.table({"h3_cell": [beyond], "reference": ["east"]})
        with pytest.raises(QueryError, match="draw it from this map"):
            estimate_areas(mapped, other)
    filled = drawn.set_column(3, "reference", pa.array(["east" if e else "" for e in east.tolist()]))
    with pytest.raises(QueryError, match="west: fewer than 2 checked cells"):
        estimate_areas(mapped, filled)
    with pytest.raises(QueryError, match="expected 2 or more"):
        check_sample(mapped, 1)


RNG = np.random.default_rng(12)


def test_probabilities_are_the_softmax_of_the_scores() -> None:
    weights = np.array([[1.0, 0], [0, 2], [-1, 1]])
    made = Classifier(("a", "b", "c"), weights, np.array([0.5, 0, -0.5]), "m", "d", "embedding")
    vectors = np.array([[1.0, 0], [0, 1], [600, -600]])
    scores = np.array([[1.5, 0, -1.5], [0.5, 2, 0.5], [600.5, -1200, -1200.5]])
    raised = np.exp(scores - scores.max(axis=1)[:, None])
    np.testing.assert_allclose(made.probabilities(vectors), raised / raised.sum(axis=1)[:, None], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": [1.0, 2.0]}, "2 classes, weights"),
        ({"weights": [[1.0]]}, "2 classes, weights"),
        ({"bias": [1.0]}, "2 classes, weights"),
        ({"classes": ["a"], "weights": [[1.0]], "bias": [1.0]}, "1 classes"),
        ({"bias": [1.0, float("nan")]}, "weights that are not numbers"),
        ({"weights": [[1.0], [float("inf")]]}, "weights that are not numbers"),
        ({"weights": "text"}, "holds no classifier"),
        ({"model": 7}, "holds no classifier"),
        ({"classes": 7}, "holds no classifier"),
    ],
)
def test_a_file_of_a_classifier_is_whole_or_none(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "c.json"
    made = Classifier(("a", "b"), np.array([[1.0], [2.0]]), np.array([0.0, 1.0]), "m", "d", "embedding")
    path.write_text(made.to_json())
    back = Classifier.read(path)
    assert (back.classes, back.weights.tolist(), back.bias.tolist()) == (("a", "b"), [[1], [2]], [0, 1])
    assert (back.model, back.digest, back.column) == ("m", "d", "embedding")
    path.write_text(json.dumps({**json.loads(made.to_json()), **change}))
    with pytest.raises(QueryError, match=said):
        Classifier.read(path)


def test_blocks_are_spread_over_folds_of_like_size() -> None:
    block = np.repeat(np.arange(20, dtype=np.uint64), RNG.integers(1, 30, 20))
    fold = _folds(block, 4, seed=0)
    assert all(len(set(fold[block == one])) == 1 for one in range(20))
    sizes = np.bincount(fold)
    assert len(sizes) == 4
    assert sizes.max() - sizes.min() <= 30
    assert not np.array_equal(_folds(block, 4, seed=1), fold)
    assert np.array_equal(_folds(block, 4, seed=0), fold)
    assert set(_folds(block[:5], 1, seed=0)) == {0}


def test_blocks_have_a_resolution_of_the_table_at_most(table: EmbeddingTable) -> None:
    for resolution in (-1, 10):
        with pytest.raises(
            QueryError, match=f"blocks of resolution {resolution}: expected 0 to the table's 9"
        ):
            fit_classifier(table, labelled(), block_resolution=resolution)
    assert fit_classifier(table, labelled(), block_resolution=9).blocks == len(labelled())


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2), (1, 3), (0, 2, 3)])
def test_what_is_taught_is_what_scikit_learn_says(classes: tuple[int, ...]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    vectors = RNG.normal(size=(60, 3)) * (1, 5, 0.2) + (0, 3, 1)
    target = np.array(classes)[RNG.integers(0, len(classes), 60)]
    vectors[:, 0] += 2 * target
    weights, bias = _taught(vectors, target, 4)
    scaler = StandardScaler().fit(vectors)
    model = LogisticRegression(max_iter=2000).fit(scaler.transform(vectors), target)
    said = Classifier(tuple("abcd"), weights, bias, "m", "d", "embedding").probabilities(vectors)
    np.testing.assert_allclose(said[:, classes], model.predict_proba(scaler.transform(vectors)), atol=1e-9)
    assert (np.delete(said, classes, axis=1) == 0).all()


def test_one_cell_that_is_none_or_of_another_resolution_is_refused() -> None:
    sound = {int(cell): "a" for cell in CELLS[:3]}
    _check("set", sound, 9)
    _check("set", {}, 9)
    for wrong in (7, h3.str_to_int(h3.cell_to_parent(f"{CELLS[0]:x}", 8))):
        with pytest.raises(QueryError, match="cells of the table's resolution 9"):
            _check("set", {**sound, wrong: "a"}, 9)


@pytest.mark.parametrize(
    ("place", "is_one"),
    [((180, 90), True), ((-180, -90), True), ((180.5, 0), False), ((0, 90.5), False), ((-180.5, 0), False)],
)
def test_points_of_labels_lie_on_the_globe(place: tuple[float, float], is_one: bool) -> None:
    places = np.array([(10.0, 47.0), place])
    if is_one:
        want = [h3.str_to_int(h3.latlng_to_cell(lat, lon, 9)) for lon, lat in places]
        assert _at_points(places, 9).tolist() == want
    else:
        with pytest.raises(QueryError, match="is no place"):
            _at_points(places, 9)
