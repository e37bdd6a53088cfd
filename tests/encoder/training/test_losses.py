"""The losses against loops and sums written out, at their minimum, at chance and with nothing to compare."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from encoder.training.losses import (
    ALIGNMENT_TEMPERATURE,
    CLUSTERS,
    SPREAD_COVARIANCE,
    SPREAD_EPS,
    STUDENT_TEMPERATURE,
    View,
    alignment_loss,
    cluster_assignment,
    cluster_centres,
    completion_loss,
    contrastive_loss,
    fine_grained_loss,
    first_centres,
    image_loss,
    info_nce_loss,
    multi_granularity_loss,
    object_loss,
    pixel_loss,
    spread_loss,
)

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


def test_against_sums_written_out() -> None:
    student = torch.tensor([[0.1, 0.3, -0.2], [0.0, 0.5, 0.4]])
    teacher = torch.tensor([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0]])
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        weights = [math.exp(x) for x in t]
        scores = [math.exp(x / STUDENT_TEMPERATURE) for x in s]
        total -= sum(
            w / sum(weights) * math.log(score / sum(scores)) for w, score in zip(weights, scores, strict=True)
        )
    assert float(contrastive_loss(student, teacher)) == pytest.approx(total / 2)


def test_least_where_both_agree_and_there_it_is_the_teachers_entropy() -> None:
    teacher = torch.tensor([[2.0, 0.0, -1.0]])
    p = torch.softmax(teacher, dim=-1)
    entropy = float(-(p * p.log()).sum())
    agreeing = teacher * STUDENT_TEMPERATURE
    assert float(contrastive_loss(agreeing, teacher)) == pytest.approx(entropy)
    assert float(contrastive_loss(agreeing.flip(-1), teacher)) > entropy + 1


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    contrastive_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_no_pairs_cost_nothing() -> None:
    student = torch.zeros(0, 3, requires_grad=True)
    loss = contrastive_loss(student, torch.zeros(0, 3))
    loss.backward()
    assert float(loss.detach()) == 0.0


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


@pytest.mark.parametrize("level", [fine_grained_loss, image_loss])
def test_the_sum_over_shared_views(level) -> None:  # type: ignore[no-untyped-def]
    student = {"s2": view(0), "s1": view(1), "fused": view(2)}
    teacher = {"s2": view(3), "hr": view(4), "fused": view(5)}
    expected = level(student["s2"], teacher["s2"]) + level(student["fused"], teacher["fused"])
    torch.testing.assert_close(multi_granularity_loss(student, teacher, level), expected)


def test_the_fused_map_must_be_there() -> None:
    with pytest.raises(AssertionError):
        multi_granularity_loss({"s2": view(0)}, {"s2": view(1)})


def vectors(seed: int, rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))


def test_info_nce_against_loops() -> None:
    a, b = vectors(0), vectors(1)
    total = 0.0
    for i in range(4):
        scores = [
            math.exp(float(F.cosine_similarity(a[i], b[j], dim=0)) / ALIGNMENT_TEMPERATURE) for j in range(4)
        ]
        total -= math.log(scores[i] / sum(scores))
    assert float(info_nce_loss(a, b)) == pytest.approx(total / 4)


def test_alignment_is_the_mean_over_ordered_pairs_of_modalities() -> None:
    seen = {"hr": vectors(0), "s2": vectors(1), "s1": vectors(2)}
    pairs = [info_nce_loss(seen[i], seen[j]) for i in seen for j in seen if i != j]
    torch.testing.assert_close(alignment_loss(seen, seen), torch.stack(pairs).mean())


def test_zero_for_identical_orthogonal_places_and_log_b_after_collapse() -> None:
    apart = torch.eye(6)[:4]
    assert float(info_nce_loss(apart, apart)) < 1e-3
    collapsed = torch.ones(4, 6)
    assert float(info_nce_loss(collapsed, collapsed)) == pytest.approx(math.log(4))


def test_one_modality_cannot_be_aligned() -> None:
    with pytest.raises(AssertionError, match="two modalities"):
        alignment_loss({"s2": vectors(0)}, {"s2": vectors(0)})


def views(error: float) -> tuple[View, View]:
    target = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    known = torch.ones(2, 3, 4, dtype=torch.bool)
    known[0, 1, 2] = False
    wrong = target + error
    wrong[0, 1, 2] += 100  # not known, so it must not count
    return View(wrong, torch.ones_like(known), torch.nn.Identity()), View(target, known, torch.nn.Identity())


def test_zero_for_the_right_values() -> None:
    assert float(completion_loss(*views(0.0))) == 0.0


def test_a_small_error_counts_as_its_square_and_a_large_one_as_itself() -> None:
    assert float(completion_loss(*views(0.2))) == pytest.approx(0.5 * 0.2**2 / 0.5)
    assert float(completion_loss(*views(2.0))) == pytest.approx(2.0 - 0.25)


def test_spread_is_zero_of_even_vectors_and_large_of_collapsed_ones() -> None:
    d = 4
    even = torch.cat([torch.eye(d), -torch.eye(d)])
    variance = d * 2 / (2 * d - 1)  # of each number, scaled by sqrt(d), over n - 1
    assert variance > 1
    assert spread_loss(even).item() == 0
    assert spread_loss(torch.ones(8, d) / d**0.5).item() == pytest.approx(1 - SPREAD_EPS**0.5)
    line = torch.cat([torch.ones(4, d), -torch.ones(4, d)]) / d**0.5
    between = d * (d - 1) * (8 / 7) ** 2 / d  # every number moves with every other
    assert spread_loss(line).item() == pytest.approx(SPREAD_COVARIANCE * between)
    assert spread_loss(even[:1]).item() == 0
