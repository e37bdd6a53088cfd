"""L_pix, L_obj, L_img and their sum against loops over samples, dates and cells."""

import pytest
import torch
from torch import Tensor

from encoder.losses.contrastive import contrastive_loss
from encoder.losses.fine_grained import fine_grained_loss
from encoder.losses.image import image_loss
from encoder.losses.object import CLUSTERS, cluster_assignment, cluster_centres, first_centres, object_loss
from encoder.losses.pixel import pixel_loss
from encoder.losses.view import View

B, T, N, D = 2, 3, 6, 5
HEAD = torch.randn(D, 7, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def view(seed: int, mask: Tensor | None = None) -> View:
    features = torch.randn(B, T, N, D, generator=torch.Generator().manual_seed(seed))
    return View(features, torch.ones(B, T, N, dtype=torch.bool) if mask is None else mask, lambda x: x @ HEAD)


def some_missing() -> Tensor:
    mask = torch.ones(B, T, N, dtype=torch.bool)
    mask[0, 1] = False  # a whole date
    mask[1, 2, :2] = False  # two cells
    return mask


def test_pixel_loss_is_the_mean_over_cells_and_dates() -> None:
    student, teacher = view(0, some_missing()), view(1)
    terms = [
        contrastive_loss(student.features[b, t, s][None] @ HEAD, teacher.features[b, t, s][None] @ HEAD)
        for b in range(B)
        for t in range(T)
        for s in range(N)
        if student.mask[b, t, s]
    ]
    assert float(pixel_loss(student, teacher)) == pytest.approx(float(torch.stack(terms).mean()))


def test_image_loss_compares_means_of_the_cells_that_both_have() -> None:
    student, teacher = view(0), view(1, some_missing())
    terms = []
    for b in range(B):
        for t in range(T):
            cells = [s for s in range(N) if teacher.mask[b, t, s]]
            if cells:
                means = [v.features[b, t, cells].mean(dim=0)[None] @ HEAD for v in (student, teacher)]
                terms.append(contrastive_loss(*means))
    assert float(image_loss(student, teacher)) == pytest.approx(float(torch.stack(terms).mean()))


def test_object_loss_compares_centres_of_the_same_cells() -> None:
    student, teacher = view(0, some_missing()), view(1)
    terms = []
    for b in range(B):
        for t in range(T):
            cells = student.mask[b, t]
            if cells.sum() < CLUSTERS:
                continue
            weights = cluster_assignment(teacher.features[b, t][None], cells[None])[0]  # (N, N_C)
            for c in range(CLUSTERS):
                share = weights[:, c] / weights[:, c].sum()
                centres = [sum(share[s] * v.features[b, t, s] for s in range(N)) for v in (student, teacher)]
                terms.append(contrastive_loss(*(centre[None] @ HEAD for centre in centres)))
    assert float(object_loss(student, teacher)) == pytest.approx(float(torch.stack(terms).mean()))


def test_clusters_find_objects() -> None:
    """Cells of four directions, eight of each, end in four clusters."""
    directions = torch.eye(4)[torch.arange(32) // 8][None] + 0.01
    assignment = cluster_assignment(directions, torch.ones(1, 32, dtype=torch.bool))
    owner = assignment[0].argmax(dim=1).view(4, 8)
    assert (owner == owner[:, :1]).all()
    assert len(owner[:, 0].unique()) == CLUSTERS
    centres = cluster_centres(directions, assignment)
    assert centres.shape == (1, CLUSTERS, 4)


def test_first_centres_are_cells_that_are_present() -> None:
    mask = torch.zeros(1, 10, dtype=torch.bool)
    mask[0, [1, 3, 4, 7, 9]] = True
    assert mask[0, first_centres(mask)[0]].all()
    assert len(first_centres(mask)[0].unique()) == CLUSTERS


def test_levels_add_up_and_a_single_cell_counts_once() -> None:
    student, teacher = view(0), view(1)
    total = pixel_loss(student, teacher) + object_loss(student, teacher) + image_loss(student, teacher)
    torch.testing.assert_close(fine_grained_loss(student, teacher), total)

    def one(v: View) -> View:
        return View(v.features[:, :, :1], v.mask[:, :, :1], v.head)

    torch.testing.assert_close(
        fine_grained_loss(one(student), one(teacher)), pixel_loss(one(student), one(teacher))
    )


@pytest.mark.parametrize("loss", [pixel_loss, object_loss, image_loss, fine_grained_loss])
def test_a_view_is_nearer_to_itself_than_to_another(loss) -> None:  # type: ignore[no-untyped-def]
    sharp = View(view(0).features * 3, view(0).mask, lambda x: x @ HEAD * 10)
    student = View(sharp.features, sharp.mask, lambda x: x @ HEAD)
    other = View(view(1).features * 3, sharp.mask, lambda x: x @ HEAD * 10)
    assert loss(student, sharp) < loss(student, other)


@pytest.mark.parametrize("loss", [pixel_loss, object_loss, image_loss])
def test_nothing_to_compare_costs_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    nothing = torch.zeros(B, T, N, dtype=torch.bool)
    assert float(loss(view(0, nothing), view(1))) == 0.0
