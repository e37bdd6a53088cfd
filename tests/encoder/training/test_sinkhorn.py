"""Balanced assignment: rows are distributions, columns share alike, masked rows are out."""

import numpy as np
import torch
import torch.nn.functional as F

from encoder.training.prototype_learning import updated_prototypes
from encoder.training.sinkhorn import ITERATIONS, TEMPERATURE, sinkhorn
from indexer.prototypes import sinkhorn as indexers

from ...tolerance import gamma
from ..float64 import assert_rounded_alike


def test_against_loops() -> None:
    similarity = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], dtype=torch.float64)
    s = [[float(torch.exp((x - similarity.max()) / TEMPERATURE)) for x in row] for row in similarity]
    for _ in range(ITERATIONS):
        columns = [sum(row[j] for row in s) for j in range(2)]
        s = [[row[j] / columns[j] for j in range(2)] for row in s]
        s = [[x / sum(row) for x in row] for row in s]
    torch.testing.assert_close(sinkhorn(similarity), torch.tensor(s))


def test_rows_are_distributions_and_columns_balance() -> None:
    similarity = torch.rand(64, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [0.0, 0, 0, 0.5]
    )
    s = sinkhorn(similarity)
    torch.testing.assert_close(s.sum(dim=1), torch.ones(64))
    assert similarity.argmax(dim=1).bincount(minlength=4)[3] > 40  # the last column would win most rows
    unbalanced = torch.softmax(similarity / TEMPERATURE, dim=1).sum(dim=0).sub(16).abs().max()
    assert s.sum(dim=0).sub(16).abs().max() < 0.3 * unbalanced


def test_masked_rows_take_no_part() -> None:
    similarity = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4:] = False
    s = sinkhorn(similarity, mask)
    assert s[1, 4:].abs().max() == 0
    torch.testing.assert_close(s[1, :4], sinkhorn(similarity[1, :4]))
    torch.testing.assert_close(s[0], sinkhorn(similarity[0]))


def test_it_is_the_one_that_prototypes_of_a_table_are_fitted_with() -> None:
    """Two codes, for torch and for NumPy alone: one assignment, one update of prototypes."""
    assert (TEMPERATURE, ITERATIONS) == (indexers.EPSILON, indexers.ITERATIONS)
    rng = np.random.default_rng(0)
    rows, prototypes = (F.normalize(torch.from_numpy(rng.normal(size=(n, 6))), dim=1) for n in (40, 3))
    cosines = rows @ prototypes.T
    assert_rounded_alike(indexers.sinkhorn_knopp(cosines.numpy()), sinkhorn(cosines).numpy())
    theirs = indexers.updated(prototypes.numpy(), rows.numpy(), 0.9)
    ours = F.normalize(updated_prototypes(prototypes, rows, 0.9), dim=1)
    # Shares and their sum over 40 rows are float32 there: 43 roundings of a tenth of what is at least 0.8.
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=gamma(44))
