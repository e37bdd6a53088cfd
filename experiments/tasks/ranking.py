"""Average precision of scores: of labels (micro, macro), as scikit-learn defines it. n queries, L labels."""

import numpy as np

from .set_measure import SetMeasure, mean_of_known


def label_measures(scores: np.ndarray, truth: np.ndarray, block: np.ndarray) -> dict[str, SetMeasure]:
    """mAP over all (query, label) pairs together, and averaged over the labels that occur.

    Args:
        scores: (n, L) float, higher = more likely.
        truth: (n, L) bool.
        block: (n,).
    """
    n, labels = truth.shape
    query = np.repeat(np.arange(n), labels)
    together = _Ranked(scores.ravel(), truth.ravel(), query)
    each = [_Ranked(scores[:, i], truth[:, i], np.arange(n)) for i in range(labels)]

    def macro(times: np.ndarray) -> np.ndarray:
        return mean_of_known(np.stack([ranked.average_precision(times) for ranked in each]))

    return {
        "mAP micro": SetMeasure(lambda times: np.nan_to_num(together.average_precision(times)), block),
        "mAP macro": SetMeasure(macro, block),
    }


class _Ranked:
    """Answers in order of their scores, ready to be weighted."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray, query: np.ndarray) -> None:
        order = np.argsort(-scores, kind="stable")
        self.truth = truth[order].astype(np.float64)
        self.query = query[order]  # whose weight an answer has
        ranked = scores[order]
        self.last = np.append(ranked[1:] != ranked[:-1], True)  # of equal scores: a threshold lies behind it

    def average_precision(self, times: np.ndarray) -> np.ndarray:
        """(R, n) -> (R,): sum of precision times what recall gains, by threshold; NaN with no true answer."""
        weight = times[:, self.query]  # (R, answers)
        hits = np.cumsum(weight * self.truth, axis=1)[:, self.last]
        taken = np.cumsum(weight, axis=1)[:, self.last]
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        gained = np.diff(hits, axis=1, prepend=0)
        whole = hits[:, -1]
        area = (precision * gained).sum(axis=1)
        return np.asarray(np.divide(area, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def label_f1(predicted: np.ndarray, truth: np.ndarray, block: np.ndarray) -> SetMeasure:
    """Micro F1 of predicted label sets: (n, L) bool twice."""
    hits = (predicted & truth).sum(axis=1).astype(np.float64)
    both = (predicted.sum(axis=1) + truth.sum(axis=1)).astype(np.float64)
    return SetMeasure(lambda times: 2 * (times @ hits) / np.maximum(times @ both, 1e-12), block)
