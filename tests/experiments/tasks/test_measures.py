"""On equal predictions our measures equal scikit-learn, torchmetrics and pycocotools."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score, f1_score, jaccard_score
from torchmetrics.functional.classification import (
    binary_f1_score,
    binary_jaccard_index,
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_jaccard_index,
    multilabel_average_precision,
    multilabel_f1_score,
)

from experiments.datasets.scene import IGNORED, Boxes
from experiments.retrieval.blocks import Scores, bootstrap, pooled
from experiments.tasks import confusion
from experiments.tasks.box_measures import Detections, box_measures
from experiments.tasks.ranking import label_f1, label_measures
from experiments.tasks.set_measure import SetMeasure, over_seeds

CLASSES = 5


def masks(seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """(6, 20, 20) truth, a tenth of it ignored, and predictions that are right in half of the pixels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (6, 20, 20))
    predicted = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, classes, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = IGNORED
    return truth, predicted


def counted(truth: np.ndarray, predicted: np.ndarray, classes: int = CLASSES) -> np.ndarray:
    return np.stack([confusion.count(t, p, classes) for t, p in zip(truth, predicted, strict=True)])


def score(counts: np.ndarray, of: confusion.OfCounts) -> float:
    return confusion.measure(counts, np.arange(len(counts)), of).mean


def test_masks_score_as_torchmetrics_and_scikit_learn_say() -> None:
    truth, predicted = masks(0)
    counts = counted(truth, predicted)
    pair = torch.from_numpy(predicted), torch.from_numpy(truth)
    known = {"num_classes": CLASSES, "ignore_index": IGNORED}
    asked = truth != IGNORED
    flat = truth[asked], predicted[asked]
    assert score(counts, confusion.mean_iou()) == pytest.approx(
        float(multiclass_jaccard_index(*pair, **known)), abs=1e-6
    )
    assert score(counts, confusion.mean_iou()) == pytest.approx(
        jaccard_score(*flat, average="macro"), abs=1e-9
    )
    assert score(counts, confusion.mean_f1()) == pytest.approx(f1_score(*flat, average="macro"), abs=1e-9)
    assert score(counts, confusion.mean_f1()) == pytest.approx(
        float(multiclass_f1_score(*pair, **known)), abs=1e-6
    )
    assert score(counts, confusion.accuracy) == pytest.approx(
        float(multiclass_accuracy(*pair, average="micro", **known)), abs=1e-6
    )


def test_a_class_that_is_not_averaged_still_takes_pixels() -> None:
    """Potsdam's clutter, iSAID's background: what is predicted so is missed elsewhere."""
    truth, predicted = np.array([[[0, 1, 1, 2]]]), np.array([[[0, 0, 1, 1]]])
    counts = counted(truth, predicted, 3)
    by_hand = [1 / 3, 0 / 1]  # class 1: one hit, one miss, one false alarm; class 2: one miss
    assert score(counts, confusion.mean_iou([1, 2])) == pytest.approx(np.mean(by_hand))
    each = jaccard_score(truth.ravel(), predicted.ravel(), average=None)
    assert score(counts, confusion.mean_iou([1, 2])) == pytest.approx(each[1:].mean())


def test_a_class_that_occurs_nowhere_has_no_score() -> None:
    truth, predicted = np.array([[[0, 1]]]), np.array([[[0, 1]]])
    assert score(counted(truth, predicted, 4), confusion.mean_iou()) == 1.0


def test_change_scores_as_torchmetrics_says() -> None:
    truth, predicted = masks(1, classes=2)
    counts = counted(truth, predicted, 2)
    pair = torch.from_numpy(predicted), torch.from_numpy(truth)
    assert score(counts, confusion.class_f1(1)) == pytest.approx(
        float(binary_f1_score(*pair, ignore_index=IGNORED)), abs=1e-6
    )
    assert score(counts, confusion.class_iou(1)) == pytest.approx(
        float(binary_jaccard_index(*pair, ignore_index=IGNORED)), abs=1e-6
    )


def test_semantic_change_by_hand() -> None:
    changed = np.array([[[6, 1], [1, 2]]])  # IoU of change 2 / 4
    semantic = np.array([[[2, 0, 0], [0, 0, 1], [0, 0, 0]]])  # class 0: 2/2; class 1: 0; class 2 is not there
    found = confusion.semantic_change(changed, semantic, np.zeros(1))
    assert found["BC"].mean == 0.5
    assert found["SC"].mean == 0.5
    assert found["SCS"].mean == 0.5
    with_more = confusion.semantic_change(changed, semantic + np.diag([0, 0, 4]), np.zeros(1))
    assert with_more["SC"].mean == pytest.approx((1 + 0 + 4 / 5) / 3)


def test_labels_rank_as_scikit_learn_and_torchmetrics_say() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random((80, 6)) < 0.3
    scores = np.round(truth + rng.normal(0, 1, truth.shape), 1)  # with ties
    found = label_measures(scores, truth, np.arange(80))
    assert found["mAP micro"].mean == pytest.approx(average_precision_score(truth, scores, average="micro"))
    assert found["mAP macro"].mean == pytest.approx(average_precision_score(truth, scores, average="macro"))
    # torchmetrics squeezes logits through a sigmoid, which is monotone and leaves ties as they are
    pair = torch.from_numpy(scores), torch.from_numpy(truth.astype(int))
    for average in ("micro", "macro"):
        theirs = multilabel_average_precision(*pair, num_labels=6, average=average)
        assert found[f"mAP {average}"].mean == pytest.approx(float(theirs), abs=1e-5)
    told = label_f1(scores > 0.5, truth, np.arange(80)).mean
    assert told == pytest.approx(f1_score(truth, scores > 0.5, average="micro"))
    theirs = multilabel_f1_score(torch.from_numpy((scores > 0.5).astype(int)), pair[1], 6, average="micro")
    assert told == pytest.approx(float(theirs), abs=1e-6)


def boxes(seed: int, images: int = 12) -> tuple[list[Detections], list[Boxes]]:
    """Objects of three classes, and found boxes near them, some beside them, some twice."""
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(images):
        n = int(rng.integers(0, 6))
        low = rng.uniform(0, 80, (n, 2))
        objects = Boxes.upright(
            np.concatenate([low, low + rng.uniform(8, 30, (n, 2))], 1), rng.integers(0, 3, n)
        )
        near = np.repeat(objects.bounds, 2, axis=0) + rng.normal(0, 3, (2 * n, 4))
        low = rng.uniform(0, 80, (3, 2))
        beside = np.concatenate([low, low + rng.uniform(8, 30, (3, 2))], axis=1)
        code = np.concatenate([np.repeat(objects.code, 2), rng.integers(0, 3, 3)])
        found.append(Detections(Boxes.upright(np.concatenate([near, beside]), code), rng.random(2 * n + 3)))
        truth.append(objects)
    return found, truth


def coco_says(found: list[Detections], truth: list[Boxes]) -> float:
    """AP50 of pycocotools."""

    def as_coco(bounds: np.ndarray) -> list[float]:
        x0, y0, x1, y1 = bounds.tolist()
        return [x0, y0, x1 - x0, y1 - y0]

    objects = [
        {"image_id": i, "category_id": int(c), "bbox": as_coco(b), "area": float(np.prod(as_coco(b)[2:])),
         "iscrowd": 0}
        for i, t in enumerate(truth) for b, c in zip(t.bounds, t.code, strict=True)
    ]  # fmt: skip
    answers = [
        {"image_id": i, "category_id": int(c), "bbox": as_coco(b), "score": float(s)}
        for i, d in enumerate(found) for b, c, s in zip(d.boxes.bounds, d.boxes.code, d.score, strict=True)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO()
        theirs.dataset = {
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": c} for c in range(3)],
            "annotations": [o | {"id": n + 1} for n, o in enumerate(objects)],
        }
        theirs.createIndex()
        judge = COCOeval(theirs, theirs.loadRes(answers), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1])


@pytest.mark.parametrize("seed", range(4))
def test_boxes_score_as_pycocotools_says(seed: int) -> None:
    found, truth = boxes(seed)
    ours = box_measures(found, truth, 3, np.arange(len(truth)))["AP50 COCO"].mean
    assert ours == pytest.approx(coco_says(found, truth), abs=1e-3)


def test_the_older_and_newer_voc_by_hand() -> None:
    """Two objects; right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    truth = [Boxes.upright(np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), np.array([0, 0]))]
    bounds = np.array([[0, 0, 10, 10], [40, 40, 50, 50], [20, 0, 30, 10]])
    found = [Detections(Boxes.upright(bounds, np.zeros(3)), np.array([0.9, 0.8, 0.7]))]
    scores = box_measures(found, truth, 1, np.zeros(1))
    assert scores["AP50 VOC area"].mean == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert scores["AP50 VOC 07"].mean == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert scores["AP50 COCO"].mean == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_voc_counts_a_second_box_on_one_object_as_wrong_and_spares_difficult_ones() -> None:
    truth = [
        Boxes.upright(np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), np.array([0, 0]), np.array([False, True]))
    ]
    bounds = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [20, 0, 30, 10]])
    found = [Detections(Boxes.upright(bounds, np.zeros(3)), np.array([0.5, 0.9, 0.95]))]
    assert box_measures(found, truth, 1, np.zeros(1))["AP50 VOC area"].mean == 1.0
    later = [Detections(found[0].boxes, np.array([0.9, 0.5, 0.95]))]
    assert box_measures(later, truth, 1, np.zeros(1))["AP50 VOC area"].mean == 1.0
    none = [Detections(found[0].boxes.take(np.array([], dtype=int)), np.array([]))]
    assert box_measures(none, truth, 1, np.zeros(1))["AP50 VOC area"].mean == 0.0


def test_a_rotated_box_overlaps_as_geometry_says() -> None:
    from experiments.tasks.box_measures import overlaps

    square = Boxes.upright(np.array([[-1, -1, 1, 1]]), np.zeros(1))
    diamond = Boxes(
        np.array([[[0, -1], [1, 0], [0, 1], [-1, 0]]], dtype=float), np.zeros(1, int), np.zeros(1, bool)
    )
    assert overlaps(diamond, square)[0, 0] == pytest.approx(0.5)  # 2 of 4


def test_resampling_counts_a_query_as_often_as_its_block_is_drawn() -> None:
    """A measure that is a mean has the interval of that mean; a query drawn twice counts twice."""
    rng = np.random.default_rng(3)
    values, block = rng.random(40), np.repeat(np.arange(8), 5)
    as_measure = SetMeasure(lambda times: times @ values / times.sum(axis=1), block)
    plain = bootstrap(Scores.plain(values, block))
    ours = bootstrap(as_measure)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((plain.mean, plain.low, plain.high))
    truth, predicted = masks(4)
    counts = counted(truth, predicted)
    twice = confusion.measure(counts, np.arange(6), confusion.mean_iou()).measure(np.full((1, 6), 2.0))[0]
    assert twice == pytest.approx(score(counts, confusion.mean_iou()))
    doubled = confusion.measure(counts, np.arange(6), confusion.mean_iou()).measure(np.eye(6)[[0]] * 3)[0]
    assert doubled == pytest.approx(score(counts[:1], confusion.mean_iou()))


def test_a_paired_difference_of_equals_is_nothing_and_seeds_are_averaged() -> None:
    truth, predicted = masks(5)
    ours = confusion.measure(counted(truth, predicted), np.arange(6), confusion.mean_iou())
    none = bootstrap(ours.minus(ours))
    assert (none.mean, none.low, none.high) == (0, 0, 0)
    worse = confusion.measure(counted(truth, (predicted + 1) % CLASSES), np.arange(6), confusion.mean_iou())
    assert over_seeds([ours, worse]).mean == pytest.approx((ours.mean + worse.mean) / 2)
    assert pooled([ours.minus(worse)]).low > 0


def test_one_block_has_no_interval() -> None:
    assert np.isnan(bootstrap(SetMeasure(lambda times: times[:, 0], np.zeros(3))).low)
