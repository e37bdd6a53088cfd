"""Average precision of boxes at an IoU of 0.5, in the three ways that published numbers are made.

`VOC area`, the PASCAL VOC development kit since 2010: precision is made falling, then integrated over
recall. `VOC 07`: its older mean over 11 recalls, which DOTA's kit and mmrotate keep. `COCO`: the mean over
101 recalls, at most 100 boxes of an image and class. The kits also match differently: VOC gives a box to the
object that it overlaps most, found before or not; COCO to the best object that is still free.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from ..datasets.scene import Boxes
from .set_measure import SetMeasure, mean_of_known

IOU = 0.5
COCO_BOXES = 100
KITS = ("VOC area", "VOC 07", "COCO")


@dataclass(frozen=True)
class Detections:
    """Boxes that were found in one image, with scores."""

    boxes: Boxes
    score: np.ndarray  # (m,)


def overlaps(detected: Boxes, truth: Boxes) -> np.ndarray:
    """IoU of each detected box with each true one, rotated or not: (m, n)."""
    a, b = (shapely.polygons(boxes.corners) for boxes in (detected, truth))
    shared = shapely.area(shapely.intersection(a[:, None], b[None, :]))
    whole = shapely.area(a)[:, None] + shapely.area(b)[None, :] - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0))


def box_measures(
    detected: Sequence[Detections], truth: Sequence[Boxes], classes: int, block: np.ndarray
) -> dict[str, SetMeasure]:
    """AP50 by kit, averaged over the classes that the truth holds.

    Args:
        detected, truth: of the n images.
        classes: how many there are.
        block: (n,).
    """
    return {f"AP50 {kit}": _kit_measure(kit, detected, truth, classes, block) for kit in KITS}


def _kit_measure(
    kit: str, detected: Sequence[Detections], truth: Sequence[Boxes], classes: int, block: np.ndarray
) -> SetMeasure:
    curves = [_Curve.of(kit, detected, truth, code) for code in range(classes)]
    return SetMeasure(
        lambda times: mean_of_known(np.stack([c.average_precision(times) for c in curves])), block
    )


@dataclass(frozen=True)
class _Curve:
    """Boxes of one class in all images, best first, and which of them are right."""

    kit: str
    image: np.ndarray  # (m,) of each box
    right: np.ndarray  # (m,) bool
    objects: np.ndarray  # (n,) asked for in each image

    @classmethod
    def of(cls, kit: str, detected: Sequence[Detections], truth: Sequence[Boxes], code: int) -> "_Curve":
        image, score, right, objects = [], [], [], []
        for i, (detections, boxes) in enumerate(zip(detected, truth, strict=True)):
            theirs = boxes.take(boxes.code == code)
            ours = np.flatnonzero(detections.boxes.code == code)
            ours = ours[np.argsort(-detections.score[ours], kind="stable")]
            ours = ours[:COCO_BOXES] if kit == "COCO" else ours
            counted, is_right = _matched(kit, overlaps(detections.boxes.take(ours), theirs), theirs.difficult)
            score.append(detections.score[ours][counted])
            right.append(is_right[counted])
            image.append(np.full(int(counted.sum()), i))
            objects.append(int((~theirs.difficult).sum()))
        order = np.argsort(-np.concatenate(score), kind="stable")
        return cls(kit, np.concatenate(image)[order], np.concatenate(right)[order], np.array(objects, float))

    def average_precision(self, times: np.ndarray) -> np.ndarray:
        """(R, n) -> (R,); NaN where no object of the class is asked for."""
        weight = times[:, self.image]
        hits = np.cumsum(weight * self.right, axis=1)
        taken = np.cumsum(weight, axis=1)
        whole = times @ self.objects
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        recall = hits / np.maximum(whole, 1e-12)[:, None]
        falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return np.where(whole > 0, _integrated(self.kit, falling, recall), np.nan)


def _integrated(kit: str, precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Falling precision over recall, (R, m) each -> (R,)."""
    if kit == "VOC area":
        return np.asarray((precision * np.diff(recall, axis=1, prepend=0)).sum(axis=1))
    marks = np.linspace(0, 1, 11 if kit == "VOC 07" else 101)
    # beyond the last box there is no recall
    padded = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
    at = np.stack([np.searchsorted(row, marks - 1e-12) for row in recall])  # (R, marks)
    return np.asarray(np.take_along_axis(padded, at, axis=1).mean(axis=1))


def _matched(kit: str, iou: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one image, best first, against its objects: which count (m,), and which are right (m,)."""
    m, n = iou.shape
    counted, right, free = np.ones(m, bool), np.zeros(m, bool), np.ones(n, bool)
    for i in range(m if n else 0):
        best = int(iou[i].argmax()) if kit != "COCO" else _best_free(iou[i], free, difficult)
        if best < 0 or iou[i, best] < IOU:
            continue
        if difficult[best]:
            counted[i] = False
        elif free[best]:
            right[i], free[best] = True, False
    return counted, right


def _best_free(iou: np.ndarray, free: np.ndarray, difficult: np.ndarray) -> int:
    """COCO: the best free object, a difficult one only where no other will do; -1 where there is none."""
    for allowed in (free & ~difficult, difficult):
        best = int(np.where(allowed, iou, -1).argmax())
        if allowed.any() and iou[best] >= IOU:
            return best
    return -1
