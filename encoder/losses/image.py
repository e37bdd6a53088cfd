"""L_img: the contrast of the average-pooled map of each date (paper, section 3.4)."""

from torch import Tensor

from .contrastive import contrastive_loss
from .view import View, paired


def image_loss(student: View, teacher: View) -> Tensor:
    """L_img = 1 / T_i sum_t L_CL(f_img, f'_img), f_img the mean over the cells that both branches have."""
    both = paired(student, teacher)
    some = both.any(dim=-1)  # (B, T)
    return contrastive_loss(
        student.head(pooled(student.features, both)[some]),  # (M, K)
        teacher.head(pooled(teacher.features, both)[some]),
    )


def pooled(features: Tensor, mask: Tensor) -> Tensor:
    """Mean over cells: features (..., N, D), mask (..., N) -> (..., D); zero where no cell is present."""
    weights = mask.to(features.dtype).unsqueeze(-1)
    return (features * weights).sum(dim=-2) / weights.sum(dim=-2).clamp(min=1)
