"""Scenes are cut without a pixel lost, heads agree with scikit-learn, and splits hold places apart."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from data.sample import InputError, SampleSpec
from experiments.datasets.scene import IGNORED, Boxes, Entry, Imagery, Scene
from experiments.tasks import linear
from experiments.tasks.change import best_threshold
from experiments.tasks.classification import rank_of_truth
from experiments.tasks.detection import boxes_at, geometry
from experiments.tasks.features import with_data
from experiments.tasks.linear import fit_head
from experiments.tasks.question import drawn_by_class, held_apart
from experiments.tasks.tiles import Placed, on_one_grid, tiles_of, whole_of

SPEC = SampleSpec(80.0, 2, {"hr": 8, "s2": 8}, {"hr": 1, "s2": 4})
NAN = float("nan")


def placed(truth: np.ndarray | Boxes, side: tuple[int, int] = (20, 36)) -> Placed:
    rng = np.random.default_rng(0)
    hr = Imagery.of(rng.integers(0, 255, (3, *side)).astype(np.uint8))
    return Placed(Entry("a", "place", partial(Scene, ({"hr": hr},), truth)), NAN, NAN)


def test_every_pixel_of_a_mask_is_in_one_tile() -> None:
    mask = np.arange(20 * 36).reshape(20, 36) % 5
    tiles = list(tiles_of(placed(mask), SPEC, 16))
    assert len(tiles) == 2 * 3
    kept = np.concatenate([tile.truth[tile.truth != IGNORED] for tile in tiles])
    assert np.bincount(kept).tolist() == np.bincount(mask.ravel()).tolist()
    np.testing.assert_array_equal(tiles[0].truth, mask[:16, :16])
    np.testing.assert_array_equal(tiles[-1].truth[:4, :4], mask[16:, 32:])
    assert (tiles[-1].truth[4:] == IGNORED).all()
    assert tiles[-1].samples[0].series["hr"].valid.sum() == 4 * 4


def test_a_box_belongs_to_the_tile_of_its_centre() -> None:
    boxes = Boxes.upright(np.array([[2, 2, 6, 6], [14, 2, 20, 8]]), np.array([0, 1]))
    tiles = list(tiles_of(placed(boxes), SPEC, 16))
    assert [tile.truth.code.tolist() for tile in tiles[:2]] == [[0], [1]]
    np.testing.assert_allclose(tiles[1].truth.bounds, [[-2, 2, 4, 8]])
    assert sum(len(tile.truth.code) for tile in tiles) == 2


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"a mask of \(10, 10\) pixels over imagery of \(20, 36\)"):
        list(tiles_of(placed(np.zeros((10, 10), dtype=int)), SPEC, 16))


def test_an_encoder_that_sees_none_of_the_sensors_is_refused() -> None:
    with pytest.raises(InputError, match="the set shows hr and this encoder takes s2"):
        list(tiles_of(placed(np.zeros((20, 36), dtype=int)), SampleSpec(80.0, 2, {"s2": 8}, {"s2": 4}), 16))


def test_sensors_of_other_pixels_are_laid_on_one_ground() -> None:
    fine = Imagery.of(np.zeros((3, 32, 32), dtype=np.uint8))
    coarse = Imagery.of(np.kron(np.arange(1, 17).reshape(4, 4), np.ones((8, 8)))[None].repeat(10, 0)
                        .astype(np.uint16))  # fmt: skip
    spec = SampleSpec(80.0, 2, {"hr": 16, "s2": 2}, {"hr": 1, "s2": 4})
    scene = Scene(({"hr": fine, "s2": coarse},), np.zeros((32, 32), dtype=int))
    (tile,) = tiles_of(Placed(Entry("a", "a", lambda: scene), NAN, NAN), spec, 32)
    sample = tile.samples[0]
    assert sample.grid_shape == (2, 2)
    assert sample.series["s2"].pixels[0, 0].tolist() == np.arange(1, 17).reshape(4, 4).tolist()


def test_labelled_images_fill_the_window() -> None:
    tile = whole_of(placed(np.array([True, False]), (64, 64)), SPEC, 16)
    assert tile.samples[0].grid_shape == (2, 2)
    assert tile.samples[0].series["hr"].pixels.shape == (1, 3, 16, 16)


def test_scenes_of_many_sizes_come_on_one_grid_and_padding_counts_for_nothing() -> None:
    label, level = np.array([True, False]), 900
    scenes = [
        Scene(({"s2": Imagery.of(np.full((10, side, side), level, np.uint16), 90)},), label)
        for side in (8, 21)
    ]
    tiles = [whole_of(Placed(Entry("a", "p", lambda s=s: s), NAN, NAN), SPEC, 16) for s in scenes]  # type: ignore[misc]
    assert [tile.samples[0].grid_shape for tile in tiles] == [(1, 1), (3, 3)]
    samples = [tile.samples[0] for tile in on_one_grid(tiles, 3)]
    assert {sample.grid_shape for sample in samples} == {(3, 3)}
    assert [int(s.series["s2"].valid.sum()) for s in samples] == [8 * 8, 21 * 21]
    seen = with_data(samples, {"s2": 8})
    assert seen[0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert seen[1].all()


def test_a_linear_head_agrees_with_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one penalty: theirs is a sum of losses times C, ours a mean with a penalty of 1 / (C n)."""
    monkeypatch.setattr(linear, "PENALTIES", (0.01,) * 3)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 5))
    code = (x @ rng.normal(size=(5, 3)) + rng.normal(size=(300, 3))).argmax(axis=1)
    block, scaled = np.arange(300) % 12, (x - x.mean(axis=0)) / x.std(axis=0)
    head = fit_head(x, np.eye(3)[code], block, multi_label=False)
    theirs = LogisticRegression(C=1 / (0.01 * 300), tol=1e-8, max_iter=1000)
    share = theirs.fit(scaled, code).predict_proba(scaled)
    np.testing.assert_allclose(softmax(head(x), axis=1), share, atol=1e-3)
    counted = fit_head(x, np.eye(3)[code] * 7, block, multi_label=False)
    np.testing.assert_allclose(counted.weight, head.weight, atol=1e-3)  # counts are shares
    several = fit_head(x, np.eye(3)[code], block, multi_label=True)
    each = LogisticRegression(C=1 / (0.01 * 300) / 3, tol=1e-8, max_iter=1000)  # a mean over labels, too
    first = each.fit(scaled, code == 0).predict_proba(scaled)[:, 1]
    np.testing.assert_allclose(expit(several(x)[:, 0]), first, atol=1e-3)


def test_the_best_threshold_is_the_best() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(500) < 0.1
    score = truth + rng.normal(0, 0.5, 500)

    def f1(least: float) -> float:
        hit = (score > least) & truth
        return 2 * hit.sum() / ((score > least).sum() + truth.sum())

    found = f1(best_threshold([score], [truth.astype(int)]))
    assert found == pytest.approx(max(f1(s) for s in [*score, -np.inf]))


def test_ties_of_the_true_class_count_against_us_but_for_the_first() -> None:
    scores = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 0.5]])
    truth = np.eye(3, dtype=bool)[[1, 1]]
    assert rank_of_truth(scores, truth).tolist() == [1, 0]


def test_a_box_survives_its_own_geometry() -> None:
    angle = np.array([0.3, -1.2])
    boxes = boxes_at(np.array([[10.0, 12], [30, 8]]), np.array([[8.0, 20], [4, 6]]), angle, np.zeros(2, int))
    for corners, want in zip(boxes.corners, angle, strict=True):
        centre, (length, breadth), found = geometry(corners, True)
        assert np.sin(2 * found) == pytest.approx(np.sin(2 * want))
        assert length > breadth
        np.testing.assert_allclose(centre, corners.mean(axis=0))


def entries(*places: tuple[str, float, float]) -> list[Placed]:
    blank = Scene(({},), np.zeros(1, dtype=bool))
    return [Placed(Entry(f"{p}{i}", p, lambda: blank, label=p), x, y) for i, (p, x, y) in enumerate(places)]


def test_items_near_an_asked_one_are_left_out_and_counted() -> None:
    train = entries(("a", 7.0, 46.0), ("b", 7.01, 46.0), ("c", 9.0, 46.0), ("d", NAN, NAN))
    test = entries(("x", 7.0, 46.001), ("d", NAN, NAN))
    kept, _, notes = held_apart(train, test, official=False)
    assert [one.entry.place for one in kept] == ["c"]
    assert any("3 of 4 items to fit on left out" in note for note in notes)
    kept, _, notes = held_apart(train, test, official=True)
    assert len(kept) == 4
    assert any("official split: 3 of 4" in note for note in notes)


def test_a_share_of_each_class_is_drawn() -> None:
    every = [one.entry for one in entries(*[("a", 0, 0)] * 10, *[("b", 0, 0)] * 20)]
    train, test = drawn_by_class(every, 0.2, 0)
    assert sorted(entry.label for entry in train) == ["a"] * 2 + ["b"] * 4
    assert len(test) == 24
    assert not {e.id for e in train} & {e.id for e in test}
