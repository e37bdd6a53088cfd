"""The pre-training losses of the paper (section 3.4), completion and spread: views enter, a scalar leaves.

Each is a pure function `loss(student, teacher) -> scalar`; what is remembered between steps (EMA weights,
centres, prototypes) lives outside, in `teacher` and `prototype_learning`.

B samples, T dates, N grid cells (the paper's N_S), D width, K outputs of a head, M rows that are compared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import wide
from .sinkhorn import sinkhorn

STUDENT_TEMPERATURE = 0.1  # of L_CL, DINO's: the paper does not publish its own
CLUSTERS = 4  # N_C of L_obj, ours: unpublished
ROUNDS = 3  # of assignment and new centres, ours
ALIGNMENT_TEMPERATURE = 0.05  # of L_align, ours: unpublished
SPREAD_EPS = 1e-4  # keeps the root's gradient finite, VICReg's
SPREAD_COVARIANCE = 0.04  # of the covariance term beside the variance term: VICReg's 1 / 25


@dataclass(frozen=True)
class View:
    """What is compared: features F_i of one modality (or fused: T = 1) as one branch sees them."""

    features: Tensor  # (B, T, N, D)
    mask: Tensor  # (B, T, N) bool, True where there is a feature
    head: Callable[[Tensor], Tensor]  # (M, D) -> (M, K) scores; the teacher's are centred


def paired(student: View, teacher: View) -> Tensor:
    """(B, T, N) bool: where both branches have a feature."""
    shapes = student.features.shape[:3], teacher.features.shape[:3]
    assert shapes[0] == shapes[1], shapes
    return student.mask & teacher.mask


def contrastive_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_CL = -sum_k p'_k log p_k, averaged over M pairs: positives only (DINO).

    Args:
        student: (M, K) scores.
        teacher: (M, K) scores, already centred and divided by the teacher's temperature.
    """
    if not len(student):
        return student.sum()  # zero, with a gradient of zero
    target = F.softmax(wide(teacher.detach()), dim=-1)
    log_p = F.log_softmax(wide(student) / STUDENT_TEMPERATURE, dim=-1)
    return -(target * log_p).sum(dim=-1).mean()


def pixel_loss(student: View, teacher: View) -> Tensor:
    """L_pix = 1 / (N_S T_i) sum_s sum_t L_CL(f_pix, f'_pix): each grid cell that both have on each date."""
    both = paired(student, teacher)
    return contrastive_loss(student.head(student.features[both]), teacher.head(teacher.features[both]))


def object_loss(student: View, teacher: View) -> Tensor:
    """L_obj = 1 / (N_C T_i) sum_c sum_t L_CL(f_obj, f'_obj): cluster centres of one image.

    Ours, since the pairing of clusters is unpublished: both branches see the same window, so the teacher's
    assignment of cells to clusters pools both. Images with fewer cells than clusters are left out.
    """
    both = paired(student, teacher)  # (B, T, N)
    enough = both.sum(dim=-1) >= CLUSTERS
    assignment = cluster_assignment(teacher.features[enough], both[enough])  # (images, N, N_C)
    return contrastive_loss(
        student.head(cluster_centres(student.features[enough], assignment).flatten(0, 1)),  # (M, K)
        teacher.head(cluster_centres(teacher.features[enough], assignment).flatten(0, 1)),
    )


def image_loss(student: View, teacher: View) -> Tensor:
    """L_img = 1 / T_i sum_t L_CL(f_img, f'_img), f_img the mean over the cells that both branches have."""
    both = paired(student, teacher)
    some = both.any(dim=-1)  # (B, T)
    return contrastive_loss(
        student.head(pooled(student.features, both)[some]),  # (M, K)
        teacher.head(pooled(teacher.features, both)[some]),
    )


def fine_grained_loss(student: View, teacher: View) -> Tensor:
    """L_FGCL = L_pix + L_obj + L_img. In a map of a single cell they are one, and it counts once."""
    if student.features.shape[2] == 1:
        return image_loss(student, teacher)
    return pixel_loss(student, teacher) + object_loss(student, teacher) + image_loss(student, teacher)


def multi_granularity_loss(
    student: Mapping[str, View],
    teacher: Mapping[str, View],
    level: Callable[[View, View], Tensor] = fine_grained_loss,
) -> Tensor:
    """L_MGCL = sum_i L_FGCL(F_i, F_i') + L_FGCL(F_fus, F_fus'), i over the modalities of both.

    Args:
        student: By modality name, and "fused".
        teacher: The same of the other branch.
        level: What is compared of each pair; the ablation puts `image_loss` here.
    """
    shared = [name for name in student if name in teacher]
    assert "fused" in shared, (tuple(student), tuple(teacher))
    return torch.stack([level(student[name], teacher[name]) for name in shared]).sum()


def info_nce_loss(student: Tensor, teacher: Tensor, temperature: float = ALIGNMENT_TEMPERATURE) -> Tensor:
    """-log softmax of the true pair among the batch's: student (B, D), teacher (B, D), row b is place b."""
    similarity = F.normalize(wide(student), dim=-1) @ F.normalize(wide(teacher), dim=-1).T  # (B, B)
    return F.cross_entropy(similarity / temperature, torch.arange(len(student), device=student.device))


def alignment_loss(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
    """L_align, the mean of InfoNCE(F_i, F_j) over ordered pairs of different modalities.

    Modalities of one place attract, of different places repel.

    Args:
        student: (B, D) by modality name, place by place.
        teacher: The same; the paper aligns the student with itself, so it is passed twice.
    """
    pairs = list(permutations(sorted(student.keys() & teacher.keys()), 2))
    assert pairs, f"alignment needs two modalities, got {tuple(student)} and {tuple(teacher)}"
    return torch.stack([info_nce_loss(student[i], teacher[j]) for i, j in pairs]).mean()


def completion_loss(student: View, teacher: View) -> Tensor:
    """Smooth L1 between what the student predicts for each date and cell and what is there (ours).

    The embedding of some dates and modalities tells the pixels of others. SkySense++ predicts features of
    missing modalities; here band values of dates that the student did not see are predicted. It gives a small
    model on a small corpus a dense signal, where contrast alone learns slowly.

    Args:
        student: `features` (B, T, N, D) are fused features beside the date asked for; `head` predicts bands.
        teacher: `features` (B, T, N, C) are normalised band values, `mask` where they are known.
    """
    known = student.mask & teacher.mask
    predicted = student.head(student.features[known])  # (M, C)
    target = wide(teacher.features[known].detach())
    if not len(target):
        return predicted.sum()
    return F.smooth_l1_loss(wide(predicted), target, beta=0.5)


def spread_loss(vectors: Tensor) -> Tensor:
    """Variance and covariance terms of VICReg (arXiv 2105.04906) against collapse: unit vectors (B, d).

    Scaled by sqrt(d), evenly spread unit vectors have variance 1 in every direction and no covariance.
    """
    count, d = vectors.shape
    if count < 2:
        return vectors.sum() * 0
    centred = (wide(vectors) - wide(vectors).mean(dim=0)) * d**0.5
    covariance = centred.T @ centred / (count - 1)  # (d, d)
    deviation = (covariance.diagonal() + SPREAD_EPS).sqrt()
    between = covariance - torch.diag(covariance.diagonal())
    loss: Tensor = F.relu(1 - deviation).mean() + SPREAD_COVARIANCE * between.pow(2).sum() / d
    return loss


def pooled(features: Tensor, mask: Tensor) -> Tensor:
    """Mean over cells: features (..., N, D), mask (..., N) -> (..., D); zero where no cell is present."""
    weights = mask.to(features.dtype).unsqueeze(-1)
    return (features * weights).sum(dim=-2) / weights.sum(dim=-2).clamp(min=1)


@torch.no_grad()
def cluster_assignment(features: Tensor, mask: Tensor) -> Tensor:
    """Balanced soft clusters of each image's cells: features (M, N, D), mask (M, N) -> (M, N, N_C).

    The first centres are cells spread evenly over those present.
    """
    directions = F.normalize(wide(features), dim=-1)
    first = first_centres(mask)  # (M, N_C)
    centres = directions.gather(1, first[..., None].expand(-1, -1, features.shape[-1]))  # (M, N_C, D)
    for _ in range(ROUNDS):
        assignment = sinkhorn(directions @ F.normalize(centres, dim=-1).transpose(1, 2), mask)
        centres = cluster_centres(directions, assignment)
    return assignment


def first_centres(mask: Tensor) -> Tensor:
    """(M, N) bool with at least N_C cells each -> (M, N_C) indices of evenly spread cells."""
    count = mask.sum(dim=1, keepdim=True)  # (M, 1)
    present = mask.int().argsort(dim=1, descending=True, stable=True)  # those present come first, in order
    steps = torch.arange(CLUSTERS, device=mask.device) * count // CLUSTERS  # (M, N_C)
    return present.gather(1, steps)


def cluster_centres(features: Tensor, assignment: Tensor) -> Tensor:
    """Weighted means: features (M, N, D), assignment (M, N, N_C) -> (M, N_C, D)."""
    weights = assignment / assignment.sum(dim=1, keepdim=True).clamp(min=1e-8)
    return weights.transpose(1, 2).to(features.dtype) @ features
