"""Readers on their own generators: what is read is what was written, and what is missing is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.sample import InputError
from experiments.datasets import big_earth_net
from experiments.datasets.catalog import SETS, set_of
from experiments.datasets.files import check_unit, colour_codes
from experiments.datasets.page import PAGE, page
from experiments.datasets.scene import IGNORED, Boxes

from .make_sets import MAKERS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with the sets that the tests below only read."""
    root = tmp_path_factory.mktemp("sets")
    for name in ("isaid", "dior", "dior-r", "fair1m", "levir-cd", "oscd", "pastis-mm", "dyna-mm", "fmow-s2"):
        MAKERS[name](root / name, False)
    return root


def first(made: Path, name: str, part: str = "train"):
    return SETS[name].read(made / name, part)[0].load()


def test_an_unknown_set_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no set is called 'aids'; expected one of aid, resisc45"):
        set_of("aids")


def test_masks_are_the_codes_that_were_painted(made: Path) -> None:
    mask = first(made, "isaid").truth
    assert mask.shape == (48, 48)
    assert len(np.unique(mask)) == 2
    assert IGNORED in np.unique(first(made, "pastis-mm").truth)  # the void label


def test_boxes_are_where_they_were_written(made: Path) -> None:
    upright, rotated = first(made, "dior").truth, first(made, "dior-r").truth
    assert isinstance(upright, Boxes)
    assert isinstance(rotated, Boxes)
    np.testing.assert_allclose(upright.corners, rotated.corners)
    sides = upright.bounds[:, 2:] - upright.bounds[:, :2]
    np.testing.assert_allclose(sides, 16)
    fine = first(made, "fair1m").truth
    assert isinstance(fine, Boxes)
    assert fine.corners.shape[1:] == (4, 2)


def test_series_have_their_dates_bands_and_units(made: Path) -> None:
    view = first(made, "pastis-mm").views[0]
    assert view["s2"].pixels.shape == (4, 10, 32, 32)
    assert view["s2"].pixels.dtype == np.uint16
    assert view["s2"].day_of_year.tolist() == [288, 15, 105, 196]
    assert view["s1"].pixels.shape == (3, 2, 32, 32)


def test_sensors_of_a_cube_are_found_by_cube_and_month(made: Path) -> None:
    view = first(made, "dyna-mm").views[0]
    assert {name: imagery.pixels.shape[1] for name, imagery in view.items()} == {"hr": 3, "s2": 10, "s1": 2}


def test_positions_are_longitude_and_latitude(made: Path) -> None:
    lon, lat = SETS["pastis-mm"].read(made / "pastis-mm", "train")[0].locate()
    assert 0 < lon < 4
    assert 44 < lat < 47
    lon, lat = SETS["fmow-s2"].read(made / "fmow-s2", "train")[0].locate()
    assert (round(lon), round(lat)) == (7, 46)


def test_the_two_dates_of_a_change_differ(made: Path) -> None:
    for name in ("levir-cd", "oscd"):
        scene = first(made, name)
        assert len(scene.views) == 2
        (sensor,) = scene.views[0]
        before, after = (view[sensor].pixels[0].astype(float) for view in scene.views)
        moved = np.abs(after - before).mean(axis=0)
        assert moved[scene.truth == 1].mean() > 4 * moved[scene.truth == 0].mean()


def test_a_split_that_has_no_labels_is_refused(made: Path) -> None:
    with pytest.raises(
        InputError, match=r"iSAID has no labels for its test split; expected --split validation"
    ):
        SETS["isaid"].parts("test")


@pytest.mark.parametrize(
    ("name", "removed", "said"),
    [
        ("isaid", "train/Semantic_masks/images/P0000_instance_color_RGB.png", "the mask of P0000.png"),
        ("levir-cd", "train/B/train_0.png", "the later image of train_0.png"),
        ("dior", "Annotations/Horizontal Bounding Boxes/00001.xml", "the boxes of 00001.jpg"),
        ("dior", "ImageSets/Main/train.txt", "an image's number a line"),
        ("fair1m", "train/part1/labelXml/0.xml", "the boxes of"),
        ("pastis-mm", "DATA_S1A/S1A_10000.npy", "s1 of patch 10000"),
        ("fmow-s2", "train.csv", "the split's metadata"),
    ],
)
def test_what_is_missing_is_named(name: str, removed: str, said: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path, False)
    (tmp_path / removed).unlink()
    with pytest.raises(InputError, match=said):
        SETS[name].read(tmp_path, "train")


def test_a_class_folder_too_many_or_too_few_is_named(tmp_path: Path) -> None:
    MAKERS["aid"](tmp_path, False)
    (tmp_path / "Beach").rename(tmp_path / "Beech")
    with pytest.raises(InputError, match=r"lacks the classes \['Beach'\] and has the folders \['Beech'\]"):
        SETS["aid"].read(tmp_path, "all")


def test_a_colour_in_no_class_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (120, 0, 0)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"16 pixels of colour \(120, 0, 0\), which is in no class"):
        colour_codes(tmp_path / "mask.png", {(0, 0, 0): 0, (255, 255, 255): 1})


def test_a_label_outside_the_legend_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the label 'Moon'"):
        big_earth_net.merged_labels(["Pastures", "Moon"], tmp_path / "patch")
    with pytest.raises(InputError, match="the 19-class splits hold no such patch"):
        big_earth_net.merged_labels(["Airports"], tmp_path / "patch")
    MAKERS["dior"](tmp_path, False)
    path = tmp_path / "Annotations" / "Horizontal Bounding Boxes" / "00001.xml"
    path.write_text(path.read_text().replace("airport", "zeppelin").replace("airplane", "zeppelin")
                    .replace("baseballfield", "zeppelin"))  # fmt: skip
    entry = next(e for e in SETS["dior"].read(tmp_path, "train") if e.id == path.stem)
    with pytest.raises(InputError, match="names the class 'zeppelin'"):
        entry.load()


def test_nineteen_classes_of_forty_three(tmp_path: Path) -> None:
    labels = big_earth_net.merged_labels(["Rice fields", "Sea and ocean", "Airports"], tmp_path)
    assert [big_earth_net.CLASSES[i] for i in np.flatnonzero(labels)] == ["Arable land", "Marine waters"]


def test_dates_that_do_not_fit_the_series_are_named(tmp_path: Path) -> None:
    MAKERS["pastis-mm"](tmp_path, False)
    path = tmp_path / "metadata.geojson"
    told = json.loads(path.read_text())
    del told["features"][0]["properties"]["dates-S2"]["3"]
    path.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"S2_10000.npy has 4 dates and dates-S2 names 3"):
        SETS["pastis-mm"].read(tmp_path, "train")[0].load()


@pytest.mark.parametrize(("sensor", "level"), [("s2", 0.2), ("s1", 0.05)])
def test_values_in_another_unit_are_refused(sensor: str, level: float) -> None:
    pixels = np.full((1, 10 if sensor == "s2" else 2, 4, 4), level)
    with pytest.raises(InputError, match="medians per band"):
        check_unit(sensor, pixels, np.ones((1, 4, 4), dtype=bool), "here")


def test_a_line_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dynnet_training_splits" / "train.txt"
    path.parent.mkdir()
    path.write_text("/planet/10N/1300_3077_13/PF-SR /../../etc/1300_3077_13.tif 2018-01\n")
    with pytest.raises(InputError, match="leaves the folder"):
        SETS["dyna-pla"].read(tmp_path, "train")


def test_a_box_file_with_entities_is_refused(tmp_path: Path) -> None:
    MAKERS["dior"](tmp_path, False)
    entry = SETS["dior"].read(tmp_path, "train")[0]
    path = tmp_path / "Annotations" / "Horizontal Bounding Boxes" / f"{entry.id}.xml"
    path.write_text("<!DOCTYPE a><annotation/>")
    with pytest.raises(InputError, match="declares entities"):
        entry.load()


def test_the_page_of_sets_is_what_the_readers_know() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m experiments.datasets.page"
