#!/usr/bin/env bash
# Guess: top_k_accuracy_score with k=1 is the accuracy of the class that has the highest score, that is of predict.
# Surprise: they break ties from opposite ends: argmax (and predict) takes the first class, top_k_accuracy_score the
# last. Votes of five neighbours tie often, so the same classifier has two accuracies, and what the score says depends
# on the order of class names. Where all classes tie, top 1 counts the last class right every time, and average
# precision says 0.2 where the area under the same precision-recall curve says 0.6.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W error - <<'PY'
import numpy as np, sklearn
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, auc, average_precision_score, precision_recall_curve, top_k_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
print("scikit-learn", sklearn.__version__)
x, y = load_digits(return_X_y=True)
x = x + np.random.default_rng(0).normal(0, 5, x.shape)
def both(names):
    labels = np.asarray(names)[y]
    model = KNeighborsClassifier(5).fit(x[:900], labels[:900])
    votes = model.predict_proba(x[900:])
    ties = float(np.mean((votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1))
    return accuracy_score(labels[900:], model.predict(x[900:])), top_k_accuracy_score(labels[900:], votes, k=1, labels=model.classes_), ties
first, second, ties = both(range(10))
again, other, _ = both(range(9, -1, -1))
print(f"digits, votes of five: ties {ties:.3f}; accuracy of predict {first:.4f}, top_k_accuracy_score(k=1) {second:.4f}; "
      f"class names the other way round {again:.4f}, {other:.4f}")
truth = np.arange(5).repeat(4)
alike = [float(top_k_accuracy_score(truth[truth == c], np.full((4, 5), 0.2), k=1, labels=np.arange(5))) for c in range(5)]
print("all scores alike: top 1 by class", alike, "argmax says class", int(np.full(5, 0.2).argmax()))
few = np.array([0] * 8 + [1] * 2)
precision, recall, _ = precision_recall_curve(few, np.full(10, 0.5))
area = float(average_precision_score(few, np.full(10, 0.5))), float(auc(recall, precision))
print("all scores alike, 2 of 10 right: average precision, area under the curve", area)
assert ties > 0.05 and second - first > 0.01 and first - again < -0.01 and first == other and second == again
assert alike == [0, 0, 0, 0, 1] and np.allclose(area, (0.2, 0.6))
PY
