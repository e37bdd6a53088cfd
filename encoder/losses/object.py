"""L_obj: the contrast of cluster centres that Sinkhorn-Knopp finds in one image (paper, section 3.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import wide
from .contrastive import contrastive_loss
from .sinkhorn import sinkhorn
from .view import View, paired

CLUSTERS = 4  # N_C, ours: unpublished
ROUNDS = 3  # of assignment and new centres, ours


def object_loss(student: View, teacher: View) -> Tensor:
    """L_obj = 1 / (N_C T_i) sum_c sum_t L_CL(f_obj, f'_obj).

    Ours, since the pairing of clusters is unpublished: both branches see the same window, so the teacher's
    assignment of cells to clusters pools both. Images with fewer cells than clusters are left out.
    """
    both = paired(student, teacher)  # (B, T, N)
    enough = both.sum(dim=-1) >= CLUSTERS
    mask = both[enough]  # (M, N)
    assignment = cluster_assignment(teacher.features[enough], mask)  # (M, N, N_C)
    return contrastive_loss(
        student.head(cluster_centres(student.features[enough], assignment).flatten(0, 1)),  # (M * N_C, K)
        teacher.head(cluster_centres(teacher.features[enough], assignment).flatten(0, 1)),
    )


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
    present = mask.int().argsort(
        dim=1, descending=True, stable=True
    )  # the cells present, in order, come first
    steps = torch.arange(CLUSTERS, device=mask.device) * count // CLUSTERS  # (M, N_C)
    return present.gather(1, steps)


def cluster_centres(features: Tensor, assignment: Tensor) -> Tensor:
    """Weighted means: features (M, N, D), assignment (M, N, N_C) -> (M, N_C, D)."""
    weights = assignment / assignment.sum(dim=1, keepdim=True).clamp(min=1e-8)
    return weights.transpose(1, 2).to(features.dtype) @ features
