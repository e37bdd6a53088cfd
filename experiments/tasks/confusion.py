"""Measures that a confusion matrix decides. n queries, K classes, R draws; rows of a matrix are the truth.

A class that neither truth nor prediction holds has no score and is left out of means, as in torchmetrics and
scikit-learn with the labels that occur.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..datasets.scene import IGNORED
from .set_measure import SetMeasure

OfCounts = Callable[[np.ndarray], np.ndarray]  # (R, K, K) counts -> (R,)


def count(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true and predicted class: two int arrays of one shape -> (K, K); IGNORED is not counted."""
    asked = truth != IGNORED
    pairs = truth[asked].astype(np.int64) * classes + predicted[asked]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def measure(counts: np.ndarray, block: np.ndarray, of: OfCounts) -> SetMeasure:
    """A measure of (n, K, K) counts of n queries."""
    n, k, _ = counts.shape
    flat = counts.reshape(n, -1).astype(np.float64)
    return SetMeasure(lambda times: of((times @ flat).reshape(-1, k, k)), block)


def _parts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, false alarms and misses of each class: (R, K) each."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return hits, counts.sum(axis=1) - hits, counts.sum(axis=2) - hits


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))


def _mean_of(scores: np.ndarray, classes: Sequence[int] | None) -> np.ndarray:
    """Mean over the classes that have a score; NaN where none has."""
    some = scores if classes is None else scores[:, list(classes)]
    known = np.isfinite(some)
    return _share(np.where(known, some, 0).sum(axis=1), known.sum(axis=1))


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class: (R, K, K) -> (R, K), NaN for a class that does not occur."""
    hits, false, missed = _parts(counts)
    return _share(hits, hits + false + missed)


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class: (R, K, K) -> (R, K), NaN for a class that does not occur."""
    hits, false, missed = _parts(counts)
    return _share(2 * hits, 2 * hits + false + missed)


def mean_iou(classes: Sequence[int] | None = None) -> OfCounts:
    """mIoU over some classes, all if None. Rows of the matrix stay whole: a class that is not averaged still
    takes pixels from those that are."""
    return lambda counts: _mean_of(iou(counts), classes)


def mean_f1(classes: Sequence[int] | None = None) -> OfCounts:
    """F1 averaged over some classes."""
    return lambda counts: _mean_of(f1(counts), classes)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of pixels that are right ("overall accuracy")."""
    return _share(np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2)))


def class_iou(code: int) -> OfCounts:
    """IoU of one class; 0 where it occurs nowhere, so that a change that is never there is no success."""
    return lambda counts: np.nan_to_num(iou(counts)[:, code])


def class_f1(code: int) -> OfCounts:
    """F1 of one class, likewise."""
    return lambda counts: np.nan_to_num(f1(counts)[:, code])


def semantic_change(changed: np.ndarray, semantic: np.ndarray, block: np.ndarray) -> dict[str, SetMeasure]:
    """DynamicEarthNet's measures of change (Toker et al., CVPR 2022, and their evaluation code).

    BC: IoU of the pixels that changed. SC: mIoU of the classes over the pixels that truly changed, averaged
    over the classes that the truth holds there. SCS: their mean.

    Args:
        changed: (n, 2, 2) counts of unchanged and changed pixels.
        semantic: (n, K, K) counts of classes among the pixels that truly changed.
        block: (n,).
    """
    k = semantic.shape[1]
    flat = np.concatenate([changed.reshape(len(changed), -1), semantic.reshape(len(semantic), -1)], axis=1)

    def split(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = times @ flat.astype(np.float64)
        binary, classes = total[:, :4].reshape(-1, 2, 2), total[:, 4:].reshape(-1, k, k)
        held = classes.sum(axis=2) > 0
        semantic_iou = np.where(held, np.nan_to_num(iou(classes)), 0).sum(axis=1)
        return class_iou(1)(binary), np.nan_to_num(_share(semantic_iou, held.sum(axis=1)))

    return {
        "SCS": SetMeasure(lambda times: np.mean(split(times), axis=0), block),
        "BC": SetMeasure(lambda times: split(times)[0], block),
        "SC": SetMeasure(lambda times: split(times)[1], block),
    }
