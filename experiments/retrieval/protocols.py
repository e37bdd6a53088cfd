"""The protocols of docs/evaluation.md over one `Problem` and one matrix of vectors.

Zero-shot (P3, P5: no label is fitted) and probes (P1, P4) are two functions, for two tables.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .metrics import average_precision, f1_of_votes, jaccard, ndcg, partner_rank, precision
from .neighbours import Neighbours, by_cosine, by_distance, unit
from .problem import Fold, Problem

K = 20  # hits of P3
TEMPERATURE = 0.07  # of P4's weights
PENALTIES = np.logspace(-4, 3, 40)  # values of C that the linear probe chooses from
PROBE_ROWS = 2000  # database rows that the linear probe is fitted on, at most
PROBES = ("kNN-5", "kNN-20", "linear")
ScoreTable = dict[str, np.ndarray]  # metric -> (q,) score of each query, in the order of `Problem.queries`


def zero_shot(problem: Problem, vectors: np.ndarray) -> ScoreTable:
    """P3: cosine retrieval of rows that share a label. `vectors` is (n, d)."""
    tables = []
    for fold in problem.folds:
        hits = by_cosine(vectors[fold.query], vectors[fold.database], K)
        tables.append(_judge(problem, fold, hits))
    return _joined(tables)


def _judge(problem: Problem, fold: Fold, hits: Neighbours) -> ScoreTable:
    query, database = problem.labels[fold.query], problem.labels[fold.database]
    gains = jaccard(query, database)  # (q, m)
    hit_gain = np.take_along_axis(gains, hits.index, axis=1)
    k = hits.index.shape[1]
    ideal = -np.sort(np.partition(-gains, k - 1, axis=1)[:, :k], axis=1)
    return {
        "mAP@20": average_precision(hit_gain > 0),
        "P@10": precision(hit_gain[:, :10] > 0),
        "nDCG@20": ndcg(hit_gain, ideal),
        "exact mAP@20": average_precision(hit_gain == 1),
    }


def probes(problem: Problem, vectors: np.ndarray, methods: Sequence[str] = PROBES) -> ScoreTable:
    """P1 (kNN-5 and linear) and P4 (kNN-20): 1 where the predicted class is the query's.

    With several labels a row, a class is predicted when most votes (or a logistic model each) say so, and the
    score is the F1 of the predicted set.
    """
    predict = {"kNN-5": _knn_5, "kNN-20": knn_20, "linear": _linear}
    tables = []
    for fold in problem.folds:
        truth = problem.labels[fold.query]
        tables.append({name: _agreement(predict[name](problem, fold, vectors), truth) for name in methods})
    return _joined(tables)


def _agreement(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F1 of two label sets, which for single labels is 1 or 0: (q, L) bool twice -> (q,)."""
    return f1_of_votes(predicted[:, None, :], truth)


def _decide(problem: Problem, votes: np.ndarray) -> np.ndarray:
    """(q, L) shares of the votes -> (q, L) bool."""
    if problem.is_multi_label:
        return np.asarray(votes > 0.5)
    return np.asarray(np.eye(votes.shape[1], dtype=bool)[votes.argmax(axis=1)])


def _knn_5(problem: Problem, fold: Fold, vectors: np.ndarray) -> np.ndarray:
    hits = by_distance(vectors[fold.query], vectors[fold.database], 5)
    return _decide(problem, problem.labels[fold.database][hits.index].mean(axis=1))


def knn_20(problem: Problem, fold: Fold, vectors: np.ndarray) -> np.ndarray:
    return _decide(problem, knn_20_votes(problem, fold, vectors))


def knn_20_votes(problem: Problem, fold: Fold, vectors: np.ndarray) -> np.ndarray:
    """Share of the weighted votes that each class gets: (q, L)."""
    hits = by_cosine(vectors[fold.query], vectors[fold.database], 20)
    weight = np.exp((hits.similarity - hits.similarity[:, :1]) / TEMPERATURE)
    votes = np.einsum("qk,qkl->ql", weight, problem.labels[fold.database][hits.index])
    return np.asarray(votes / weight.sum(axis=1, keepdims=True))


def _linear(problem: Problem, fold: Fold, vectors: np.ndarray) -> np.ndarray:
    """L-BFGS logistic regression on standardised features, C chosen on held-out blocks of the database."""
    rows = thinned(fold.database, PROBE_ROWS)
    x, query = standardised(vectors, rows)[rows], standardised(vectors, rows)[fold.query]
    held = inner_validation(problem.block[rows])
    labels = problem.labels[rows]
    if problem.is_multi_label:
        columns = [_logistic(x, labels[:, i], held, query) for i in range(labels.shape[1])]
        return np.asarray(np.stack(columns, axis=1) == 1)
    predicted = _logistic(x, problem.code[rows], held, query)
    return np.asarray(predicted[:, None] == np.arange(len(problem.classes))[None, :])


def _logistic(x: np.ndarray, y: np.ndarray, held: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Class of each query row; the one class there is, when there is one."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) == 1:
        return np.full(len(query), y[0])
    warnings.simplefilter("ignore", ConvergenceWarning)  # weak penalties on separable data never converge
    penalty, best = 1.0, -1.0
    if len(np.unique(y[~held])) > 1 and held.any():
        model = LogisticRegression(max_iter=60, warm_start=True, tol=1e-3)
        for c in PENALTIES:
            score = float((model.set_params(C=c).fit(x[~held], y[~held]).predict(x[held]) == y[held]).mean())
            if score > best:
                penalty, best = c, score
    return np.asarray(LogisticRegression(C=penalty, max_iter=300).fit(x, y).predict(query))


def inner_validation(block: np.ndarray) -> np.ndarray:
    """True for the rows of every fourth block, blocks in order of size: an even and certain choice."""
    names, size = np.unique(block, return_counts=True)
    return np.isin(block, names[np.argsort(-size, kind="stable")][1::4])


def cross_modal(problem: Problem, from_vectors: np.ndarray, to_vectors: np.ndarray) -> ScoreTable:
    """P5: find the same place in the other sensor, among the queries of its fold. Both matrices are (n, d).

    Places lacking a sensor (NaN rows) must be left out of the problem's queries.
    """
    tables = []
    for fold in problem.folds:
        labels = problem.labels[fold.query]
        similarity = unit(from_vectors[fold.query]) @ unit(to_vectors[fold.query]).T
        rank = partner_rank(similarity)
        np.fill_diagonal(similarity, -np.inf)  # the true pair is no hit when labels are judged
        others = np.argsort(-similarity, axis=1, kind="stable")[:, :5]
        recall = {f"recall@{k}": (rank <= k).astype(float) for k in (1, 10)}
        tables.append(recall | {"MRR": 1 / rank, "F1@5": f1_of_votes(labels[others], labels)})
    return _joined(tables)


def cross_modal_chance(problem: Problem) -> ScoreTable:
    """What a random order of each fold's queries would score in P5."""
    size = np.concatenate([np.full(len(fold.query), len(fold.query)) for fold in problem.folds])
    harmonic = np.array([np.sum(1 / np.arange(1, n + 1)) for n in size])
    return {"recall@1": 1 / size, "recall@10": np.minimum(10 / size, 1), "MRR": harmonic / size}


def majority(problem: Problem) -> tuple[ScoreTable, ScoreTable]:
    """The most frequent class of the database, as the only hit and as the only answer."""
    hits, answers = [], []
    for fold in problem.folds:
        truth = problem.labels[fold.query]
        top = problem.labels[fold.database].sum(axis=0).argmax()
        hits.append(truth[:, top].astype(float))
        answers.append(_agreement(np.eye(truth.shape[1], dtype=bool)[[top] * len(truth)], truth))
    hit, answer = np.concatenate(hits), np.concatenate(answers)
    return {"mAP@20": hit, "P@10": hit}, dict.fromkeys(PROBES, answer)


def chance(problem: Problem, seed: int) -> tuple[ScoreTable, ScoreTable]:
    """Hits and answers drawn at random from the database."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((len(problem.labels), 16)).astype(np.float32)
    answers = []
    for fold in problem.folds:
        drawn = rng.choice(fold.database, size=len(fold.query))
        answers.append(_agreement(problem.labels[drawn], problem.labels[fold.query]))
    return zero_shot(problem, noise), dict.fromkeys(PROBES, np.concatenate(answers))


def standardised(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each column at mean 0 and deviation 1 over `rows`; missing (NaN) becomes the mean. (n, d) -> (n, d)."""
    mean, std = masked_moments(features[rows])
    scaled = (features - mean) / np.where(std > 1e-12, std, 1.0)
    return np.asarray(np.nan_to_num(scaled, nan=0.0).astype(np.float32))


def masked_moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column over its finite entries; 0 and 0 where there is none."""
    finite = np.isfinite(features)
    count = np.maximum(finite.sum(axis=0), 1)
    values = np.where(finite, features, 0.0).astype(np.float64)
    mean = values.sum(axis=0) / count
    variance = (np.where(finite, values - mean, 0.0) ** 2).sum(axis=0) / count
    return mean, np.sqrt(variance)


def thinned(rows: np.ndarray, at_most: int) -> np.ndarray:
    """Evenly spaced rows, `at_most` of them."""
    if len(rows) <= at_most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, at_most).astype(int)])


def _joined(tables: list[ScoreTable]) -> ScoreTable:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def finite_rows(*matrices: ArrayLike) -> np.ndarray:
    """(n,) True where every matrix has a finite row."""
    return np.asarray(np.logical_and.reduce([np.isfinite(np.asarray(m)).all(axis=1) for m in matrices]))
